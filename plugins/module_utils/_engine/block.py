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

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import WINDOWS_RESERVED_HANDLE
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import parse_time


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
    # Two things worth knowing again, see ``remember``. They follow from the rest, are never given and never
    # copied by ``replace``, so they cannot outlive what they say.
    settled: bool = field(default=False, init=False, compare=False, repr=False)
    handle_hashes: t.Optional[bytes] = field(default=None, init=False, compare=False, repr=False)

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
        return remember(Block(cidr, affinity, claim_time, (None,) * size, tuple(range(size)), (), sequence), True, b"")
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


def clean_up(block: Block, now: datetime, cooldown: int) -> Block:
    """The pass that runs on every load (§5.5); the block itself when there is nothing to do.

    Frees cooling addresses whose time has passed (all of them when ``cooldown``, in seconds,
    is negative), then drops attributes nobody points to.
    """
    if block.settled:
        return block
    attributes = block.attributes
    cooling = {index: a.released_at for index, a in enumerate(attributes) if a.released_at is not None}
    due = {index for index, released_at in cooling.items() if _is_due(released_at, now, cooldown)}
    used = set(block.allocations)
    used.discard(None)
    if not due and len(used) == len(attributes):
        return block if cooling else remember(block, True, block.handle_hashes)
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
    after = replace(
        block,
        allocations=tuple(position[index] for index in block.allocations),
        unallocated=block.unallocated + tuple(freed),
        attributes=tuple(kept),
        sequences={o: number for o, number in block.sequences.items() if o not in gone} if freed else block.sequences,
    )
    return after if cooling.keys() - due else remember(after, True, None)


def remember(block: Block, settled: bool, handle_hashes: t.Optional[bytes]) -> Block:
    """The same block, with what is known about it.

    ``settled``: the clean-up pass would change nothing, at any time, for no address cools and no attribute is
    unused. ``handle_hashes``: of every attribute in order, see ``handle_hash``; None when not computed.
    """
    object.__setattr__(block, "settled", settled)
    object.__setattr__(block, "handle_hashes", handle_hashes)
    return block


def handle_hash(handle_id: t.Optional[str]) -> bytes:
    """Eight bytes to tell handles apart with: a handle whose bytes do not occur is not there.

    Thousands of them are searched as one text, without touching the attributes.
    """
    return hash(handle_id).to_bytes(8, "little", signed=True)


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
    after = Block(
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
    return remember(after, block.settled, block.handle_hashes)


def without_owner(block: Block) -> Block:
    """The block after its affinity was taken away (§7.4 step 7)."""
    return replace(block, affinity=None, claim_time=None)


def _is_due(released_at: str, now: datetime, cooldown: int) -> bool:
    if cooldown < 0:
        return True
    try:
        return parse_time(released_at) < now - timedelta(seconds=cooldown)
    except ValueError:
        return False
