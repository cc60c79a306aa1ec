# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Stored records as an audit reads them: whatever stands in them ends as a fault and never as a crash.

A block becomes one ``BlockRow`` and one ``Allocation`` an address; the object itself can go.
Faults: spec ipam-engine.md §19 (invalid block) and §21, 1 to 13.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import ERROR, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    UNKNOWN,
    WINDOWS,
    Holder,
    classify,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import block_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock, parse_time

Thing = t.Mapping[str, t.Any]

#: Clocks of a cluster differ; a release this far in the future is not yet a fault, seconds.
CLOCK_SKEW = 60
OWNER_TYPES = ("host", "virtual")

_NAMES = [str(ordinal) for ordinal in range(1024)]
_NOBODY = Holder(UNKNOWN)


class Damaged(IpamError):
    """A record of which not even its place is known."""


class Fault(t.NamedTuple):
    """One contradiction inside a block; ``calicoctl`` says whether ``calicoctl ipam check`` sees it.

    A member of a wrong type is an error: Calico cannot read the whole block then.
    """

    severity: str
    text: str
    calicoctl: bool = False


class BlockRow(t.NamedTuple):
    """One block; ``text`` is its canonical CIDR. ``taken`` counts every address that is not free."""

    name: str
    cidr: Network
    text: str
    owner_type: str
    owner: str
    taken: int
    free: int
    cooling: int
    windows: int
    borrowed: int
    deleted: bool
    oldest_release: str
    faults: t.Tuple[Fault, ...]

    @property
    def empty(self) -> bool:
        """§5.8: cooling addresses make a block not empty, those a Windows host keeps do not."""
        return self.taken == self.windows

    @property
    def affinity(self) -> str:
        """The owner as the block spells it, "" without one."""
        return f"{self.owner_type}:{self.owner}" if self.owner else ""


class Allocation(t.NamedTuple):
    """One address that is not free; ``since`` is the free text of its attribute ``timestamp``."""

    holder: Holder
    sequence: int
    block: BlockRow
    since: str


class AffinityRow(t.NamedTuple):
    """One affinity row. ``type`` as stored, "" in old rows; ``labelled``: its three labels are right."""

    name: str
    node: str
    type: str
    cidr: Network
    state: str
    deleted: bool
    labels: t.Mapping[str, str]

    @property
    def owner(self) -> str:
        """As a block spells it; an empty type reads as host (§2.2)."""
        return f"{self.type or 'host'}:{self.node}"


class HandleRow(t.NamedTuple):
    """One handle: its id, and what it says it holds by CIDR text."""

    name: str
    id: str
    counts: t.Tuple[t.Tuple[str, int], ...]
    deleted: bool


def name_of(thing: t.Any) -> str:
    """The name of an object, "?" when it has none."""
    metadata = thing.get("metadata") if isinstance(thing, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) and name else "?"


