# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of size: blocks for the nodes, addresses for the pods."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import BLOCK_SIZES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import assessment_of, selected_nodes
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    Wanted,
)


def measured(now: Situation) -> list[Wanted]:
    """Pools whose size matters: those that pods move to, and new ones that are declared."""
    return [
        pool
        for pool in now.wanted
        if pool.pool is not None
        and not pool.leaves
        and _is_legal(pool.pool)
        and "LoadBalancer" not in pool.pool.allowed_uses
        and (pool.live is None or now.request.procedure != DECLARE)
    ]


def _is_legal(pool: Pool) -> bool:
    """Whether the pool can be cut into blocks of its size at all; if not, block-size-legal says so."""
    smallest, largest = BLOCK_SIZES[pool.version]
    return smallest <= pool.block_size <= largest and pool.block_count > 0


def _shortages(now: Situation, hazards: t.Collection[str]) -> t.Iterator[Problem]:
    for pool in measured(now):
        if pool.pool is None:
            continue
        for shortage in assessment_of(pool.pool, now).shortages:
            if shortage.hazard not in hazards:
                continue
            # A declared pool need not serve every node: others may be there beside it.
            blocker = shortage.blocker and now.request.procedure != DECLARE
            yield Problem(
                BLOCKER if blocker else WARNING,
                f"{pool.role.capitalize()} {pool.name!r}: {shortage.message}",
                shortage.remedy,
                (f"IPPool {pool.name}",),
            )


def block_count(now: Situation) -> t.Iterator[Problem]:
    return _shortages(now, ("B01", "B04"))


def host_block_limit(now: Situation) -> t.Iterator[Problem]:
    return _shortages(now, ("B02",))


def address_capacity(now: Situation) -> t.Iterator[Problem]:
    return _shortages(now, ("D04",))


def room_in_use(now: Situation) -> t.Iterator[Problem]:
    """B01 and D04 for a pool that exists already: others have blocks and addresses of it."""
    if now.resumed:
        return  # By then those who have them are the pods that have moved.
    for pool in measured(now):
        if pool.live is None or pool.pool is None:
            continue
        found = assessment_of(pool.pool, now)
        blocks = [block for block in now.view.blocks if pool.pool.cidr.contains(block.cidr)]
        used = sum(block.in_use for block in blocks)
        if used and found.demand.addresses > found.supply.addresses - used:
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} has {max(found.supply.addresses - used, 0)} free addresses, as {used} are in "
                "use, and "
                f"{found.demand.addresses} are wanted at the worst moment.",
                "Choose a larger pool.",
                (f"IPPool {pool.name}",),
            )
        owners = {block.owner for block in blocks}
        names = [node["metadata"]["name"] for node in selected_nodes(pool.pool, now.view)]
        without = [name for name in names if f"host:{name}" not in owners]
        free = found.supply.usable_blocks - len(blocks)
        if blocks and len(without) > free:
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} has {max(free, 0)} free blocks and {len(without)} of its nodes have none yet.",
                "Choose a larger pool or a smaller block.",
                tuple(f"Node {name}" for name in without),
            )


def way_back(now: Situation) -> t.Iterator[Problem]:
    """A12: the old pool must have room for what has moved, with its surge, as the nodes are now."""
    if now.request.procedure == DECLARE or now.source is None or now.source.pool is None:
        return
    if not _is_legal(now.source.pool):
        return
    shortages = [each for each in assessment_of(now.source.pool, now).shortages if each.blocker]
    if shortages:
        yield Problem(
            WARNING,
            f"Going back to pool {now.source.name!r} may not be possible for every pod: {shortages[0].message}",
            "Move in small steps, and widen the old pool's room (reservations, block limit) before going back.",
            (f"IPPool {now.source.name}",),
        )


CHECKS = (
    Check("block-count", "every node can have a block", ("B01", "B04"), block_count),
    Check("host-block-limit", "a node can have blocks for all its pods", ("B02",), host_block_limit),
    Check("address-capacity", "all pods can have an address", ("D04",), address_capacity),
    Check("room-in-use", "a pool that others use has room left", ("B01", "D04"), room_in_use),
    Check("way-back", "the old pool has room for going back", ("A12",), way_back, worst=WARNING),
)
