# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is recorded inside a range of addresses: each thing with the reason why it is there and what takes it away.

A range is clean when no block, no affinity row and no handle's count lies in it, marked as
deleted or not (spec ipam-engine.md §13, §18, §20; spec ippool.md §5.4).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Block,
    clean_up,
    is_empty,
    ordinals_of_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import COOLING
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time, parse_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import (
    LEAKED,
    STAYS,
    Holding,
    holdings,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire import block_cidr, decode_affinity, is_deleted

BY_RANGE = "calico_ops.ipam.ipam_range gives it back"
WITH_ITS_BLOCK = "it goes with its block"
WITH_ITS_ADDRESSES = "its addresses must be released first"


@t.runtime_checkable
class RawAffinities(t.Protocol):
    """A store that marks a row as deleted first, and can show such rows."""

    def raw_affinities(self) -> t.Iterator[Object]: ...


@dataclass(frozen=True)
class Finding:
    """One recorded thing.

    ``what`` is block, affinity or handle; ``name`` what a sentence calls it; ``reason`` a
    short code, ``message`` the same as a sentence, ``cleaned_by`` who or what takes it away;
    ``facts`` the thing itself as plain data.
    """

    what: str
    name: str
    reason: str
    message: str
    cleaned_by: str
    facts: t.Mapping[str, t.Any]

    def as_result(self) -> dict[str, t.Any]:
        return {**self.facts, "reason": self.reason, "message": self.message, "cleaned_by": self.cleaned_by}

    def step(self) -> Step:
        """Taking it away, as one step of a plan."""
        return Step("delete", self.name, self.message, before=dict(self.facts))


@dataclass(frozen=True)
class RangeState:
    """A range as it was read at ``taken``; ``pools`` are those that overlap it, ``held`` its addresses in use.

    Addresses whose cooldown has passed do not count as held, although they are still recorded.
    """

    network: Network
    taken: datetime
    cooldown: int
    pools: tuple[Pool, ...]
    blocks: tuple[Finding, ...]
    affinities: tuple[Finding, ...]
    handles: tuple[Finding, ...]
    held: tuple[Holding, ...]

    @property
    def clean(self) -> bool:
        """Nothing is recorded in the range."""
        return not (self.blocks or self.affinities or self.handles)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.blocks, *self.affinities, *self.handles)

    def as_result(self) -> dict[str, t.Any]:
        return {
            "clean": self.clean,
            "cidr": str(self.network),
            "taken": format_time(self.taken),
            "pools": [{"name": pool.name, "cidr": str(pool.cidr), "enabled": pool.enabled} for pool in self.pools],
            "blocks": [finding.as_result() for finding in self.blocks],
            "affinities": [finding.as_result() for finding in self.affinities],
            "handles": [finding.as_result() for finding in self.handles],
            "addresses": [shown_holding(holding, self.cooldown) for holding in self.held],
        }


def read_range(api: KubeApi, store: Datastore, network: Network, now: t.Callable[[], datetime]) -> RangeState:
    """Everything recorded inside a range. ``api`` is asked for pods only, and only when pods hold addresses there."""
    taken = now()
    cooldown = store.settings().cooldown_seconds
    # A row and a handle are written before their block, so they are read before it, too.
    rows = [row.value for row in store.list_affinities() if network.overlaps(row.value.cidr)]
    unfinished = unfinished_rows(store, network)
    handles = store.handles_in(network)
    stored = [block.value for block in store.blocks_in(network)]
    tidy = {block.cidr: clean_up(block, taken, cooldown) for block in stored}
    owners = {(row.host, row.type, row.cidr) for row in rows}
    return RangeState(
        network,
        taken,
        cooldown,
        tuple(pool for pool in store.pools() if pool.cidr.overlaps(network)),
        tuple(_block(block, tidy[block.cidr], owners, cooldown) for block in stored),
        (*(_affinity(row, tidy.get(row.cidr)) for row in rows), *(_unfinished(row) for row in unfinished)),
        tuple(
            _handle(handle.value, cidr, count, tidy.get(cidr))
            for handle in handles
            for cidr, count in sorted(handle.value.blocks.items())
            if network.overlaps(cidr)
        ),
        tuple(holdings(api, tidy.values(), network)),
    )


def unfinished_rows(store: Datastore, network: Network) -> list[Affinity]:
    """Affinity rows inside a range whose deletion was begun and not finished; lists do not show them (§2.4)."""
    if not isinstance(store, RawAffinities):
        return []
    return [
        decode_affinity(thing)
        for thing in store.raw_affinities()
        if is_deleted(thing) and network.overlaps(block_cidr(thing))
    ]