def read_block(thing: t.Any, now: Clock) -> t.Tuple[BlockRow, t.List[t.Tuple[int, Holder, int, str]]]:
    """The row of a stored block, and (value, holder, sequence, since) of each address; Damaged when it has no place."""
    spec = _spec(thing)
    faults: t.List[Fault] = []
    cidr = _cidr(spec.get("cidr"), faults)
    name = name_of(thing)
    if name != block_name(cidr):
        faults.append(Fault(ERROR, f"its name does not belong to its CIDR {cidr}"))
    allocations, attributes = spec.get("allocations"), spec.get("attributes")
    if not isinstance(allocations, list):
        raise Damaged("has no list of allocations")
    if attributes is None:
        attributes = []
    if not isinstance(attributes, list):
        raise Damaged("has attributes that are no list")
    owner_type, owner = _owner(spec, faults)
    holders = [_holder(attribute, index, faults) for index, attribute in enumerate(attributes)]
    size = 1 << (cidr.bits - cidr.prefix)
    if len(allocations) != size:
        faults.append(Fault(ERROR, f"it has {len(allocations)} allocations where {cidr} has {size} addresses"))
    number, numbers = _sequences(spec, faults)
    found: t.List[t.Tuple[int, Holder, int, str]] = []
    used: t.Set[int] = set()
    taken: t.Set[int] = set()
    cooling = windows = borrowed = known = 0
    count, base = len(attributes), cidr.value
    for ordinal, index in enumerate(allocations):
        if index is None:
            continue
        taken.add(ordinal)
        if type(index) is not int or not 0 <= index < count:
            faults.append(Fault(ERROR, f"ordinal {ordinal} points to attribute {index!r} of {count}", True))
            holder, since = _NOBODY, ""
        else:
            used.add(index)
            holder, since = holders[index]
        sequence = 0
        if numbers:
            sequence = numbers.get(_NAMES[ordinal] if ordinal < 1024 else str(ordinal), -1)
            if sequence.__class__ is not int:
                faults.append(Fault(ERROR, f"the sequence number of ordinal {ordinal} is no integer"))
                known, sequence = known + 1, 0
            elif sequence < 0:
                sequence = 0
            else:
                known += 1
                if sequence > number:
                    faults.append(Fault(WARNING, f"the sequence number of ordinal {ordinal} is above the block's own"))
        kind = holder.kind
        if kind == COOLING:
            cooling += 1
        elif kind == WINDOWS:
            windows += 1
        elif holder.node and holder.node != owner:
            borrowed += 1
        if ordinal < size:
            found.append((base + ordinal, holder, sequence, since))
    if len(used) != count:
        unused = [index for index in range(count) if index not in used]
        faults.append(Fault(WARNING, f"no address points to attribute {unused[0]}", True))
    if known != len(numbers):
        faults.append(Fault(WARNING, "it has sequence numbers of addresses that are not allocated"))
    free = _check_free(spec.get("unallocated"), taken, size, faults)
    oldest = _check_releases(attributes, now, faults) if cooling else ""
    return (
        BlockRow(
            name,
            cidr,
            str(cidr),
            owner_type,
            owner,
            len(taken),
            free,
            cooling,
            windows,
            borrowed,
            spec.get("deleted") in (True, "true"),
            oldest,
            tuple(faults),
        ),
        found,
    )


def read_affinity(thing: t.Any) -> AffinityRow:
    """A stored affinity row; Damaged when it has no place."""
    spec = _spec(thing)
    for member in ("node", "type", "state"):
        if not isinstance(spec.get(member, ""), str):
            raise Damaged(f"has a {member} that is no text")
    faults: t.List[Fault] = []
    cidr = _cidr(spec.get("cidr"), faults)
    if faults:
        raise Damaged(faults[0].text)
    metadata = thing.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return AffinityRow(
        name_of(thing),
        spec.get("node", ""),
        spec.get("type", ""),
        cidr,
        spec.get("state", ""),
        spec.get("deleted") in (True, "true"),
        labels if isinstance(labels, dict) else {},
    )


def read_handle(thing: t.Any, texts: t.Dict[str, str]) -> HandleRow:
    """A stored handle; Damaged when it does not say what it holds. ``texts`` are those of blocks seen so far."""
    spec = _spec(thing)
    name = name_of(thing)
    identity, blocks = spec.get("handleID", name), spec.get("block")
    if not isinstance(identity, str):
        raise Damaged("has a handleID that is no text")
    if blocks is None:
        blocks = {}
    if not isinstance(blocks, dict):
        raise Damaged("has blocks that are no map")
    counts: t.List[t.Tuple[str, int]] = []
    for text, count in blocks.items():
        if type(count) is not int:
            raise Damaged(f"counts {count!r} addresses in {text}")
        # Most handles name the same few blocks: one text for each is enough.
        counts.append((texts.setdefault(text, text), count))
    return HandleRow(name, name if identity == name else identity, tuple(counts), spec.get("deleted") in (True, "true"))


def canonical(text: str) -> str:
    """The CIDR as blocks spell it; the text itself when it is none."""
    try:
        return str(parse_network(text, strict=False))
    except InvalidInput:
        return text


def _spec(thing: t.Any) -> t.Dict[str, t.Any]:
    spec = thing.get("spec") if isinstance(thing, dict) else None
    if not isinstance(spec, dict):
        raise Damaged("has no spec")
    return spec


def _cidr(text: t.Any, faults: t.List[Fault]) -> Network:
    try:
        network = parse_network(text, strict=False)
    except InvalidInput:
        raise Damaged(f"has a CIDR that does not parse, {str(text)[:60]!r}") from None
    if str(network) != text:
        faults.append(Fault(ERROR, f"its CIDR {text} should be spelled {network}"))
    return network


