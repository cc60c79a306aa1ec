# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The report of a cluster as one plain dict: what the page, the Markdown and the JSON are made of.

Blocks and addresses are tables, a list of columns and rows of plain values: ten thousand blocks have
hundreds of thousands of addresses. All members are explained in the guide ``docs/guides/report.md``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import moment_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import BlockFigures, holders
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit import audit
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_facts import read_cluster
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import Records
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import no_cycle_search
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.damaged import shown_damaged
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import (
    measure_block,
    pool_of,
    pools_with_use,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import Journal
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    require,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_timeline import procedures, timeline
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.version import VERSION

#: The form of the dict; a change that a reader of an older form would misread gets another number.
FORMAT = 1

BLOCK_COLUMNS = ("cidr", "pool", "node", "affinity", "size", "in_use", "reserved", "free", "borrowed", "leaked")
ADDRESS_COLUMNS = ("block", "ordinal", "kind", "namespace", "name", "node", "borrowed", "leaked", "since")

Row = t.List[t.Any]
Report = t.Dict[str, t.Any]


def report(
    api: KubeApi,
    records: Records,
    pools: t.Sequence[StoredPool],
    reservations: Reservations,
    clock: Clock,
    *,
    pool: str | None = None,
    audited: bool = True,
    journals: t.Sequence[Journal] = (),
) -> Report:
    """Everything there is to see, from one reading; ``pool`` limits it to one pool, InvalidInput when there is none.

    With ``audited`` the audit looks at the very blocks that are shown, and what it calls leaked is marked.
    ``journals`` are those of procedures that are over, which the cluster does not have any more.
    """
    if pool is not None:
        require(pools, pool)
    now = format_time(clock.now())
    cluster = read_cluster(api)
    seen = _Blocks(records, pools, reservations, pool)
    found: dict[str, t.Any] | None = None
    with no_cycle_search():
        if audited:
            found = _audit(api, seen, pools, clock, pool)
        else:
            for _block in seen.raw_blocks():
                pass
        blocks, addresses = seen.tables(_certainties(found))
    begun, notes = procedures(api, pools, journals)
    return {
        "format": FORMAT,
        "release": VERSION,
        "taken": now,
        "cluster": cluster.identity or None,
        "calico": cluster.version or None,
        "pool": pool,
        "pools": pools_with_use(pools, seen.measured(), reservations, name=pool)["pools"],
        "nodes": nodes_of(blocks),
        "namespaces": namespaces_of(blocks, addresses),
        "blocks": {"columns": list(BLOCK_COLUMNS), "rows": blocks},
        "addresses": {"columns": list(ADDRESS_COLUMNS), "rows": addresses},
        "audit": found,
        "damaged": shown_damaged(seen.faults),
        "procedures": begun,
        "timeline": timeline(api, begun),
        "notes": notes,
    }


def figures(made: Report) -> dict[str, t.Any]:
    """The most important numbers; ``leaked`` and ``findings`` are null without an audit."""
    audited = made["audit"]
    columns = {name: [row[at] for row in made["blocks"]["rows"]] for at, name in enumerate(BLOCK_COLUMNS)}
    return {
        "pools": len(made["pools"]),
        "blocks": len(made["blocks"]["rows"]),
        "in_use": sum(columns["in_use"]),
        "borrowed": sum(columns["borrowed"]),
        "leaked": None if audited is None else len(audited["leaked"]),
        "findings": None if audited is None else audited["summary"]["severities"],
    }


class _Blocks:
    """Records whose blocks are kept in small form while the audit takes them in."""

    def __init__(
        self, records: Records, pools: t.Sequence[StoredPool], reservations: Reservations, only: str | None
    ) -> None:
        self.faults: list[CorruptRecord] = []
        self._records = records
        self._named = sorted(engine_pools(pools), key=lambda pool: pool.name)
        self._reservations = reservations
        self._only = only
        self._found: list[tuple[BlockFigures, list[Row]]] = []

    @property
    def kubernetes(self) -> bool:
        return self._records.kubernetes

    def raw_blocks(self) -> t.Iterator[Object]:
        self._found.clear()
        self.faults.clear()
        for block in self._records.raw_blocks():
            figures = measure_block(block, self._reservations, self.faults.append)
            if figures is not None:
                self._found.append((figures, _holders(block["spec"], figures)))
            yield block

    def raw_affinities(self) -> t.Iterator[Object]:
        return self._records.raw_affinities()

    def raw_handles(self) -> t.Iterator[Object]:
        return self._records.raw_handles()

    def again(self, kind: str, names: t.Collection[str]) -> t.Iterator[tuple[str, Object | None]]:
        return self._records.again(kind, names)

    def settings(self) -> Object | None:
        return self._records.settings()

    def reservations(self) -> list[Object]:
        return self._records.reservations()

    def measured(self) -> t.Iterator[BlockFigures]:
        return (entry[0] for entry in self._found)

    def tables(self, leaked: t.Mapping[tuple[str, str], str]) -> tuple[list[Row], list[Row]]:
        """The rows of blocks in order of address, and those of their addresses; ``leaked`` by block and address."""
        self._found.sort(key=lambda entry: _order(entry[0].cidr))
        suspect = {block for block, _address in leaked}
        blocks: list[Row] = []
        addresses: list[Row] = []
        for figures, held in self._found:
            pool = pool_of(figures.cidr, self._named)
            if self._only not in (None, pool):
                continue
            cidr = str(figures.cidr)
            lost = 0
            for ordinal, *rest in held:
                certainty = None
                if cidr in suspect:
                    certainty = leaked.get((cidr, str(figures.cidr.address(ordinal))))
                    lost += certainty is not None
                addresses.append([len(blocks), ordinal, *rest[:-1], certainty, rest[-1]])
            blocks.append(
                [
                    cidr,
                    pool,
                    figures.node or None,
                    figures.affinity,
                    figures.size,
                    figures.in_use,
                    figures.reserved,
                    figures.free,
                    figures.borrowed,
                    lost,
                ]
            )
        return blocks, addresses


def _holders(spec: t.Mapping[str, t.Any], figures: BlockFigures) -> list[Row]:
    """Ordinal, kind, namespace, name, node, borrowed, since of each address in use."""
    allocations = spec["allocations"]
    times = [_since(attribute) for attribute in spec.get("attributes") or ()]
    rows: list[Row] = []
    base = figures.cidr.value
    for entry in holders(spec, figures.cidr):
        holder = entry.holder
        ordinal = entry.address.value - base
        index = allocations[ordinal]
        rows.append(
            [
                ordinal,
                holder.kind,
                holder.namespace or None,
                holder.name or None,
                holder.node or None,
                entry.borrowed,
                times[index] if 0 <= index < len(times) else None,
            ]
        )
    return rows


def _since(attribute: t.Any) -> str | None:
    """When an address was given out, as far as its attribute tells."""
    owner = attribute.get("secondary") or attribute.get("alternateOwnerAttrs") if isinstance(attribute, dict) else None
    text = owner.get("timestamp") if isinstance(owner, dict) else None
    moment = moment_of(text) if isinstance(text, str) else None
    return None if moment is None else format_time(moment)


def _audit(
    api: KubeApi, records: Records, pools: t.Sequence[StoredPool], clock: Clock, pool: str | None
) -> dict[str, t.Any]:
    stored = None if pool is None else require(pools, pool).pool()
    result = audit(api, records, engine_pools(pools), clock, within=None if stored is None else stored.cidr)
    return {key: result[key] for key in ("findings", "leaked", "kept", "summary", "calicoctl", "datastore_locked")}


def _certainties(found: t.Mapping[str, t.Any] | None) -> dict[tuple[str, str], str]:
    rows = [] if found is None else found["leaked"]
    return {(row["block"], row["address"]): row["certainty"] for row in rows}


def _order(network: Network) -> tuple[int, int, int]:
    return (network.version, network.value, network.prefix)


def nodes_of(blocks: t.Iterable[Row]) -> list[dict[str, t.Any]]:
    """What each node owns, over all pools; node null are blocks without an owner."""
    keys = ("blocks", "addresses", "in_use", "free", "borrowed", "leaked")
    found: dict[str, dict[str, t.Any]] = {}
    for _cidr, _pool, node, _affinity, size, in_use, _reserved, free, borrowed, leaked in blocks:
        row = found.setdefault(node or "", {"node": node, **dict.fromkeys(keys, 0)})
        for key, count in zip(keys, (1, size, in_use, free, borrowed, leaked)):
            row[key] += count
    return [found[name] for name in sorted(found)]


def namespaces_of(blocks: t.Sequence[Row], addresses: t.Iterable[Row]) -> list[dict[str, t.Any]]:
    """How many addresses each namespace has of each pool; namespace null is what belongs to none."""
    found: dict[tuple[str, str], dict[str, t.Any]] = {}
    for block, _ordinal, kind, namespace, _name, _node, borrowed, leaked, _since_when in addresses:
        pool = blocks[block][1]
        key = (namespace or "", pool or "")
        row = found.get(key)
        if row is None:
            row = found[key] = {
                "namespace": namespace,
                "pool": pool,
                "addresses": 0,
                "pods": 0,
                "borrowed": 0,
                "leaked": 0,
            }
        row["addresses"] += 1
        row["pods"] += kind == POD
        row["borrowed"] += borrowed
        row["leaked"] += leaked is not None
    return [found[key] for key in sorted(found)]
