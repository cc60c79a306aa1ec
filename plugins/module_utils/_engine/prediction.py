# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.


"""Which block a host will claim next, found out without writing anything (spec ipam-engine.md §9.3, §9.4, §10)."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_search import prepare
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.candidate import predict_candidate
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore, NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


def next_block(datastore: Datastore, request: AssignRequest, *, now: Clock, version: int = 4) -> Network:
    """The block ``auto_assign`` would create for this request if the host's present ones were full.

    True for this moment: another host may take the block first. Of pools with single-address blocks the order
    depends on the time, so there the answer is one of many.

    Raises what ``auto_assign`` would report: NoFreeBlocks where it would go on to borrow, BlockLimit,
    AllocationError when autoAllocateBlocks is off, and the errors of the choice of pools.
    """
    search = prepare(datastore, request, version, now)
    own = [row.value.cidr for row in search.own]
    for cidr in own:
        if not search.reservations.whole(cidr) and _without_block(datastore, cidr):
            return cidr  # a row that a crash left gets its block first (§7.3)
    search.check_may_claim()
    return predict_candidate(search.access, request.host, search.affinity_type, search.pools, search.reservations, own)


def _without_block(datastore: Datastore, cidr: Network) -> bool:
    try:
        datastore.get_block(cidr)
    except NotFoundInStore:
        return True
    return False
