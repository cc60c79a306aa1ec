# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""Whether a pool is large enough, and which block sizes would do.

Sources: spec hazards.md B01 to B04, B29, B31 and D04; spec ipam-engine.md §8.3 (reservations)
and §9.1 (the limit on blocks per host).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, covering
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import BLOCK_SIZES

#: Blocks a host may own per IP version when ``maxBlocksPerHost`` is 0 or absent.
DEFAULT_BLOCKS_PER_HOST = 20
#: What a kubelet takes when it is not configured.
DEFAULT_MAX_PODS = 110
#: Addresses of every block that a Windows host keeps for itself.
WINDOWS_RESERVED_PER_BLOCK = 4


@dataclass(frozen=True)
class Supply:
    """What a pool, cut into blocks of one size, has to give.

    ``blocks`` is 2^(blockSize - prefix); ``reserved_blocks`` lie wholly inside
    IPReservations; ``reserved_addresses`` counts every reserved address of the pool.
    """

    cidr: Network
    block_size: int
    blocks: int
    reserved_blocks: int
    reserved_addresses: int
    reserved_per_block: int = 0

    @property
    def usable_blocks(self) -> int:
        return self.blocks - self.reserved_blocks

    @property
    def addresses_per_block(self) -> int:
        """Addresses of one block that pods and tunnels can have."""
        return max((1 << (self.cidr.bits - self.block_size)) - self.reserved_per_block, 0)

    @property
    def addresses(self) -> int:
        """Addresses of the whole pool that pods and tunnels can have."""
        whole = (self.cidr.size if self.blocks else 0) - self.reserved_addresses
        return max(whole - self.usable_blocks * self.reserved_per_block, 0)

    def __str__(self) -> str:
        reserved = f", {_count(self.reserved_blocks, 'block')} of them reserved" if self.reserved_blocks else ""
        return (
            f"{self.cidr} with blockSize {self.block_size} has {_count(self.blocks, 'block')} of "
            f"{_count(self.addresses_per_block, 'usable address', 'usable addresses')}{reserved}."
        )


@dataclass(frozen=True)
class Demand:
    """What nodes and pods want of a pool.

    ``nodes`` that the pool selects now and ``more_nodes`` expected beyond them; ``max_pods``
    is the largest number of pods a kubelet takes (``status.capacity.pods``); ``pods`` have an
    address to be served now and ``surge`` more exist while workloads are replaced;
    ``busiest_node_pods`` is the largest number of those pods on one node (0: unknown);
    ``tunnels`` are tunnel addresses per node from this pool.
    """

    nodes: int
    max_pods: int = DEFAULT_MAX_PODS
    pods: int = 0
    surge: int = 0
    tunnels: int = 1
    more_nodes: int = 0
    busiest_node_pods: int = 0

    @property
    def addresses(self) -> int:
        """Addresses wanted at the worst moment: pods, their surge and a tunnel address per node."""
        return self.pods + self.surge + self.nodes * self.tunnels

    @property
    def per_node(self) -> int:
        """Addresses a full node wants."""
        return self.max_pods + self.tunnels


@dataclass(frozen=True)
class Shortage:
    """One way in which a pool falls short: the hazard's id, whether it must stop the procedure, and two sentences."""

    hazard: str
    blocker: bool
    message: str
    remedy: str


