# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The ``Table`` form of objects, which ``kubectl get`` prints (spec kubernetes-api-behaviour.md 14)."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.columns import (
    Column,
    age_of,
    builtin_columns,
    human_duration,
    name_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.deletion import parse_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind

_AGE_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC."
)
_NAME_TEXT = "Name must be unique within a namespace."
_STEP = re.compile(
    r"""\[\?\(@\.(?P<key>[\w-]+)\s*==\s*['"](?P<text>[^'"]*)['"]\)\]"""
    r"""|\.(?P<name>[\w-]+)|\['(?P<quoted>[^']+)'\]|\[(?P<index>\d+)\]"""
)


@dataclass(frozen=True)
class Table:
    """The columns of one type at one moment."""

    columns: t.Tuple[Column, ...]
    now: datetime

    def definitions(self) -> list[Object]:
        return [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            }
            for column in self.columns
        ]

    def cells(self, obj: Object) -> list[t.Any]:
        return [column.cell(obj, self.now) for column in self.columns]


class Tables:
    """Finds the columns of a type; ``now`` is the cluster's time, ``crd_of`` the CRD of a custom type."""

    def __init__(self, now: t.Callable[[], datetime], crd_of: t.Callable[[Kind], t.Optional[Object]]) -> None:
        self._now = now
        self._crd_of = crd_of

    def of(self, kind: Kind) -> Table:
        resource = kind.resource
        columns = None if kind.custom else builtin_columns(resource.group, resource.plural)
        if kind.custom:
            columns = _printer_columns(self._crd_of(kind), resource.version)
        if columns is None:
            columns = (_NAME, _AGE)
        return Table(columns, self._now())


_NAME = Column("Name", name_of, format="name", description=_NAME_TEXT)
_AGE = Column("Age", age_of, type="string", description=_AGE_TEXT)


def _printer_columns(crd: Object | None, version: str) -> tuple[Column, ...]:
    if crd is None:
        return (_NAME, _AGE)
    wanted: list[Object] = []
    for each in (crd.get("spec") or {}).get("versions") or []:
        if each.get("name") == version:
            wanted = each.get("additionalPrinterColumns") or []
    if not wanted:
        return (_NAME, _AGE)
    return (_NAME, *[_printer_column(each) for each in wanted])


def _printer_column(source: Object) -> Column:
    path, kind = source.get("jsonPath", ""), source.get("type", "string")

    def cell(obj: Object, now: datetime) -> t.Any:
        value = lookup(obj, path)
        if kind == "date" and isinstance(value, str):
            try:
                return human_duration((now - parse_time(value)).total_seconds())
            except ValueError:
                return "<invalid>"
        return value

    return Column(
        source.get("name", ""),
        cell,
        type=kind,
        format=source.get("format", ""),
        description=source.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        priority=int(source.get("priority") or 0),
    )


def lookup(obj: Object, path: str) -> t.Any:
    """The value at a simple JSONPath, or None.

    ``.spec.cidr``, ``.spec.list[0]``, ``.status.conditions[?(@.type=='Ready')].status`` (the first that matches).
    """
    value: t.Any = obj
    for step in _STEP.finditer(path):
        if step["key"] is not None:
            items = value if isinstance(value, list) else []
            value = next((each for each in items if _holds(each, step["key"], step["text"])), None)
        elif step["index"] is not None:
            value = value[int(step["index"])] if isinstance(value, list) and int(step["index"]) < len(value) else None
        else:
            value = value.get(step["name"] or step["quoted"]) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def _holds(item: t.Any, key: str, text: str) -> bool:
    return isinstance(item, dict) and item.get(key) == text
