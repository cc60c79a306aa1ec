# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Strategic merge patch: merge patch that knows which lists are keyed, for built-in types.

What kubectl sends for ``patch``, ``apply``, ``rollout restart``, ``set image`` or ``label``.
The directives ``$patch``, ``$retainKeys``, ``$setElementOrder/<field>`` and
``$deleteFromPrimitiveList/<field>`` are carried out. What the patch leaves alone is shared
with the stored object, nothing is changed in place.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import builtin_types
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin_types import Shape, Struct
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import bad_request, failure

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"

# The key that tells items of a list apart. Lists that are not named here are replaced whole.
_CONTAINER = {"env": "name", "ports": "containerPort", "volumeDevices": "devicePath", "volumeMounts": "mountPath"}
_CONDITIONS = {"conditions": "type"}
MERGE_KEYS: t.Mapping[str, t.Mapping[str, str]] = {
    "V1ObjectMeta": {"ownerReferences": "uid"},
    "V1PodSpec": {
        "containers": "name",
        "ephemeralContainers": "name",
        "hostAliases": "ip",
        "imagePullSecrets": "name",
        "initContainers": "name",
        "resourceClaims": "name",
        "schedulingGates": "name",
        "topologySpreadConstraints": "topologyKey",
        "volumes": "name",
    },
    "V1Container": _CONTAINER,
    "V1EphemeralContainer": _CONTAINER,
    "V1ContainerStatus": {"allocatedResourcesStatus": "name"},
    "V1PodStatus": {"conditions": "type", "hostIPs": "ip", "podIPs": "ip", "resourceClaimStatuses": "name"},
    "V1NodeStatus": {"addresses": "type", "conditions": "type"},
    "V1NamespaceStatus": _CONDITIONS,
    "V1PersistentVolumeClaimStatus": _CONDITIONS,
    "V1ReplicationControllerStatus": _CONDITIONS,
    "V1ServiceSpec": {"ports": "port"},
    "V1ServiceStatus": _CONDITIONS,
    "V1ServiceAccount": {"secrets": "name"},
    "V1DaemonSetStatus": _CONDITIONS,
    "V1DeploymentStatus": _CONDITIONS,
    "V1ReplicaSetStatus": _CONDITIONS,
    "V1StatefulSetStatus": _CONDITIONS,
    "V1JobStatus": _CONDITIONS,
    "V1PodDisruptionBudgetStatus": _CONDITIONS,
    "V2HorizontalPodAutoscalerStatus": _CONDITIONS,
    "V1APIServiceStatus": _CONDITIONS,
    "V1MutatingWebhookConfiguration": {"webhooks": "name"},
    "V1ValidatingWebhookConfiguration": {"webhooks": "name"},
    "V1CSINodeSpec": {"drivers": "name"},
}
# Lists of plain values that merge as sets.
MERGED_PRIMITIVES: t.Mapping[str, frozenset[str]] = {
    "V1ObjectMeta": frozenset({"finalizers"}),
    "V1NodeSpec": frozenset({"podCIDRs"}),
}
# Objects that a patch replaces instead of merging.
REPLACED: t.Mapping[str, frozenset[str]] = {"V1PodDisruptionBudgetSpec": frozenset({"selector"})}


def strategic_merge(kind: Kind, original: Object, patch: Object) -> Object:
    """``original`` with ``patch`` merged in.

    Raises ``Fault`` 400 for a directive that makes no sense and 422 for an item without
    the key of its list.
    """
    struct = builtin_types.struct_of(kind.resource.api_version, kind.resource.kind)
    return _merge_map(original, patch, struct)


def _merge_map(original: Object, patch: Object, struct: Struct | None) -> Object:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {key: _plain(value) for key, value in patch.items() if key != _PATCH and value is not None}
    if directive == "delete":
        return {}
    if directive is not None and directive != "merge":
        raise bad_request(f"unknown patch type: {directive} in the patch")
    result = _retain(original, patch)
    ordered = _ordered_lists(result, patch, struct)
    for key, value in patch.items():
        if key in (_PATCH, _RETAIN) or key.startswith(_ORDER) or key in ordered:
            continue
        if key.startswith(_DELETE_PRIMITIVES):
            _delete_primitives(result, key[len(_DELETE_PRIMITIVES) :], value)
        elif value is None:
            result.pop(key, None)
        elif key not in result:
            result[key] = _plain(value)
        else:
            result[key] = _merge_field(result[key], value, struct, key)
    return result


def _merge_field(original: t.Any, patch: t.Any, struct: Struct | None, key: str) -> t.Any:
    if isinstance(original, dict) and isinstance(patch, dict):
        if struct and key in REPLACED.get(struct.name, ()):
            return _plain(patch)
        return _merge_map(original, patch, _struct_behind(struct, key))
    if isinstance(original, list) and isinstance(patch, list):
        merge_key = _merge_key(struct, key)
        if merge_key is not None:
            return _merge_list(original, patch, merge_key, _struct_behind(struct, key))
        return [_plain(item) for item in patch if not (isinstance(item, dict) and item.keys() == {_PATCH})]
    return _plain(patch)


def _struct_behind(struct: Struct | None, key: str) -> Struct | None:
    shape: Shape | None = struct.fields.get(key) if struct else None
    while shape is not None and shape.item is not None:
        shape = shape.item
    if shape is None or shape.code != "@":
        return None
    return builtin_types.struct(shape.struct)


def _merge_key(struct: Struct | None, key: str) -> str | None:
    """The merge key of a list, ``""`` for a list of values that merges, None for one that does not."""
    if struct is None:
        return None
    if key in MERGED_PRIMITIVES.get(struct.name, ()):
        return ""
    return MERGE_KEYS.get(struct.name, {}).get(key)


