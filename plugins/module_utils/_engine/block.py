# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One block: the record of all allocations in one CIDR, and what can happen to it.

A block is an immutable value. Every operation returns a new one; nothing has happened
until a datastore accepted it. Rules: spec ipam-engine.md §5.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    BadHandle,
    BadSequenceNumber,
    ClaimConflict,
    InvalidInput,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import WINDOWS_RESERVED_HANDLE
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time, parse_time


class Attribute(t.NamedTuple):
    """One entry of a block's ``attributes``; a tuple because a large cluster has 150,000 of them.

    ``secondary`` describes the active owner, ``alternate`` the other side of a VM's live
    migration. ``released_at`` (RFC 3339) marks cooling addresses. ``unknown`` holds members
    this engine does not know.
    """

    handle_id: t.Optional[str] = None
    secondary: t.Optional[t.Mapping[str, str]] = None
    alternate: t.Optional[t.Mapping[str, str]] = None
    released_at: t.Optional[str] = None
    unknown: t.Optional[t.Mapping[str, t.Any]] = None


@dataclass(frozen=True)
class HostReserved:
    """Addresses of every block a host keeps for itself: the first ``start`` and the last ``end`` (Windows: 3, 1)."""

    start: int
    end: int
    handle: str = WINDOWS_RESERVED_HANDLE
    note: str = ""


@dataclass(frozen=True)
class Block:
    """``allocations``: per ordinal the index of its attribute, or None when free; ``unallocated``: oldest first.

    ``affinity`` is ``host:<node>``, ``virtual:<name>`` or None; ``claim_time`` RFC 3339 text.
    ``sequences`` maps allocated ordinals to the block's sequence number at that time.
    """

    cidr: Network
    affinity: t.Optional[str]
    claim_time: t.Optional[str]
    allocations: t.Tuple[t.Optional[int], ...]
    unallocated: t.Tuple[int, ...]
    attributes: t.Tuple[Attribute, ...]
    sequence: int
    sequences: t.Mapping[int, int] = field(default_factory=dict)
    deleted: bool = False

    @property
    def owner(self) -> t.Optional[t.Tuple[str, str]]:
        """(type, name) of the owner, or None."""
        if not self.affinity:
            return None
        kind, separator, name = self.affinity.partition(":")
        return (kind, name) if separator else None

    @property
    def in_use(self) -> int:
        """Addresses not in the free list; cooling and host-reserved ones count (§5.8)."""
        return self.cidr.size - len(self.unallocated)

    def attribute_at(self, ordinal: int) -> t.Optional[Attribute]:
        """The attribute of an ordinal, None when the address is free."""
        index = self.allocations[ordinal]
        return None if index is None else self.attributes[index]


def owner_text(affinity_type: str, host: str) -> str:
    """How a block names its owner."""
    return f"{affinity_type}:{host}"


def new_block(
    cidr: Network,
    sequence: int,
    affinity: t.Optional[str] = None,
    claim_time: t.Optional[str] = None,
    reserved: t.Optional[HostReserved] = None,
) -> Block:
    """An empty block (§5.1). ``sequence`` is the present moment in nanoseconds since 1970."""
    size = cidr.size
    if reserved is None:
        return Block(cidr, affinity, claim_time, (None,) * size, tuple(range(size)), (), sequence)
    first, last = reserved.start, size - reserved.end
    kept = Attribute(reserved.handle, {"note": reserved.note})
    return Block(
        cidr,
        affinity,
        claim_time,
        tuple(None if first <= ordinal < last else 0 for ordinal in range(size)),
        tuple(range(first, last)),
        (kept,),
        sequence,
    )


def longest_prefix(version: int, reserved: t.Optional[HostReserved]) -> int:
    """The longest block prefix that leaves room beside host-reserved addresses (§8.4)."""
    bits = 32 if version == 4 else 128
    if reserved is None:
        return bits
    total = reserved.start + reserved.end
    if total <= 0:
        raise InvalidInput(
            "hostReserved reserves no address: give a start or an end above 0, or leave it out.", "hostReserved", total
        )
    return bits - total.bit_length()


def assign(
    block: Block,
    count: int,
    handle_id: t.Optional[str],
    secondary: t.Optional[t.Mapping[str, str]],
    *,
    owner: t.Optional[str] = None,
    reservations: t.Optional[Reservations] = None,
) -> t.Tuple[Block, t.Tuple[int, ...]]:
    """Take up to ``count`` free addresses from the front of the free list (§5.3).

    ``owner`` demands that the block belongs to it (ClaimConflict otherwise). Returns the new
    block and the ordinals taken, the block itself and nothing when none is free.
    """
    _check_owner(block, owner)
    version, base = block.cidr.version, block.cidr.value
    if reservations is None or not reservations.any(version):
        taken = block.unallocated[:count]
        rest = block.unallocated[count:]
    else:
        chosen: t.List[int] = []
        kept: t.List[int] = []
        for ordinal in block.unallocated:
            if len(chosen) < count and not reservations.reserved(version, base + ordinal):
                chosen.append(ordinal)
            else:
                kept.append(ordinal)
        taken, rest = tuple(chosen), tuple(kept)
    if not taken:
        return block, ()
    return _allocated(block, taken, rest, Attribute(handle_id, secondary)), taken


