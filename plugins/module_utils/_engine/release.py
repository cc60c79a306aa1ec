# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Giving addresses back, by address or by handle, and asking who holds them (spec ipam-engine.md §12)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import partial

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access, access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    HOST,
    release_block_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Attribute,
    Block,
    is_empty,
    ordinals_of_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import (
    Released,
    ReleaseRequest,
    release_addresses,
    release_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    Datastore,
    NotFoundInStore,
    StoreError,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressCooling,
    IpamError,
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
        except StoreError:
            continue  # missing, or not to be understood
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


def _release_requests(access: Access, requests: t.Sequence[ReleaseRequest], block: Block) -> Released:
    return release_addresses(block, requests, access.now(), _cooldown(access))


def _cooldown(access: Access) -> int:
    return access.settings.cooldown_seconds


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
