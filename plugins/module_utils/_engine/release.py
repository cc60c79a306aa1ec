# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Giving addresses and blocks back, and proving that nothing is left of a range.

Rules: spec ipam-engine.md §12 (addresses), §13 (affinities), §20 (the order that leaves
nothing behind), spec ippool.md §5.4 (what a safe tool adds).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from functools import partial

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access, access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    HOST,
    Affinity,
    release_block_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Attribute,
    Block,
    Released,
    ReleaseRequest,
    is_empty,
    ordinals_of_handle,
    release_addresses,
    release_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    Datastore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
    retry_conflicts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressCooling,
    BlockNotEmpty,
    ClaimConflict,
    IpamError,
    Refused,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import decrement_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


@dataclass(frozen=True)
class ReleaseOutcome:
    """What became of a release by address.

    ``released`` holds the requests of every block that met no error, ``not_allocated`` the
    addresses among them that nobody held, ``error`` the first failure of a block.
    """

    released: t.Tuple[ReleaseRequest, ...] = ()
    not_allocated: t.Tuple[Address, ...] = ()
    error: t.Optional[IpamError] = None


@dataclass(frozen=True)
class AffinityRelease:
    """Blocks whose ownership was released, and those kept, each with the reason."""

    released: t.Tuple[Network, ...] = ()
    kept: t.Tuple[t.Tuple[Network, str], ...] = ()
    error: t.Optional[IpamError] = None


@dataclass(frozen=True)
class Leftovers:
    """What is still recorded inside a range."""

    blocks: t.Tuple[Network, ...] = ()
    affinities: t.Tuple[Affinity, ...] = ()
    handles: t.Tuple[t.Tuple[str, Network, int], ...] = ()

    @property
    def clean(self) -> bool:
        """No block, no affinity row and no handle counting in the range."""
        return not (self.blocks or self.affinities or self.handles)


def pool_of(pools: t.Iterable[Pool], address: Address) -> t.Optional[Pool]:
    """The first pool in name order whose CIDR contains the address (§8.1); ``pools`` come by name."""
    for pool in pools:
        if pool.cidr.contains(address):
            return pool
    return None


def release_ips(datastore: Datastore, requests: t.Iterable[ReleaseRequest], *, now: Clock) -> ReleaseOutcome:
    """Release by address; a block that fails does not stop the others (§12)."""
    access = access_to(datastore, now)
    pools = datastore.pools()
    by_block: t.Dict[Network, t.List[ReleaseRequest]] = {}
    released: t.List[ReleaseRequest] = []
    missing: t.List[Address] = []
    for request in requests:
        cidr = _block_of(datastore, pools, request.address)
        if cidr is None:
            released.append(request)
            missing.append(request.address)
        else:
            by_block.setdefault(cidr, []).append(request)
    error: t.Optional[IpamError] = None
    for cidr, wanted in by_block.items():
        try:
            result = _release_in_block(access, cidr, partial(_release_requests, access, wanted))
        except IpamError as failure:
            error = error or failure
            continue
        released.extend(wanted)
        missing.extend(r.address for r in wanted) if result is None else missing.extend(result.not_allocated)
    return ReleaseOutcome(tuple(released), tuple(missing), error)


def release_by_handle(datastore: Datastore, handle_id: str, *, now: Clock, sequence: t.Optional[int] = None) -> int:
    """Release every address of a handle and return how many; NotFoundInStore for an unknown handle (§12)."""
    access = access_to(datastore, now)
    total = 0
    error: t.Optional[IpamError] = None
    for cidr in sorted(datastore.get_handle(handle_id).value.blocks):
        try:
            result = _release_in_block(
                access, cidr, lambda block: release_handle(block, handle_id, now(), _cooldown(access), sequence)
            )
        except IpamError as failure:
            error = error or failure
            continue
        total += len(result.ordinals) if result else 0
    if error is not None:
        raise error
    return total


def ips_by_handle(datastore: Datastore, handle_id: str, *, now: Clock) -> t.List[Address]:
    """The addresses a handle holds; NotFoundInStore for an unknown handle, [] for one without addresses (§12)."""
    access = access_to(datastore, now)
    found: t.List[Address] = []
    for cidr in sorted(datastore.get_handle(handle_id).value.blocks):
        try:
            block = access.load(cidr).value
        except NotFoundInStore:
            continue
        found.extend(cidr.address(ordinal) for ordinal in ordinals_of_handle(block, handle_id))
    return found


def attributes_of(datastore: Datastore, address: Address, *, now: Clock) -> Attribute:
    """Handle and owner of an address (§12).

    NotFoundInStore when it is free or in no enabled pool, AddressCooling when it rests.
    """
    pool = pool_of((pool for pool in datastore.pools() if pool.enabled), address)
    if pool is None:
        raise NotFoundInStore(f"Address {address} lies in no enabled pool.", address=str(address))
    block = access_to(datastore, now).load(address.network(pool.block_size)).value
    attribute = block.attribute_at(block.cidr.ordinal(address))
    if attribute is None:
        raise NotFoundInStore(f"Address {address} is not assigned.", address=str(address))
    if attribute.released_at is not None:
        raise AddressCooling(
            f"Address {address} was released at {attribute.released_at} and rests.", address=str(address)
        )
    return attribute