def assign_address(
    block: Block,
    address: Address,
    handle_id: t.Optional[str],
    secondary: t.Optional[t.Mapping[str, str]],
    *,
    owner: t.Optional[str] = None,
) -> Block:
    """Take one given address (§5.4); AddressTaken when it is allocated or cooling. Reservations do not matter."""
    _check_owner(block, owner)
    ordinal = block.cidr.ordinal(address)
    if block.allocations[ordinal] is not None:
        raise AddressTaken(f"Address {address} is already assigned in block {block.cidr}.", address=str(address))
    rest = tuple(o for o in block.unallocated if o != ordinal)
    return _allocated(block, (ordinal,), rest, Attribute(handle_id, secondary))


def clean_up(block: Block, now: datetime, cooldown: int) -> Block:
    """The pass that runs on every load (§5.5); the block itself when there is nothing to do.

    Frees cooling addresses whose time has passed (all of them when ``cooldown``, in seconds,
    is negative), then drops attributes nobody points to.
    """
    attributes = block.attributes
    due = {
        index
        for index, attribute in enumerate(attributes)
        if attribute.released_at is not None and _is_due(attribute.released_at, now, cooldown)
    }
    used = set(block.allocations)
    used.discard(None)
    if not due and len(used) == len(attributes):
        return block
    freed = [ordinal for ordinal, index in enumerate(block.allocations) if index in due]
    position: t.Dict[t.Optional[int], t.Optional[int]] = {None: None}
    kept: t.List[Attribute] = []
    for index, attribute in enumerate(attributes):
        if index in due or index not in used:
            position[index] = None
        else:
            position[index] = len(kept)
            kept.append(attribute)
    gone = set(freed)
    return replace(
        block,
        allocations=tuple(position[index] for index in block.allocations),
        unallocated=block.unallocated + tuple(freed),
        attributes=tuple(kept),
        sequences={o: number for o, number in block.sequences.items() if o not in gone} if freed else block.sequences,
    )


@dataclass(frozen=True)
class ReleaseRequest:
    """Give back one address; a stated handle or sequence number must be the stored one."""

    address: Address
    handle_id: t.Optional[str] = None
    sequence: t.Optional[int] = None


@dataclass(frozen=True)
class Released:
    """A block after a release. ``counts``: per handle how many addresses it lost."""

    block: Block
    not_allocated: t.Tuple[Address, ...] = ()
    counts: t.Mapping[str, int] = field(default_factory=dict)
    ordinals: t.Tuple[int, ...] = ()


def release_addresses(block: Block, requests: t.Iterable[ReleaseRequest], now: datetime, cooldown: int) -> Released:
    """Release by address (§5.6): all of the requests or, on any error, none.

    Raises BadSequenceNumber or BadHandle when a request's idea of an allocation is stale.
    """
    wanted = {block.cidr.ordinal(request.address): request for request in requests}
    missing: t.List[Address] = []
    ordinals: t.List[int] = []
    counts: t.Dict[str, int] = {}
    for ordinal in sorted(wanted):
        request = wanted[ordinal]
        stored = block.sequences.get(ordinal, 0)
        if request.sequence is not None and request.sequence != stored:
            raise BadSequenceNumber(
                f"Address {request.address} was handed out anew: its sequence number is {stored}, not "
                f"{request.sequence}.",
                address=str(request.address),
            )
        attribute = block.attribute_at(ordinal)
        if attribute is None or attribute.released_at is not None:
            missing.append(request.address)
            continue
        handle = cut_handle(attribute.handle_id)
        if request.handle_id is not None and cut_handle(request.handle_id) != handle:
            raise BadHandle(
                f"Address {request.address} belongs to handle {handle!r}, not {request.handle_id!r}.",
                address=str(request.address),
            )
        if handle:
            counts[handle] = counts.get(handle, 0) + 1
        ordinals.append(ordinal)
    if not ordinals:
        return Released(block, tuple(missing))
    sequences = dict(block.sequences)
    for ordinal in ordinals:
        sequences[ordinal] = block.sequence
    after = _cooling(block, ordinals, now, cooldown, sequences)
    return Released(after, tuple(missing), counts, tuple(ordinals))


