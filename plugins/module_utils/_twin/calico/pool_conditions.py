# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""Which pools addresses may come from, as kube-controllers judges them where the v3 CRDs are the store.

Source: spec ippool.md 2.2 and 6. Nothing is written here: ``pool_controller.py`` does that.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

ALLOCATABLE = "Allocatable"


@dataclass(frozen=True)
class Verdict:
    """What the condition ``Allocatable`` of a pool has to say."""

    allocatable: bool
    reason: str
    message: str

    @property
    def status(self) -> str:
        return "True" if self.allocatable else "False"


OK = Verdict(True, "OK", "Addresses can be assigned from the pool.")
DISABLED = Verdict(False, "PoolDisabled", "The pool is disabled in its spec.")
TERMINATING = Verdict(False, "Terminating", "The pool is being deleted.")


def overlap(pool: str, cidr: Network) -> Verdict:
    """The verdict on a pool whose ground another pool holds."""
    return Verdict(False, "CIDROverlap", f"The range overlaps {cidr} of pool {pool}.")


def verdicts(pools: t.Iterable[Object]) -> list[tuple[Object, Verdict]]:
    """Every pool with its verdict, in the order in which they are judged; without those whose CIDR does not parse."""
    judged: list[tuple[Object, Verdict]] = []
    held: list[tuple[Network, str]] = []
    for pool in sorted(pools, key=_rank):
        cidr = cidr_of(pool)
        if cidr is not None:
            judged.append((pool, _verdict(pool, cidr, held)))
    return judged


def _verdict(pool: Object, cidr: Network, held: list[tuple[Network, str]]) -> Verdict:
    """The verdict, in the rules' order; ``held`` grows by the range where the pool holds its ground."""
    if (pool.get("spec") or {}).get("disabled"):
        return DISABLED
    name = str(pool["metadata"]["name"])
    if is_terminating(pool):
        held.append((cidr, name))
        return TERMINATING
    for other, holder in held:
        if other.overlaps(cidr):
            return overlap(holder, other)
    held.append((cidr, name))
    return OK


def _rank(pool: Object) -> tuple[int, str, str]:
    """Those in use first, then those that go, then those that wait, then new ones; the older first, then by name."""
    metadata = pool["metadata"]
    status = (_condition(pool) or {}).get("status")
    place = 1 if is_terminating(pool) else {"True": 0, "False": 2}.get(str(status), 3)
    return place, str(metadata.get("creationTimestamp") or ""), str(metadata["name"])


def cidr_of(thing: Object) -> Network | None:
    """The range of a pool or a block; None when it does not parse."""
    try:
        return parse_network(str((thing.get("spec") or {}).get("cidr")), strict=False)
    except InvalidInput:
        return None


def is_terminating(pool: Object) -> bool:
    """Whether the pool's deletion has begun."""
    return "deletionTimestamp" in pool["metadata"]


def with_verdict(pool: Object, verdict: Verdict, now: str) -> Object | None:
    """The pool with the condition brought up to date; None when it says so already. ``now`` is a timestamp."""
    old = _condition(pool)
    told = (verdict.status, verdict.reason, verdict.message)
    if old is not None and (old.get("status"), old.get("reason"), old.get("message")) == told:
        return None
    # The time is that of the last change of the status; another reason alone does not move it.
    since = old.get("lastTransitionTime") if old is not None and old.get("status") == verdict.status else None
    condition = {
        "type": ALLOCATABLE,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.message,
        "lastTransitionTime": since or now,
    }
    status = pool.get("status") or {}
    others = [each for each in status.get("conditions") or [] if each.get("type") != ALLOCATABLE]
    return {**pool, "status": {**status, "conditions": [*others, condition]}}


def _condition(pool: Object) -> Object | None:
    conditions: list[Object] = (pool.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == ALLOCATABLE), None)