def _plain(value: t.Any) -> t.Any:
    """The value without nulls and directives: what a patch adds where nothing was."""
    if isinstance(value, dict):
        if value.get(_PATCH) == "delete":
            return {}
        return {
            key: _plain(item)
            for key, item in value.items()
            if item is not None and key not in (_PATCH, _RETAIN) and not key.startswith((_ORDER, _DELETE_PRIMITIVES))
        }
    if isinstance(value, list):
        kept = [
            item
            for item in value
            if not (isinstance(item, dict) and (item.get(_PATCH) == "delete" or item.keys() == {_PATCH}))
        ]
        return [_plain(item) for item in kept]
    return value


def _retain(original: Object, patch: Object) -> Object:
    if _RETAIN not in patch:
        return dict(original)
    keys = patch[_RETAIN]
    if not isinstance(keys, list):
        raise bad_request("invalid patch format of retainKeys")
    for key, value in patch.items():
        if not key.startswith("$") and value is not None and key not in keys:
            raise bad_request(f"invalid patch format of retainKeys: {key} is not among the keys to retain")
    return {key: value for key, value in original.items() if key in keys}


def _delete_primitives(result: Object, field: str, values: t.Any) -> None:
    if not isinstance(values, list):
        raise bad_request("invalid patch format of primitive list")
    if isinstance(result.get(field), list):
        result[field] = [item for item in result[field] if item not in values]


def _ordered_lists(result: Object, patch: Object, struct: Struct | None) -> set[str]:
    """Merge every list that has a ``$setElementOrder`` into ``result``; their names."""
    done: set[str] = set()
    for key, order in patch.items():
        if not key.startswith(_ORDER):
            continue
        field = key[len(_ORDER) :]
        merge_key = _merge_key(struct, field)
        if merge_key is None or not isinstance(order, list):
            raise bad_request("invalid patch format of setElementOrder list")
        original, changes = result.get(field), patch.get(field)
        removed = patch.get(_DELETE_PRIMITIVES + field)
        if isinstance(original, list) and isinstance(removed, list):
            original = [item for item in original if item not in removed]
        done.add(field)
        if changes is None and field in patch:
            result.pop(field, None)
            continue
        if isinstance(original, list) and isinstance(changes, list):
            merged = _merge_list(original, changes, merge_key, _struct_behind(struct, field))
        elif isinstance(original, list):
            merged = original
        elif isinstance(changes, list):
            merged = t.cast("list[t.Any]", _plain(changes))
        else:
            continue
        result[field] = _put_in_order(merged, order, original or [], merge_key)
    return done


def _identity(item: t.Any, merge_key: str) -> t.Any:
    if not merge_key:
        return item
    if not isinstance(item, dict) or merge_key not in item:
        raise failure(422, f"map: {_go_map(item)} does not contain declared merge key: {merge_key}", "Invalid", {})
    return item[merge_key]


def _go_map(item: t.Any) -> str:
    if isinstance(item, dict):
        return "map[" + " ".join(f"{key}:{_go_map(item[key])}" for key in sorted(item)) + "]"
    if isinstance(item, list):
        return "[" + " ".join(_go_map(each) for each in item) + "]"
    return str(item)


def _merge_list(original: list[t.Any], patch: list[t.Any], merge_key: str, struct: Struct | None) -> list[t.Any]:
    changes, gone, replace = _directives(patch, merge_key)
    if replace:
        return [_plain(item) for item in changes]
    merged = [item for item in original if not gone or _identity(item, merge_key) not in gone]
    places = {_identity(item, merge_key): place for place, item in enumerate(merged)}
    for item in changes:
        identity = _identity(item, merge_key)
        if identity not in places:
            places[identity] = len(merged)
            merged.append(_plain(item))
        elif merge_key:
            place = places[identity]
            merged[place] = _merge_map(merged[place], item, struct)
    return _put_in_order(merged, changes, original, merge_key)


def _directives(patch: list[t.Any], merge_key: str) -> tuple[list[t.Any], set[t.Any], bool]:
    """Items to merge, keys of items to delete, and whether the list is replaced."""
    changes: list[t.Any] = []
    gone: set[t.Any] = set()
    replace = False
    for item in patch:
        directive = item.get(_PATCH) if isinstance(item, dict) else None
        if directive is None or (directive == "merge" and len(item) > 1):
            changes.append(item)
        elif directive == "delete":
            gone.add(_identity(item, merge_key))
        elif directive == "replace":
            replace = True
        elif directive != "merge":
            raise bad_request(f"unknown patch type: {directive} in the patch")
    return changes, gone, replace


def _put_in_order(merged: list[t.Any], order: list[t.Any], server: list[t.Any], merge_key: str) -> list[t.Any]:
    """Items the patch names in its order; the others keep their place relative to them.

    Items unknown to the server come before the ones only the server has.
    """
    wanted = [_identity(item, merge_key) for item in order]
    known = {_identity(item, merge_key): place for place, item in enumerate(server)}
    named = sorted(
        (item for item in merged if _identity(item, merge_key) in wanted),
        key=lambda item: wanted.index(_identity(item, merge_key)),
    )
    others = [item for item in merged if _identity(item, merge_key) not in wanted]
    result: list[t.Any] = []
    for item in named:
        place = known.get(_identity(item, merge_key))
        while others and place is not None and known.get(_identity(others[0], merge_key), place) < place:
            result.append(others.pop(0))
        result.append(item)
    return result + others
