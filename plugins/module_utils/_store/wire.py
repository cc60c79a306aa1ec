# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Calico's IPAM records as custom resources, both groups (spec ipam-engine.md §2).

``decode_*`` turns an object into an engine value and raises CorruptRecord, and nothing
else, for an object that cannot be one. ``encode_*`` turns a value into an object to create
or, given the object it was read as, to write back.

Written back, an object differs from the one read only where the value does: a member
whose value did not change keeps its spelling (null or missing, "" or "false"), and members
this collection does not know are kept. A write that changes something also adds members
that Calico's schemas require, and the labels of affinity rows (§2.3: "written on every create
and update"); a value without any change gives back the very object that was read, without
labels too, because a write that changes nothing has nothing to say about a row.

Numbers stay integers: sequence numbers are larger than a float can hold, so a float in
their place is a fault.
"""

from __future__ import annotations

import functools
import itertools
import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, VIRTUAL, Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_faults import (
    BlockFault,
    Form,
    contradiction,
    form_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    METADATA_ANNOTATION,
    affinity_labels,
    affinity_name,
    block_name,
    handle_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire_faults import (
    cidr_of,
    corrupt,
    count_of,
    deleted_of,
    flag_of,
    name_of,
    spec_of,
    text_of,
)

Spec = t.Dict[str, t.Any]

# What a record must have to be written in every release (§2.2), with the value that says nothing.
_SETTINGS_NEED = ("strictAffinity", "autoAllocateBlocks")
_BLOCK_NEEDS: Spec = {"allocations": [], "unallocated": [], "attributes": [], "strictAffinity": False}

_NOTHING = itertools.repeat(None)
_MEMBERS = frozenset(("handle_id", "secondary", "alternateOwnerAttrs", "releasedAt"))

# The largest block Calico makes has 4096 addresses: looking a key up beats parsing it.
_ORDINALS: t.Dict[str, int] = {str(ordinal): ordinal for ordinal in range(1 << 12)}

_new_attribute = t.cast("t.Callable[[t.Tuple[t.Any, ...]], Attribute]", functools.partial(tuple.__new__, Attribute))


def is_deleted(thing: t.Any) -> bool:
    """Whether the soft delete of a record has begun (§2.4); affinity rows of group v1 spell it as text."""
    spec = thing.get("spec") if isinstance(thing, dict) else None
    deleted = spec.get("deleted") if isinstance(spec, dict) else None
    return deleted is True or deleted == "true"


def deleted_value(deleted: bool, resource: Resource) -> t.Union[bool, str]:
    """How an affinity row says that it is being deleted: text in group v1, a boolean in group v3."""
    return deleted if resource.group != CALICO_V1 else str(deleted).lower()


def block_cidr(thing: Object) -> Network:
    """The CIDR of a block or row alone; its name cannot be turned back into one reliably (§2.1)."""
    return cidr_of(thing, spec_of(thing).get("cidr"))


# Blocks


def decode_block(thing: Object) -> Block:
    """A block whose parts agree with each other and with its name."""
    spec = spec_of(thing)
    cidr = cidr_of(thing, spec.get("cidr"))
    try:
        form = form_of(spec)
    except BlockFault as error:
        raise corrupt(thing, error.fault) from None
    fault = contradiction(spec, cidr.size)
    if fault is not None:
        raise corrupt(thing, fault)
    if name_of(thing) != block_name(cidr):
        raise corrupt(thing, f"has the CIDR {cidr}, which has another name")
    get = spec.get
    numbers = get("sequenceNumberForAllocation")
    return Block(
        cidr,
        get("affinity") or None,
        get("affinityClaimTime") or None,
        tuple(spec["allocations"]),
        tuple(get("unallocated") or ()),
        _attributes(form, get("attributes") or ()),
        get("sequenceNumber") or 0,
        _sequences(numbers, cidr.size) if numbers else {},
        get("deleted") is True,
    )


def encode_block(block: Block, resource: Resource, origin: t.Optional[Object] = None) -> Object:
    """The object of a block."""
    if origin is None:
        spec: Spec = {"cidr": str(block.cidr)}
        _set(spec, "affinity", block.affinity)
        _set(spec, "affinityClaimTime", block.claim_time)
        spec["allocations"] = list(block.allocations)
        spec["unallocated"] = list(block.unallocated)
        spec["attributes"] = [_entry(attribute) for attribute in block.attributes]
        spec["sequenceNumber"] = block.sequence
        spec["sequenceNumberForAllocation"] = {str(ordinal): number for ordinal, number in block.sequences.items()}
        spec["deleted"] = block.deleted
        spec["strictAffinity"] = False
        return _new(resource, block_name(block.cidr), spec)
    before = decode_block(origin)
    if block == before:
        return origin
    spec = dict(origin["spec"])
    if block.affinity != before.affinity:
        _set(spec, "affinity", block.affinity)
    if block.claim_time != before.claim_time:
        _set(spec, "affinityClaimTime", block.claim_time)
    if block.allocations != before.allocations:
        spec["allocations"] = list(block.allocations)
    if block.unallocated != before.unallocated:
        spec["unallocated"] = list(block.unallocated)
    if block.attributes != before.attributes:
        spec["attributes"] = [_entry(attribute) for attribute in block.attributes]
    if block.sequence != before.sequence:
        spec["sequenceNumber"] = block.sequence
    if block.sequences != before.sequences:
        stored = spec.get("sequenceNumberForAllocation") or {}
        # Keys that are no ordinal mean nothing to Calico and stay.
        numbers = {key: number for key, number in stored.items() if _ordinal(key) not in before.sequences}
        numbers.update((str(ordinal), number) for ordinal, number in block.sequences.items())
        spec["sequenceNumberForAllocation"] = numbers
    if block.deleted != before.deleted:
        spec["deleted"] = block.deleted
    _complete(spec, _BLOCK_NEEDS)
    return {**origin, "spec": spec}


# Affinity rows


def decode_affinity(thing: Object) -> Affinity:
    """An affinity row; without a type (rows from before v3.30) it is one of a host (§2.2)."""
    spec = spec_of(thing)
    cidr = cidr_of(thing, spec.get("cidr"))
    host = text_of(thing, spec, "node")
    if not host:
        raise corrupt(thing, "names no node")
    if name_of(thing) != affinity_name(host, cidr):
        raise corrupt(thing, f"has node and CIDR {cidr}, which have another name")
    state = text_of(thing, spec, "state")
    if state not in ("", "pending", "confirmed", "pendingDeletion"):
        raise corrupt(thing, "has a state that Calico does not know")
    kind = text_of(thing, spec, "type") or HOST
    if kind not in (HOST, VIRTUAL):
        raise corrupt(thing, "has a type that Calico does not know")
    return Affinity(host, kind, cidr, state, deleted_of(thing, spec))


def encode_affinity(affinity: Affinity, resource: Resource, origin: t.Optional[Object] = None) -> Object:
    """The object of an affinity row, with its three labels (§2.3)."""
    labels = affinity_labels(affinity.host, affinity.type, affinity.cidr.version)
    deleted = deleted_value(affinity.deleted, resource)
    if origin is None:
        spec: Spec = {
            "state": affinity.state,
            "node": affinity.host,
            "type": affinity.type,
            "cidr": str(affinity.cidr),
            "deleted": deleted,
        }
        return _new(resource, affinity_name(affinity.host, affinity.cidr), spec, labels)
    before = decode_affinity(origin)
    if affinity == before:
        return origin
    spec = dict(origin["spec"])
    if affinity.state != before.state:
        spec["state"] = affinity.state
    if affinity.type != before.type:
        spec["type"] = affinity.type
    if affinity.deleted != before.deleted:
        spec["deleted"] = deleted
    _complete(spec, {"state": affinity.state, "deleted": deleted})
    return {**origin, "metadata": labelled(origin["metadata"], labels), "spec": spec}


# Handles


def decode_handle(thing: Object) -> Handle:
    """A handle; the id keeps its case only in ``spec.handleID``."""
    spec = spec_of(thing)
    name = name_of(thing)
    handle_id = text_of(thing, spec, "handleID") or name
    if handle_name(handle_id) != handle_name(name):
        raise corrupt(thing, "has a handleID that has another name")
    counts = spec.get("block")
    if counts is None:
        counts = {}
    elif not isinstance(counts, dict):
        raise corrupt(thing, "has a block that is not a map of counts")
    blocks: t.Dict[Network, int] = {}
    for text, count in counts.items():
        if type(count) is not int or count < 0:
            raise corrupt(thing, "has a count that is not a whole number from 0 on")
        blocks[cidr_of(thing, text)] = count
    return Handle(handle_id, blocks, flag_of(thing, spec, "deleted"))


def encode_handle(handle: Handle, resource: Resource, origin: t.Optional[Object] = None) -> Object:
    """The object of a handle."""
    blocks = {str(cidr): count for cidr, count in handle.blocks.items()}
    if origin is None:
        return _new(
            resource,
            handle_name(handle.id),
            {"handleID": handle.id, "block": blocks, "deleted": handle.deleted},
        )
    before = decode_handle(origin)
    if handle == before:
        return origin
    spec = dict(origin["spec"])
    if handle.id != before.id:
        spec["handleID"] = handle.id
    if handle.blocks != before.blocks:
        spec["block"] = blocks
    if handle.deleted != before.deleted:
        spec["deleted"] = handle.deleted
    _complete(spec, {"handleID": handle.id, "block": blocks})
    return {**origin, "spec": spec}


def mark_deleted(origin: Object, resource: Resource) -> Object:
    """The object with its soft delete begun (§2.4); nothing else about it changes."""
    spec = dict(spec_of(origin))
    spec["deleted"] = deleted_value(True, resource) if resource.plural == "blockaffinities" else True
    if resource.plural == "ipamblocks":
        _complete(spec, _BLOCK_NEEDS)
    elif resource.plural == "ipamhandles":
        _complete(spec, {"handleID": name_of(origin), "block": {}})
    return {**origin, "spec": spec}


# Settings


def decode_settings(thing: Object, group: str) -> Settings:
    """The settings; in group v1 a missing boolean reads as false, ``autoAllocateBlocks`` too (§2.2)."""
    spec = thing.get("spec") if isinstance(thing, dict) else None
    if spec is None:
        spec = {}
    elif not isinstance(spec, dict):
        raise corrupt(thing, "has no spec")
    return Settings(
        strict_affinity=flag_of(thing, spec, "strictAffinity"),
        auto_allocate_blocks=flag_of(thing, spec, "autoAllocateBlocks", group != CALICO_V1),
        max_blocks_per_host=count_of(thing, spec, "maxBlocksPerHost"),
        vm_address_persistence=text_of(thing, spec, "kubeVirtVMAddressPersistence") or "Enabled",
        cooldown_seconds=count_of(thing, spec, "ipCooldownSeconds"),
    )


def encode_settings(settings: Settings, resource: Resource, origin: t.Optional[Object] = None) -> Object:
    """The object of the settings; members at Calico's default are written only where they are required."""
    wanted = settings.shown()
    known = Settings() if origin is None else decode_settings(origin, resource.group)
    if origin is not None and settings == known:
        return origin
    spec = {} if origin is None else dict(origin.get("spec") or {})
    spec.update((member, wanted[member]) for member, value in known.shown().items() if wanted[member] != value)
    _complete(spec, {member: wanted[member] for member in _SETTINGS_NEED})
    return _new(resource, "default", spec) if origin is None else {**origin, "spec": spec}


