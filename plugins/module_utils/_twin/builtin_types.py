# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The fields of built-in types, read from ``builtin_types.json`` when first asked for.

The file comes from ``tests/tools/builtin_schema.py`` and holds names and JSON types only,
taken from the OpenAPI document of Kubernetes (Apache-2.0).
"""

from __future__ import annotations

import functools
import json
import pathlib
import re
import typing as t
from dataclasses import dataclass

_FILE = pathlib.Path(__file__).with_name("builtin_types.json")
_PREFIX = re.compile(r"^(?:Core|Events|Authentication|Storage|Discovery|Rbac|Flowcontrol)?V\d+")


@dataclass(frozen=True)
class Shape:
    """What a field may hold.

    ``code`` is ``[`` list, ``{`` map, ``@`` struct, ``s`` string, ``i`` integer, ``b``
    boolean, ``f`` number, ``q`` quantity, ``x`` integer or string, ``t`` time, ``y``
    base64 bytes, ``*`` anything. ``item`` belongs to lists and maps, ``struct`` names a type.
    """

    code: str
    required: bool = False
    item: Shape | None = None
    struct: str = ""

    @property
    def go_name(self) -> str:
        """How the API server calls the type in decoding errors."""
        if self.code == "[":
            return "[]" + (self.item.go_name if self.item else "")
        if self.code == "{":
            return "map[string]" + (self.item.go_name if self.item else "")
        if self.code == "@":
            return go_name(self.struct)
        return _GO_NAMES[self.code]


_GO_NAMES = {
    "s": "string",
    "i": "int32",
    "b": "bool",
    "f": "float64",
    "q": "resource.Quantity",
    "x": "intstr.IntOrString",
    "t": "v1.Time",
    "y": "[]uint8",
    "*": "interface {}",
}


@dataclass(frozen=True)
class Struct:
    """One type: its name in the file and its fields."""

    name: str
    fields: t.Mapping[str, Shape]


def go_name(struct: str) -> str:
    """``PodSpec`` for ``V1PodSpec``."""
    return _PREFIX.sub("", struct)


@functools.cache
def _document() -> dict[str, t.Any]:
    document: dict[str, t.Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return document


def _shape(text: str) -> Shape:
    required = text.startswith("!")
    if required:
        text = text[1:]
    code = text[0]
    if code in "[{":
        return Shape(code, required, item=_shape(text[1:]))
    if code == "@":
        return Shape(code, required, struct=text[1:])
    return Shape(code, required)


@functools.cache
def struct(name: str) -> Struct:
    """The type of that name in the file, such as ``V1PodSpec``; raises KeyError."""
    fields = _document()["types"][name]
    return Struct(name, {field: _shape(text) for field, text in fields.items()})


@functools.cache
def struct_of(api_version: str, kind: str) -> Struct | None:
    """The type of objects with that apiVersion and kind, or None."""
    name = _document()["kinds"].get(f"{api_version}/{kind}")
    return None if name is None else struct(name)
