# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's records as etcd keeps them: JSON whose names differ a little from the custom resources'.

A record is read by making the custom resource of it that Calico would write in its place, and
written by turning a custom resource into JSON again. So both datastores share one decoder,
one encoder with its rules about what survives (``wire.py``), and one report
(spec ipam-engine.md §3).
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CALICO_V3,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import CONFIRMED
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    affinity_name,
    block_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_keys import (
    parse_affinity_key,
    parse_block_key,
    parse_handle_key,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row

Members = t.Dict[str, t.Any]

CLAIM_TIME = "affinity_claim_time"
_SETTINGS = {"strict_affinity": "strictAffinity", "auto_allocate_blocks": "autoAllocateBlocks"}
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
    """A handle as the custom resource; its id stands in the key alone, and names it here with its case."""
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


def resource_object(row: Row, kind: str) -> Object:
    """A resource that looks in etcd as in the public API; the key has the last word about its name."""
    thing = members(row, kind)
    for part in ("metadata", "spec", "status"):
        if thing.get(part) is not None and not isinstance(thing[part], dict):
            raise _corrupt(row, kind, f"has a {part} that is no object")
    metadata = {**(thing.get("metadata") or {}), "name": row.key.rsplit("/", 1)[-1]}
    labels = metadata.get("labels")
    if labels is not None and not isinstance(labels, dict):
        raise _corrupt(row, kind, "has labels that are no object")
    return {**thing, "metadata": {**metadata, "resourceVersion": str(row.revision)}}


def settings_object(row: Row) -> Object:
    """The settings as the custom resource."""
    spec = {_SETTINGS.get(member, member): value for member, value in members(row, "IPAM settings").items()}
    return _object(IPAM_CONFIGS, "default", row, spec)


def decode_settings(row: Row) -> Settings:
    """The settings; every member that is missing means false or 0 (§3)."""
    return wire.decode_settings(settings_object(row), CALICO_V1)


# Writing


def block_members(thing: Object, origin: t.Optional[Object]) -> Members:
    """The JSON of a block; ``origin`` is the object it was read as."""
    spec = dict(thing["spec"])
    if origin is None or "strictAffinity" not in origin["spec"]:
        spec.pop("strictAffinity", None)  # the custom resources' schema alone asks for it
    spec.setdefault("affinity", None)  # no owner is null here, and not a missing member
    if _CLAIM_TIME_KDD in spec:
        spec[CLAIM_TIME] = spec.pop(_CLAIM_TIME_KDD)
    return spec


def affinity_members(thing: Object, _origin: t.Optional[Object]) -> Members:
    """The JSON of an affinity row; host, type and block are in its key."""
    return {member: value for member, value in thing["spec"].items() if member not in ("node", "type", "cidr")}


def handle_members(thing: Object, _origin: t.Optional[Object]) -> Members:
    """The JSON of a handle; its id is in its key."""
    return {member: value for member, value in thing["spec"].items() if member != "handleID"}


def encode_settings(settings: Settings, before: t.Optional[Members] = None) -> Members:
    """The members of the settings; what is false or 0 is left out, as is a default nobody has spelled out."""
    body: Members = dict(before or {})
    names = {theirs: member for member, theirs in _SETTINGS.items()}
    for theirs, value in settings.shown().items():
        member = names.get(theirs, theirs)
        if not value or (value == "Enabled" and not body.get(member)):
            body.pop(member, None)
        else:
            body[member] = value
    return body


def settings_members(thing: Object) -> Members:
    """The members of settings that are spelled as in the custom resource; what is false or 0 is left out."""
    names = {theirs: member for member, theirs in _SETTINGS.items()}
    return {names.get(field, field): value for field, value in (thing.get("spec") or {}).items() if value}


@dataclass(frozen=True)
class Form:
    """How one kind of record is kept: its name in messages, and the ways between its three shapes."""

    kind: str
    resource: Resource
    is_key: t.Callable[[str], object]
    to_object: t.Callable[[Row, t.Optional[Members]], t.Optional[Object]]
    to_members: t.Callable[[Object, t.Optional[Object]], Members]
    decode: t.Callable[[Object], t.Any]
    encode: t.Callable[[t.Any, Resource, t.Optional[Object]], Object]


# In group v1 the deletion of a row is text, in group v3 a boolean as here.
_AFFINITIES = replace(BLOCK_AFFINITIES, group=CALICO_V3, version="v3")

BLOCK = Form("Block", IPAM_BLOCKS, parse_block_key, block_object, block_members, wire.decode_block, wire.encode_block)
AFFINITY = Form(
    "Affinity",
    _AFFINITIES,
    parse_affinity_key,
    affinity_object,
    affinity_members,
    wire.decode_affinity,
    wire.encode_affinity,
)
HANDLE = Form(
    "Handle", IPAM_HANDLES, parse_handle_key, handle_object, handle_members, wire.decode_handle, wire.encode_handle
)


def to_bytes(body: Members) -> bytes:
    """Compact JSON, as Calico writes it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


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
    return CorruptRecord(message, kind=kind, name=row.key.rsplit("/", 1)[-1], fault=what)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value


def _refuse(text: str) -> t.Any:
    raise ValueError(text)
