# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Handing out addresses as Calico does: automatically (spec ipam-engine.md §9) or a given one (§11)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    HOST,
    VIRTUAL,
    Affinity,
    claim_block,
    release_block_affinity,
    resolve_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Block,
    HostReserved,
    assign,
    assign_address,
    free_count,
    longest_prefix,
    owner_text,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.candidate import claim_candidate
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    Datastore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    AllocationError,
    BlockLimit,
    HandleLimit,
    IpamError,
    NoFreeBlocks,
    NoQualifiedPool,
    StrictAffinityRequired,
    UseNotAllowed,
    UseRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import decrement_handle, increment_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.order import block_order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle, pool_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import choose_pools, selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock, nanoseconds

LOAD_BALANCER_USE = "LoadBalancer"
#: Blocks a host may own when neither the settings nor the request say otherwise (§9.1 step 8).
DEFAULT_MAX_BLOCKS = 20


@dataclass(frozen=True)
class AssignRequest:
    """What ``auto_assign`` is asked for (§9).

    ``attributes`` describe the owner (None and ``{}`` are different things to Calico).
    ``requested_v4`` and ``requested_v6`` name pools by CIDR and bypass their selectors.
    ``max_blocks`` limits blocks per host, ``max_per_handle`` addresses per handle and family;
    0 leaves either to the settings. ``windows``: the host runs Windows.
    """

    host: str
    num_v4: int = 0
    num_v6: int = 0
    handle_id: t.Optional[str] = None
    attributes: t.Optional[t.Mapping[str, str]] = None
    use: str = "Workload"
    requested_v4: t.Sequence[Network] = ()
    requested_v6: t.Sequence[Network] = ()
    namespace_labels: t.Optional[t.Mapping[str, str]] = None
    max_blocks: int = 0
    max_per_handle: int = 0
    host_reserved_v4: t.Optional[HostReserved] = None
    host_reserved_v6: t.Optional[HostReserved] = None
    windows: bool = False


class AssignedAddress(t.NamedTuple):
    """An address with the prefix length Calico reports: the block's, or 32/128 for a given address."""

    address: Address
    prefix: int

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


@dataclass(frozen=True)
class FamilyAssignment:
    """Addresses of one family; ``notes`` say why there are fewer than ``requested``."""

    requested: int
    addresses: t.Tuple[AssignedAddress, ...] = ()
    notes: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """What ``auto_assign`` got. Too few addresses are no error: compare, or look at ``problem``.

    With an ``error`` the addresses named here are assigned all the same; the caller
    releases them.
    """

    v4: t.Optional[FamilyAssignment] = None
    v6: t.Optional[FamilyAssignment] = None
    error: t.Optional[IpamError] = None

    @property
    def addresses(self) -> t.Tuple[AssignedAddress, ...]:
        """All addresses, IPv4 first."""
        return tuple(address for family in (self.v4, self.v6) if family for address in family.addresses)

    @property
    def problem(self) -> t.Optional[str]:
        """One sentence when not everything asked for was assigned, else None."""
        if self.error is not None:
            return self.error.message
        for version, family in ((4, self.v4), (6, self.v6)):
            if family and len(family.addresses) < family.requested:
                reason = ": " + "; ".join(family.notes) if family.notes else ""
                return f"Assigned {len(family.addresses)} of {family.requested} IPv{version} address(es){reason}."
        return None


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


