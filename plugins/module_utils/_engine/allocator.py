# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Handing out addresses as Calico does, automatically (spec ipam-engine.md §9)."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field
from functools import partial

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access, access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    HOST,
    VIRTUAL,
    Affinity,
    release_block_affinity,
    resolve_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import (
    LOAD_BALANCER_USE,
    AssignedAddress,
    Assignment,
    AssignRequest,
    FamilyAssignment,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Block,
    HostReserved,
    free_count,
    longest_prefix,
    owner_text,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_assign import (
    assign,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.candidate import claim_candidate
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    Datastore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
    retry_conflicts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AllocationError,
    BlockLimit,
    HandleLimit,
    IpamError,
    NoFreeBlocks,
    UseRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import decrement_handle, increment_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.order import block_order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle, pool_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import choose_pools, selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock, nanoseconds

#: Blocks a host may own when neither the settings nor the request say otherwise (§9.1 step 8).
DEFAULT_MAX_BLOCKS = 20


def auto_assign(datastore: Datastore, request: AssignRequest, *, now: Clock) -> Assignment:
    """Assign addresses to a host's workload, IPv4 first and completely, then IPv6 (§9).

    Never raises an IpamError: it is in the result, beside what was assigned before it.
    """
    v4: t.Optional[FamilyAssignment] = None
    v6: t.Optional[FamilyAssignment] = None
    error: t.Optional[IpamError] = None
    if request.num_v4 > 0:
        v4, error = _assign_family(datastore, request, 4, now)
    if request.num_v6 > 0 and error is None:
        v6, error = _assign_family(datastore, request, 6, now)
    return Assignment(v4, v6, error)


def ensure_block(
    datastore: Datastore,
    host: str,
    reserved: HostReserved,
    *,
    now: Clock,
    version: int = 4,
    requested: t.Sequence[Network] = (),
    windows: bool = True,
) -> Network:
    """Make a host own a block with room for what it reserves, full or not, and return its CIDR (§9.7).

    Windows nodes do so at start. No block limit applies; NoFreeBlocks when none is left.
    """
    request = AssignRequest(
        host,
        requested_v4=requested if version == 4 else (),
        requested_v6=requested if version == 6 else (),
        host_reserved_v4=reserved if version == 4 else None,
        host_reserved_v6=reserved if version == 6 else None,
        windows=windows,
    )
    search = _prepare(datastore, request, version, now)
    search.limit = search.owned + 1
    return _next_block(search, min_free=0).value.cidr


@dataclass
class _Search:
    """The state of one family's assignment. ``own`` are rows not tried yet, ``owned`` counts towards the limit."""

    access: Access
    request: AssignRequest
    version: int
    affinity_type: str
    reserved: t.Optional[HostReserved]
    reservations: Reservations
    pools: t.Sequence[Pool]
    own: t.Iterator[Stored[Affinity]]
    owned: int
    limit: int
    found: t.List[AssignedAddress] = field(default_factory=list)
    notes: t.List[str] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        return self.requested - len(self.found)

    @property
    def requested(self) -> int:
        return self.request.num_v4 if self.version == 4 else self.request.num_v6


class _HandleHolds(Exception):
    """The handle already has the addresses wanted (§11, maximum per handle)."""


def _assign_family(
    datastore: Datastore, request: AssignRequest, version: int, now: Clock
) -> t.Tuple[FamilyAssignment, t.Optional[IpamError]]:
    error: t.Optional[IpamError] = None
    search: t.Optional[_Search] = None
    try:
        search = _prepare(datastore, request, version, now)
        _fill(search)
    except IpamError as failure:
        error = failure
    except _HandleHolds:
        pass
    requested = request.num_v4 if version == 4 else request.num_v6
    if search is None:
        return FamilyAssignment(requested), error
    return FamilyAssignment(requested, tuple(search.found), tuple(search.notes)), error


def _prepare(datastore: Datastore, request: AssignRequest, version: int, now: Clock) -> _Search:
    """§9.1 steps 1 to 8."""
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
    for row in datastore.list_affinities(request.host, affinity_type, version):
        if _begins_in(row.value.cidr, pools):
            own.append(row)
        else:
            _give_back_unselected(access, row.value, known, labels)
    limits = [limit for limit in (request.max_blocks, access.settings.max_blocks_per_host) if limit > 0]
    limit = min(limits) if limits else DEFAULT_MAX_BLOCKS
    return _Search(access, request, version, affinity_type, reserved, reservations, pools, iter(own), len(own), limit)


def _begins_in(block: Network, pools: t.Iterable[Pool]) -> bool:
    """Whether a block of the pools' family begins in one of them."""
    return any(pool.cidr.value <= block.value <= pool.cidr.end for pool in pools)


def _give_back_unselected(
    access: Access, affinity: Affinity, pools: t.Iterable[Pool], labels: t.Mapping[str, str]
) -> None:
    """Release an empty block of an enabled pool that no longer selects the node (§9.1 step 7)."""
    pool = pool_of((pool for pool in pools if pool.enabled), affinity.cidr.first)
    if pool is None:
        return
    # In use, gone, somebody else's, or a selector that does not parse: the assignment goes on regardless.
    with contextlib.suppress(IpamError):
        if not selects_node(pool, labels):
            retry_conflicts(
                partial(
                    release_block_affinity,
                    access,
                    affinity.host,
                    affinity.type,
                    affinity.cidr,
                    must_be_empty=True,
                )
            )


def _fill(search: _Search) -> None:
    """§9.1 steps 9 and 10."""
    while search.wanted > 0:
        try:
            stored = _next_block(search)
        except NoFreeBlocks:
            break
        _take(search, stored, search.access.settings.strict_affinity)
    if search.wanted <= 0:
        return
    if search.access.settings.strict_affinity:
        search.notes.append("No free block is left for the host and strict affinity forbids borrowing")
        return
    _borrow(search)


def _next_block(search: _Search, min_free: int = 1) -> Stored[Block]:
    """A block of the host with that many free addresses (§9.3)."""
    for row in search.own:
        stored = _open_own_block(search, row)
        if stored is not None and free_count(stored.value, search.reservations) >= min_free:
            return stored
    host = search.request.host
    if search.owned >= search.limit:
        raise BlockLimit(
            f"Host {host} owns {search.owned} IPv{search.version} block(s) and may not own more than {search.limit}.",
            host=host,
        )
    if not search.access.settings.auto_allocate_blocks:
        raise AllocationError(f"Host {host} has no free address left and autoAllocateBlocks is off.", host=host)
    stored = claim_candidate(
        search.access, host, search.affinity_type, search.pools, search.reservations, search.reserved, min_free
    )
    search.owned += 1
    return stored


def _open_own_block(search: _Search, row: Stored[Affinity]) -> t.Optional[Stored[Block]]:
    affinity = row.value
    if search.reservations.whole(affinity.cidr):
        return None
    for _attempt in range(RETRIES):
        try:
            return resolve_affinity(search.access, row, search.reserved)
        except UpdateConflict:
            try:
                row = search.access.datastore.get_affinity(affinity.host, affinity.type, affinity.cidr)
            except NotFoundInStore:
                return None
        except IpamError as failure:
            search.notes.append(failure.message.rstrip("."))
            return None
    return None


def _take(search: _Search, stored: Stored[Block], check_owner: bool) -> None:
    """Assign what is still wanted from one block, with retries (§9.1 step 9, §6)."""
    request = search.request
    cidr = stored.value.cidr
    owner = owner_text(search.affinity_type, request.host) if check_owner else None
    for _attempt in range(RETRIES):
        try:
            _take_once(search, stored, owner)
            return
        except UpdateConflict:
            try:
                stored = search.access.load(cidr)
            except NotFoundInStore:
                return
        except HandleLimit:
            raise  # the handle's, not the block's: another block would not help
        except IpamError as failure:
            search.notes.append(failure.message.rstrip("."))
            return


def _take_once(search: _Search, stored: Stored[Block], owner: t.Optional[str]) -> None:
    request = search.request
    datastore = search.access.datastore
    wanted = search.wanted
    cidr = stored.value.cidr
    block, ordinals = assign(
        stored.value, wanted, request.handle_id, request.attributes, owner=owner, reservations=search.reservations
    )
    if not ordinals:
        return
    # The number still wanted, not the number found: as Calico counts (§6).
    if request.handle_id:
        _raise_handle(search, cidr, wanted)
    try:
        search.access.write(stored, block)
    except IpamError:
        if request.handle_id:
            decrement_handle(datastore, request.handle_id, cidr, wanted)
        raise
    search.found.extend(AssignedAddress(cidr.address(ordinal), cidr.prefix) for ordinal in ordinals)


def _raise_handle(search: _Search, cidr: Network, wanted: int) -> None:
    request = search.request
    handle_id = request.handle_id or ""
    for attempt in range(RETRIES):
        try:
            increment_handle(search.access.datastore, handle_id, cidr, wanted, request.max_per_handle)
            return
        except HandleLimit:
            try:
                held = ips_by_handle(search.access.datastore, handle_id, now=search.access.now)
            except NotFoundInStore:
                held = []
            new = [AssignedAddress(address, address.bits) for address in held if address.version == search.version]
            found = {assigned.address for assigned in search.found}
            new = [assigned for assigned in new if assigned.address not in found]
            if len(new) >= wanted:
                search.found.extend(new)
                raise _HandleHolds from None
            if attempt == RETRIES - 1:
                raise


def _borrow(search: _Search) -> None:
    """Addresses of other hosts' blocks, in the host's own order (§9.5)."""
    for pool in search.pools:
        for cidr in block_order(search.request.host, pool.cidr, pool.block_size, nanoseconds(search.access.now())):
            if search.wanted <= 0:
                return
            if search.reservations.whole(cidr):
                continue
            try:
                stored = search.access.load(cidr)
            except NotFoundInStore:
                continue
            _take(search, stored, False)
        if search.wanted > 0:
            search.notes.append(f"Pool {pool.name} ({pool.cidr}) has no free address")
