# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Taking blocks away from their owners: of a host, or of a whole pool (spec ipam-engine.md §13)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import partial

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access, access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    HOST,
    Affinity,
    release_block_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    Datastore,
    NotFoundInStore,
    UpdateConflict,
    retry_conflicts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    BlockNotEmpty,
    ClaimConflict,
    IpamError,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


@dataclass(frozen=True)
class AffinityRelease:
    """Blocks whose ownership was released, and those kept, each with the reason."""

    released: t.Tuple[Network, ...] = ()
    kept: t.Tuple[t.Tuple[Network, str], ...] = ()
    error: t.Optional[IpamError] = None


def release_host_affinities(
    datastore: Datastore, host: str, *, now: Clock, affinity_type: str = HOST, must_be_empty: bool = False
) -> AffinityRelease:
    """Take every block from a host, in both families (§13). Addresses stay allocated."""
    rows = [row.value for row in datastore.list_affinities(host=host, affinity_type=affinity_type)]
    return _release_rows(access_to(datastore, now), rows, must_be_empty=must_be_empty)


def remove_host(datastore: Datastore, host: str, *, now: Clock) -> AffinityRelease:
    """Take every block from a host that is gone, whether in use or not (§13); addresses stay allocated.

    Unlike Calico's call this one also sees rows without labels and those whose type was never written (§2.3):
    it lists all rows and picks the host's. Rows without a block are kept, see ``leftovers.rows_without_block``.
    """
    rows = [row.value for row in datastore.list_affinities() if row.value.host == host and row.value.type == HOST]
    return _release_rows(access_to(datastore, now), rows, must_be_empty=False)


def release_pool_affinities(
    datastore: Datastore, network: Network, *, now: Clock, must_be_empty: bool = False
) -> AffinityRelease:
    """Take every block that starts inside ``network`` from its owner; blocks in use stay, ownerless (§13).

    Works for disabled and deleted pools. A row without a block is kept: see
    ``leftovers.rows_without_block``. ``must_be_empty`` is our addition: a block in use then keeps its
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


def _release_rows(access: Access, rows: t.Iterable[Affinity], *, must_be_empty: bool) -> AffinityRelease:
    """Release one by one; an error is remembered, the last one wins, and the others go on (§13)."""
    released: t.List[Network] = []
    kept: t.List[t.Tuple[Network, str]] = []
    error: t.Optional[IpamError] = None
    for row in rows:
        try:
            retry_conflicts(
                partial(release_block_affinity, access, row.host, row.type, row.cidr, must_be_empty=must_be_empty)
            )
        except (ClaimConflict, NotFoundInStore) as gone:
            kept.append((row.cidr, gone.message))
        except IpamError as failure:
            kept.append((row.cidr, failure.message))
            error = failure
        else:
            released.append(row.cidr)
    return AffinityRelease(tuple(released), tuple(kept), error)
