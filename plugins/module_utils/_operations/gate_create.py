# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Around the re-creation of a pool with another block size on the same range.

A block affinity of the old size that is left over makes Calico create a block of that size again, which then
overlaps the new ones (hazard A15, B07). So before it nothing may be recorded in the range, of whatever size, and
after it nothing of another size than the pool's, on any node.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_condition import wait_until_allocatable
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    engine_pools,
    read_pools,
    require,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_state import Finding, read_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import Report
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.rehearsal import Rehearsal

NAMED = 5
MOST = 1000


def before_create(api: PagedApi, store: Datastore, network: Network, *, clock: Clock) -> dict[str, t.Any]:
    """Refused while a block or a block affinity of any size lies in the range, marked as deleted or not."""
    state = read_range(api, store, network, clock.now)
    found = [*state.blocks, *state.affinities]
    if found:
        raise Refused(
            f"No pool may be created on {network} yet: {_named(found)} are left there, and Calico would make blocks "
            f"of their size again; clean the range with calico_ops.ipam.ipam_range.",
            cidr=str(network),
            leftovers=[each.as_result() for each in found[:MOST]],
        )
    return {"cidr": str(network), "leftovers": []}


def after_create(
    api: PagedApi, store: Datastore, name: str, *, timeout: float, clock: Clock, report: Report
) -> dict[str, t.Any]:
    """Prove that every node that the pool selects will get blocks of the pool's size from it.

    Refused when a record of another size lies in the range, when the pool gives out no addresses (it is waited
    for up to ``timeout`` seconds where v3 CRDs are the store), and when a node's next block would be another one.
    """
    live = require(read_pools(api), name)
    pool = live.pool()
    if pool is None:
        raise Refused(f"IPPool {name!r} gives out no addresses: its CIDR {live.spec.get('cidr')!r} does not parse.")
    if detect(api).mode.value == CRD_V3:
        live = wait_until_allocatable(api, live, clock=clock, timeout=timeout, report=report)
        pool = live.pool() or pool
    if not pool.enabled:
        raise Refused(f"IPPool {name!r} gives out no addresses: it is disabled, being deleted or not allocatable.")
    _refuse_other_sizes(store, name, pool.cidr, pool.block_size)
    nodes = api.list(NODES).items
    rehearsal = Rehearsal(store, engine_pools(read_pools(api)), nodes, clock.now)
    blocks: list[dict[str, str]] = []
    without: list[dict[str, str]] = []
    for node in nodes:
        if not selects_node(pool, calico_labels(node)):
            continue
        who = str(node["metadata"]["name"])
        try:
            block = rehearsal.next_block(who, pool)
        except IpamError as error:
            without.append({"node": who, "why": error.message})
            continue
        if block.prefix != pool.block_size or not pool.cidr.contains(block):
            raise Refused(
                f"IPPool {name!r} is not safe to use: the next block of node {who} would be {block}, not a "
                f"/{pool.block_size} of {pool.cidr}; clean the range with calico_ops.ipam.ipam_range.",
                pool=name,
                node=who,
                block=str(block),
            )
        blocks.append({"node": who, "block": str(block)})
    return {"blocks": blocks, "without_block": without}


def _refuse_other_sizes(store: Datastore, name: str, network: Network, size: int) -> None:
    odd = [
        f"block {stored.value.cidr}"
        for stored in store.blocks_in(network)
        if stored.value.cidr.prefix != size or not network.contains(stored.value.cidr)
    ]
    odd += [
        f"affinity of {row.value.host} to {row.value.cidr}"
        for row in store.list_affinities()
        if row.value.cidr.overlaps(network) and (row.value.cidr.prefix != size or not network.contains(row.value.cidr))
    ]
    if odd:
        raise Refused(
            f"IPPool {name!r} is not safe to use: its blocks are /{size}, and {_some(odd)} are of another size: "
            "disable it, move what uses them, and clean the range with calico_ops.ipam.ipam_range.",
            pool=name,
            leftovers=odd[:MOST],
        )


def _named(found: t.Sequence[Finding]) -> str:
    return _some([each.name for each in found])


def _some(names: t.Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
