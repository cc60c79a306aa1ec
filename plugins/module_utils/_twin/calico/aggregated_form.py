# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""An object as Calico's client keeps it in the v1 CRDs, and as ``projectcalico.org/v3`` shows it.

Pure functions, one in each direction (spec ippool.md §1.1).
"""

from __future__ import annotations

import json
import typing as t
import uuid

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CALICO_V3,
    IP_POOLS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    KEPT_OUTSIDE,
    PACKED,
    annotations_of,
    labels_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec

# What the custom resource itself keeps; the annotation has them blank.
_BLANKED = ("name", "namespace", "resourceVersion", "uid")
# Bytes of a uid that stay as they are: those of the UUID's version and variant.
_KEPT_BYTES = (6, 8)
_V1, _V3 = f"{CALICO_V1}/v1", f"{CALICO_V3}/v3"
_READ_DEFAULTS = ("blockSize", "allowedUses", "nodeSelector", "ipipMode", "vxlanMode", "assignmentMode")


def mapped_uid(uid: str) -> str:
    """The uid one group shows for an object whose uid in the other group is ``uid`` (rule 5).

    The mapping is its own inverse. What is no UUID stays as it is.
    """
    try:
        given = uuid.UUID(uid).bytes
    except ValueError:
        return uid
    turned = (byte if place in _KEPT_BYTES else int(f"{byte:08b}"[::-1], 2) for place, byte in enumerate(given))
    return str(uuid.UUID(bytes=bytes(turned)))


def shown(stored: Object, resource: Resource) -> Object:
    """The v3 view, as ``resource``, of a custom resource of the v1 group, without read defaults (rules 3 to 6)."""
    view: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": _shown_metadata(stored)}
    for key, value in stored.items():
        if key not in view:
            view[key] = value
    spec = stored.get("spec")
    if resource.plural == BLOCK_AFFINITIES.plural and isinstance(spec, dict) and isinstance(spec.get("deleted"), str):
        view["spec"] = {**spec, "deleted": spec["deleted"] == "true"}
    return view


def with_read_defaults(view: Object) -> Object:
    """What get and list fill in; watches do not (spec ippool.md §4.2)."""
    if view["kind"] != IP_POOLS.kind:
        return view
    spec = view.get("spec") or {}
    missing = [field for field in _READ_DEFAULTS if not spec.get(field)]
    if not missing:
        return view
    full = default_spec(spec)
    return {**view, "spec": {**spec, **{field: full[field] for field in missing if field in full}}}


def stored_form(view: Object, resource: Resource) -> Object:
    """The custom resource, of the v1 group's ``resource``, that Calico's client writes for ``view`` (rules 1 and 6).

    uid and resourceVersion are there when the view has them: an update carries them, a create must not.
    """
    metadata: Object = dict(view["metadata"])
    packed = {key: value for key, value in metadata.items() if key not in _BLANKED}
    if packed.get("ownerReferences"):
        packed["ownerReferences"] = [_owner(each, _V3, _V1) for each in packed["ownerReferences"]]
    outside: Object = {"name": metadata["name"]}
    if metadata.get("resourceVersion"):
        outside["resourceVersion"] = metadata["resourceVersion"]
    if metadata.get("uid"):
        outside["uid"] = mapped_uid(metadata["uid"])
    labels = _kept(metadata.get("labels"))
    if labels:
        outside["labels"] = labels
    packing = json.dumps(packed, separators=(",", ":"), ensure_ascii=False)
    outside["annotations"] = {**_kept(metadata.get("annotations")), PACKED: packing}
    body: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": outside}
    for key, value in view.items():
        if key not in body:
            body[key] = value
    spec = body.get("spec")
    if resource == BLOCK_AFFINITIES and isinstance(spec, dict):
        body["spec"] = {**spec, "deleted": "true" if spec.get("deleted") else "false"}
    return body


def _kept(texts: t.Any) -> dict[str, str]:
    given: dict[str, str] = texts or {}
    return {key: text for key, text in given.items() if key != PACKED and any(part in key for part in KEPT_OUTSIDE)}


def _shown_metadata(stored: Object) -> Object:
    own: Object = stored["metadata"]
    packed = _unpacked(own)
    base = own if packed is None else packed
    metadata = {key: value for key, value in base.items() if key not in (*_BLANKED, "labels", "annotations")}
    metadata["name"] = own["name"]
    for key in ("resourceVersion", "creationTimestamp"):
        if key in own and not metadata.get(key):
            metadata[key] = own[key]
    if own.get("uid"):
        metadata["uid"] = mapped_uid(own["uid"])
    for key, texts in (("labels", labels_of(stored)), ("annotations", annotations_of(stored))):
        if texts:
            metadata[key] = texts
    if metadata.get("ownerReferences"):
        metadata["ownerReferences"] = [_owner(each, _V1, _V3) for each in metadata["ownerReferences"]]
    return metadata


def _unpacked(metadata: Object) -> Object | None:
    text = (metadata.get("annotations") or {}).get(PACKED)
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        # Calico's client fails on such an object; the resource's own metadata is the best there is.
        return None
    return found if isinstance(found, dict) else None


def _owner(reference: Object, given: str, wanted: str) -> Object:
    if reference.get("apiVersion") != given:
        return reference
    return {**reference, "apiVersion": wanted, "uid": mapped_uid(str(reference.get("uid", "")))}
