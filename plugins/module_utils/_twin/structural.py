# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Structural schemas of custom resources, compiled once and then walked.

``shape`` prunes unknown fields, drops nulls and fills in defaults; ``check`` validates.
Both copy only what they change. An update is checked against the old object: a value that
did not change is not blamed (ratcheting, spec ippool.md §3.3).
"""

from __future__ import annotations

import copy
import functools
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cel import Rule, compile_rules, evaluate
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.field_errors import (
    child,
    duplicate,
    invalid_value,
    required,
    wrong_type,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.formats import FORMATS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.value_checks import (
    Schema,
    Validation,
    same_json,
    value_checks,
)

ABSENT: t.Any = object()

_JSON_TYPES: t.Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_NAMES: t.Mapping[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


@dataclass
class Node:
    """One schema with everything below it, ready to walk.

    ``closed`` says that unknown fields are pruned here, ``shapes`` that ``shape`` can
    change anything at or below this node, ``item_types`` the Python types of a list whose
    items have no other rule than their type.
    """

    json_type: str = ""
    types: tuple[type, ...] = ()
    nullable: bool = False
    default: t.Any = ABSENT
    properties: dict[str, Node] = field(default_factory=dict)
    defaulted: tuple[str, ...] = ()
    additional: Node | None = None
    items: Node | None = None
    item_types: frozenset[type] | None = None
    required: tuple[str, ...] = ()
    closed: bool = False
    embedded: bool = False
    list_type: str = "atomic"
    map_keys: tuple[str, ...] = ()
    atomic_map: bool = False
    validations: tuple[Validation, ...] = ()
    rules: tuple[Rule, ...] = ()
    shapes: bool = False
    has_rules: bool = False
    has_lists: bool = False
    schema: Schema = field(default_factory=dict)


def compile_schema(schema: Schema, *, root: bool = False) -> Node:
    """The node of an ``openAPIV3Schema``; ``root`` for that of a whole object."""
    node = Node(schema=schema)
    node.json_type = "" if schema.get("x-kubernetes-int-or-string") else str(schema.get("type") or "")
    node.types = (int, str) if schema.get("x-kubernetes-int-or-string") else _JSON_TYPES.get(node.json_type, ())
    node.nullable = bool(schema.get("nullable"))
    node.default = schema.get("default", ABSENT)
    node.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    node.required = tuple(schema.get("required") or ())
    node.list_type = str(schema.get("x-kubernetes-list-type") or "atomic")
    node.map_keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    node.atomic_map = schema.get("x-kubernetes-map-type") == "atomic"
    node.properties = {name: compile_schema(each) for name, each in (schema.get("properties") or {}).items()}
    node.defaulted = tuple(name for name, each in node.properties.items() if each.default is not ABSENT)
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        node.additional = compile_schema(additional)
    if isinstance(schema.get("items"), dict):
        node.items = compile_schema(schema["items"])
        node.item_types = _bare_types(node.items)
    keeps = schema.get("x-kubernetes-preserve-unknown-fields") or additional is True
    node.closed = node.json_type == "object" and not keeps and node.additional is None
    if root or node.embedded:
        for name in ("apiVersion", "kind", "metadata"):
            # What they hold is checked elsewhere.
            node.properties[name] = Node()
    below = [*node.properties.values(), *(each for each in (node.additional, node.items) if each)]
    node.validations = tuple(_validations(schema))
    node.rules = compile_rules(schema)
    node.shapes = (
        node.closed or bool(node.properties) or node.additional is not None or any(each.shapes for each in below)
    )
    node.has_rules = bool(node.rules) or any(each.has_rules for each in below)
    node.has_lists = node.list_type in ("set", "map") or any(each.has_lists for each in below)
    return node


def _bare_types(node: Node) -> frozenset[type] | None:
    """The types a list's items may have, when that is all there is to know about them."""
    if node.json_type not in ("string", "boolean", "integer", "number"):
        return None
    extra = set(node.schema) - {"type", "format", "nullable", "description", "title", "example"}
    if extra or (node.json_type == "string" and node.schema.get("format") in FORMATS):
        return None
    return frozenset((*node.types, type(None)) if node.nullable else node.types)


