# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The condition Allocatable of a pool, which kube-controllers writes where v3 CRDs are the store.

Source: spec ippool.md §2.2 and §6. A pool that was accepted there may still never give out an address.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_wait import POOLS, Seen, wait_for

ALLOCATABLE = "Allocatable"

Report = t.Callable[[object], object]


def conditions_of(thing: Object) -> list[dict[str, t.Any]]:
    """The conditions of a stored pool."""
    status = thing.get("status")
    found = status.get("conditions") if isinstance(status, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def allocatable(thing: Object) -> dict[str, t.Any] | None:
    """The condition ``Allocatable``; None while kube-controllers has not judged the pool."""
    return next((each for each in conditions_of(thing) if each.get("type") == ALLOCATABLE), None)


def wait_until_allocatable(
    api: KubeApi, pool: StoredPool, *, clock: Clock, timeout: float, report: Report
) -> StoredPool:
    """Return the pool when addresses can be taken from it, at once when it is disabled, since none shall.

    Refused when another pool holds its range, when it is being deleted, and when kube-controllers
    has not said anything good of it after ``timeout`` seconds. The pool is stored in any case.
    """
    if pool.spec.get("disabled") or _is_true(pool.thing):
        return pool
    report(f"IPPool {pool.name}: waiting until it is allocatable")

    def look(seen: Seen) -> StoredPool | None:
        thing = seen.get(POOLS, pool.name)
        if thing is None:
            raise Refused(f"IPPool {pool.name!r} was written, and then deleted by someone else.", pool=pool.name)
        now = StoredPool(pool.name, thing)
        if now.terminating:
            raise Refused(
                f"IPPool {pool.name!r} is being deleted by someone else, so no address comes out of it.", pool=pool.name
            )
        if now.spec.get("disabled") or _is_true(thing):
            return now
        _refuse_overlapped(now, seen.pools())
        return None

    settled, seen = wait_for(api, clock, timeout, look)
    if settled is None:
        raise _not_in_time(pool.name, seen.get(POOLS, pool.name) or pool.thing, timeout)
    return settled


def _is_true(thing: Object) -> bool:
    return (allocatable(thing) or {}).get("status") == "True"


def _refuse_overlapped(pool: StoredPool, pools: t.Sequence[StoredPool]) -> None:
    """What the condition says of others may be over already, so the pools themselves are looked at, too."""
    condition = allocatable(pool.thing) or {}
    own = pool.pool()
    if condition.get("reason") != "CIDROverlap" or own is None:
        return
    for stored in pools:
        other = stored.pool()
        if other is None or other.name == own.name or other.disabled or not other.cidr.overlaps(own.cidr):
            continue
        if other.terminating:
            continue  # It will be gone one day, and then this one has its range.
        raise Refused(
            f"IPPool {own.name!r} is stored but never gives out an address: kube-controllers says CIDROverlap, because "
            f"IPPool {other.name!r} ({other.cidr}) holds ground of {own.cidr}; disable or delete one of the two.",
            pool=own.name,
            condition=condition,
        )


def _not_in_time(name: str, thing: Object, timeout: float) -> Refused:
    condition = allocatable(thing)
    if condition is None:
        why = (
            "kube-controllers has not judged it, so it has no condition Allocatable: see whether the Deployment "
            "calico-kube-controllers runs"
        )
    else:
        why = f"kube-controllers says {condition.get('reason')} ({condition.get('message') or 'no message'})"
    return Refused(
        f"IPPool {name!r} is stored but not known to be usable after {timeout:.0f} seconds: {why}; then run this "
        "again.",
        pool=name,
        condition=condition,
    )
