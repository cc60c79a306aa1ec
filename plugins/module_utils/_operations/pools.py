# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Bring one IP pool to the state that was asked for.

The decision is a pure function from what is stored and what is wanted to a plan and one
write; ``ensure_pool`` reads, decides, writes where this cluster's pools are written, waits until
the pool is in use, and starts again when somebody else was faster. Only keys that change are
sent, so that nothing falls back to a default (spec ippool.md §4.3).
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, require_supported
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import BLOCK_AFFINITIES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidPool,
    Refused,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock, SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_in_use import require_calico_ipam
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi, block_cidrs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_decision import (
    PoolWrite,
    decide,
    parsed_pool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_legacy import (
    explained,
    refuse_other_spelling,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_notices import notices, pinned
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    find,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_owner import owner_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import (
    PoolRequest,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_uses import (
    in_the_way,
    last_uses,
    stranded,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import (
    PoolWriter,
    Report,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_custom_resource import (
    wait_for_end,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writers import pool_writer
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import held_now
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store

ATTEMPTS = 5
# Seconds in which a written pool is to be in use.
TIMEOUT = 120.0


def ensure_pool(
    api: PagedApi,
    request: PoolRequest,
    *,
    check_mode: bool,
    timeout: float = TIMEOUT,
    clock: Clock | None = None,
    report: Report = lambda event: None,
    successor: str | None = None,
) -> PoolWrite:
    """Create or change the pool so that it is as requested; with ``check_mode`` only say how.

    InvalidPool when the result would break one of Calico's rules, InvalidInput for
    a definition that is none, Refused on an installation that is not supported: all before
    anything is written. Refused as well when the pool is the last one for pods or tunnels and addresses of it are in
    use that the change would leave without a successor, and when the pool was written and is not in use after
    ``timeout`` seconds, where this cluster has somebody who says so.
    """
    installation = require_supported(api)
    clock = clock or SystemClock()
    ends = clock.monotonic() + timeout
    sent: Plan | None = None
    for _attempt in range(ATTEMPTS):
        writer = pool_writer(api, installation)
        pools = writer.pools()
        live = find(pools, request.name)
        going = live is not None and live.terminating
        if live is not None and going:
            if not check_mode:
                left = max(0.0, ends - clock.monotonic())
                wait_for_end(api, live, clock=clock, timeout=left, report=report)
                continue
            pools = [pool for pool in pools if pool is not live]
        heirs = _heirs(live, successor, pools) if check_mode else ()
        if heirs:
            writer = pool_writer(api, installation, heirs)
        try:
            write = decide(request, pools, lambda: block_cidrs(api), writer, heirs)
        except InvalidPool as error:
            raise writer.reworded(request.name, error) from None
        if going:
            write = replace(write, plan=replace(write.plan, steps=(_wait_step(request.name), *write.plan.steps)))
        if write.plan.changed and "LoadBalancer" not in write.pool["spec"]["allowedUses"]:
            require_calico_ipam(api, installation)
        if live is not None and not going and write.plan.changed:
            operated = owner_of(live, installation) == OPERATOR and "spec" in (write.patch or {})
            refuse_other_spelling(live, installation.mode.value, operated=operated)
        last = None if going else _last(api, live, write, [*pools, *heirs], clock)
        if last is not None:
            if not check_mode:
                raise last
            # A play that is only tried out may create another pool before this one is written.
            write = replace(write, plan=replace(write.plan, warnings=(*write.plan.warnings, last.message)))
        if write.create is not None:
            _refuse_leftover_affinities(api, request.name, write.create["spec"])
        write = replace(
            write,
            plan=replace(
                write.plan, warnings=(*write.plan.warnings, *_notices(api, installation, write, [*pools, *heirs]))
            ),
        )
        if check_mode:
            return write
        if not write.plan.changed:
            stored = live
        else:
            try:
                stored = _carry_out(writer, write, live)
            except (AlreadyExists, Conflict, NotFound):
                continue  # Somebody else wrote in between: what we decided on is no longer true.
            except Unreachable as error:
                if not error.maybe_done:
                    raise
                sent = write.plan
                continue
        if stored is not None and _must_settle(write, live):
            left = max(0.0, ends - clock.monotonic())
            stored = writer.settle(stored, clock=clock, timeout=left, report=report)
        pool = write.pool if stored is None or not write.plan.changed else stored.shown()
        return replace(write, plan=write.plan if sent is None else sent, pool=pool)
    raise Refused(
        f"IPPool {request.name!r} was changed by someone else {ATTEMPTS} times while it was being written; "
        "find out who changes it, then run this again."
    )


def _heirs(live: StoredPool | None, successor: str | None, pools: t.Sequence[StoredPool]) -> list[StoredPool]:
    """The successor that a play which is only tried out would have created by now, as far as it is like this pool."""
    if live is None or successor is None or find(pools, successor) is not None:
        return []
    return [StoredPool(successor, {**live.thing, "metadata": {**live.thing["metadata"], "name": successor}})]


def _carry_out(writer: PoolWriter, write: PoolWrite, live: StoredPool | None) -> StoredPool:
    if write.create is not None:
        return writer.create(write.create)
    if write.patch is None or live is None:
        raise ValueError("a plan without a write")
    try:
        return writer.patch(live.name, write.patch, live)
    except InvalidPool as error:
        raise explained(live, error) from None


def _must_settle(write: PoolWrite, live: StoredPool | None) -> bool:
    """A change of labels alone is nothing that anybody would have to take up, once the pool is made."""
    made = live is not None and "uid" in live.thing["metadata"]
    return not made or write.create is not None or write.patch is None or "spec" in write.patch


def _wait_step(name: str) -> Step:
    return Step("wait", f"IPPool {name}", "its deletion is under way and must come to its end first")


def _last(
    api: PagedApi, live: StoredPool | None, write: PoolWrite, pools: t.Sequence[StoredPool], clock: Clock
) -> Refused | None:
    """The refusal when nobody would give addresses after this write for what has some of this pool."""
    before, after = None if live is None else live.pool(), parsed_pool(write.pool)
    if before is None or after is None or not write.plan.changed:
        return None
    uses = last_uses(before, after, engine_pools(pools))
    return in_the_way(before, uses, held_now(api, open_store(api), before.cidr, clock)) if uses else None


def _notices(api: PagedApi, installation: Installation, write: PoolWrite, pools: t.Sequence[StoredPool]) -> list[str]:
    pool = parsed_pool(write.pool)
    if pool is None:
        return []
    if write.create is not None:
        return notices(api, pool)
    stored = find(pools, write.pool["name"])
    before = None if stored is None else stored.pool()
    if before is None or not write.plan.changed:
        return []
    stopped = pool.disabled and not before.disabled
    found = []
    changes = stopped or (before.node_selector, before.allowed_uses, before.assignment_mode) != (
        pool.node_selector,
        pool.allowed_uses,
        pool.assignment_mode,
    )
    if changes:
        found.extend(stranded(api, before, engine_pools(pools), None if stopped else pool))
    if stopped or "Workload" in before.allowed_uses - pool.allowed_uses:
        found.extend(pinned(api, installation, pool))
    return found


def _refuse_leftover_affinities(api: PagedApi, name: str, spec: t.Mapping[str, t.Any]) -> None:
    """A15: from an affinity of another size a node makes a block of that size again, across those of the new pool."""
    cidr, size = parse_network(spec["cidr"]), spec["blockSize"]
    left = []
    for thing in api.list(BLOCK_AFFINITIES).items:
        row = thing["spec"]
        network = parse_network(row["cidr"], strict=False)
        if str(row.get("deleted")).lower() != "true" and network.overlaps(cidr) and network.prefix != size:
            left.append(f"{thing['metadata']['name']} ({network} of node {row['node']})")
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise Refused(
            f"IPPool {name!r} with blockSize {size} cannot be created: {len(left)} block affinities "
            f"of another size are left in {cidr}, from which nodes would make such blocks again: {', '.join(left[:3])}"
            f"{more}; delete those BlockAffinity objects first.",
            affinities=left,
        )