def assign_ip(
    datastore: Datastore,
    address: Address,
    host: str,
    *,
    now: Clock,
    handle_id: t.Optional[str] = None,
    attributes: t.Optional[t.Mapping[str, str]] = None,
    use: t.Optional[str] = None,
    host_reserved: t.Optional[HostReserved] = None,
    max_per_handle: int = 0,
    windows: bool = False,
) -> AssignedAddress:
    """Assign one given address (§11); selectors, reservations and block limits do not matter.

    AddressTaken when it is allocated or cooling, UseNotAllowed when its pool lacks ``use``,
    NoQualifiedPool outside every enabled pool, ClaimConflict when the block is somebody
    else's and may not be used, HandleLimit when the handle already holds another address.
    """
    pool = pool_of((pool for pool in datastore.pools() if pool.enabled), address)
    if pool is None:
        raise NoQualifiedPool(f"Address {address} lies in no enabled pool.", address=str(address))
    if use and use not in pool.allowed_uses:
        raise UseNotAllowed(f"Pool {pool.name} does not allow the use {use}.", pool=pool.name, address=str(address))
    access = Access(datastore, now, _settings(datastore, windows))
    affinity_type = VIRTUAL if use == LOAD_BALANCER_USE else HOST
    owner = owner_text(affinity_type, host) if access.settings.strict_affinity else None
    cidr = address.network(pool.block_size)
    assigned = AssignedAddress(address, address.bits)
    for _attempt in range(RETRIES):
        try:
            stored = access.load(cidr)
        except NotFoundInStore:
            stored = claim_block(access, host, affinity_type, cidr, host_reserved)
        try:
            block = assign_address(stored.value, address, handle_id, attributes, owner=owner)
        except AddressTaken:
            holder = stored.value.attribute_at(cidr.ordinal(address))
            if max_per_handle and handle_id and holder is not None and holder.handle_id == handle_id:
                return assigned
            raise
        if handle_id:
            increment_handle(datastore, handle_id, cidr, 1, max_per_handle)
        try:
            access.write(stored, block)
        except (UpdateConflict, NotFoundInStore):
            continue  # like Calico, the handle is raised again: its count is an upper bound (§6)
        except IpamError:
            if handle_id:
                decrement_handle(datastore, handle_id, cidr, 1)
            raise
        return assigned
    raise UpdateConflict(f"Block {cidr} kept changing: gave up after {RETRIES} attempts.", block=str(cidr))


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
    pools: t.List[Pool] = field(default_factory=list)
    own: t.List[Stored[Affinity]] = field(default_factory=list)
    owned: int = 0
    limit: int = 0
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
    settings = _settings(datastore, request.windows)
    virtual = request.use == LOAD_BALANCER_USE
    reserved = request.host_reserved_v4 if version == 4 else request.host_reserved_v6
    search = _Search(
        Access(datastore, now, settings),
        request,
        version,
        VIRTUAL if virtual else HOST,
        reserved,
        datastore.reservations(),
    )
    labels: t.Mapping[str, str] = {} if virtual else datastore.node_labels(request.host)
    pools = datastore.pools()
    requested = list(request.requested_v4 if version == 4 else request.requested_v6)
    search.pools = choose_pools(
        pools,
        version,
        labels,
        request.namespace_labels,
        request.use,
        requested or None,
        longest_prefix(version, reserved),
    )
    for row in datastore.list_affinities(request.host, search.affinity_type, version):
        if any(pool.cidr.contains(row.value.cidr.first) for pool in search.pools):
            search.own.append(row)
        else:
            _give_back_unselected(search.access, row.value, pools, labels)
    search.owned = len(search.own)
    limits = [limit for limit in (request.max_blocks, settings.max_blocks_per_host) if limit > 0]
    search.limit = min(limits) if limits else DEFAULT_MAX_BLOCKS
    return search


def _give_back_unselected(
    access: Access, affinity: Affinity, pools: t.Iterable[Pool], labels: t.Mapping[str, str]
) -> None:
    """Release an empty block of an enabled pool that no longer selects the node (§9.1 step 7)."""
    pool = pool_of((pool for pool in pools if pool.enabled), affinity.cidr.first)
    if pool is None or selects_node(pool, labels):
        return
    for _attempt in range(RETRIES):
        try:
            release_block_affinity(access, affinity.host, affinity.type, affinity.cidr, must_be_empty=True)
        except UpdateConflict:
            continue
        except IpamError:
            return  # in use, gone, or somebody else's: the assignment goes on regardless
        return


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
    while search.own:
        stored = _open_own_block(search, search.own.pop(0))
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
            held = [address for address in held if address.version == search.version]
            if len(held) >= wanted:
                search.found.extend(AssignedAddress(address, address.bits) for address in held)
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


def _settings(datastore: Datastore, windows: bool) -> Settings:
    settings = datastore.settings()
    if windows and not settings.strict_affinity:
        raise StrictAffinityRequired("Windows hosts need strictAffinity true in the IPAM settings.")
    return settings
