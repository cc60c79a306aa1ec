# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The form an answer shall have: plain JSON, a Table, or metadata only (spec kubernetes-api-behaviour.md 14)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import not_acceptable

# The real server can also write YAML, CBOR and, for built-in types, protobuf.
ACCEPTED = ("application/json",)
_META = "meta.k8s.io"


@dataclass(frozen=True)
class Form:
    """``style`` is ``object``, ``table`` or ``metadata``; ``version`` is that of meta.k8s.io."""

    style: str = "object"
    version: str = "v1"


@dataclass(frozen=True)
class Clause:
    """One entry of an Accept header."""

    media_type: str
    parameters: t.Mapping[str, str]


def clauses(accept: str) -> list[Clause]:
    """The entries in the order in which the client prefers them."""
    found: list[tuple[float, int, Clause]] = []
    for index, part in enumerate(accept.split(",")):
        pieces = [piece.strip() for piece in part.split(";")]
        if not pieces[0]:
            continue
        parameters: dict[str, str] = {}
        for piece in pieces[1:]:
            key, _equals, value = piece.partition("=")
            parameters[key.strip().lower()] = value.strip()
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        found.append((-quality, index, Clause(pieces[0].lower(), parameters)))
    return [clause for _quality, _index, clause in sorted(found, key=lambda each: each[:2])]


def form_of(accept: str, *, lists: bool) -> Form:
    """The first form the client names that this server has. Raises the 406 ``Fault``."""
    wanted = clauses(accept)
    if not wanted:
        return Form()
    for clause in wanted:
        form = _form(clause, lists)
        if form is not None:
            return form
    raise not_acceptable(ACCEPTED)


def _form(clause: Clause, lists: bool) -> Form | None:
    if clause.media_type not in ("application/json", "*/*", "application/*"):
        return None
    style = clause.parameters.get("as", "")
    if not style:
        return Form()
    version = clause.parameters.get("v", "")
    if clause.parameters.get("g") != _META or version not in ("v1", "v1beta1"):
        return None
    if style == "Table":
        return Form("table", version)
    if style == ("PartialObjectMetadataList" if lists else "PartialObjectMetadata"):
        return Form("metadata", version)
    return None
