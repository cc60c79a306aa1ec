# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How full blocks, nodes and pools are, and who holds each address (spec ipam-engine.md §15).

Works on blocks as they are stored, one at a time, so that a large cluster's list can be
consumed page by page and dropped: 10,000 blocks become 10,000 small ``BlockFigures``.
The stored block is looked at as it is, without the clean-up pass, as Calico does.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_faults import readable
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import UNKNOWN, Holder, classify
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations

Spec = t.Mapping[str, t.Any]
Owners = t.Sequence[t.Optional[t.Mapping[str, str]]]

#: Calico's counters are signed 64-bit integers and stop there.
MOST = (1 << 63) - 1


class BlockFigures(t.NamedTuple):
    """One block in numbers; ``node`` is the owner's name, ``owner_type`` host, virtual or "".

    ``in_use`` counts cooling and host-reserved addresses too; ``reserved`` what
    IPReservations cover, allocated or not; ``free`` what could be handed out;
    ``borrowed`` allocations recorded for another node than the owner.
    """

    cidr: Network
    owner_type: str
    node: str
    in_use: int
    reserved: int
    free: int
    borrowed: int
    deleted: bool

    @property
    def size(self) -> int:
        return self.cidr.size

    @property
    def affinity(self) -> t.Optional[str]:
        """The owner as the block spells it."""
        return f"{self.owner_type}:{self.node}" if self.owner_type else None


class AddressHolder(t.NamedTuple):
    """One allocated address of a block; ``sequence`` its sequence number, 0 in old blocks."""

    address: Address
    holder: Holder
    borrowed: bool
    sequence: int


@dataclass(frozen=True)
class NodeUtilization:
    """The blocks one node owns, added up; ``node`` "" stands for blocks without an owner."""

    node: str
    blocks: int
    addresses: int
    in_use: int
    free: int

    def shown(self) -> t.Dict[str, t.Any]:
        """As a module returns it."""
        return {
            "node": self.node,
            "blocks": self.blocks,
            "addresses": self.addresses,
            "in_use": self.in_use,
            "free": self.free,
        }


@dataclass(frozen=True)
class PoolUtilization:
    """One pool in numbers; every count of addresses stops at 2^63 - 1.

    ``free`` are addresses that could be handed out, in blocks or where no block is yet.
    ``blocks_allocated`` counts blocks of any size, ``blocks_free`` places no block touches.
    """

    pool: Pool
    capacity: int
    in_use: int
    reserved: int
    free: int
    blocks_possible: int
    blocks_allocated: int
    blocks_free: int
    nodes: t.Tuple[NodeUtilization, ...]

    def shown(self) -> t.Dict[str, t.Any]:
        """As a module returns it."""
        return {
            "addresses": {
                "capacity": self.capacity,
                "in_use": self.in_use,
                "reserved": self.reserved,
                "free": self.free,
            },
            "blocks": {
                "possible": self.blocks_possible,
                "allocated": self.blocks_allocated,
                "free": self.blocks_free,
                "size": self.pool.block_size,
            },
            "nodes": [node.shown() for node in self.nodes],
        }


def measure(spec: Spec, reservations: t.Optional[Reservations] = None) -> BlockFigures:
    """The figures of one stored block, given its ``spec``; BlockFault when it cannot be read.

    A block that can be read and contradicts itself has figures too, as good as they can be.
    """
    cidr, form = readable(spec)
    unallocated = spec.get("unallocated") or ()
    size = 1 << (cidr.bits - cidr.prefix)
    reserved = 0
    free = len(unallocated)
    if reservations is not None and reservations.any(cidr.version):
        reserved = reservations.count(cidr)
        if reserved:
            version, base = cidr.version, cidr.value
            free = sum(1 for ordinal in unallocated if not reservations.reserved(version, base + ordinal))
    owner_type, _colon, node = (spec.get("affinity") or "").partition(":")
    return BlockFigures(
        cidr,
        owner_type,
        node,
        max(0, size - len(unallocated)),
        reserved,
        free,
        _count_borrowed(spec, form.owners, node),
        bool(spec.get("deleted")),
    )


