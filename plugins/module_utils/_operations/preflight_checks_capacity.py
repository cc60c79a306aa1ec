# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of size: blocks for the nodes, addresses for the pods."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import BLOCK_SIZES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import assessment_of
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


CHECKS = (
    Check("block-count", "every node can have a block", ("B01", "B04"), block_count),
    Check("host-block-limit", "a node can have blocks for all its pods", ("B02",), host_block_limit),
    Check("address-capacity", "all pods can have an address", ("D04",), address_capacity),
)
