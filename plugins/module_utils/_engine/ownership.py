# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Claiming and releasing the blocks of a CIDR by hand (spec ipam-engine.md §13)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import partial

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access, access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    HOST,
    claim_block,
    release_block_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    Datastore,
    NotFoundInStore,
    UpdateConflict,
    retry_conflicts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    ClaimConflict,
    InvalidSize,
    NoQualifiedPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import pool_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


@dataclass(frozen=True)
class Claims:
    """``failed`` blocks belong to someone else. A block that kept changing is in neither list, as in Calico."""

    claimed: t.Tuple[Network, ...] = ()
    failed: t.Tuple[Network, ...] = ()


def claim_affinity(
    datastore: Datastore,
    network: Network,
    host: str,
    *,
    now: Clock,
    affinity_type: str = HOST,
    reserved: t.Optional[HostReserved] = None,
) -> Claims:
    """Make a host own every block of a CIDR; limits and reservations do not matter.

    NoQualifiedPool when its first address is in no enabled pool, InvalidSize when it is
    smaller than one block.
    """
    access = access_to(datastore, now)
    claimed: t.List[Network] = []
    failed: t.List[Network] = []
    for cidr in _blocks(datastore, network):
        try:
            retry_conflicts(partial(claim_block, access, host, affinity_type, cidr, reserved))
        except ClaimConflict:
            failed.append(cidr)
        except (UpdateConflict, NotFoundInStore):
            continue
        else:
            claimed.append(cidr)
    return Claims(tuple(claimed), tuple(failed))


def release_affinity(
    datastore: Datastore, network: Network, host: str, *, now: Clock, must_be_empty: bool = False
) -> t.Tuple[Network, ...]:
    """Take every block of a CIDR from a host and return those it had.

    Like ``claim_affinity`` it needs an enabled pool. BlockNotEmpty ends it: later blocks stay.
    """
    access = access_to(datastore, now)
    released: t.List[Network] = []
    for cidr in _blocks(datastore, network):
        try:
            retry_conflicts(partial(release_block_affinity, access, host, HOST, cidr, must_be_empty=must_be_empty))
        except (ClaimConflict, NotFoundInStore):
            continue
        released.append(cidr)
    return tuple(released)


def release_block(access: Access, cidr: Network, *, must_be_empty: bool) -> bool:
    """Take one block from whoever owns it; False when nobody does. Conflicts are the caller's to retry."""
    owner = access.load(cidr).value.owner
    if owner is None:
        return False
    release_block_affinity(access, owner[1], owner[0], cidr, must_be_empty=must_be_empty)
    return True


def _blocks(datastore: Datastore, network: Network) -> t.Iterator[Network]:
    pool = pool_of((pool for pool in datastore.pools() if pool.enabled), network.first)
    if pool is None:
        raise NoQualifiedPool(f"{network} does not begin in an enabled pool.", cidr=str(network))
    if network.prefix > pool.block_size:
        raise InvalidSize(
            f"{network} is smaller than a block of pool {pool.name}: give /{pool.block_size} or larger.",
            cidr=str(network),
        )
    return network.subnets(pool.block_size)
