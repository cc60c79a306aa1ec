# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One key of etcd as its JSON gateway tells of it."""

from __future__ import annotations

import base64
import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One key: ``revision`` is its modification revision."""

    key: str
    value: bytes
    revision: int


def row_of(entry: t.Mapping[str, t.Any]) -> Row:
    """The row of a ``kv`` in an answer; numbers are text there, and what is 0 or empty is left out."""
    # Calico's keys are ASCII; a key that is not UTF-8 is not one of them, and stays recognisable.
    key = base64.b64decode(entry["key"]).decode(errors="surrogateescape")
    return Row(key, base64.b64decode(entry.get("value") or ""), int(entry.get("mod_revision") or 0))
