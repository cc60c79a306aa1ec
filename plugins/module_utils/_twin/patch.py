# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""PATCH: JSON merge patch (RFC 7386) and JSON patch (RFC 6902), as the API server applies them.

Nothing here changes what it is given: what a patch touches is copied on the way down,
what it leaves alone is shared with the stored object. ``strategic.py`` holds the third
kind of patch.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    bad_request,
    rejected_patch,
    unsupported_media_type,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.strategic import strategic_merge

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def accepted_patch_types(kind: Kind) -> tuple[str, ...]:
    """The media types PATCH takes for that type (spec kubernetes-api-behaviour.md §5)."""
    if kind.custom and not kind.aggregated:
        return (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
    return (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def apply_patch(kind: Kind, current: Object, patch: t.Any, media_type: str) -> Object:
    """The object that results from a merge, JSON or strategic patch; ``current`` stays as it is.

    Server-side apply is another matter and not done here. Raises ``Fault``: 415 for a
    media type the type does not take, 400 for a patch of the wrong shape, 422 for a JSON
    patch that cannot be carried out.
    """
    if media_type == MERGE_PATCH:
        _expect(patch, dict)
        return t.cast(Object, merge_patch(current, patch))
    if media_type == JSON_PATCH:
        patched = json_patch(current, patch)
        if not isinstance(patched, dict):
            raise rejected_patch()
        return patched
    if media_type in accepted_patch_types(kind) and media_type == STRATEGIC_PATCH:
        _expect(patch, dict)
        return strategic_merge(kind, current, patch)
    raise unsupported_media_type(
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted_patch_types(kind))
    )


def _expect(patch: t.Any, shape: type) -> None:
    if isinstance(patch, shape):
        return
    wanted = "map[string]interface {}" if shape is dict else "jsonpatch.Patch"
    found = _JSON_NAMES.get(type(patch), "null")
    raise bad_request(f"error decoding patch: json: cannot unmarshal {found} into Go value of type {wanted}")


def merge_patch(target: t.Any, patch: t.Any) -> t.Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(document: t.Any, operations: t.Any) -> t.Any:
    """RFC 6902, all operations or none.

    Raises ``Fault`` 400 when the patch is not a list of objects and 422, which never says
    which operation failed, for the rest.
    """
    _expect(operations, list)
    for operation in operations:
        if not isinstance(operation, dict):
            found = _JSON_NAMES.get(type(operation), "null")
            raise bad_request(f"json: cannot unmarshal {found} into Go value of type jsonpatch.Operation")
        document = _carry_out(document, operation)
    return document


def _carry_out(document: t.Any, operation: Object) -> t.Any:
    name = operation.get("op")
    path = _pointer(operation.get("path"))
    if name == "add":
        return _add(document, path, _value(operation))
    if name == "remove":
        return _remove(document, path)
    if name == "replace":
        _find(document, path)
        return _replace(document, path, _value(operation))
    if name == "test":
        # A missing member equals null, as in the library the API server uses.
        if not _same(_find(document, path, missing_is_null=True), operation.get("value")):
            raise rejected_patch()
        return document
    if name == "move":
        source = _pointer(operation.get("from"))
        if path[: len(source)] == source and path != source:
            raise rejected_patch()
        value = _find(document, source)
        return _add(_remove(document, source), path, value)
    if name == "copy":
        return _add(document, path, _find(document, _pointer(operation.get("from"))))
    raise rejected_patch()


def _value(operation: Object) -> t.Any:
    if "value" not in operation:
        raise rejected_patch()
    return operation["value"]


def _pointer(text: t.Any) -> list[str]:
    if not isinstance(text, str):
        raise rejected_patch()
    if text == "":
        return []
    if not text.startswith("/"):
        raise rejected_patch()
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _index(items: list[t.Any], part: str, limit: int) -> int:
    """Position ``part`` in a list, negative ones counted from the end."""
    digits = part[1:] if part.startswith("-") else part
    if not digits.isdigit() or (len(digits) > 1 and digits.startswith("0")):
        raise rejected_patch()
    position = int(part)
    if position < 0:
        position += limit
    if not 0 <= position < limit:
        raise rejected_patch()
    return position


def _step(node: t.Any, part: str) -> t.Any:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list):
        return node[_index(node, part, len(node))]
    raise rejected_patch()


def _find(document: t.Any, path: list[str], *, missing_is_null: bool = False) -> t.Any:
    node = document
    for depth, part in enumerate(path):
        if missing_is_null and depth == len(path) - 1 and isinstance(node, dict):
            return node.get(part)
        node = _step(node, part)
    return node


def _rebuild(node: t.Any, path: list[str], change: t.Callable[[t.Any, str], t.Any]) -> t.Any:
    """A copy of ``node`` along ``path`` with ``change`` made at its last step."""
    if len(path) == 1:
        return change(node, path[0])
    child = _rebuild(_step(node, path[0]), path[1:], change)
    if isinstance(node, dict):
        return {**node, path[0]: child}
    copy = list(node)
    copy[_index(node, path[0], len(node))] = child
    return copy


def _add(document: t.Any, path: list[str], value: t.Any) -> t.Any:
    if not path:
        return value

    def change(node: t.Any, part: str) -> t.Any:
        if isinstance(node, dict):
            return {**node, part: value}
        if isinstance(node, list):
            position = len(node) if part == "-" else _index(node, part, len(node) + 1)
            return [*node[:position], value, *node[position:]]
        raise rejected_patch()

    return _rebuild(document, path, change)


def _replace(document: t.Any, path: list[str], value: t.Any) -> t.Any:
    if not path:
        return value

    def change(node: t.Any, part: str) -> t.Any:
        if isinstance(node, dict):
            return {**node, part: value}
        position = _index(node, part, len(node))
        return [*node[:position], value, *node[position + 1 :]]

    return _rebuild(document, path, change)


def _remove(document: t.Any, path: list[str]) -> t.Any:
    if not path:
        raise rejected_patch()

    def change(node: t.Any, part: str) -> t.Any:
        if isinstance(node, dict) and part in node:
            return {key: value for key, value in node.items() if key != part}
        if isinstance(node, list):
            position = _index(node, part, len(node))
            return node[:position] + node[position + 1 :]
        raise rejected_patch()

    return _rebuild(document, path, change)


def _same(left: t.Any, right: t.Any) -> bool:
    """JSON equality: true and 1 differ, 1 and 1.0 do not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right))
    return bool(left == right)
