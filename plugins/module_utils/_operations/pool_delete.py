# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Delete one IP pool and leave nothing of it behind.

The order is Calico's own (spec ippool.md §5.1) with what a safe tool adds (§5.4): nobody
may hold an address, the pool is disabled, what lets go by itself is waited for, block
affinities are given back, the pool is deleted, and the range is proven clean. It is the same
wherever pools are written; that some installations give affinities back themselves (§5.2) takes
nothing from it, since ours are given back only while nobody has an address in the block.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, require_supported
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IPAM_BLOCKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import (
    LEAKED,
    STAYS,
    Holding,
    name_them,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_in_use import require_calico_ipam
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_last_look import (
    ANY,
    CANNOT,
    NOT_DELETED,
    LastLook,
    Wanted,
    given_by_others,
    refuse_last,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_legacy import (
    refuse_other_spelling,
    refuse_undeletable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_notices import pinned
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    find,
    read_pools,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_owner import owner_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_removal import (
    ATTEMPTS,
    Appeared,
    Deletion,
    kept_changing,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_uses import (
    in_the_way,
    last_uses,
    stranded,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import Place
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writers import pool_writer
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_cleaning import (
    MOST_HOLDERS,
    clean_range,
    left_in,
    leftovers_text,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import (
    Report,
    Wording,
    held_now,
    wait_until_free,
)

# Seconds in which an assignment that began before the pool was disabled comes to its end (§5.1 step 3).
IN_FLIGHT = 0.5


def delete_pool(
    api: PagedApi,
    store: Datastore,
    name: str,
    *,
    network: Network | None = None,
    timeout: float,
    clock: Clock,
    report: Report,
    check_mode: bool,
    watched: Resource | None = IPAM_BLOCKS,
    wanted: Wanted = ANY,
) -> Plan:
    """Delete the pool; when it does not exist, there is at most its range to be cleaned.

    ``watched`` is the resource in which the store's blocks can be watched, None where they cannot.
    ``network`` is the range that the caller knows the pool by: a pool with another one is not
    the one that was meant, and the range of a pool that is gone is cleaned of what a run
    that was killed, or a deletion by other means, left there. ``wanted`` is what must hold besides, at the start and
    again right before the deletion.

    Refused when somebody holds an address who will not let go by itself, when no other
    enabled pool of its IP version is left, on installations that are not supported, and when after
    ``timeout`` seconds something is still in the way. Before the first write nothing has
    happened; after it the message says what state the pool is in.
    """
    for _attempt in range(ATTEMPTS):
        try:
            return _delete_pool(api, store, name, network, timeout, clock, report, check_mode, watched, wanted)
        except Appeared:
            continue
    raise kept_changing(name)


def _delete_pool(
    api: PagedApi,
    store: Datastore,
    name: str,
    network: Network | None,
    timeout: float,
    clock: Clock,
    report: Report,
    check_mode: bool,
    watched: Resource | None,
    wanted: Wanted,
) -> Plan:
    installation = require_supported(api)
    writer = pool_writer(api, installation)
    pools = writer.pools()
    live = find(pools, name)
    if live is None:
        return Plan() if network is None else _clean_gone(api, store, name, network, pools, clock, report, check_mode)
    pool = live.pool()
    if network is not None and (pool is None or pool.cidr != network):
        raise Refused(
            f"IPPool {name!r} has the CIDR {live.spec.get('cidr')}, not {network}, so it is not the pool that was to "
            "be deleted.",
            pool=name,
        )
    ends = clock.monotonic() + timeout
    operated = owner_of(live, installation) == OPERATOR
    refuse_undeletable(live, installation.mode.value, operated=operated)
    deletion = Deletion(api, installation, name, clock, ends, report)
    if pool is None:
        # No address ever came out of a pool whose CIDR does not parse.
        plan = Plan(_delete_steps(writer, live))
        if not check_mode:
            deletion.delete(live, None, disabled=False)
        return plan
    if not live.terminating:
        if "LoadBalancer" not in pool.allowed_uses:
            require_calico_ipam(api, installation)
        refuse_last(api, pool, pools)
        if not check_mode and wanted != ANY:
            stored = read_pools(api)
            wanted.require(find(stored, name) or live, stored, CANNOT)
    held = held_now(api, store, pool.cidr, clock)
    _refuse_holders(name, held, "it cannot be deleted")
    others = engine_pools(pools)
    last = in_the_way(pool, [] if live.terminating else last_uses(pool, None, others), held)
    if last is not None:
        raise last
    plan = _plan(writer, live, pool, held)
    around = (*stranded(api, pool, others), *pinned(api, installation, pool))
    plan = replace(plan, warnings=(*plan.warnings, *around))
    if not pool.disabled and _can_be_disabled(live):
        refuse_other_spelling(live, installation.mode.value, operated=operated)
    if not check_mode:
        disabled = _can_be_disabled(live) and deletion.disable(live)
        if not live.terminating:
            # Two runs that delete one pool each have both disabled theirs by now, and see it.
            refuse_last(api, pool, read_pools(api), NOT_DELETED)
        clock.sleep(IN_FLIGHT)
        wait_until_free(
            api,
            store,
            pool.cidr,
            watched=watched,
            timeout=timeout,
            clock=clock,
            report=report,
            wording=Wording(
                f"IPPool {name}",
                lambda left: _refuse_holders(name, left, "it was disabled and not deleted"),
                lambda left, waited: _timed_out(name, left, waited),
            ),
        )
        _clean(store, pool.cidr, clock, report, f"IPPool {name!r} is disabled and was not deleted")
        deletion.delete(live, LastLook(pool, wanted, given_by_others(pool, others)), disabled=disabled)
        deletion.put_back_if_taken(live, held_now(api, store, pool.cidr, clock))
        _clean(store, pool.cidr, clock, report, f"IPPool {name!r} was deleted")
    return plan


def _clean_gone(
    api: PagedApi,
    store: Datastore,
    name: str,
    network: Network,
    pools: t.Sequence[StoredPool],
    clock: Clock,
    report: Report,
    check_mode: bool,
) -> Plan:
    """Clean the range of a pool that is gone; what lies in the range of another pool belongs to that one."""
    if any(other.cidr.overlaps(network) for other in engine_pools(pools)):
        return Plan()
    left = left_in(store, network)
    if left.clean:
        return Plan()
    held = held_now(api, store, network, clock)
    if held:
        raise Refused(
            f"IPPool {name!r} is gone and its range {network} cannot be cleaned: {len(held)} addresses are still held "
            f"by {name_them(held)}; restart those pods, or wait for Calico's garbage collection, then run this again.",
            pool=name,
            in_use=len(held),
            holders=[holding.as_result() for holding in held[:MOST_HOLDERS]],
        )
    if not check_mode:
        _clean(store, network, clock, report, f"IPPool {name!r} is gone")
    return Plan((Step("release", f"{leftovers_text(left)} in {network}", f"IPPool {name} left them behind"),))


def _plan(place: Place, live: StoredPool, pool: Pool, held: t.Sequence[Holding]) -> Plan:
    steps = []
    if not pool.disabled and _can_be_disabled(live):
        steps.append(
            Step(
                "update",
                place.where(live.name),
                "no new address may come out of it while it is being deleted",
                undo=f"set disabled of IPPool {live.name} to false",
            )
        )
    if held:
        steps.append(Step("wait", f"IPPool {live.name}", f"{len(held)} addresses of {name_them(held)} are to leave it"))
    steps.append(Step("release", f"blocks and affinities in {pool.cidr}", "no node may keep blocks of a deleted pool"))
    steps.extend(_delete_steps(place, live))
    return Plan(tuple(steps), tuple(place.warnings(live.name)))


def _can_be_disabled(live: StoredPool) -> bool:
    """Not when its deletion is under way, nor when nobody has made a pool of its declaration yet."""
    return bool(live.uid) and not live.terminating


def _delete_steps(place: Place, live: StoredPool) -> tuple[Step, ...]:
    if live.terminating:
        return (Step("wait", f"IPPool {live.name}", "its deletion is under way and must come to its end"),)
    return tuple(
        Step(
            "delete" if part.after is None else "update",
            part.target,
            "it is to be absent" if part.after is None else f"IPPool {live.name} is to be absent",
            before=part.before,
            after=part.after,
        )
        for part in place.parts(live.name, live.shown(), None)
    )


def _refuse_holders(name: str, held: t.Sequence[Holding], outcome: str) -> None:
    staying = [holding for holding in held if holding.state == STAYS]
    if staying:
        raise Refused(
            f"IPPool {name!r} still has {len(staying)} addresses in use, so {outcome}: they are held by "
            f"{name_them(staying)}; move them first with the role calico_ops.ipam.migrate_pool.",
            pool=name,
            in_use=len(staying),
            holders=[holding.as_result() for holding in staying[:MOST_HOLDERS]],
        )


def _timed_out(name: str, held: t.Sequence[Holding], waited: float) -> Refused:
    leaked = [holding for holding in held if holding.state == LEAKED]
    hint = (
        f"{len(leaked)} of them belong to pods that are gone, and Calico's garbage collection gives those back after "
        "its grace period, 15 minutes unless configured; run this again then, or release them with "
        "calico_ops.ipam.ipam_release"
        if leaked
        else "see whether calico-node runs on those nodes, then run this again"
    )
    return Refused(
        f"IPPool {name!r} is disabled and was not deleted: after {waited:.0f} seconds {len(held)} addresses are still "
        f"held by {name_them(held)}; {hint}.",
        pool=name,
        in_use=len(held),
        holders=[holding.as_result() for holding in held[:MOST_HOLDERS]],
    )


def _clean(store: Datastore, network: Network, clock: Clock, report: Report, state: str) -> None:
    clean_range(store, network, settle=IN_FLIGHT, clock=clock, report=report, state=state)
