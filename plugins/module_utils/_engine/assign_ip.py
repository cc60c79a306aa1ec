# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.


"""Assigning a given address (spec ipam-engine.md §11)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, VIRTUAL, claim_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import (
    LOAD_BALANCER_USE,
    AssignedAddress,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved, owner_text
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_assign import assign_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    Datastore,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    NoQualifiedPool,
    UseNotAllowed,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import decrement_handle, increment_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import pool_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


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
    access = access_to(datastore, now, windows=windows)
    affinity_type = VIRTUAL if use == LOAD_BALANCER_USE else HOST
    owner = owner_text(affinity_type, host) if access.settings.strict_affinity else None
    cidr = address.network(pool.block_size)
    assigned = AssignedAddress(address, address.bits)
    for _attempt in range(RETRIES):
        try:
            stored = access.load(cidr)
        except NotFoundInStore:
            try:
                stored = claim_block(access, host, affinity_type, cidr, host_reserved)
            except (UpdateConflict, NotFoundInStore):
                continue
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
            # Like Calico the handle is raised again, its count being an upper bound (§6); but not with a
            # maximum, which the second raise would pass.
            if handle_id and max_per_handle:
                decrement_handle(datastore, handle_id, cidr, 1)
            continue
        return assigned
    raise UpdateConflict(f"Block {cidr} kept changing: gave up after {RETRIES} attempts.", block=str(cidr))
