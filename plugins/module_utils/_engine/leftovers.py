# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is still recorded inside a range, and taking away what Calico's own calls never clean.

Rows without a block, empty blocks nobody can give back, counts of blocks that are gone:
spec ipam-engine.md §13, §18, §20 (the order that leaves nothing behind), spec ippool.md
§5.4 (what a safe tool adds).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import AffinityRelease
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block, is_empty
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    Datastore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


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
