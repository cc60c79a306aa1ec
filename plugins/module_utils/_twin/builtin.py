# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Decoding of built-in types: what Go makes of the JSON a client sends.

Unknown fields are dropped and named, a wrong JSON type is the 400 of the API server, nulls
and empty lists and maps of optional fields disappear (spec kubernetes-api-behaviour.md §3).
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import builtin_types
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin_types import Shape
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.formats import is_date_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, bad_request

# A path is a chain from the inside out, so that no text is made for good values.
Path = t.Optional[t.Tuple[t.Any, t.Union[str, int]]]
Check = t.Callable[[t.Any, Path, t.List[str]], t.Any]
# The Python type that needs no further look (or None), the check, and whether empty means absent.
Entry = t.Tuple[t.Optional[type], Check, bool]

_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_LONG = frozenset(
    {
        "activeDeadlineSeconds",
        "deletionGracePeriodSeconds",
        "fsGroup",
        "generation",
        "observedGeneration",
        "revision",
        "runAsGroup",
        "runAsUser",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
        "ttlSeconds",
    }
)


class Undecodable(Exception):
    """A value of the wrong JSON type; the text is Go's."""


def decode(kind: Kind, obj: Object, old: Object | None) -> tuple[Object, list[str]]:
    """The object as the API server reads it, and the paths of the unknown fields it dropped.

    Parts equal to those of ``old`` are taken from there unseen. Raises ``Fault`` 400.
    """
    name = kind.resource.kind
    struct = builtin_types.struct_of(kind.resource.api_version, name)
    if struct is None:
        return obj, []
    unknown: list[str] = []
    entries = _entries(struct.name)
    result: Object | None = None
    try:
        for key, item in obj.items():
            if old is not None and key in old and key != "metadata" and old[key] == item:
                new = old[key]
            elif key in ("apiVersion", "kind"):
                continue
            else:
                new = _field(entries, key, item, None, unknown)
            if new is item:
                continue
            if result is None:
                result = dict(obj)
            if new is _GONE:
                del result[key]
            else:
                result[key] = new
    except Undecodable as error:
        raise undecodable(kind, str(error)) from None
    return (obj if result is None else result), unknown


def decode_metadata(kind: Kind, metadata: Object) -> tuple[Object, list[str]]:
    """The metadata of a custom resource, which is decoded like that of any object. Raises ``Fault`` 400."""
    unknown: list[str] = []
    try:
        return t.cast(Object, _struct("V1ObjectMeta")(metadata, (None, "metadata"), unknown)), unknown
    except Undecodable as error:
        raise undecodable(kind, str(error)) from None


def undecodable(kind: Kind, why: str) -> Fault:
    """400: the body does not fit the type (spec kubernetes-api-behaviour.md §3)."""
    resource = kind.resource
    return bad_request(f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}')


_GONE: t.Any = object()


def _field(entries: t.Mapping[str, Entry], key: str, item: t.Any, path: Path, unknown: list[str]) -> t.Any:
    entry = entries.get(key)
    if entry is None:
        unknown.append(dotted((path, key)))
        return _GONE
    expected, check, droppable = entry
    if type(item) is expected:
        return item
    if item is None or (droppable and (item == [] or item == {})):
        return _GONE
    return check(item, (path, key), unknown)


def dotted(path: Path, *, places: bool = True) -> str:
    """``spec.containers[0].name``; without ``places`` as Go's decoder has it, ``spec.containers.name``."""
    parts: list[str] = []
    while path is not None:
        path, name = path
        if isinstance(name, int):
            if places:
                parts.append(f"[{name}]")
        else:
            parts.append("." + name)
    return "".join(reversed(parts)).lstrip(".")


def _wrong(item: t.Any, struct: str, path: Path, wanted: str) -> Undecodable:
    found = _JSON_NAMES.get(type(item), "null")
    where = dotted(path, places=False)
    return Undecodable(
        f"json: cannot unmarshal {found} into Go struct field {builtin_types.go_name(struct)}.{where} of type {wanted}"
    )


