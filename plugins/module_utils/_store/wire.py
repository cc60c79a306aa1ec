# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's IPAM records as custom resources, both groups (spec ipam-engine.md §2).

``decode_*`` turns an object into an engine value, ``encode_*`` a value into an object to
create or, given the object it was read as, to write back: members this collection does not
know are kept. Numbers stay integers: sequence numbers are larger than a float can hold.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    METADATA_ANNOTATION,
    affinity_labels,
    affinity_name,
    block_name,
    handle_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

_ATTRIBUTE_MEMBERS = frozenset({"handle_id", "secondary", "alternateOwnerAttrs", "releasedAt"})


def is_deleted(thing: Object) -> bool:
    """Whether the soft delete of a record has begun (§2.4); affinity rows of group v1 spell it as text."""
    return (thing.get("spec") or {}).get("deleted") in (True, "true")


def block_cidr(thing: Object) -> Network:
    """The CIDR of a block alone; its name cannot be turned back into one reliably (§2.1)."""
    return _cidr(thing, _spec(thing).get("cidr"))


def decode_block(thing: Object) -> Block:
    """A block; CorruptRecord, naming the object, when its parts contradict each other."""
    spec = _spec(thing)
    cidr = _cidr(thing, spec.get("cidr"))
    allocations = tuple(spec.get("allocations") or ())
    raw = spec.get("attributes") or ()
    if len(allocations) != cidr.size:
        raise _corrupt(thing, f"has {len(allocations)} allocations where {cidr} has {cidr.size} addresses")
    used = {index for index in allocations if index is not None}
    if used and not (min(used) >= 0 and max(used) < len(raw)):
        raise _corrupt(thing, f"points to attribute {max(used)} but has only {len(raw)}")
    unallocated = tuple(spec.get("unallocated") or ())
    if unallocated and not (min(unallocated) >= 0 and max(unallocated) < cidr.size):
        raise _corrupt(thing, "lists a free ordinal outside its CIDR")
    numbers = spec.get("sequenceNumberForAllocation")
    return Block(
        cidr,
        spec.get("affinity") or None,
        spec.get("affinityClaimTime") or None,
        allocations,
        unallocated,
        tuple([_attribute(entry) for entry in raw]),
        spec.get("sequenceNumber") or 0,
        {int(ordinal): number for ordinal, number in numbers.items()} if numbers else {},
        bool(spec.get("deleted")),
    )


def encode_block(block: Block, resource: Resource, origin: t.Optional[Object] = None) -> Object:
    """The object of a block."""
    spec: t.Dict[str, t.Any] = dict(origin["spec"]) if origin else {}
    spec["cidr"] = str(block.cidr)
    _set(spec, "affinity", block.affinity)
    _set(spec, "affinityClaimTime", block.claim_time)
    spec["allocations"] = list(block.allocations)
    spec["unallocated"] = list(block.unallocated)
    spec["attributes"] = [_entry(attribute) for attribute in block.attributes]
    spec["sequenceNumber"] = block.sequence
    spec["sequenceNumberForAllocation"] = {str(ordinal): number for ordinal, number in block.sequences.items()}
    spec["deleted"] = block.deleted
    spec["strictAffinity"] = False
    return _object(resource, block_name(block.cidr), spec, origin)


def decode_affinity(thing: Object) -> Affinity:
    """An affinity row; without a type (rows from before v3.30) it is one of a host (§2.2)."""
    spec = _spec(thing)
    return Affinity(
        spec.get("node") or "",
        spec.get("type") or HOST,
        _cidr(thing, spec.get("cidr")),
        spec.get("state") or "",
        is_deleted(thing),
    )


def encode_affinity(affinity: Affinity, resource: Resource, origin: t.Optional[Object] = None) -> Object:
    """The object of an affinity row, with its three labels (§2.3)."""
    spec: t.Dict[str, t.Any] = dict(origin["spec"]) if origin else {}
    spec["state"] = affinity.state
    spec["node"] = affinity.host
    spec["type"] = affinity.type
    spec["cidr"] = str(affinity.cidr)
    spec["deleted"] = deleted_value(affinity.deleted, resource)
    labels = affinity_labels(affinity.host, affinity.type, affinity.cidr.version)
    return _object(resource, affinity_name(affinity.host, affinity.cidr), spec, origin, labels)


def decode_handle(thing: Object) -> Handle:
    """A handle; the id keeps its case only in ``spec.handleID``."""
    spec = _spec(thing)
    blocks = {_cidr(thing, text): count for text, count in (spec.get("block") or {}).items()}
    return Handle(spec.get("handleID") or thing["metadata"]["name"], blocks, bool(spec.get("deleted")))


