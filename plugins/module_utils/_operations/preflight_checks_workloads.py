# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the workloads that are to move: would the drain come to its end (hazards B37 to B39).

What the drain can do with each of them is asked of the drain's own plan.
"""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import Budget, parse_budget
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import controller_of, is_mirror
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import owner_of, owners_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainResult
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import pins_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_drain import (
    added_first,
    planned_drain,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import WORKLOADS, Workload

# Left by the drain as well, and said by a check of their own.
_SAID_ELSEWHERE = ("Node ", "VirtualMachineInstance ")
_OF_BUDGETS = ("budget ", "the budgets ")
_KINDS = frozenset(resource.kind for resource, _path in WORKLOADS)


def drain_can_finish(now: Situation) -> t.Iterator[Problem]:
    """B37 to B43: what the drain would leave where it is, in its own words."""
    plan = planned_drain(now)
    if plan is None:
        return
    for (owner, reason), names in sorted(_given_up(now, plan).items()):
        if not reason.startswith(_OF_BUDGETS):
            yield Problem(
                BLOCKER,
                f"The drain would leave {counted(len(names), 'pod')} of {owner} in the old pool: {reason}.",
                "Do that first.",
                (owner, *(f"Pod {name}" for name in names)),
            )


def budgets_allow(now: Situation) -> t.Iterator[Problem]:
    """B37: budgets that keep the drain from its end, and budgets that make it wait."""
    plan = planned_drain(now)
    if plan is None:
        return
    budgets = [parse_budget(thing) for thing in now.view.budgets]
    pods = {full_name(pod): pod for pod in now.source_pods()}
    matched_by = _matched_by(budgets, pods.values())
    stuck: set[str] = set()
    for (owner, reason), names in sorted(_given_up(now, plan).items()):
        matching = sorted(label for label, matched in matched_by.items() if not matched.keys().isdisjoint(names))
        stuck.update(matching)
        if reason.startswith(_OF_BUDGETS):
            yield Problem(
                BLOCKER,
                f"The drain would leave {counted(len(names), 'pod')} of {owner} in the old pool: {reason}.",
                "Do that first, and undo it when the pods have moved.",
                (*(f"PodDisruptionBudget {label}" for label in matching), owner),
            )
    for budget in budgets:
        matched = matched_by[budget.label].values()
        if not matched or budget.allowed > 0 or budget.label in stuck:
            continue
        owners = {_owner_name(pod, now): owner_of(pod, now.view) for pod in matched}
        waiting = sorted(name for name, owner in owners.items() if owner is None or name not in added_first(now))
        if waiting:
            yield Problem(
                WARNING,
                f"PodDisruptionBudget {budget.label} ({budget.rule}, {budget.numbers}) lets no pod go just now"
                f"{_unhealthy(budget)}: the drain would wait for {', '.join(waiting)}.",
                "Wait until its pods are healthy, add a replica (kubectl scale), or relax it for the time of the "
                "procedure.",
                (f"PodDisruptionBudget {budget.label}", *waiting),
            )
    yield from _several_budgets(pods, matched_by)


def _given_up(now: Situation, plan: DrainResult) -> dict[tuple[str, str], list[str]]:
    """The pods that the drain leaves, by owner and reason, but for those that have checks of their own."""
    if now.source is None or now.source.pool is None:
        return {}
    pins = pins_of(now, now.source)
    spaces = {pin.name for pin in pins if pin.kind == "Namespace"}
    pinned = {f"{pin.kind} {pin.namespace}/{pin.name}" for pin in pins}
    found: dict[tuple[str, str], list[str]] = {}
    for entry in plan.left:
        name = f"{entry.namespace}/{entry.pod}"
        said = not entry.owner or entry.owner.startswith(_SAID_ELSEWHERE)
        if not said and entry.namespace not in spaces and not {entry.owner, f"Pod {name}"} & pinned:
            found.setdefault((entry.owner, entry.reason), []).append(name)
    return found


def _matched_by(budgets: t.Iterable[Budget], pods: t.Iterable[Object]) -> dict[str, dict[str, Object]]:
    """The pods of each budget by their names, by the budget's."""
    beside: dict[str, list[Object]] = {}
    for pod in pods:
        beside.setdefault(pod["metadata"]["namespace"], []).append(pod)
    return {
        budget.label: {full_name(pod): pod for pod in beside.get(budget.namespace, ()) if budget.matches(pod)}
        for budget in budgets
    }


