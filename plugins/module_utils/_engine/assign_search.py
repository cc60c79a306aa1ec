# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.


"""What automatic assignment knows before it takes the first address (spec ipam-engine.md §9.1)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access, access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, VIRTUAL, Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import (
    LOAD_BALANCER_USE,
    AssignedAddress,
    AssignRequest,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved, longest_prefix
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore, Stored
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AllocationError,
    BlockLimit,
    UseRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import choose_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock

#: Blocks a host may own when neither the settings nor the request say otherwise (§9.1 step 8).
DEFAULT_MAX_BLOCKS = 20


@dataclass
class Search:
    """The state of one family's assignment.

    ``own`` are the host's rows in the ``pools`` it may use, as far as they were not tried yet, ``owned`` how many
    blocks count towards the ``limit``, ``others`` its rows elsewhere. ``labels`` are the node's, ``known_pools``
    all there are.
    """

    access: Access
    request: AssignRequest
    version: int
    requested: int
    affinity_type: str
    reserved: t.Optional[HostReserved]
    reservations: Reservations
    labels: t.Mapping[str, str]
    known_pools: t.Sequence[Pool]
    pools: t.Sequence[Pool]
    own: t.Iterator[Stored[Affinity]]
    owned: int
    others: t.Sequence[Affinity]
    limit: int
    found: t.List[AssignedAddress] = field(default_factory=list)
    notes: t.List[str] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        return self.requested - len(self.found)

    def check_may_claim(self) -> None:
        """BlockLimit or AllocationError when the host may not have another block (§9.3 steps 2 and 3)."""
        host = self.request.host
        if self.owned >= self.limit:
            raise BlockLimit(
                f"Host {host} owns {self.owned} IPv{self.version} block(s) and may not own more than {self.limit}.",
                host=host,
            )
        if not self.access.settings.auto_allocate_blocks:
            raise AllocationError(f"Host {host} has no free address left and autoAllocateBlocks is off.", host=host)


def prepare(datastore: Datastore, request: AssignRequest, version: int, now: Clock) -> Search:
    """What one family's assignment needs to know (§9.1 steps 1 to 8); reads only.

    Raises what §4 names for automatic assignment, NotFoundInStore when the Node is missing.
    """
    if not request.use:
        raise UseRequired("The intended use is empty: give Workload, Tunnel or LoadBalancer.")
    access = access_to(datastore, now, windows=request.windows)
    affinity_type = VIRTUAL if request.use == LOAD_BALANCER_USE else HOST
    reserved = request.host_reserved_v4 if version == 4 else request.host_reserved_v6
    reservations = datastore.reservations()
    labels: t.Mapping[str, str] = {} if affinity_type == VIRTUAL else datastore.node_labels(request.host)
    known = datastore.pools()
    pools = choose_pools(
        known,
        version,
        labels,
        request.namespace_labels,
        request.use,
        request.requested_v4 if version == 4 else request.requested_v6,
        longest_prefix(version, reserved),
    )
    own: t.List[Stored[Affinity]] = []
    others: t.List[Affinity] = []
    for row in datastore.list_affinities(request.host, affinity_type, version):
        if _begins_in(row.value.cidr, pools):
            own.append(row)
        else:
            others.append(row.value)
    limits = [limit for limit in (request.max_blocks, access.settings.max_blocks_per_host) if limit > 0]
    limit = min(limits) if limits else DEFAULT_MAX_BLOCKS
    return Search(
        access=access,
        request=request,
        version=version,
        requested=request.num_v4 if version == 4 else request.num_v6,
        affinity_type=affinity_type,
        reserved=reserved,
        reservations=reservations,
        labels=labels,
        known_pools=known,
        pools=pools,
        own=iter(own),
        owned=len(own),
        others=others,
        limit=limit,
    )


def _begins_in(block: Network, pools: t.Iterable[Pool]) -> bool:
    """Whether a block of the pools' family begins in one of them."""
    return any(pool.cidr.value <= block.value <= pool.cidr.end for pool in pools)
