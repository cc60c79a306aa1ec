# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Pools with what is used of them."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_faults import BlockFault, first_fault
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import BlockFigures, Tally, measure
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.damaged import OnCorrupt
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool, engine_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_owner import placed
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire_faults import corrupt

NOTHING_USED: dict[str, t.Any] = {
    "addresses": {"capacity": 0, "in_use": 0, "reserved": 0, "free": 0},
    "blocks": {"possible": 0, "allocated": 0, "free": 0, "size": 0},
    "nodes": [],
}


def pools_with_use(
    pools: t.Sequence[StoredPool],
    blocks: t.Iterable[BlockFigures],
    reservations: Reservations,
    *,
    name: str | None = None,
    cidr: str | None = None,
    installation: Installation | None = None,
) -> dict[str, t.Any]:
    """The result of ``ippool_info``: ``pools`` in name order and ``strays``, the blocks in none of the pools.

    ``name`` and ``cidr`` (compared as networks) choose pools; a name that does not exist chooses
    none. With ``installation`` each pool says who owns it and where it is written. Strays are listed
    when no pool was chosen. InvalidInput for a CIDR that does not parse.
    """
    wanted = None if cidr is None else parse_network(cidr)
    tally = Tally(engine_pools(pools), reservations)
    for figures in blocks:
        tally.add(figures)
    use = {each.pool.name: each for each in tally.pools()}
    shown = []
    for stored in pools:
        used = use.get(stored.name)
        if name is not None and stored.name != name:
            continue
        if wanted is not None and (used is None or used.pool.cidr != wanted):
            continue
        # A pool whose CIDR does not parse takes part in nothing.
        place = {} if installation is None else placed(stored, installation)
        shown.append({**stored.shown(), **place, "utilization": NOTHING_USED if used is None else used.shown()})
    strays = [shown_figures(each, None) for each in tally.strays] if name is None and wanted is None else []
    return {"pools": shown, "strays": strays}


def measured(blocks: t.Iterable[Object], reservations: Reservations, on_corrupt: OnCorrupt) -> t.Iterator[BlockFigures]:
    """The figures of stored blocks, which are small; the blocks themselves can go. See ``measure_block``."""
    for block in blocks:
        figures = measure_block(block, reservations, on_corrupt)
        if figures is not None:
            yield figures


def measure_block(block: Object, reservations: Reservations, on_corrupt: OnCorrupt) -> BlockFigures | None:
    """The figures of one stored block, None when it cannot be read; whatever is wrong with it is reported."""
    spec = block.get("spec") if isinstance(block, dict) else None
    try:
        figures = measure(t.cast("t.Mapping[str, t.Any]", spec), reservations)
    except BlockFault as error:
        on_corrupt(corrupt(block, error.fault))
        return None
    metadata = block.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    fault = first_fault(name, t.cast("t.Mapping[str, t.Any]", spec), figures.cidr)
    if fault is not None:
        on_corrupt(corrupt(block, fault))
    return figures


def block_rows(
    figures: t.Iterable[BlockFigures], pools: t.Sequence[StoredPool], name: str | None = None
) -> list[dict[str, t.Any]]:
    """Blocks in numbers, in order of address; with ``name`` those of one pool."""
    named = sorted(engine_pools(pools), key=lambda pool: pool.name)
    ordered = sorted(figures, key=lambda each: (each.cidr.version, each.cidr.value, each.cidr.prefix))
    rows = [shown_figures(each, pool_of(each.cidr, named)) for each in ordered]
    return [row for row in rows if name is None or row["pool"] == name]


def pool_of(cidr: Network, pools: t.Iterable[Pool]) -> str | None:
    """The name of the first of ``pools`` that the block overlaps."""
    for pool in pools:
        if pool.cidr.overlaps(cidr):
            return pool.name
    return None


def shown_figures(figures: BlockFigures, pool: str | None) -> dict[str, t.Any]:
    """One block in numbers, as modules return it."""
    return {
        "cidr": str(figures.cidr),
        "pool": pool,
        "node": figures.node or None,
        "affinity": figures.affinity,
        "size": figures.size,
        "in_use": figures.in_use,
        "free": figures.free,
        "borrowed": figures.borrowed,
    }