def release_host_affinities(
    datastore: Datastore, host: str, *, now: Clock, affinity_type: str = HOST, must_be_empty: bool = False
) -> AffinityRelease:
    """Take every block from a host, in both families (§13). Addresses stay allocated."""
    access = access_to(datastore, now)
    released: t.List[Network] = []
    kept: t.List[t.Tuple[Network, str]] = []
    error: t.Optional[IpamError] = None
    for row in datastore.list_affinities(host=host, affinity_type=affinity_type):
        cidr = row.value.cidr
        try:
            retry_conflicts(
                partial(release_block_affinity, access, host, affinity_type, cidr, must_be_empty=must_be_empty)
            )
        except (ClaimConflict, NotFoundInStore) as gone:
            kept.append((cidr, gone.message))
        except IpamError as failure:
            kept.append((cidr, failure.message))
            error = failure
        else:
            released.append(cidr)
    return AffinityRelease(tuple(released), tuple(kept), error)


def release_pool_affinities(
    datastore: Datastore, network: Network, *, now: Clock, must_be_empty: bool = False
) -> AffinityRelease:
    """Take every block that starts inside ``network`` from its owner; blocks in use stay, ownerless (§13).

    Works for disabled and deleted pools. A row without a block is kept: see
    ``rows_without_block``. ``must_be_empty`` is our addition: a block in use then keeps its
    owner and is named among the kept. Raises UpdateConflict when rows keep contradicting blocks.
    """
    access = access_to(datastore, now)
    released: t.List[Network] = []
    for _attempt in range(RETRIES):
        kept: t.List[t.Tuple[Network, str]] = []
        again = False
        seen: t.Set[Network] = set()
        for row in datastore.list_affinities():
            affinity = row.value
            if not network.contains(affinity.cidr.first):
                continue
            if affinity.cidr in seen:
                again = True
                continue
            seen.add(affinity.cidr)
            try:
                retry_conflicts(
                    partial(
                        release_block_affinity,
                        access,
                        affinity.host,
                        affinity.type,
                        affinity.cidr,
                        must_be_empty=must_be_empty,
                    )
                )
            except BlockNotEmpty as in_use:
                kept.append((affinity.cidr, in_use.message))
            except NotFoundInStore as missing:
                kept.append((affinity.cidr, missing.message))
                seen.discard(affinity.cidr)
            except ClaimConflict:
                again = True
            else:
                released.append(affinity.cidr)
        if not again:
            return AffinityRelease(tuple(released), tuple(kept))
    raise UpdateConflict(f"Affinities inside {network} kept changing: gave up after {RETRIES} passes.")


def rows_without_block(datastore: Datastore, network: Network) -> t.Tuple[Stored[Affinity], ...]:
    """Affinity rows inside a range whose block is missing; nothing in Calico ever removes them (§13)."""
    blocks = _block_cidrs(datastore, network)
    return tuple(
        row
        for row in datastore.list_affinities()
        if network.overlaps(row.value.cidr) and row.value.cidr not in blocks and not _exists(datastore, row.value.cidr)
    )


def delete_rows_without_block(datastore: Datastore, rows: t.Iterable[Stored[Affinity]]) -> AffinityRelease:
    """Delete rows seen by ``rows_without_block`` a while ago, if they are still unchanged and without a block.

    The caller waits in between, so that a claim under way shows as a changed row. Refused
    when an enabled pool overlaps a row: there a host may be claiming that very block.
    """
    rows = tuple(rows)
    for row in rows:
        _refuse_enabled_pool(datastore, row.value.cidr)
    released: t.List[Network] = []
    kept: t.List[t.Tuple[Network, str]] = []
    for row in rows:
        cidr = row.value.cidr
        if _exists(datastore, cidr):
            kept.append((cidr, f"Block {cidr} exists again."))
            continue
        try:
            datastore.delete_affinity(row)
        except NotFoundInStore:
            released.append(cidr)
        except UpdateConflict:
            kept.append((cidr, f"The affinity of {row.value.host} to {cidr} changed meanwhile."))
        else:
            released.append(cidr)
    return AffinityRelease(tuple(released), tuple(kept))


def delete_empty_blocks(datastore: Datastore, network: Network, *, now: Clock) -> AffinityRelease:
    """Delete blocks inside a range that are empty and that nobody can give back.

    They have no owner, which a cooldown or a crash leaves (§9.6, §18), or an owner without
    a row, after somebody deleted the row by hand.
    """
    access = access_to(datastore, now)
    released: t.List[Network] = []
    kept: t.List[t.Tuple[Network, str]] = []
    for listed in datastore.blocks_in(network):
        cidr = listed.value.cidr
        if _has_row(datastore, listed.value):
            continue
        try:
            stored = access.load(cidr)
            if stored.value.affinity != listed.value.affinity or not is_empty(stored.value):
                kept.append((cidr, f"Block {cidr} still has addresses in use."))
                continue
            datastore.delete_block(stored)
        except NotFoundInStore:
            released.append(cidr)
        except UpdateConflict:
            kept.append((cidr, f"Block {cidr} changed meanwhile."))
        else:
            released.append(cidr)
    return AffinityRelease(tuple(released), tuple(kept))