def holders(spec: Spec, cidr: t.Optional[Network] = None) -> t.Iterator[AddressHolder]:
    """Every address of a stored block that is not free, in order, with who holds it; BlockFault as ``measure``.

    ``cidr`` is what ``measure`` found for this very block: then it is not checked again.
    """
    if cidr is None:
        cidr = readable(spec)[0]
    version, base = cidr.version, cidr.value
    attributes = spec.get("attributes") or ()
    known = [classify(attribute) for attribute in attributes]
    foreign = _foreign(
        [attribute.get("secondary") for attribute in attributes], (spec.get("affinity") or "").partition(":")[2]
    )
    sequences = spec.get("sequenceNumberForAllocation") or {}
    for ordinal, index in enumerate(spec["allocations"][: cidr.size]):
        if index is None:
            continue
        holder = known[index] if 0 <= index < len(known) else Holder(UNKNOWN)
        yield AddressHolder(Address(version, base + ordinal), holder, index in foreign, sequences.get(str(ordinal), 0))


class Tally:
    """Adds blocks up per pool and node. ``pools`` are those wanted; blocks in none of them are ``strays``."""

    def __init__(self, pools: t.Iterable[Pool], reservations: t.Optional[Reservations] = None) -> None:
        self._groups = [_Group(pool) for pool in sorted(pools, key=lambda pool: pool.name)]
        self._reservations = reservations or Reservations()
        self.strays: t.List[BlockFigures] = []

    def add(self, figures: BlockFigures) -> t.Optional[Pool]:
        """Count a block; returns the first pool in name order that overlaps it, None for a stray."""
        for group in self._groups:
            if group.pool.cidr.overlaps(figures.cidr):
                group.add(figures)
                return group.pool
        self.strays.append(figures)
        return None

    def pools(self) -> t.List[PoolUtilization]:
        """The figures of every pool, by name."""
        return [group.total(self._reservations) for group in self._groups]


class _Group:
    """The running sums of one pool; per node [blocks, addresses, in use, free]."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.nodes: t.Dict[str, t.List[int]] = {}
        self.places: t.Set[int] = set()
        self.wide = 0
        self.in_use = self.free = self.covered = self.reserved = self.blocks = 0

    def add(self, figures: BlockFigures) -> None:
        cidr, pool = figures.cidr, self.pool
        sums = self.nodes.setdefault(figures.node, [0, 0, 0, 0])
        for position, amount in enumerate((1, figures.size, figures.in_use, figures.free)):
            sums[position] += amount
        self.blocks += 1
        self.in_use += figures.in_use
        self.free += figures.free
        self.reserved += figures.reserved
        self.covered += min(figures.size, pool.cidr.size)
        if cidr.prefix >= pool.block_size:
            self.places.add(cidr.value >> (cidr.bits - pool.block_size))
        else:
            self.wide += min(1 << (pool.block_size - cidr.prefix), pool.block_count)

    def total(self, reservations: Reservations) -> PoolUtilization:
        pool = self.pool
        capacity = pool.cidr.size
        reserved = reservations.count(pool.cidr)
        untouched = max(0, capacity - self.covered - max(0, reserved - self.reserved))
        return PoolUtilization(
            pool,
            min(capacity, MOST),
            min(self.in_use, MOST),
            min(reserved, MOST),
            min(self.free + untouched, MOST),
            pool.block_count,
            self.blocks,
            max(0, pool.block_count - len(self.places) - self.wide),
            tuple(NodeUtilization(node, *sums) for node, sums in sorted(self.nodes.items())),
        )


def _count_borrowed(spec: Spec, owners: Owners, node: str) -> int:
    foreign = _foreign(owners, node)
    return sum(1 for index in spec["allocations"] if index in foreign) if foreign else 0


def _foreign(owners: Owners, node: str) -> t.Set[int]:
    """The attributes recorded for another node than the block's owner (§19, borrowed)."""
    return {index for index, owner in enumerate(owners) if owner and owner.get("node", node) != node and owner["node"]}