def _owner(spec: t.Mapping[str, t.Any], faults: t.List[Fault]) -> t.Tuple[str, str]:
    affinity = spec.get("affinity")
    claimed = spec.get("affinityClaimTime")
    if claimed is not None and _moment(claimed) is None:
        faults.append(Fault(ERROR, "its claim time is no time"))
    if affinity in (None, ""):
        if claimed:
            faults.append(Fault(WARNING, "it has a claim time but no owner"))
        return "", ""
    if isinstance(affinity, str):
        owner_type, _colon, owner = affinity.partition(":")
        if owner_type in OWNER_TYPES and owner:
            return owner_type, owner
    faults.append(Fault(ERROR, f"its owner {str(affinity)[:60]!r} is neither host:NAME nor virtual:NAME"))
    return "", ""


def _holder(attribute: t.Any, index: int, faults: t.List[Fault]) -> t.Tuple[Holder, str]:
    """Who an attribute names, and since when."""
    if not isinstance(attribute, dict):
        faults.append(Fault(ERROR, f"attribute {index} is no object"))
        return _NOBODY, ""
    handle = attribute.get("handle_id")
    if handle == "":
        faults.append(Fault(WARNING, f"attribute {index} has an empty handle"))
    if handle is not None and handle.__class__ is not str:
        faults.append(Fault(ERROR, f"the handle of attribute {index} is no text"))
        return _NOBODY, ""
    owner = attribute.get("secondary")
    for owners in (owner, attribute.get("alternateOwnerAttrs")):
        if owners is None:
            continue
        if owners.__class__ is not dict or not all(value.__class__ is str for value in owners.values()):
            faults.append(Fault(ERROR, f"attribute {index} has an owner that is no map of texts"))
            return _NOBODY, ""
    if attribute.get("releasedAt") and (handle or owner):
        faults.append(Fault(WARNING, f"attribute {index} is released and has an owner"))
    return classify(attribute), owner.get("timestamp", "") if owner else ""


def _sequences(spec: t.Mapping[str, t.Any], faults: t.List[Fault]) -> t.Tuple[int, t.Dict[str, t.Any]]:
    number, numbers = spec.get("sequenceNumber"), spec.get("sequenceNumberForAllocation")
    if number is None:
        number = 0
    if type(number) is not int or number < 0:
        faults.append(Fault(ERROR, "its sequence number is no natural number"))
        number = 0
    if numbers is None:
        numbers = {}
    if not isinstance(numbers, dict):
        faults.append(Fault(ERROR, "its sequence numbers by address are no map"))
        numbers = {}
    return number, numbers


def _check_free(free: t.Any, taken: t.Set[int], size: int, faults: t.List[Fault]) -> int:
    """How many addresses the block lists as free."""
    if free is None:
        free = []
    if not isinstance(free, list) or not all(type(ordinal) is int for ordinal in free):
        faults.append(Fault(ERROR, "its free ordinals are no list of integers", True))
        return 0
    once = set(free)
    if len(once) != len(free):
        faults.append(Fault(ERROR, "it lists a free ordinal twice", True))
    if once and (min(once) < 0 or max(once) >= size):
        faults.append(Fault(ERROR, "it lists a free ordinal outside its CIDR", True))
    both = once & taken
    if both:
        faults.append(Fault(ERROR, f"it lists ordinal {min(both)} as free, which is allocated", True))
    if len(free) + len(taken) != size:
        faults.append(Fault(ERROR, f"{len(free)} free and {len(taken)} allocated are not {size} addresses", True))
    return len(free)


def _check_releases(attributes: t.Sequence[t.Any], now: Clock, faults: t.List[Fault]) -> str:
    """The earliest ``releasedAt``."""
    latest = now() + timedelta(seconds=CLOCK_SKEW)
    oldest: t.Optional[datetime] = None
    text = ""
    for index, attribute in enumerate(attributes):
        released = attribute.get("releasedAt") if isinstance(attribute, dict) else None
        if not released:
            continue
        moment = _moment(released)
        if moment is None:
            faults.append(Fault(ERROR, f"the release time of attribute {index} is no time"))
        elif moment > latest:
            faults.append(Fault(WARNING, f"attribute {index} was released in the future, at {released}", True))
        elif oldest is None or moment < oldest:
            oldest, text = moment, released
    return text


def _moment(text: t.Any) -> t.Optional[datetime]:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None