# ---- pruning, nulls, defaults


def shape(node: Node, value: t.Any, path: str, unknown: list[str] | None) -> t.Any:
    """The value without unknown fields and nulls, with defaults.

    Paths of unknown fields go to ``unknown`` when it is given.
    """
    if not node.shapes:
        return value
    if type(value) is dict:
        return _shape_object(node, value, path, unknown)
    if type(value) is list and node.items is not None and node.items.shapes:
        items = node.items
        shaped = [shape(items, item, f"{path}[{place}]", unknown) for place, item in enumerate(value)]
        return shaped if any(new is not old for new, old in zip(shaped, value)) else value
    return value


def _shape_object(node: Node, value: dict[str, t.Any], path: str, unknown: list[str] | None) -> dict[str, t.Any]:
    result: dict[str, t.Any] | None = None
    for key, item in value.items():
        known = node.properties.get(key) or node.additional
        if known is None:
            if not node.closed:
                continue
            if unknown is not None:
                unknown.append(child(path, key))
        elif item is None:
            if known.nullable or not known.types:
                continue
        else:
            if not known.shapes:
                continue
            new = shape(known, item, child(path, key), unknown)
            if new is not item:
                if result is None:
                    result = dict(value)
                result[key] = new
            continue
        if result is None:
            result = dict(value)
        del result[key]
    for key in node.defaulted:
        if key not in (value if result is None else result):
            if result is None:
                result = dict(value)
            known = node.properties[key]
            result[key] = shape(known, copy.deepcopy(known.default), child(path, key), None)
    return value if result is None else result


# ---- validation


def check(node: Node, value: t.Any, old: t.Any, path: str, causes: list[Cause]) -> None:
    """Add to ``causes`` what is wrong with ``value``; ``old`` is ABSENT where there is nothing to compare."""
    if old is not ABSENT and same_json(value, old):
        return
    if node.types and not _has_type(node, value):
        found = _NAMES[type(value)]
        wanted = node.json_type or "integer,string"
        causes.append(wrong_type(path, found, f'{path} in body must be of type {wanted}: "{found}"'))
        return
    for validation in node.validations:
        causes.extend(validation(value, path))
    if type(value) is dict:
        _check_object(node, value, old if type(old) is dict and not node.atomic_map else {}, path, causes)
    elif type(value) is list and node.items is not None:
        _check_list(node, node.items, value, old, path, causes)


def _has_type(node: Node, value: t.Any) -> bool:
    kind = type(value)
    if kind in node.types:
        return True
    if kind is float and int in node.types:
        return float(value).is_integer()
    return value is None and node.nullable


def _check_object(node: Node, value: dict[str, t.Any], old: dict[str, t.Any], path: str, causes: list[Cause]) -> None:
    for name in node.required:
        if name not in value:
            causes.append(required(child(path, name)))
    for key, item in value.items():
        known = node.properties.get(key) or node.additional
        if known is not None and (known.types or known.validations):
            check(known, item, old.get(key, ABSENT), child(path, key), causes)


def _check_list(node: Node, items: Node, value: list[t.Any], old: t.Any, path: str, causes: list[Cause]) -> None:
    if node.item_types is not None and node.item_types.issuperset(map(type, value)):
        return
    earlier = keyed(node, old) if node.list_type == "map" and type(old) is list else {}
    for place, item in enumerate(value):
        before = earlier.get(item_key(node, item), ABSENT) if earlier else ABSENT
        check(items, item, before, f"{path}[{place}]", causes)


def item_key(node: Node, item: t.Any) -> t.Any:
    """What tells items of a keyed list apart; None for an item that has no key."""
    if type(item) is not dict:
        return None
    return tuple(repr(item.get(key, _default_of(node, key))) for key in node.map_keys)


def _default_of(node: Node, key: str) -> t.Any:
    known = node.items.properties.get(key) if node.items else None
    return None if known is None or known.default is ABSENT else known.default