@dataclass(frozen=True)
class Assessment:
    """A supply held against a demand.

    ``blocks_per_node``: blocks a full node takes. ``nodes_supported``: full nodes that get
    all their blocks. ``blocks_needed``: blocks for every present node when full.
    ``addresses_per_node``: most addresses one node can have under the block limit.
    """

    supply: Supply
    demand: Demand
    blocks_per_host: int
    blocks_per_node: int
    blocks_needed: int
    nodes_supported: int
    addresses_per_node: int
    shortages: t.Tuple[Shortage, ...]

    @property
    def enough(self) -> bool:
        """Whether nothing stands in the way; warnings may remain."""
        return not any(shortage.blocker for shortage in self.shortages)

    @property
    def sentences(self) -> t.Tuple[str, ...]:
        """The figures, for the operator."""
        supply, demand = self.supply, self.demand
        full = _count(demand.per_node, "address", "addresses")
        return (
            str(supply),
            f"A node with {_count(demand.max_pods, 'pod')} takes {full}, that is "
            f"{_count(self.blocks_per_node, 'block')} of at most {self.blocks_per_host}; "
            f"{_count(self.nodes_supported, 'such node')} fit, {demand.nodes} are there.",
            f"{_count(demand.addresses, 'address', 'addresses')} are wanted at the worst moment "
            f"({demand.pods} for pods, {demand.surge} more while they are replaced, "
            f"{demand.nodes * demand.tunnels} for tunnels), {supply.addresses} can be given.",
        )

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Plain data for the result of a module."""
        return {
            "cidr": str(self.supply.cidr),
            "block_size": self.supply.block_size,
            "blocks": self.supply.blocks,
            "blocks_reserved": self.supply.reserved_blocks,
            "blocks_needed": self.blocks_needed,
            "blocks_per_node": self.blocks_per_node,
            "blocks_per_host_limit": self.blocks_per_host,
            "addresses": self.supply.addresses,
            "addresses_per_block": self.supply.addresses_per_block,
            "addresses_reserved": self.supply.reserved_addresses,
            "addresses_wanted": self.demand.addresses,
            "addresses_per_node": self.addresses_per_node,
            "nodes": self.demand.nodes,
            "nodes_supported": self.nodes_supported,
            "enough": self.enough,
        }


def supply_of(
    cidr: Network, block_size: int, reserved: t.Iterable[Network] = (), reserved_per_block: int = 0
) -> Supply:
    """The supply of a pool; ``reserved`` are the CIDRs of all IPReservations.

    ``reserved_per_block`` is 4 for a pool of Windows nodes (B29).
    """
    inside = _inside(cidr, reserved)
    return Supply(
        cidr,
        block_size,
        cidr.count(block_size),
        _reserved_blocks(cidr, block_size, inside),
        sum(network.size for network in inside),
        reserved_per_block,
    )


def assess(
    supply: Supply, demand: Demand, *, max_blocks_per_host: int = 0, strict_affinity: bool = False
) -> Assessment:
    """Hold a supply against a demand (B01 to B04, and D04 for plain exhaustion).

    ``max_blocks_per_host`` and ``strict_affinity`` are Calico's IPAM settings; 0 means the
    built-in 20.
    """
    limit = max_blocks_per_host or DEFAULT_BLOCKS_PER_HOST
    per_block = supply.addresses_per_block
    per_node = _ceil(demand.per_node, per_block)
    supported = min(supply.usable_blocks // per_node, supply.addresses // demand.per_node) if per_node else 0
    assessment = Assessment(
        supply=supply,
        demand=demand,
        blocks_per_host=limit,
        blocks_per_node=per_node,
        blocks_needed=demand.nodes * per_node,
        nodes_supported=supported,
        addresses_per_node=limit * per_block,
        shortages=(),
    )
    shortages = [
        *_too_few_addresses(assessment),
        *_too_few_blocks(assessment, strict_affinity),
        *_block_limit(assessment, strict_affinity),
    ]
    if max_blocks_per_host and not strict_affinity:
        shortages.append(
            Shortage(
                "B03",
                False,
                f"maxBlocksPerHost is {max_blocks_per_host} while strictAffinity is off: a node at its limit gets an "
                "error and never borrows, and Calico's own client refuses to write this pair.",
                "Set maxBlocksPerHost to 0, or strictAffinity to true; the latter stops borrowing in the whole cluster "
                "at once.",
            )
        )
    return replace(assessment, shortages=tuple(shortages))


def block_sizes_that_fit(
    cidr: Network,
    demand: Demand,
    *,
    reserved: t.Iterable[Network] = (),
    reserved_per_block: int = 0,
    max_blocks_per_host: int = 0,
) -> t.Tuple[int, ...]:
    """Every blockSize with which all nodes of the demand, full, get all their blocks; in ascending order.

    The first is the largest block that does (fewest blocks and routes), the last the
    smallest (most blocks, least waste). Empty when no size does: the CIDR is too small.
    """
    inside = _inside(cidr, reserved)
    low, high = BLOCK_SIZES[cidr.version]
    limit = max_blocks_per_host or DEFAULT_BLOCKS_PER_HOST
    sizes = []
    for size in range(max(low, cidr.prefix), high + 1):
        supply = supply_of(cidr, size, inside, reserved_per_block)
        per_node = _ceil(demand.per_node, supply.addresses_per_block)
        nodes = demand.nodes + demand.more_nodes
        wanted = max(demand.addresses, nodes * demand.per_node)
        if 0 < per_node <= limit and nodes * per_node <= supply.usable_blocks and wanted <= supply.addresses:
            sizes.append(size)
    return tuple(sizes)


def largest_prefix_that_fits(version: int, addresses: int, nodes: int, block_size: int) -> int:
    """Longest prefix of a pool CIDR that gives every node its blocks of this size.

    ``addresses`` are wanted per node; 0 when not even a /0 is enough.
    """
    bits = {4: 32, 6: 128}[version]
    blocks = max(nodes, 1) * max(_ceil(addresses, 1 << (bits - block_size)), 1)
    return max(block_size - (blocks - 1).bit_length(), 0)


def _too_few_addresses(found: Assessment) -> t.Iterator[Shortage]:
    supply, demand = found.supply, found.demand
    if demand.addresses > supply.addresses:
        yield Shortage(
            "D04",
            True,
            f"{supply.cidr} can give {_count(supply.addresses, 'address', 'addresses')}, but {demand.addresses} are "
            f"wanted at the worst moment ({demand.pods} for pods, {demand.surge} more while they are replaced, "
            f"{demand.nodes * demand.tunnels} for tunnels).",
            "Choose a larger CIDR.",
        )


def _too_few_blocks(found: Assessment, strict_affinity: bool) -> t.Iterator[Shortage]:
    supply, demand = found.supply, found.demand
    blocks = _count(supply.usable_blocks, "usable block")
    consequence = (
        "nodes without a block get no address at all, because strictAffinity is on"
        if strict_affinity
        else "the others must borrow single addresses from the blocks of other nodes"
    )
    remedy = _larger(found)
    busiest = max(_ceil(demand.busiest_node_pods + demand.tunnels, supply.addresses_per_block), 1)
    spread = _ceil(demand.addresses, supply.addresses_per_block)
    needed_now = max(demand.nodes, spread, demand.nodes - 1 + busiest)
    if supply.usable_blocks < demand.nodes or not supply.addresses_per_block:
        yield Shortage(
            "B04" if strict_affinity else "B01",
            True,
            f"{supply.cidr} with blockSize {supply.block_size} has {blocks} for {_count(demand.nodes, 'node')}: "
            f"{consequence}.",
            remedy,
        )
    elif supply.usable_blocks < needed_now:
        yield Shortage(
            "B04" if strict_affinity else "B01",
            True,
            f"{supply.cidr} with blockSize {supply.block_size} has {blocks}, but the pods of today take at least "
            f"{needed_now} on {_count(demand.nodes, 'node')}: {consequence}.",
            remedy,
        )
    elif supply.usable_blocks < found.blocks_needed:
        yield Shortage(
            "B04" if strict_affinity else "B01",
            strict_affinity,
            f"{supply.cidr} with blockSize {supply.block_size} has {blocks}, but {_count(demand.nodes, 'node')} with "
            f"{_count(demand.max_pods, 'pod')} each take {found.blocks_needed}: {consequence}.",
            remedy,
        )
    elif found.nodes_supported < demand.nodes + demand.more_nodes:
        yield Shortage(
            "B01",
            False,
            f"{supply.cidr} with blockSize {supply.block_size} supports {_count(found.nodes_supported, 'node')} with "
            f"{_count(demand.max_pods, 'pod')} each; {demand.nodes + demand.more_nodes} are expected.",
            remedy,
        )


def _block_limit(found: Assessment, strict_affinity: bool) -> t.Iterator[Shortage]:
    supply, demand = found.supply, found.demand
    if not supply.addresses_per_block or found.blocks_per_node <= found.blocks_per_host:
        return
    bits = supply.cidr.bits
    enough = bits - (_ceil(demand.per_node, found.blocks_per_host) + supply.reserved_per_block - 1).bit_length()
    and_strict = "" if strict_affinity else " together with strictAffinity true, which stops borrowing at once"
    yield Shortage(
        "B02",
        True,
        f"With blockSize {supply.block_size} a node can have "
        f"{_count(found.addresses_per_node, 'address', 'addresses')} "
        f"({found.blocks_per_host} blocks of {supply.addresses_per_block}), but "
        f"{_count(demand.max_pods, 'pod')} and {_count(demand.tunnels, 'tunnel')} take {demand.per_node}: beyond the "
        "limit pods fail, they do not borrow.",
        f"Use blockSize {enough} or less, or set maxBlocksPerHost to {found.blocks_per_node}{and_strict}.",
    )


def _larger(found: Assessment) -> str:
    supply, demand = found.supply, found.demand
    nodes = demand.nodes + demand.more_nodes
    prefix = largest_prefix_that_fits(
        supply.cidr.version,
        demand.per_node + _ceil(demand.per_node, max(supply.addresses_per_block, 1)) * supply.reserved_per_block,
        nodes,
        supply.block_size,
    )
    sizes = block_sizes_that_fit(
        supply.cidr, demand, reserved_per_block=supply.reserved_per_block, max_blocks_per_host=found.blocks_per_host
    )
    larger = f"Choose a CIDR of /{prefix} or larger for {_count(nodes, 'full node')}"
    if sizes and not supply.reserved_addresses:
        only = f"blockSize {sizes[0]}" if len(sizes) == 1 else f"a blockSize from {sizes[0]} to {sizes[-1]}"
        return f"{larger}, or {only}."
    return f"{larger}."


def _inside(cidr: Network, reserved: t.Iterable[Network]) -> t.List[Network]:
    """The reserved ranges cut to the pool, sorted and without overlaps."""
    cut = [cidr if network.contains(cidr) else network for network in reserved if network.overlaps(cidr)]
    return covering(cut)


def _reserved_blocks(cidr: Network, block_size: int, inside: t.Iterable[Network]) -> int:
    """Blocks of the pool that lie wholly in reservations, alone or together."""
    if block_size < cidr.prefix:
        return 0
    whole = 0
    parts: t.Dict[int, int] = {}
    shift = cidr.bits - block_size
    for network in inside:
        if network.prefix <= block_size:
            whole += network.count(block_size)
        else:
            parts[network.value >> shift] = parts.get(network.value >> shift, 0) + network.size
    return whole + sum(1 for size in parts.values() if size == 1 << shift)


def _ceil(wanted: int, each: int) -> int:
    """How many of ``each`` make up ``wanted``; 0 when there are none to be had."""
    return -(-wanted // each) if each else 0


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