def forget_stale_counts(datastore: Datastore, network: Network) -> t.Tuple[str, ...]:
    """Take counts off handles for blocks inside a range that do not exist any more; returns the handles' ids.

    Counts are upper bounds, so residue is normal (§6), but it would make ``prove_clean``
    fail for ever. Refused while an enabled pool overlaps the range: a handle is raised
    before its block is written.
    """
    _refuse_enabled_pool(datastore, network)
    touched: t.List[str] = []
    known = _block_cidrs(datastore, network)
    for stored in datastore.handles_in(network):
        stale = [
            cidr
            for cidr in stored.value.blocks
            if network.overlaps(cidr) and cidr not in known and not _exists(datastore, cidr)
        ]
        if not stale:
            continue
        blocks = {cidr: count for cidr, count in stored.value.blocks.items() if cidr not in stale}
        try:
            if blocks:
                datastore.update_handle(stored, replace(stored.value, blocks=blocks))
            else:
                datastore.delete_handle(stored)
        except (UpdateConflict, NotFoundInStore):
            continue
        touched.append(stored.value.id)
    return tuple(touched)


def prove_clean(datastore: Datastore, network: Network) -> Leftovers:
    """Everything still recorded inside a range, read afresh: a safe pool delete needs ``clean`` (ippool.md §5.4)."""
    return Leftovers(
        tuple(stored.value.cidr for stored in datastore.blocks_in(network)),
        tuple(s.value for s in datastore.list_affinities() if network.overlaps(s.value.cidr)),
        tuple(
            (stored.value.id, cidr, count)
            for stored in datastore.handles_in(network)
            for cidr, count in sorted(stored.value.blocks.items())
            if network.overlaps(cidr)
        ),
    )


def _release_requests(access: Access, requests: t.Sequence[ReleaseRequest], block: Block) -> Released:
    return release_addresses(block, requests, access.now(), _cooldown(access))


def _cooldown(access: Access) -> int:
    return access.settings.cooldown_seconds


def _refuse_enabled_pool(datastore: Datastore, network: Network) -> None:
    for pool in datastore.pools():
        if pool.enabled and pool.cidr.overlaps(network):
            raise Refused(
                f"Pool {pool.name} is enabled, so a host may be taking addresses of {network} right now: "
                f"disable the pool first.",
                pool=pool.name,
                cidr=str(network),
            )


def _block_cidrs(datastore: Datastore, network: Network) -> t.Set[Network]:
    """The blocks of a range as one listing shows them; whoever misses one looks again before acting on it."""
    return {stored.value.cidr for stored in datastore.blocks_in(network) if not stored.value.deleted}


def _exists(datastore: Datastore, cidr: Network) -> bool:
    try:
        datastore.get_block(cidr)
    except NotFoundInStore:
        return False
    return True


def _has_row(datastore: Datastore, block: Block) -> bool:
    owner = block.owner
    if owner is None:
        return block.affinity is not None  # An owner that cannot be read is nobody's to take away.
    try:
        datastore.get_affinity(owner[1], owner[0], block.cidr)
    except NotFoundInStore:
        return False
    return True


def _block_of(datastore: Datastore, pools: t.Sequence[Pool], address: Address) -> t.Optional[Network]:
    pool = pool_of(pools, address)
    if pool is not None:
        return address.network(pool.block_size)
    # In no pool: the block is whichever holds the address, of any size.
    return next((stored.value.cidr for stored in datastore.blocks_in(address.network(address.bits))), None)


def _release_in_block(access: Access, cidr: Network, release: t.Callable[[Block], Released]) -> t.Optional[Released]:
    """One block's part of a release, retried on conflict; None when the block does not exist."""
    datastore = access.datastore
    for _attempt in range(RETRIES):
        try:
            stored = access.load(cidr)
        except NotFoundInStore:
            return None
        result = release(stored.value)
        if not result.ordinals:
            return result
        try:
            if result.block.affinity is None and is_empty(result.block):
                datastore.delete_block(stored)
            else:
                access.write(stored, result.block)
        except (UpdateConflict, NotFoundInStore):
            continue
        for handle_id, count in result.counts.items():
            decrement_handle(datastore, handle_id, cidr, count)
        _give_back_unselected(access, result.block)
        return result
    raise UpdateConflict(f"Block {cidr} kept changing: gave up after {RETRIES} attempts.", block=str(cidr))


def _give_back_unselected(access: Access, block: Block) -> None:
    """The consistency check after a release (§12): an empty block of a pool that no longer selects its node.

    Nothing here may fail the release.
    """
    owner = block.owner
    if owner is None or owner[0] != HOST:
        return
    try:
        pool = pool_of((pool for pool in access.datastore.pools() if pool.enabled), block.cidr.first)
        if pool is None or selects_node(pool, access.datastore.node_labels(owner[1])):
            return
        release_block_affinity(access, owner[1], owner[0], block.cidr, must_be_empty=True)
    except IpamError:
        return