@functools.cache
def _entries(name: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for field, shape in builtin_types.struct(name).fields.items():
        expected = {"s": str, "i": int, "b": bool}.get(shape.code)
        # A map of anything is a pointer to a struct without fields: there, empty says "enabled" (a CRD's status).
        free = shape.code == "{" and shape.item is not None and shape.item.code == "*"
        droppable = not shape.required and shape.code in "[{" and not free
        found[field] = (expected, _check(shape, name, field), droppable)
    return found


def _check(shape: Shape, struct: str, field: str) -> Check:
    if shape.code == "*":
        return lambda item, path, unknown: item
    if shape.code == "@":
        return _struct(shape.struct, struct)
    if shape.code in "[{" and shape.item is not None:
        inner = _check(shape.item, struct, field)
        bare = {"s": str, "i": int, "b": bool}.get(shape.item.code)
        return (_list if shape.code == "[" else _map)(inner, bare, struct, shape.go_name)
    special = _SPECIAL.get(shape.code)
    wanted = "int64" if shape.code == "i" and field in _LONG else shape.go_name

    def scalar(item: t.Any, path: Path, unknown: list[str]) -> t.Any:
        if special is not None:
            return special(item, lambda: _wrong(item, struct, path, wanted))
        if type(item) is {"s": str, "i": int, "b": bool}[shape.code]:
            return item
        raise _wrong(item, struct, path, wanted)

    return scalar


@functools.cache
def _struct(name: str, parent: str = "") -> Check:
    wanted = builtin_types.go_name(name)

    def check(item: t.Any, path: Path, unknown: list[str]) -> t.Any:
        if type(item) is not dict:
            raise _wrong(item, parent, path, wanted)
        entries = _entries(name)
        result: Object | None = None
        for key, value in item.items():
            entry = entries.get(key)
            if entry is not None and type(value) is entry[0]:
                continue
            new = _field(entries, key, value, path, unknown)
            if new is not value:
                if result is None:
                    result = dict(item)
                if new is _GONE:
                    del result[key]
                else:
                    result[key] = new
        return item if result is None else result

    return check


def _list(inner: Check, bare: type | None, struct: str, wanted: str) -> Check:
    def check(item: t.Any, path: Path, unknown: list[str]) -> t.Any:
        if type(item) is not list:
            raise _wrong(item, struct, path, wanted)
        if bare is not None and all(type(each) is bare for each in item):
            return item
        new = [inner(each, (path, place), unknown) for place, each in enumerate(item)]
        return new if any(a is not b for a, b in zip(new, item)) else item

    return check


def _map(inner: Check, bare: type | None, struct: str, wanted: str) -> Check:
    def check(item: t.Any, path: Path, unknown: list[str]) -> t.Any:
        if type(item) is not dict:
            raise _wrong(item, struct, path, wanted)
        if bare is not None and all(type(each) is bare for each in item.values()):
            return item
        # Go reads a null in a map of strings as the empty string; it names the map, not the key.
        new = {key: "" if each is None and bare is str else inner(each, path, unknown) for key, each in item.items()}
        return new if any(new[key] is not each for key, each in item.items()) else item

    return check


def _quantity(item: t.Any, wrong: t.Callable[[], Undecodable]) -> t.Any:
    if type(item) in (int, float):
        return str(item)
    if type(item) is not str:
        raise wrong()
    if not _QUANTITY.fullmatch(item):
        raise Undecodable("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return item


def _int_or_string(item: t.Any, wrong: t.Callable[[], Undecodable]) -> t.Any:
    if type(item) in (int, str):
        return item
    raise wrong()


def _time(item: t.Any, wrong: t.Callable[[], Undecodable]) -> t.Any:
    if type(item) is not str:
        raise wrong()
    if not is_date_time(item):
        raise Undecodable(f'parsing time "{item}" as "2006-01-02T15:04:05Z07:00": cannot parse "{item}" as "2006"')
    return item


def _number(item: t.Any, wrong: t.Callable[[], Undecodable]) -> t.Any:
    if type(item) in (int, float):
        return item
    raise wrong()


def _bytes(item: t.Any, wrong: t.Callable[[], Undecodable]) -> t.Any:
    if type(item) is not str:
        raise wrong()
    try:
        base64.b64decode(item, validate=True)
    except (binascii.Error, ValueError):
        raise Undecodable("illegal base64 data at input byte 0") from None
    return item


_SPECIAL: t.Mapping[str, t.Callable[[t.Any, t.Callable[[], Undecodable]], t.Any]] = {
    "q": _quantity,
    "x": _int_or_string,
    "t": _time,
    "f": _number,
    "y": _bytes,
}
