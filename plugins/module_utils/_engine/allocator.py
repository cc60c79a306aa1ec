# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Handing out addresses as Calico does, automatically (spec ipam-engine.md §9)."""

from __future__ import annotations

import contextlib
import typing as t
from functools import partial

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    Affinity,
    release_block_affinity,
    resolve_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_search import Search, prepare
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import (
    AssignedAddress,
    Assignment,
    AssignRequest,
    FamilyAssignment,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Block,
    HostReserved,
    free_count,
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
    HandleLimit,
    IpamError,
    NoFreeBlocks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import decrement_handle, increment_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.order import block_order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle, pool_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock, nanoseconds


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
    search = prepare(datastore, request, version, now)
    _give_back_unselected(search)
    search.limit = search.owned + 1
    return _next_block(search, min_free=0).value.cidr


class _HandleHolds(Exception):
    """The handle already has the addresses wanted (§11, maximum per handle)."""


def _assign_family(
    datastore: Datastore, request: AssignRequest, version: int, now: Clock
) -> t.Tuple[FamilyAssignment, t.Optional[IpamError]]:
    error: t.Optional[IpamError] = None
    search: t.Optional[Search] = None
    try:
        search = prepare(datastore, request, version, now)
        _give_back_unselected(search)
        _fill(search)
    except IpamError as failure:
        error = failure
    except _HandleHolds:
        pass
    requested = request.num_v4 if version == 4 else request.num_v6
    if search is None:
        return FamilyAssignment(requested), error
    return FamilyAssignment(requested, tuple(search.found), tuple(search.notes)), error


def _give_back_unselected(search: Search) -> None:
    """Release empty blocks of enabled pools that no longer select the node (§9.1 step 7)."""
    access = search.access
    for affinity in search.others:
        pool = pool_of((pool for pool in search.known_pools if pool.enabled), affinity.cidr.first)
        if pool is None:
            continue
        # In use, gone, somebody else's, or a selector that does not parse: the assignment goes on regardless.
        with contextlib.suppress(IpamError):
            if not selects_node(pool, search.labels):
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


def _fill(search: Search) -> None:
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


def _next_block(search: Search, min_free: int = 1) -> Stored[Block]:
    """A block of the host with that many free addresses (§9.3)."""
    for row in search.own:
        stored = _open_own_block(search, row)
        if stored is not None and free_count(stored.value, search.reservations) >= min_free:
            return stored
    while True:
        search.check_may_claim()
        stored = claim_candidate(
            search.access,
            search.request.host,
            search.affinity_type,
            search.pools,
            search.reservations,
            search.reserved,
        )
        search.owned += 1
        # What the host itself reserves may fill a small block: then it counts, and the search goes on.
        if free_count(stored.value, search.reservations) >= min_free:
            return stored


def _open_own_block(search: Search, row: Stored[Affinity]) -> t.Optional[Stored[Block]]:
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


def _take(search: Search, stored: Stored[Block], check_owner: bool) -> None:
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


def _take_once(search: Search, stored: Stored[Block], owner: t.Optional[str]) -> None:
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
    except (UpdateConflict, NotFoundInStore):
        # After any other failure the block may be written all the same. The count, an upper bound, stays then:
        # without it nobody would find the address under its handle.
        if request.handle_id:
            decrement_handle(datastore, request.handle_id, cidr, wanted)
        raise
    search.found += [AssignedAddress(cidr.address(ordinal), cidr.prefix) for ordinal in ordinals]


def _raise_handle(search: Search, cidr: Network, wanted: int) -> None:
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


def _borrow(search: Search) -> None:
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