def release_handle(
    block: Block, handle_id: str, now: datetime, cooldown: int, sequence: t.Optional[int] = None
) -> Released:
    """Release every address of a handle (§5.7); with ``sequence``, only those recorded under that number."""
    ordinals = [
        ordinal
        for ordinal in ordinals_of_handle(block, handle_id)
        if sequence is None or block.sequences.get(ordinal, 0) == sequence
    ]
    if not ordinals:
        return Released(block)
    after = _cooling(block, ordinals, now, cooldown, block.sequences)
    return Released(after, (), {handle_id: len(ordinals)}, tuple(ordinals))


def ordinals_of_handle(block: Block, handle_id: str) -> t.List[int]:
    """The ordinals a handle holds, in order. Cooling addresses have no handle any more."""
    wanted = cut_handle(handle_id)
    indexes = {i for i, attribute in enumerate(block.attributes) if cut_handle(attribute.handle_id) == wanted}
    if not indexes:
        return []
    return [ordinal for ordinal, index in enumerate(block.allocations) if index in indexes]


def cut_handle(handle_id: t.Optional[str]) -> t.Optional[str]:
    """A handle up to the first carriage return: Windows once stored them with one (§5.6)."""
    return handle_id.partition("\r")[0] if handle_id else None


def is_empty(block: Block) -> bool:
    """Whether the block may be given back (§5.8): nothing allocated but host-reserved addresses.

    Cooling addresses make a block not empty.
    """
    if len(block.unallocated) == len(block.allocations):
        return True
    attributes = block.attributes
    return all(
        index is None or (attributes[index].handle_id or "").lower() == WINDOWS_RESERVED_HANDLE
        for index in block.allocations
    )


def free_count(block: Block, reservations: t.Optional[Reservations] = None) -> int:
    """Addresses that could be handed out now: free and not reserved (§5.8)."""
    version, base = block.cidr.version, block.cidr.value
    if reservations is None or not reservations.any(version):
        return len(block.unallocated)
    return sum(1 for ordinal in block.unallocated if not reservations.reserved(version, base + ordinal))


def next_revision(block: Block) -> Block:
    """The block with the sequence number every update must carry (§5.2)."""
    return Block(
        block.cidr,
        block.affinity,
        block.claim_time,
        block.allocations,
        block.unallocated,
        block.attributes,
        block.sequence + 1,
        block.sequences,
        block.deleted,
    )


def without_owner(block: Block) -> Block:
    """The block after its affinity was taken away (§7.4 step 7)."""
    return replace(block, affinity=None, claim_time=None)


def _check_owner(block: Block, owner: t.Optional[str]) -> None:
    if owner is not None and block.affinity != owner:
        raise ClaimConflict(
            f"Block {block.cidr} belongs to {block.affinity or 'nobody'}, not to {owner}.", block=str(block.cidr)
        )


def _allocated(block: Block, taken: t.Tuple[int, ...], rest: t.Tuple[int, ...], attribute: Attribute) -> Block:
    """The block with ``taken`` pointing to ``attribute``, shared with an equal one if there is one."""
    attributes = block.attributes
    index = _index_of(attributes, attribute)
    if index == len(attributes):
        attributes = (*attributes, attribute)
    allocations = list(block.allocations)
    sequences = dict(block.sequences)
    for ordinal in taken:
        allocations[ordinal] = index
        sequences[ordinal] = block.sequence
    return Block(
        block.cidr,
        block.affinity,
        block.claim_time,
        tuple(allocations),
        rest,
        attributes,
        block.sequence,
        sequences,
        block.deleted,
    )


def _index_of(attributes: t.Sequence[Attribute], attribute: Attribute) -> int:
    """Position of an entry whose four known members are equal (§5.3); the length when there is none."""
    four = attribute[:4]
    for index, known in enumerate(attributes):
        if known[0] == four[0] and known[:4] == four:
            return index
    return len(attributes)


def _cooling(
    block: Block, ordinals: t.Iterable[int], now: datetime, cooldown: int, sequences: t.Mapping[int, int]
) -> Block:
    index = len(block.attributes)
    allocations: t.List[t.Optional[int]] = list(block.allocations)
    for ordinal in ordinals:
        allocations[ordinal] = index
    cooling = replace(
        block,
        allocations=tuple(allocations),
        attributes=(*block.attributes, Attribute(released_at=format_time(now))),
        sequences=sequences,
    )
    # Without a cooldown the addresses are free again within the same write.
    return clean_up(cooling, now, cooldown if cooldown > 0 else -1)


def _is_due(released_at: str, now: datetime, cooldown: int) -> bool:
    if cooldown < 0:
        return True
    try:
        return parse_time(released_at) < now - timedelta(seconds=cooldown)
    except ValueError:
        return False
