# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Finding and claiming a block nobody uses (spec ipam-engine.md §9.4 and §9.6)."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    pending_affinity,
    release_block_affinity,
    resolve_affinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Block,
    HostReserved,
    free_count,
    is_empty,
    owner_text,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    ClaimConflict,
    IpamError,
    NoFreeBlocks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.order import block_order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import nanoseconds, parse_time

#: An empty block of another host may be taken away once it was claimed this long ago.
RECLAIM_AGE = timedelta(seconds=60)


def claim_candidate(
    access: Access,
    host: str,
    affinity_type: str,
    pools: t.Sequence[Pool],
    reservations: Reservations,
    reserved: t.Optional[HostReserved] = None,
) -> Stored[Block]:
    """Claim the next block for a host, looking again whenever a race was lost (§9.3 step 4).

    Whether it has a free address beside what the host reserves is for the caller to see.

    NoFreeBlocks when no candidate is left.
    """
    for _attempt in range(RETRIES):
        cidr = find_candidate(access, host, affinity_type, pools, reservations)
        try:
            return resolve_affinity(access, pending_affinity(access, host, affinity_type, cidr), reserved)
        except (UpdateConflict, NotFoundInStore, ClaimConflict):
            continue
    raise UpdateConflict(f"Blocks kept being taken while {host} looked for one: gave up after {RETRIES} attempts.")


def find_candidate(
    access: Access, host: str, affinity_type: str, pools: t.Sequence[Pool], reservations: Reservations
) -> Network:
    """The block the host should claim (§9.4); reclaims an empty one of another host if it must (§9.6)."""
    cidr, empty = _scan(access, host, affinity_type, pools, reservations)
    if cidr is not None:
        return cidr
    for block, owner in _reclaimable(access, empty):
        try:
            release_block_affinity(access, owner[1], owner[0], block.cidr, must_be_empty=True, sequence=block.sequence)
        except IpamError:
            continue  # in use again, or somebody was faster
        return block.cidr
    raise NoFreeBlocks(f"No block is left for host {host}.", host=host)


def predict_candidate(
    access: Access,
    host: str,
    affinity_type: str,
    pools: t.Sequence[Pool],
    reservations: Reservations,
    own: t.Container[Network] = (),
) -> Network:
    """What ``find_candidate`` would answer now, were the ``own`` blocks full; found without writing anything."""
    cidr, empty = _scan(access, host, affinity_type, pools, reservations, own)
    if cidr is not None:
        return cidr
    for block, owner in _reclaimable(access, empty):
        try:
            access.datastore.get_affinity(owner[1], owner[0], block.cidr)
        except IpamError:
            continue  # without its row a block cannot be released
        return block.cidr
    raise NoFreeBlocks(f"No block is left for host {host}.", host=host)


def _scan(
    access: Access,
    host: str,
    affinity_type: str,
    pools: t.Sequence[Pool],
    reservations: Reservations,
    full: t.Container[Network] = (),
) -> t.Tuple[t.Optional[Network], t.List[Block]]:
    """The first block the host may claim as it is, else None and the empty ones of others."""
    blocks = access.datastore.block_index()
    owner = owner_text(affinity_type, host)
    empty: t.List[Block] = []
    now_ns = nanoseconds(access.now())
    for pool in pools:
        for cidr in block_order(host, pool.cidr, pool.block_size, now_ns):
            if reservations.whole(cidr):
                continue
            listed = blocks.get(cidr)
            if listed is None:
                return cidr, []
            block = access.tidy(listed).value
            if cidr in full or free_count(block, reservations) == 0:
                continue
            if block.affinity == owner:
                return cidr, []
            if is_empty(block):
                empty.append(block)
    return None, empty


def _reclaimable(access: Access, empty: t.Iterable[Block]) -> t.Iterator[t.Tuple[Block, t.Tuple[str, str]]]:
    """Blocks that were claimed long enough ago to be taken away, each with its owner (§9.6)."""
    for block in empty:
        owner = block.owner
        if owner is not None and _old_enough(access, block):
            yield block, owner


def _old_enough(access: Access, block: Block) -> bool:
    if block.claim_time is None:
        return True
    try:
        claimed = parse_time(block.claim_time)
    except ValueError:
        return True
    return access.now() - claimed >= RECLAIM_AGE