def reserved_cidrs(thing: t.Any) -> t.Sequence[t.Any]:
    """What an IPReservation reserves, unparsed; nothing when it does not list anything."""
    spec = thing.get("spec") if isinstance(thing, dict) else None
    entries = spec.get("reservedCIDRs") if isinstance(spec, dict) else None
    return entries if isinstance(entries, list) else ()


def _attributes(form: Form, entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.Tuple[Attribute, ...]:
    if form.plain:
        return tuple(map(_new_attribute, zip(form.handles, form.owners, _NOTHING, _NOTHING, _NOTHING)))
    return tuple([_attribute(entry) for entry in entries])


def _attribute(entry: t.Mapping[str, t.Any]) -> Attribute:
    """One entry. Up to v3.31 absent members were written as null; they count as unknown ones, so that they stay."""
    get = entry.get
    unknown = {member: value for member, value in entry.items() if value is None or member not in _MEMBERS}
    return Attribute(get("handle_id"), get("secondary"), get("alternateOwnerAttrs"), get("releasedAt"), unknown or None)


def _entry(attribute: Attribute) -> Spec:
    entry: Spec = dict(attribute.unknown) if attribute.unknown else {}
    if attribute.handle_id is not None:
        entry["handle_id"] = attribute.handle_id
    if attribute.secondary is not None:
        entry["secondary"] = dict(attribute.secondary)
    if attribute.alternate is not None:
        entry["alternateOwnerAttrs"] = dict(attribute.alternate)
    if attribute.released_at is not None:
        entry["releasedAt"] = attribute.released_at
    return entry


def _sequences(numbers: t.Mapping[str, int], size: int) -> t.Dict[int, int]:
    """Sequence numbers by ordinal. Calico looks an ordinal up by its decimal text: another key is never found."""
    found = {_ORDINALS.get(key, -1): number for key, number in numbers.items()}
    if -1 in found or max(found) >= size:
        found = {_ordinal(key): number for key, number in numbers.items()}
        return {ordinal: number for ordinal, number in found.items() if 0 <= ordinal < size}
    return found


def _ordinal(key: str) -> int:
    known = _ORDINALS.get(key)
    if known is not None:
        return known
    return int(key) if len(key) < 20 and key.isascii() and key.isdigit() and key[0] != "0" else -1


def _complete(spec: Spec, needed: t.Mapping[str, t.Any]) -> None:
    """Give an object that is about to change what it must have to be accepted."""
    for member, value in needed.items():
        if spec.get(member) is None:
            spec[member] = value


def _new(resource: Resource, name: str, spec: Spec, labels: t.Optional[t.Mapping[str, str]] = None) -> Object:
    metadata: t.Dict[str, t.Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    if resource.group == CALICO_V1:
        # What Calico's client leaves on every object it writes in this group (§2.3).
        packed = {"labels": dict(labels)} if labels else {}
        metadata["annotations"] = {METADATA_ANNOTATION: _json(packed)}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def labelled(metadata: t.Mapping[str, t.Any], labels: t.Mapping[str, str]) -> t.Dict[str, t.Any]:
    """Metadata with these labels, also inside an existing metadata annotation; on read they win over the real ones."""
    known = metadata.get("labels")
    changed = {**metadata, "labels": {**(known if isinstance(known, dict) else {}), **labels}}
    annotations = metadata.get("annotations")
    if not isinstance(annotations, dict):
        return changed
    packed = _unpacked(annotations.get(METADATA_ANNOTATION))
    if packed is not None:
        inside = packed.get("labels")
        merged = {**(inside if isinstance(inside, dict) else {}), **labels}
        if merged != inside:
            changed["annotations"] = {**annotations, METADATA_ANNOTATION: _json({**packed, "labels": merged})}
    return changed


def _unpacked(text: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    try:
        packed = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return packed if isinstance(packed, dict) else None


def _json(value: t.Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _set(spec: Spec, member: str, value: t.Any) -> None:
    if value is None:
        spec.pop(member, None)
    else:
        spec[member] = value
