# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""``metadata.managedFields``: which client wrote which field, as far as anybody here looks at it.

Kept for what people and tools configure in Calico, from when a client comes over the network; the records of IPAM and
what the twin's own controllers make would cost time and tell nothing. Lists are one field, as in custom resources.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind

_GROUPS = frozenset({"crd.projectcalico.org", "projectcalico.org", "operator.tigera.io"})
_RECORDS = frozenset({"ipamblocks", "blockaffinities", "ipamhandles"})
_METADATA = ("annotations", "finalizers", "labels", "ownerReferences")

# What the API server calls a client that does not name itself.
UNKNOWN = "unknown"

Path = t.Tuple[str, ...]


def carried(old: Object, obj: Object) -> Object:
    """The object with what the old one said of its writers, which no client can change."""
    entries = old["metadata"].get("managedFields")
    return _with(obj, entries) if entries else obj


def noted(kind: Kind, old: Object | None, obj: Object, manager: str, subresource: str | None, now: str) -> Object:
    """The object with ``manager`` as the writer of everything that differs from the old one."""
    if kind.resource.group not in _GROUPS or kind.resource.plural in _RECORDS:
        return obj
    if not manager and not obj["metadata"].get("managedFields"):
        return obj
    before, after = _leaves(old or {}), _leaves(obj)
    mine = {path for path, value in after.items() if path not in before or before[path] != value}
    entries = []
    own: Object = {"manager": manager or UNKNOWN, "operation": "Update"}
    if subresource:
        own["subresource"] = subresource
    for entry in obj["metadata"].get("managedFields") or ():
        left = {path for path in _paths(entry["fieldsV1"]) if path in after and path not in mine}
        if all(entry.get(key) == own.get(key) for key in ("manager", "operation", "subresource")):
            mine |= left
        elif left:
            entries.append({**entry, "fieldsV1": _fields(left)})
    if mine:
        own.update(apiVersion=kind.resource.api_version, time=now, fieldsType="FieldsV1", fieldsV1=_fields(mine))
        entries.append(own)
    return _with(obj, entries)


def _with(obj: Object, entries: t.Sequence[Object]) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": {**metadata, **({"managedFields": list(entries)} if entries else {})}}


def _leaves(obj: Object) -> dict[Path, t.Any]:
    kept = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = obj.get("metadata") or {}
    found: dict[Path, t.Any] = {}
    _walk({**kept, "metadata": {key: metadata[key] for key in _METADATA if key in metadata}}, (), found)
    return found


def _walk(value: t.Any, path: Path, found: dict[Path, t.Any]) -> None:
    if isinstance(value, dict) and value:
        for key, member in value.items():
            _walk(member, (*path, key), found)
    elif path and path != ("metadata",):
        found[path] = value


def _fields(paths: t.Iterable[Path]) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        here = tree
        for name in path:
            here = here.setdefault(f"f:{name}", {})
    return tree


def _paths(tree: t.Mapping[str, t.Any], above: Path = ()) -> t.Iterator[Path]:
    for key, below in tree.items():
        path = (*above, key.partition(":")[2])
        if below:
            yield from _paths(below, path)
        else:
            yield path