def keyed(node: Node, items: list[t.Any]) -> dict[t.Any, t.Any]:
    return {item_key(node, item): item for item in items}


def check_lists(node: Node, value: t.Any, path: str, causes: list[Cause]) -> None:
    """Add an error for every item that appears twice in a list declared a set or a map."""
    if not node.has_lists:
        return
    if type(value) is dict:
        for key, item in value.items():
            known = node.properties.get(key) or node.additional
            if known is not None:
                check_lists(known, item, child(path, key), causes)
    elif type(value) is list:
        seen = set()
        for place, item in enumerate(value):
            where = f"{path}[{place}]"
            if node.list_type in ("set", "map"):
                identity = item_key(node, item) if node.list_type == "map" else repr(item)
                if identity in seen:
                    shown = {key: item.get(key) for key in node.map_keys} if node.list_type == "map" else item
                    causes.append(duplicate(where, shown))
                seen.add(identity)
            if node.items is not None:
                check_lists(node.items, item, where, causes)


# ---- combinations of schemas


def _validations(schema: Schema) -> t.Iterator[Validation]:
    yield from value_checks(schema)
    for name, combination in (("allOf", _all_of), ("anyOf", _any_of), ("oneOf", _one_of)):
        if schema.get(name):
            yield functools.partial(combination, tuple(compile_schema(each) for each in schema[name]))
    if schema.get("not"):
        yield functools.partial(_not, compile_schema(schema["not"]))


def _errors(node: Node, value: t.Any, path: str) -> list[Cause]:
    causes: list[Cause] = []
    check(node, value, ABSENT, path, causes)
    return causes


def _all_of(nodes: tuple[Node, ...], value: t.Any, path: str) -> t.Iterator[Cause]:
    for node in nodes:
        yield from _errors(node, value, path)


def _any_of(nodes: tuple[Node, ...], value: t.Any, path: str) -> t.Iterator[Cause]:
    if all(_errors(node, value, path) for node in nodes):
        yield invalid_value(path, value, f"{path} in body must validate at least one schema (anyOf)")


def _one_of(nodes: tuple[Node, ...], value: t.Any, path: str) -> t.Iterator[Cause]:
    valid = sum(not _errors(node, value, path) for node in nodes)
    if valid != 1:
        found = f". Found {valid} valid alternatives" if valid else ". Found none valid"
        yield invalid_value(path, value, f"{path} in body must validate one and only one schema (oneOf){found}")


def _not(node: Node, value: t.Any, path: str) -> t.Iterator[Cause]:
    if not _errors(node, value, path):
        yield invalid_value(path, value, f"{path} in body must not validate the schema (not)")


# ---- CEL rules


def check_rules(
    node: Node, value: t.Any, old: t.Any, path: str, causes: list[Cause], *, parent_unchanged: bool = False
) -> None:
    """Add the errors of all CEL rules at and below ``node``.

    ``old`` is ABSENT where the old object has no value that corresponds; then the nearest
    parent that has one decides whether the value counts as unchanged.
    """
    if not node.has_rules or value is None:
        return
    has_old = old is not ABSENT and old is not None
    unchanged = same_json(value, old) if old is not ABSENT else parent_unchanged
    if node.rules:
        evaluate(node.rules, value, old, path, has_old=has_old, unchanged=unchanged, causes=causes)
    if type(value) is dict:
        earlier = old if type(old) is dict and not node.atomic_map else {}
        for key, item in value.items():
            known = node.properties.get(key) or node.additional
            if known is not None and known.has_rules:
                check_rules(known, item, earlier.get(key, ABSENT), child(path, key), causes, parent_unchanged=unchanged)
    elif type(value) is list and node.items is not None and node.items.has_rules:
        items = keyed(node, old) if node.list_type == "map" and type(old) is list else {}
        for place, item in enumerate(value):
            before = items.get(item_key(node, item), ABSENT) if items else ABSENT
            check_rules(node.items, item, before, f"{path}[{place}]", causes, parent_unchanged=unchanged)