def encode_handle(handle: Handle, resource: Resource, origin: t.Optional[Object] = None) -> Object:
    """The object of a handle."""
    spec: t.Dict[str, t.Any] = dict(origin["spec"]) if origin else {}
    spec["handleID"] = handle.id
    spec["block"] = {str(cidr): count for cidr, count in handle.blocks.items()}
    spec["deleted"] = handle.deleted
    return _object(resource, handle_name(handle.id), spec, origin)


def decode_settings(thing: Object, group: str) -> Settings:
    """The settings; in group v1 a missing boolean reads as false, ``autoAllocateBlocks`` too (§2.2)."""
    spec = thing.get("spec") or {}
    return Settings(
        strict_affinity=bool(spec.get("strictAffinity")),
        auto_allocate_blocks=bool(spec.get("autoAllocateBlocks", group != CALICO_V1)),
        max_blocks_per_host=spec.get("maxBlocksPerHost") or 0,
        vm_address_persistence=spec.get("kubeVirtVMAddressPersistence") or "Enabled",
        cooldown_seconds=spec.get("ipCooldownSeconds") or 0,
    )


def deleted_value(deleted: bool, resource: Resource) -> t.Union[bool, str]:
    """How an affinity row says that it is being deleted: text in group v1, a boolean in group v3."""
    return deleted if resource.group != CALICO_V1 else str(deleted).lower()


def _attribute(entry: t.Mapping[str, t.Any]) -> Attribute:
    get = entry.get
    unknown = None
    if not _ATTRIBUTE_MEMBERS.issuperset(entry):
        unknown = {key: value for key, value in entry.items() if key not in _ATTRIBUTE_MEMBERS}
    # Up to v3.31 absent members were written as null: both mean the same.
    return Attribute(get("handle_id"), get("secondary"), get("alternateOwnerAttrs"), get("releasedAt"), unknown)


def _entry(attribute: Attribute) -> t.Dict[str, t.Any]:
    entry: t.Dict[str, t.Any] = dict(attribute.unknown) if attribute.unknown else {}
    if attribute.handle_id is not None:
        entry["handle_id"] = attribute.handle_id
    if attribute.secondary is not None:
        entry["secondary"] = dict(attribute.secondary)
    if attribute.alternate is not None:
        entry["alternateOwnerAttrs"] = dict(attribute.alternate)
    if attribute.released_at is not None:
        entry["releasedAt"] = attribute.released_at
    return entry


def _object(
    resource: Resource,
    name: str,
    spec: t.Dict[str, t.Any],
    origin: t.Optional[Object],
    labels: t.Optional[t.Mapping[str, str]] = None,
) -> Object:
    if origin is not None:
        metadata = dict(origin["metadata"])
        if labels:
            metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
            _refresh_packed(metadata, labels)
        return {**origin, "metadata": metadata, "spec": spec}
    metadata = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    if resource.group == CALICO_V1:
        # What Calico's client leaves on every object it writes in this group (§2.3).
        packed = {"labels": dict(labels)} if labels else {}
        metadata["annotations"] = {METADATA_ANNOTATION: _json(packed)}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def _refresh_packed(metadata: t.Dict[str, t.Any], labels: t.Mapping[str, str]) -> None:
    """Bring labels inside an existing metadata annotation up to date; on read they win over the real ones."""
    annotations = metadata.get("annotations") or {}
    text = annotations.get(METADATA_ANNOTATION)
    if text is None:
        return
    try:
        packed = json.loads(text)
    except ValueError:
        return
    if not isinstance(packed, dict):
        return
    merged = {**(packed.get("labels") or {}), **labels}
    if merged != packed.get("labels"):
        metadata["annotations"] = {**annotations, METADATA_ANNOTATION: _json({**packed, "labels": merged})}


def _json(value: t.Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _set(spec: t.Dict[str, t.Any], member: str, value: t.Any) -> None:
    if value is None:
        spec.pop(member, None)
    else:
        spec[member] = value


def _spec(thing: Object) -> t.Mapping[str, t.Any]:
    spec = thing.get("spec")
    if not isinstance(spec, dict):
        raise _corrupt(thing, "has no spec")
    return spec


def _cidr(thing: Object, text: t.Any) -> Network:
    try:
        return parse_network(text)
    except InvalidInput as error:
        raise _corrupt(thing, f"has a bad CIDR: {error.message.rstrip('.')}") from None


def _corrupt(thing: Object, what: str) -> CorruptRecord:
    kind, name = thing.get("kind") or "record", (thing.get("metadata") or {}).get("name") or "?"
    return CorruptRecord(f"{kind} {name} {what}: repair it before anything is changed.", kind=kind, name=name)
