# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the workloads that are to move: can they be moved without an outage at all."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import Budget, parse_budget
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import controller_of, is_mirror
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import owner_of, owners_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import Workload


def budgets_allow(now: Situation) -> t.Iterator[Problem]:
    """B37: budgets that let no pod go and workloads that cannot add one before they take one away."""
    if now.request.procedure == DECLARE:
        return
    budgets = [parse_budget(thing) for thing in now.view.budgets]
    pods = now.source_pods()
    for budget in budgets:
        matched = [pod for pod in pods if budget.matches(pod)]
        if not matched or budget.allowed > 0:
            continue
        stuck = sorted({_owner_name(pod, now) for pod in matched if not _can_surge(pod, now)})
        if stuck:
            yield Problem(
                WARNING,
                f"PodDisruptionBudget {budget.label} ({budget.rule}, {budget.numbers}) lets no pod go, and "
                f"{', '.join(stuck)} cannot start another pod first: the drain will stop there.",
                "Add a replica, or relax the budget for the time of the procedure.",
                (f"PodDisruptionBudget {budget.label}", *stuck),
            )
    yield from _several_budgets(pods, budgets)


def _several_budgets(pods: t.Iterable[Object], budgets: t.Sequence[Budget]) -> t.Iterator[Problem]:
    double = [full_name(pod) for pod in pods if sum(budget.matches(pod) for budget in budgets) > 1]
    if double:
        yield Problem(
            WARNING,
            f"{len(double)} pods are matched by more than one PodDisruptionBudget, first {double[0]}: the Eviction API "
            "refuses to evict them.",
            "Leave them one budget each, or let them be moved by a rollout restart.",
            tuple(double),
        )


def unmovable_pods(now: Situation) -> t.Iterator[Problem]:
    """B38 and B39."""
    if now.request.procedure == DECLARE:
        return
    pods = now.source_pods()
    static = [full_name(pod) for pod in pods if is_mirror(pod)]
    if static:
        yield Problem(
            WARNING,
            f"{len(static)} static pods are on the pod network, first {static[0]}: they cannot be moved through the "
            "API.",
            "Restart them on their hosts after the old pool is disabled.",
            tuple(static),
        )
    bare = [full_name(pod) for pod in pods if not is_mirror(pod) and controller_of(pod) is None]
    if bare:
        yield Problem(
            WARNING,
            f"{len(bare)} pods have no owner that would start them again, first {bare[0]}: the drain leaves them where "
            "they are.",
            "Delete them or give them an owner before the old pool is to be deleted.",
            tuple(bare),
        )
    by_hand = [(str(workload), why) for workload in owners_of(pods, now.view) for why in _by_hand(workload)]
    if by_hand:
        yield Problem(
            WARNING,
            f"{len(by_hand)} workloads do not replace their own pods, first {by_hand[0][0]} ({by_hand[0][1]}):"
            " their pods are evicted one by one.",
            "Nothing, if their pods may be evicted.",
            tuple(name for name, _why in by_hand),
        )
    jobs = [str(workload) for workload in owners_of(pods, now.view) if workload.kind in ("Job", "CronJob")]
    if jobs:
        yield Problem(
            NOTE,
            f"{len(jobs)} jobs are running, first {jobs[0]}: a job whose pod is evicted begins again.",
            "Wait until they are done, if they cannot begin again.",
            tuple(jobs),
        )


def _by_hand(workload: Workload) -> t.Iterator[str]:
    spec = workload.thing.get("spec") or {}
    if workload.kind == "Deployment" and spec.get("paused"):
        yield "it is paused"
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        yield "its update strategy is OnDelete"


def _owner_name(pod: Object, now: Situation) -> str:
    owner = owner_of(pod, now.view)
    return str(owner) if owner is not None else f"Pod {full_name(pod)}"


def _can_surge(pod: Object, now: Situation) -> bool:
    """A Deployment can add a pod first; the drain gives it the surge if its strategy has none."""
    owner = owner_of(pod, now.view)
    return owner is not None and owner.kind == "Deployment" and not (owner.thing.get("spec") or {}).get("paused")


CHECKS = (
    Check("budgets-allow", "disruption budgets let the pods go", ("B37",), budgets_allow),
    Check("unmovable-pods", "every pod can be moved", ("B38", "B39"), unmovable_pods),
)
