# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Find room for a temporary pool."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import largest_prefix_that_fits
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import (
    pod_ranges,
    service_ranges,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import demand_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation


@dataclass(frozen=True)
class Proposal:
    """A free range; ``reason`` says where it lies and for how much it is enough."""

    cidr: Network
    reason: str


def propose_temporary_cidr(now: Situation) -> Proposal | None:
    """The first free range inside the cluster's pod range that holds the pool's pods; None when there is none.

    Free of pools, of blocks left behind, of the Service range and of node addresses; large
    enough for every node when full.
    """
    if now.source is None or now.source.pool is None:
        return None
    pool = now.source.pool
    size = now.request.target.get("block_size") or now.request.block_size or pool.block_size
    if not isinstance(size, int) or not 0 < size <= pool.cidr.bits:
        return None
    demand = demand_of(pool, now)
    prefix = largest_prefix_that_fits(pool.version, demand.per_node, demand.nodes, size)
    busy = list(_busy(now))
    for ranges in pod_ranges(now.view):
        for network in ranges.networks:
            if network.version != pool.version or network.prefix > prefix:
                continue
            free = first_free(network, prefix, busy)
            if free is not None:
                return Proposal(free, f"inside {ranges.source}, enough for {demand.nodes} full nodes")
    return None


def first_free(network: Network, prefix: int, busy: t.Iterable[Network]) -> Network | None:
    """The first subnet of ``network`` with this prefix that overlaps none of the busy ones."""
    step = 1 << (network.bits - prefix)
    taken = sorted((other for other in busy if other.overlaps(network)), key=lambda other: other.value)
    value = network.value
    for other in taken:
        if other.value >= value + step:
            break
        end = other.value + other.size
        if end > value:
            value = -(-end // step) * step
    return Network(network.version, value, prefix) if value + step <= network.value + network.size else None


def _busy(now: Situation) -> t.Iterator[Network]:
    yield from (pool.cidr for pool in engine_pools(now.view.pools))
    yield from (block.cidr for block in now.view.blocks)
    for ranges in service_ranges(now.view):
        yield from ranges.networks
    for node in now.view.nodes:
        for entry in (node.get("status") or {}).get("addresses") or []:
            try:
                address = parse_address(entry.get("address"))
            except InvalidInput:
                continue  # Host names stand among the addresses.
            yield address.network(address.bits)
