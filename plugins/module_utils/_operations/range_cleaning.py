# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Make a range clean: take away every block, affinity row and count in it that nobody needs, and prove it.

What Calico's own calls never take away goes too: rows without a block, empty blocks without
an owner, what is left of cooling addresses, counts of blocks that are gone, deletions that
were begun and not finished (spec ipam-engine.md §13, §18, §20). Addresses are never taken
from anybody here.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    Leftovers,
    delete_empty_blocks,
    delete_rows_without_block,
    forget_stale_counts,
    prove_clean,
    rows_without_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import (
    LEAKED,
    STAYS,
    Holding,
    name_them,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_state import (
    RangeState,
    read_range,
    shown_holding,
    unfinished_rows,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import (
    Report,
    Wording,
    held_text,
    wait_until_free,
)

# Passes over a range until it is clean; more than one only when something else writes there.
PASSES = 3
# Holders in the details of a failure.
MOST_HOLDERS = 1000


@dataclass(frozen=True)
class Cleaning:
    """Progress: what is about to be taken away."""

    network: Network
    what: str

    def __str__(self) -> str:
        return f"Range {self.network}: {self.what}"


@dataclass(frozen=True)
class Cleaned:
    """What making a range clean did, or would do: the steps, and the range before and after."""

    plan: Plan
    before: RangeState
    after: RangeState

    def as_result(self) -> dict[str, t.Any]:
        return {**self.plan.as_result(), "range": self.after.as_result()}


def make_clean(
    api: KubeApi,
    store: Datastore,
    network: Network,
    *,
    watched: Resource | None,
    timeout: float,
    settle: float,
    clock: Clock,
    report: Report,
    check_mode: bool,
) -> Cleaned:
    """Make a range clean and prove it.

    ``watched`` as for ``wait_until_free``; ``settle`` seconds must pass without a change of an
    affinity row that has no block before the row is deleted, since it may belong to a claim
    under way. Refused while an enabled pool overlaps the range, while somebody holds an
    address there who will not let go, and when after ``timeout`` seconds somebody still does.
    """
    before = read_range(api, store, network, clock.now)
    refuse_enabled_pools(network, before.pools)
    refuse_staying(network, before.held)
    plan = Plan(_steps(before))
    if check_mode or before.clean:
        return Cleaned(plan, before, before)
    wait_until_free(
        api,
        store,
        network,
        watched=watched,
        timeout=timeout,
        clock=clock,
        report=report,
        wording=Wording(
            f"Range {network}",
            lambda held: refuse_staying(network, held),
            lambda held, waited: _timed_out(network, held, waited, store.settings().cooldown_seconds),
        ),
    )
    refuse_enabled_pools(network, store.pools())
    clean_range(
        store, network, settle=settle, clock=clock, report=report, state="Nobody held an address there any more"
    )
    return Cleaned(plan, before, read_range(api, store, network, clock.now))


def refuse_enabled_pools(network: Network, pools: t.Iterable[Pool]) -> None:
    """A host may claim a block of an enabled pool at any moment, so its range never stays clean."""
    enabled = [pool for pool in pools if pool.enabled and pool.cidr.overlaps(network)]
    if enabled:
        raise Refused(
            f"Range {network} cannot be made clean: IPPool {enabled[0].name!r} ({enabled[0].cidr}) overlaps it "
            "and is enabled, so hosts may claim blocks in it at any time; disable that pool first.",
            cidr=str(network),
            pools=[pool.name for pool in enabled],
        )


def refuse_staying(network: Network, held: t.Sequence[Holding]) -> None:
    """Nobody's address is taken away here."""
    staying = [holding for holding in held if holding.state == STAYS]
    if staying:
        raise Refused(
            f"Range {network} cannot be made clean: {len(staying)} addresses in it are in use by {name_them(staying)}; "
            "move or delete those first.",
            cidr=str(network),
            in_use=len(staying),
            holders=[holding.as_result() for holding in staying[:MOST_HOLDERS]],
        )


def clean_range(store: Datastore, network: Network, *, settle: float, clock: Clock, report: Report, state: str) -> None:
    """Take away every block and affinity of a range in which nobody holds an address, and prove that none is left.

    A block that somebody took an address of at the last moment keeps its owner, and with it
    its routes; it is then named as what is in the way. ``state`` begins the sentence.
    """
    store.finish_deletes(network)
    left = left_in(store, network)
    for _pass in range(PASSES):
        if left.clean:
            return
        report(Cleaning(network, f"taking away {leftovers_text(left)}"))
        release_pool_affinities(store, network, now=clock.now, must_be_empty=True)
        delete_empty_blocks(store, network, now=clock.now)
        rows = rows_without_block(store, network)
        if rows:
            # A claim that is under way shows as a row that changed in the meantime.
            report(Cleaning(network, f"waiting {settle:g} seconds for claims of {len(rows)} blocks to go on"))
            clock.sleep(settle)
            delete_rows_without_block(store, rows)
        forget_stale_counts(store, network)
        store.finish_deletes(network)
        left = left_in(store, network)
    if not left.clean:
        raise Refused(
            f"{state}, but {leftovers_text(left)} are still there in {network}, written by something else meanwhile; "
            "run this again, and if it stays so look at what calico-node does on the nodes concerned.",
            blocks=[str(block) for block in left.blocks],
            affinities=[f"{row.host} {row.cidr}" for row in left.affinities],
            handles=[handle for handle, _cidr, _count in left.handles],
        )


def left_in(store: Datastore, network: Network) -> Leftovers:
    """Everything still recorded in a range, also rows that were marked as deleted and never removed."""
    left = prove_clean(store, network)
    unfinished = unfinished_rows(store, network)
    return replace(left, affinities=(*left.affinities, *unfinished)) if unfinished else left


def leftovers_text(left: Leftovers) -> str:
    """What is left, in a sentence."""
    parts = [
        f"{len(found)} {what}"
        for found, what in ((left.blocks, "blocks"), (left.affinities, "affinities"), (left.handles, "handles"))
        if found
    ]
    return " and ".join(parts)


def _steps(state: RangeState) -> tuple[Step, ...]:
    waits = (
        [
            Step(
                "wait",
                f"range {state.network}",
                f"{held_text(state.held)} are to be free again",
            )
        ]
        if state.held
        else []
    )
    return (*waits, *(finding.step() for finding in state.findings))


def _timed_out(network: Network, held: t.Sequence[Holding], waited: float, cooldown: int) -> Refused:
    leaked = [holding for holding in held if holding.state == LEAKED]
    hint = (
        f"{len(leaked)} of them are leaked, their pods being gone: Calico's garbage collection frees those after its "
        "grace period, calico_ops.ipam.ipam_release at once"
        if leaked
        else "run this again later, or with a longer timeout"
    )
    return Refused(
        f"Range {network} was not made clean: after {waited:.0f} seconds {held_text(held)} are still not free; {hint}.",
        cidr=str(network),
        in_use=len(held),
        holders=[shown_holding(holding, cooldown) for holding in held[:MOST_HOLDERS]],
    )
