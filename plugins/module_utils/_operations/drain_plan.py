# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which way each workload's pods leave a pool: decided before anything is touched, from what the cluster says.

A rollout restart is gentlest, since the workload's own controller paces it, but no budget restrains it. So
the arithmetic comes first: what the rollout takes away at once against what each matching budget can spare
(``Budget.slack``). Where that does not fit, a Deployment is made to add before it takes away (``surge``), and
everything else goes pod by pod through the Eviction API, which budgets do restrain (``evict``).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import Budget
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import (
    Bounds,
    daemon_set_bounds,
    deployment_bounds,
    desired_count,
    original_strategy,
    stateful_set_bounds,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import FINITE, ROLLED, Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import EVICT, RESTART, SURGE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import PodFacts, View
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import pin

# A new pod of these may have its predecessor's address without anything being wrong: the mirror of a static
# pod is written anew while the pod itself never stopped, and a virtual machine's address is its own (B18).
KEEPS_ADDRESS = ("Node", "VirtualMachineInstance")

WAIT = "wait"
NEVER = "never"

Obstacle = t.Callable[[], t.Optional[str]]


@dataclass(frozen=True)
class Choice:
    """How one workload is treated.

    ``way`` is ``restart``, ``surge`` or ``evict``; ``wait`` for pods that end by themselves; ``never``
    for pods the drain must not touch. ``reason`` says why this way. ``bounds`` is what is added and
    taken away at once. ``blocked`` says why this way cannot succeed as things are.
    """

    way: str
    reason: str
    bounds: Bounds = Bounds(0, 1)
    blocked: str = ""

    @property
    def cost(self) -> int:
        """Pods being replaced at the same time."""
        return max(1, self.bounds.disrupted)


def choose(view: View, owner: Owner | None, max_parallel: int, obstacle: Obstacle) -> Choice:
    """The way for the pods of ``owner``; ``obstacle`` tells why no extra pod could run, asked only if need be."""
    if owner is None:
        return Choice(
            NEVER,
            "nobody would re-create it",
            blocked="it has no controller, so nobody would re-create it: delete it and create it again yourself",
        )
    if owner.kind == "Node":
        return Choice(
            NEVER,
            "its kubelet runs it from a file",
            blocked="it is a static pod, which the API cannot move: restart it on its node "
            "(move its manifest out of the kubelet's directory and back)",
        )
    if owner.kind == "VirtualMachineInstance":
        return Choice(
            NEVER,
            "a virtual machine keeps its address",
            blocked="it is a virtual machine, which keeps its address over restarts: stop it, and release its address",
        )
    if owner.kind in FINITE:
        return Choice(WAIT, "it runs to an end of its own", Bounds(0, 0))
    workload = view.workloads.get(owner)
    tie = _tie(view, owner, workload)
    if tie:
        return Choice(
            NEVER,
            "its pods are tied to the pool",
            blocked=f"the annotation {tie} ties its pods to the pool, so that new ones would get no address: change it",
        )
    budgets = view.budgets_of(view.pods_of(owner))
    if owner.kind not in ROLLED or workload is None:
        return _evict(view, owner, budgets, 1, f"a {owner.kind} has no rollout of its own")
    if owner.kind == "Deployment":
        return _deployment(view, owner, workload, budgets, max_parallel, obstacle)
    return _set(view, owner, workload, budgets, max_parallel)


def _tie(view: View, owner: Owner, workload: Object | None) -> str:
    """The annotation that ties new pods to the pool: in the template (else on the pods), or on the namespace."""
    own: t.Mapping[str, str] = {}
    template = ((workload or {}).get("spec") or {}).get("template")
    if template is not None:
        own = annotations_of(template)
    else:
        for pod in view.pods_of(owner):
            own = {**own, **pod.pins}
    return pin({**view.namespace_pins.get(owner.namespace, {}), **own}, view.pool, view.network)


def _deployment(
    view: View, owner: Owner, workload: Object, budgets: list[Budget], max_parallel: int, obstacle: Obstacle
) -> Choice:
    spec = workload.get("spec") or {}
    bounds = deployment_bounds(workload)
    if original_strategy(workload) is not None:
        return Choice(SURGE, "an earlier run began it, it is finished and the strategy put back", bounds)
    if spec.get("paused"):
        return _evict(view, owner, budgets, 1, "it is paused, so a restart would have no effect")
    too_much = _too_much(view, bounds, desired_count(workload), budgets, max_parallel)
    if not too_much:
        blocked = obstacle() if bounds.unavailable == 0 else None
        if blocked is None:
            return Choice(RESTART, _pace(bounds), bounds)
        return _evict(view, owner, budgets, 1, f"its rollout adds a pod before it takes one away, but {blocked}")
    recreate = (spec.get("strategy") or {}).get("type") == "Recreate"
    if recreate and all(view_slack(view, budget) > 0 for budget in budgets) and len(budgets) < 2:
        # Its author wants no more copies than replicas, and single evictions keep to that.
        return _evict(view, owner, budgets, 1, too_much)
    blocked = obstacle()
    if blocked is not None:
        return _evict(view, owner, budgets, 1, f"{too_much}, and no pod can be added first: {blocked}")
    surge = max(1, min(bounds.surge, max_parallel))
    return Choice(SURGE, too_much, Bounds(surge, 0))


def _set(view: View, owner: Owner, workload: Object, budgets: list[Budget], max_parallel: int) -> Choice:
    strategy = (workload.get("spec") or {}).get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    stateful = owner.kind == "StatefulSet"
    bounds = stateful_set_bounds(workload) if stateful else daemon_set_bounds(workload)
    if strategy.get("type") == "OnDelete":
        return _evict(view, owner, budgets, 1, "its update strategy is OnDelete")
    if partition > 0:
        return _evict(view, owner, budgets, 1, f"its rollouts stop at partition {partition}")
    too_much = _too_much(view, bounds, desired_count(workload), budgets, max_parallel)
    if not too_much:
        return Choice(RESTART, _pace(bounds), bounds)
    at_once = 1 if stateful else max(1, min(bounds.unavailable, max_parallel, desired_count(workload) - 1))
    return _evict(view, owner, budgets, at_once, too_much)


def _too_much(view: View, bounds: Bounds, replicas: int, budgets: list[Budget], max_parallel: int) -> str:
    """Why a plain restart takes more than it may; ``""`` when it does not."""
    for budget in budgets:
        slack = view_slack(view, budget)
        if bounds.unavailable > slack:
            return (
                f"a restart takes {bounds.unavailable} at once and budget {budget.label} ({budget.rule}) spares {slack}"
            )
    if replicas > 1 and bounds.unavailable >= replicas:
        return f"a restart takes all {replicas} at once"
    if bounds.disrupted > max_parallel:
        return f"a restart replaces {bounds.disrupted} at once and max_parallel is {max_parallel}"
    return ""


def _evict(view: View, owner: Owner, budgets: list[Budget], at_once: int, reason: str) -> Choice:
    blocked = ""
    if len(budgets) > 1:
        names = ", ".join(budget.label for budget in budgets)
        blocked = f"the budgets {names} match it at once, which the Eviction API does not support: remove all but one"
    elif budgets and view_slack(view, budgets[0]) == 0 and not budgets[0].always_allows_unhealthy:
        budget = budgets[0]
        blocked = (
            f"budget {budget.label} ({budget.rule}) never spares a pod of {owner.label}: relax it, or add replicas"
        )
    elif any(budget.max_unavailable is not None and budget.current and budget.expected == 0 for budget in budgets):
        # Kubernetes cannot tell how many pods such an owner wants and allows no disruption, ever.
        blocked = f"budget {budgets[0].label} cannot count the pods of {owner.label}: use an integer minAvailable"
    return Choice(EVICT, reason, Bounds(0, at_once), blocked)


def view_slack(view: View, budget: Budget) -> int:
    """``Budget.slack`` for the number of pods the budget expects, or failing that, for those that there are."""
    return budget.slack(budget.expected if budget.current and budget.expected else len(view.matched(budget)))


def _pace(bounds: Bounds) -> str:
    parts = []
    if bounds.surge:
        parts.append(f"adds {bounds.surge}")
    if bounds.unavailable:
        parts.append(f"takes {bounds.unavailable}")
    return f"its rollout {' and '.join(parts) or 'takes 1'} at once"


def rollout_gate(view: View, owner: Owner, choice: Choice) -> str:
    """What a restart still has to wait for, in words; ``""`` when it may start now.

    The choice was about the healthy case; this is about today: pods that are down already are not
    to be joined by those the rollout takes.
    """
    takes = choice.bounds.unavailable
    if takes == 0:
        return ""
    pods = view.pods_of(owner)
    for budget in view.budgets_of(pods):
        matched = view.matched(budget)
        healthy = sum(pod.ready for pod in matched)
        total = budget.expected if budget.current and budget.expected else len(matched)
        needed = total - budget.slack(total)
        short = budget.expected > 0 and (not budget.current or budget.allowed < takes)
        if short or healthy - takes < needed:
            return f"waiting for budget {budget.label} ({budget.numbers})"
    ready = sum(pod.ready for pod in pods)
    workload = view.workloads.get(owner)
    wanted = desired_count(workload) if workload is not None else len(pods)
    if wanted > 1 and ready - takes < 1:
        return f"waiting for more ready pods ({ready} of {wanted})"
    return ""


def eviction_gate(view: View, pod: PodFacts, wanted: int, ready: int) -> str:
    """What the eviction of one pod has to wait for; ``""`` when it may be tried now.

    ``ready`` is the number of the owner's ready pods without those already evicted.
    """
    if pod.ready and wanted > 1 and ready <= 1:
        return f"waiting for more ready pods ({ready} of {wanted}): its last ready pod is not evicted"
    if not pod.running:
        return ""
    for budget in view.budgets_of([pod]):
        if not budget.admits(pod.ready):
            return f"waiting for budget {budget.label} ({budget.numbers})"
    return ""
