# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Waiting for the Tigera operator to make a pool of an entry of its Installation (spec ippool.md §10.4)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import TIGERA_STATUSES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import Entry, same_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_wait import POOLS, Seen, wait_for

STATUSES = "statuses"
IPPOOLS = "ippools"

Report = t.Callable[[object], object]


def wait_until_made(
    api: KubeApi, name: str, entry: Entry, *, clock: Clock, timeout: float, report: Report
) -> StoredPool:
    """Return the pool when it carries the operator's label, is as its entry says, and TigeraStatus is content.

    Refused with the message of the TigeraStatus when that is not so after ``timeout`` seconds. A
    cluster without that resource, or without the right to read it, is judged by the pool alone.
    """
    report(f"IPPool {name}: waiting for the Tigera operator")

    def look(seen: Seen) -> StoredPool | None:
        pool = _made(seen, name, entry)
        return pool if pool is not None and _complaint(seen.get(STATUSES, IPPOOLS)) is None else None

    done, seen = wait_for(api, clock, timeout, look, {STATUSES: TIGERA_STATUSES})
    if done is not None:
        return done
    complaint = _complaint(seen.get(STATUSES, IPPOOLS))
    what = (
        "the pool is as wanted"
        if _made(seen, name, entry) is not None
        else "the operator has not made it so"
        if seen.get(POOLS, name) is not None
        else "the operator has not made the pool"
    )
    raise Refused(
        f"IPPool {name!r} is declared in the Installation, and after {timeout:.0f} seconds {what}; "
        f"{complaint or 'TigeraStatus ippools has no complaint, so see whether the tigera-operator runs'}.",
        pool=name,
        status=complaint,
    )


def _made(seen: Seen, name: str, entry: Entry) -> StoredPool | None:
    thing = seen.get(POOLS, name)
    if thing is None:
        return None
    pool = StoredPool(name, thing)
    owned = pool.labels.get(OWNER_LABEL) == OPERATOR and not pool.terminating
    return pool if owned and same_pool(entry, pool.spec) else None


def _complaint(status: Object | None) -> str | None:
    """What TigeraStatus ``ippools`` is not content with; None when it is, or is not there."""
    found = (status or {}).get("status") or {}
    conditions = {each.get("type"): each for each in found.get("conditions") or () if isinstance(each, dict)}
    degraded, available = conditions.get("Degraded") or {}, conditions.get("Available") or {}
    if degraded.get("status") == "True":
        message = " ".join(str(degraded.get("message") or degraded.get("reason") or "no message").split())
        return f"TigeraStatus ippools is Degraded: {message.rstrip('.')}"
    if available and available.get("status") != "True":
        return "TigeraStatus ippools is not Available"
    return None