def _several_budgets(pods: t.Iterable[str], matched_by: t.Mapping[str, t.Mapping[str, Object]]) -> t.Iterator[Problem]:
    times = Counter(name for matched in matched_by.values() for name in matched)
    double = [name for name in pods if times[name] > 1]
    if double:
        yield Problem(
            WARNING,
            f"{counted(len(double), 'pod is', 'pods are')} matched by more than one PodDisruptionBudget, first "
            f"{double[0]}: the Eviction API "
            "refuses to evict them.",
            "Leave them one budget each, or let them be moved by a rollout restart.",
            tuple(double),
        )


def _unhealthy(budget: Budget) -> str:
    if budget.always_allows_unhealthy or not budget.current or budget.healthy >= budget.expected:
        return ""
    return f", broken ones neither: {budget.expected - budget.healthy} of its {budget.expected} pods are not healthy"


def unmovable_pods(now: Situation) -> t.Iterator[Problem]:
    """B38 and B39."""
    if now.request.procedure == DECLARE:
        return
    plan = planned_drain(now)
    left = {f"{entry.namespace}/{entry.pod}" for entry in plan.left} if plan is not None else set()
    pods = now.source_pods()
    static = [full_name(pod) for pod in pods if is_mirror(pod)]
    if static:
        yield Problem(
            BLOCKER if left & set(static) else WARNING,
            f"{counted(len(static), 'static pod is', 'static pods are')} on the pool's network, first {static[0]}: "
            "the API cannot move static pods.",
            "Restart them on their hosts once the old pool gives out no addresses any more.",
            tuple(static),
        )
    bare = [full_name(pod) for pod in pods if not is_mirror(pod) and controller_of(pod) is None]
    if bare:
        yield Problem(
            BLOCKER if left & set(bare) else WARNING,
            f"{counted(len(bare), 'pod has', 'pods have')} no owner that would create a new one, first {bare[0]}: "
            + (
                "the drain leaves them where they are."
                if left & set(bare)
                else "the drain evicts them and creates them again."
            ),
            "Give them an owner, or save their manifests, delete them, and create them again once the old pool gives "
            "out no addresses any more.",
            tuple(bare),
        )
    orphans = [full_name(pod) for pod in pods if not is_mirror(pod) and _is_orphan(pod, now)]
    if orphans:
        yield Problem(
            WARNING,
            f"{counted(len(orphans), 'pod has', 'pods have')} an owner that is gone, first {orphans[0]}: nobody "
            "would start them again.",
            "Find out whether they are still needed before they are evicted.",
            tuple(orphans),
        )
    by_hand = [(str(workload), why) for workload in owners_of(pods, now.view) for why in _by_hand(workload)]
    if by_hand:
        yield Problem(
            WARNING,
            f"{counted(len(by_hand), 'workload does not replace its', 'workloads do not replace their')} own pods, "
            f"first {by_hand[0][0]} ({by_hand[0][1]}): the pods are evicted one by one.",
            "Nothing, if their pods may be evicted.",
            tuple(name for name, _why in by_hand),
        )


def _is_orphan(pod: Object, now: Situation) -> bool:
    owner = controller_of(pod)
    if owner is None or owner.kind not in _KINDS or now.view.unreadable:
        return False
    return now.view.workload(owner.kind, pod["metadata"]["namespace"], owner.name) is None


def _by_hand(workload: Workload) -> t.Iterator[str]:
    spec = workload.thing.get("spec") or {}
    if workload.kind == "Deployment" and spec.get("paused"):
        yield "it is paused"
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        yield "its update strategy is OnDelete"
    elif (strategy.get("rollingUpdate") or {}).get("partition"):
        yield f"its rollouts stop at partition {strategy['rollingUpdate']['partition']}"


def _owner_name(pod: Object, now: Situation) -> str:
    owner = owner_of(pod, now.view)
    return str(owner) if owner is not None else f"Pod {full_name(pod)}"


CHECKS = (
    Check("budgets-allow", "disruption budgets let the pods go", ("B37",), budgets_allow),
    Check("drain-can-finish", "the drain moves every pod", ("B37", "B40", "B42", "B43"), drain_can_finish),
    Check("unmovable-pods", "every pod can be moved", ("B38", "B39"), unmovable_pods),
)
