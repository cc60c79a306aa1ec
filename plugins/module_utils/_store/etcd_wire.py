# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's records as etcd keeps them: JSON whose names differ a little from the custom resources'.

A record is read by making the custom resource of it that Calico would write in group v1
(``block_object`` and its like), so that both datastores share one decoder and one report.
It is written from the very members it was read with: what did not change stays as it was,
null or missing, known or not (spec ipam-engine.md §3).
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    IPAM_BLOCKS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import CONFIRMED, Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import affinity_name, block_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import Row
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_keys import (
    parse_affinity_key,
    parse_block_key,
    parse_handle_key,
)

Members = t.Dict[str, t.Any]

CLAIM_TIME = "affinity_claim_time"
_CLAIM_TIME_KDD = "affinityClaimTime"


# Reading


def members(row: Row, kind: str) -> Members:
    """The JSON object in a key; an empty value has no members. CorruptRecord for anything else."""
    if not row.value:
        return {}
    try:
        found = json.loads(row.value, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise _corrupt(row, kind, "is no JSON") from None
    if not isinstance(found, dict):
        raise _corrupt(row, kind, "is no JSON object")
    return found


def members_or_none(row: Row) -> t.Optional[Members]:
    """The JSON object in a key, or None when there is none."""
    try:
        return members(row, "")
    except CorruptRecord:
        return None


def block_object(row: Row, found: t.Optional[Members]) -> t.Optional[Object]:
    """A block as the custom resource; None when the key is none of a block.

    Without ``found``, the members of the value, it has no ``spec``: the decoder refuses it by name.
    """
    text = parse_block_key(row.key)
    if text is None:
        return None
    spec = None if found is None else dict(found)
    if spec is not None and CLAIM_TIME in spec:
        spec[_CLAIM_TIME_KDD] = spec.pop(CLAIM_TIME)
    return _object(IPAM_BLOCKS, _name_of_block(text), row, spec)


def affinity_object(row: Row, found: t.Optional[Members]) -> t.Optional[Object]:
    """An affinity row as the custom resource: host, type and CIDR come out of the key."""
    parts = parse_affinity_key(row.key)
    if parts is None:
        return None
    kind, host, text = parts
    spec = None if found is None else dict(found)
    if spec is not None:
        if not row.value:
            spec["state"] = CONFIRMED  # rows of very old releases have no value at all
        spec.update(node=host, type=kind, cidr=text)
    try:
        name = affinity_name(host, parse_network(text))
    except InvalidInput:
        name = f"{host}-{_name_of_block(text)}"
    return _object(BLOCK_AFFINITIES, name, row, spec)


def handle_object(row: Row, found: t.Optional[Members]) -> t.Optional[Object]:
    """A handle as the custom resource; its id stands in the key alone."""
    handle_id = parse_handle_key(row.key)
    if handle_id is None:
        return None
    spec = None if found is None else dict(found)
    if spec is not None:
        spec["handleID"] = handle_id
    return _object(IPAM_HANDLES, handle_id, row, spec)


def check_key(row: Row, cidr: Network) -> None:
    """CorruptRecord unless the block at a key is the one the key names."""
    text = parse_block_key(row.key)
    if text != str(cidr):
        raise _corrupt(row, IPAM_BLOCKS.kind, f"holds the block {cidr}")


def decode_settings(row: Row) -> Settings:
    """The settings; every member that is missing means false or 0 (§3)."""
    found = members(row, "IPAM settings")

    def one(member: str, kind: type, default: t.Any) -> t.Any:
        value = found.get(member)
        if value is None:
            return default
        if type(value) is not kind:
            raise _corrupt(row, "IPAM settings", f"has a {member} that is no {kind.__name__}")
        return value

    return Settings(
        one("strict_affinity", bool, False),
        one("auto_allocate_blocks", bool, False),
        one("maxBlocksPerHost", int, 0),
        one("kubeVirtVMAddressPersistence", str, "") or "Enabled",
        one("ipCooldownSeconds", int, 0),
    )


# Writing


def encode_block(block: Block, old: t.Optional[Block] = None, before: t.Optional[Members] = None) -> Members:
    """The members of a block; ``before`` are those that ``old`` was read from."""
    body: Members = dict(before or {})
    if old is None or block.cidr != old.cidr:
        body["cidr"] = str(block.cidr)
    if old is None or block.affinity != old.affinity:
        body["affinity"] = block.affinity  # no owner is null here, and not a missing member
    if old is None or block.claim_time != old.claim_time:
        if block.claim_time is None:
            body.pop(CLAIM_TIME, None)
        else:
            body[CLAIM_TIME] = block.claim_time
    if old is None or block.allocations != old.allocations:
        body["allocations"] = list(block.allocations)
    if old is None or block.unallocated != old.unallocated:
        body["unallocated"] = list(block.unallocated)
    if old is None or block.attributes != old.attributes:
        body["attributes"] = _entries(block, old, before)
    if old is None or block.sequence != old.sequence:
        body["sequenceNumber"] = block.sequence
    if old is None or block.sequences != old.sequences:
        body["sequenceNumberForAllocation"] = {str(ordinal): number for ordinal, number in block.sequences.items()}
    if old is None or block.deleted != old.deleted:
        body["deleted"] = block.deleted
    return body


def encode_affinity(row: Affinity, old: t.Optional[Affinity] = None, before: t.Optional[Members] = None) -> Members:
    """The members of an affinity row; host, type and block are in its key."""
    body: Members = dict(before or {})
    if old is None or row.state != old.state:
        body["state"] = row.state
    if old is None or row.deleted != old.deleted or "deleted" not in body:
        body["deleted"] = row.deleted
    return body


def encode_handle(handle: Handle, old: t.Optional[Handle] = None, before: t.Optional[Members] = None) -> Members:
    """The members of a handle; its id is in its key."""
    body: Members = dict(before or {})
    if old is None or handle.blocks != old.blocks:
        body["block"] = {str(cidr): count for cidr, count in handle.blocks.items()}
    if old is None or handle.deleted != old.deleted:
        body["deleted"] = handle.deleted
    return body


def encode_settings(settings: Settings, before: t.Optional[Members] = None) -> Members:
    """The members of the settings; what is false, 0 or Calico's default without a word is left out."""
    body: Members = dict(before or {})
    persistence: t.Optional[str] = settings.vm_address_persistence
    if persistence == "Enabled" and not body.get("kubeVirtVMAddressPersistence"):
        persistence = None
    for member, value in (
        ("strict_affinity", settings.strict_affinity),
        ("auto_allocate_blocks", settings.auto_allocate_blocks),
        ("maxBlocksPerHost", settings.max_blocks_per_host),
        ("kubeVirtVMAddressPersistence", persistence),
        ("ipCooldownSeconds", settings.cooldown_seconds),
    ):
        if value:
            body[member] = value
        else:
            body.pop(member, None)
    return body


def to_bytes(body: Members) -> bytes:
    """Compact JSON, as Calico writes it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _entries(block: Block, old: t.Optional[Block], before: t.Optional[Members]) -> t.List[t.Any]:
    """The attributes; an entry that was there before keeps its spelling, wherever it stands now."""
    known: t.List[t.Tuple[Attribute, t.Any]] = []
    if old is not None and before is not None:
        known = list(zip(old.attributes, before.get("attributes") or ()))
    found: t.List[t.Any] = []
    for position, attribute in enumerate(block.attributes):
        if position < len(known) and known[position][0] == attribute:
            found.append(known[position][1])
        else:
            found.append(next((entry for one, entry in known if one == attribute), None) or _entry(attribute))
    return found


def _entry(attribute: Attribute) -> Members:
    entry: Members = dict(attribute.unknown) if attribute.unknown else {}
    for member, value in (
        ("handle_id", attribute.handle_id),
        ("secondary", attribute.secondary),
        ("alternateOwnerAttrs", attribute.alternate),
        ("releasedAt", attribute.released_at),
    ):
        if value is not None:
            entry[member] = value if isinstance(value, str) else dict(value)
    return entry


def _object(resource: Resource, name: str, row: Row, spec: t.Optional[Members]) -> Object:
    metadata = {"name": name, "resourceVersion": str(row.revision)}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def _name_of_block(text: str) -> str:
    try:
        return block_name(parse_network(text))
    except InvalidInput:
        return text.replace("/", "-")


def _corrupt(row: Row, kind: str, what: str) -> CorruptRecord:
    message = f"{kind} at the etcd key {row.key} {what}: repair it before anything is changed."
    return CorruptRecord(message, kind=kind, name=row.key.rsplit("/", 1)[-1])


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value


def _refuse(text: str) -> t.Any:
    raise ValueError(text)