def rests_until(holding: Holding, cooldown: int) -> datetime | None:
    """When a cooling address may be handed out again; None for another one, and when its time cannot be read."""
    if holding.holder.kind != COOLING:
        return None
    try:
        return parse_time(holding.released_at) + timedelta(seconds=cooldown)
    except ValueError:
        return None


def shown_holding(holding: Holding, cooldown: int) -> dict[str, t.Any]:
    """An address that somebody holds, with who or what will free it."""
    until = rests_until(holding, cooldown)
    return {
        **holding.as_result(),
        "handle": holding.holder.handle,
        "until": None if until is None else format_time(until),
        "cleaned_by": _freed_by(holding, until),
    }


def _freed_by(holding: Holding, until: datetime | None) -> str:
    if holding.holder.kind == COOLING:
        return "nothing: the time of its release cannot be read" if until is None else "time: its cooldown passes"
    if holding.state == STAYS:
        return "nobody by themselves: move or delete its holder"
    if holding.state == LEAKED:
        return "Calico's garbage collection after its grace period, or calico_ops.ipam.ipam_release"
    return "its holder, which is about to let go"


def _block(block: Block, tidy: Block, owners: t.Collection[tuple[str, str, Network]], cooldown: int) -> Finding:
    owner = tidy.owner
    used = sum(1 for index in tidy.allocations if index is not None)
    resting = {index for index, attribute in enumerate(tidy.attributes) if attribute.released_at is not None}
    facts = {
        "cidr": str(block.cidr),
        "affinity": block.affinity,
        "in_use": block.in_use,
        "sequence": str(block.sequence),
    }

    def found(reason: str, message: str, cleaned_by: str) -> Finding:
        return Finding("block", f"IPAMBlock {block.cidr}", reason, message, cleaned_by, facts)

    if block.deleted:
        return found("deleting", "it is marked as deleted and was never removed", BY_RANGE)
    if not is_empty(tidy):
        cooling = sum(1 for index in tidy.allocations if index in resting)
        if cooling == used:
            return found("cooling", f"its {used} addresses were released and rest for {cooldown} seconds", BY_RANGE)
        return found("in_use", f"{used - cooling} of its addresses are in use", WITH_ITS_ADDRESSES)
    residue = "" if tidy is block else "; released addresses of it were never written back"
    if block.affinity is None:
        return found("empty_without_owner", f"it is empty and nobody owns it{residue}", BY_RANGE)
    if owner is not None and (owner[1], owner[0], block.cidr) not in owners:
        return found("empty_without_affinity", f"it is empty, and its owner has no affinity to it{residue}", BY_RANGE)
    return found("empty", f"it is empty{residue}", BY_RANGE)


def _affinity(row: Affinity, block: Block | None) -> Finding:
    facts = {"host": row.host, "type": row.type, "cidr": str(row.cidr), "state": row.state}
    name = f"BlockAffinity of {row.type} {row.host} to {row.cidr}"
    if block is None:
        return Finding("affinity", name, "without_block", "there is no such block", BY_RANGE, facts)
    if block.affinity is not None and block.affinity != row.owner:
        return Finding("affinity", name, "contradicted", f"the block belongs to {block.affinity}", BY_RANGE, facts)
    return Finding("affinity", name, "with_block", "the block is there", WITH_ITS_BLOCK, facts)


def _handle(handle: Handle, cidr: Network, count: int, block: Block | None) -> Finding:
    held = 0 if block is None else len(ordinals_of_handle(block, handle.id))
    facts = {"handle": handle.id, "cidr": str(cidr), "count": count, "held": held}
    name = f"IPAMHandle {handle.id} in {cidr}"
    if handle.deleted:
        return Finding("handle", name, "deleting", "it is marked as deleted and was never removed", BY_RANGE, facts)
    if held:
        return Finding("handle", name, "in_use", f"it holds {held} addresses there", WITH_ITS_ADDRESSES, facts)
    return Finding("handle", name, "stale_count", f"it counts {count} addresses there and holds none", BY_RANGE, facts)


def _unfinished(row: Affinity) -> Finding:
    facts = {"host": row.host, "type": row.type, "cidr": str(row.cidr), "state": row.state}
    name = f"BlockAffinity of {row.type} {row.host} to {row.cidr}"
    return Finding("affinity", name, "deleting", "it is marked as deleted and was never removed", BY_RANGE, facts)
