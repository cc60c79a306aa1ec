# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a request to the API server may ask for, and the form of an answer."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin import decode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Cause,
    bad_request,
    invalid_options,
)

IGNORE = "Ignore"
WARN = "Warn"
STRICT = "Strict"


@dataclass(frozen=True)
class WriteOptions:
    """``field_validation`` is Ignore, Warn or Strict; ``user`` is who asks, for admission.

    ``manager`` is what the client calls itself, for ``metadata.managedFields``; "" for the twin's own.
    """

    dry_run: bool = False
    field_validation: str = WARN
    user: str = "system:admin"
    groups: t.Tuple[str, ...] = ()
    manager: str = ""


@dataclass(frozen=True)
class DeleteOptions:
    """``grace_seconds`` None means the object's own; ``propagation`` is Background, Foreground or Orphan."""

    grace_seconds: t.Optional[int] = None
    uid: t.Optional[str] = None
    resource_version: t.Optional[str] = None
    propagation: t.Optional[str] = None
    dry_run: bool = False
    user: str = "system:admin"
    # ``orphanDependents: false``, which answers 202 instead of 200 when the object waits for something.
    deprecated_background: bool = False


@dataclass(frozen=True)
class ListOptions:
    """``resource_version`` and ``match`` as in the query; ``continue_token`` goes on with a list."""

    label_selector: t.Optional[str] = None
    field_selector: t.Optional[str] = None
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    match: str = ""


@dataclass(frozen=True)
class Answer:
    """HTTP code, body and the texts of ``Warning`` headers."""

    code: int
    object: Object
    warnings: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class SubresourceCall:
    """A request to a registered subresource; ``verb`` is get, create, update or patch."""

    verb: str
    kind: Kind
    subresource: str
    name: str
    namespace: t.Optional[str]
    body: Object
    options: WriteOptions


SubresourceHandler = t.Callable[[SubresourceCall], Answer]

_DELETE_OPTIONS = Kind(Resource("meta", "v1", "", "DeleteOptions", False), "")
_PROPAGATION = ("Background", "Foreground", "Orphan")


def dry_run_of(values: t.Sequence[str], options_kind: str) -> bool:
    """``dryRun`` is ``All`` or nothing. Raises a 422 ``Fault`` (spec kubernetes-api-behaviour.md 7)."""
    if not values or list(values) == [""]:
        return False
    if list(values) == ["All"]:
        return True
    shown = ", ".join(f'"{value}"' for value in values)
    cause = Cause("FieldValueNotSupported", f'Unsupported value: [{shown}]: supported values: "All"', "dryRun")
    raise invalid_options(options_kind, [cause])


def field_validation_of(value: str, options_kind: str) -> str:
    """Warn when not given. Raises a 422 ``Fault``."""
    if value in ("", WARN):
        return WARN
    if value in (IGNORE, STRICT):
        return value
    cause = Cause(
        "FieldValueNotSupported",
        f'Unsupported value: "{value}": supported values: "", "Ignore", "Strict", "Warn"',
        "fieldValidation",
    )
    raise invalid_options(options_kind, [cause])


def delete_options_of(body: t.Any, query: t.Mapping[str, str], user: str = "system:admin") -> DeleteOptions:
    """DeleteOptions from the body, or from the query when there is no body.

    Raises a ``Fault``: 400 for values of the wrong type, 422 for values that are not known.
    """
    source: Object = {}
    if body is not None:
        if not isinstance(body, dict):
            raise bad_request("couldn't get version/kind; json parse error")
        if body.get("kind") not in (None, "", "DeleteOptions"):
            raise bad_request(f'expected DeleteOptions, got "{body.get("kind")}"')
        source, _unknown = decode(_DELETE_OPTIONS, body, None)
    grace = source.get("gracePeriodSeconds")
    if grace is None and query.get("gracePeriodSeconds"):
        text = query["gracePeriodSeconds"]
        try:
            grace = int(text)
        except ValueError:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    propagation = source.get("propagationPolicy") or query.get("propagationPolicy") or None
    orphan = source.get("orphanDependents")
    if orphan is None and query.get("orphanDependents"):
        orphan = query["orphanDependents"] in ("1", "true")
    if propagation is None and orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    if propagation is not None and propagation not in _PROPAGATION:
        supported = ", ".join(f'"{each}"' for each in (*sorted(_PROPAGATION), "nil"))
        message = f'Unsupported value: "{propagation}": supported values: {supported}'
        raise invalid_options("DeleteOptions", [Cause("FieldValueNotSupported", message, "propagationPolicy")])
    preconditions = source.get("preconditions") or {}
    dry_run = source.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
    return DeleteOptions(
        grace_seconds=grace,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        propagation=propagation,
        dry_run=dry_run_of(dry_run, "DeleteOptions"),
        user=user,
        deprecated_background=orphan is False,
    )
