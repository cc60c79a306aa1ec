# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.


"""Taking addresses from one block (spec ipam-engine.md §5.3 and §5.4)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Attribute,
    Block,
    handle_hash,
    remember,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import AddressTaken, ClaimConflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations


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


def _check_owner(block: Block, owner: t.Optional[str]) -> None:
    if owner is not None and block.affinity != owner:
        raise ClaimConflict(
            f"Block {block.cidr} belongs to {block.affinity or 'nobody'}, not to {owner}.", block=str(block.cidr)
        )


def _allocated(block: Block, taken: t.Tuple[int, ...], rest: t.Tuple[int, ...], attribute: Attribute) -> Block:
    """The block with ``taken`` pointing to ``attribute``, shared with an equal one if there is one."""
    attributes = block.attributes
    hashes = block.handle_hashes
    if hashes is None:
        hashes = b"".join([handle_hash(known.handle_id) for known in attributes])
    own = handle_hash(attribute.handle_id)
    index = _index_of(attributes, attribute) if own in hashes else len(attributes)
    if index == len(attributes):
        attributes = (*attributes, attribute)
        hashes += own
    allocations = list(block.allocations)
    sequences = dict(block.sequences)
    for ordinal in taken:
        allocations[ordinal] = index
        sequences[ordinal] = block.sequence
    after = Block(
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
    # A settled block stays settled: an attribute came, and it is in use.
    return remember(after, block.settled, hashes)


def _index_of(attributes: t.Sequence[Attribute], attribute: Attribute) -> int:
    """Position of an entry whose four known members are equal (§5.3); the length when there is none."""
    four = attribute[:4]
    for index, known in enumerate(attributes):
        if known[0] == four[0] and known[:4] == four:
            return index
    return len(attributes)
