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
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import Budget
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import takes
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of, controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import (
    Bounds,
    daemon_set_bounds,
    deployment_bounds,
    desired_count,
    is_rolling,
    original_strategy,
    resolve,
    stateful_set_bounds,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import (
    COUNTED,
    FINITE,
    ROLLED,
    Owner,
    template_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.declared_by import marks_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    LOCAL_DATA,
    SINGLE_REPLICA_WEBHOOKS,
    consents,
    local_data,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import (
    ORDINARY,
    STORAGE,
    WEBHOOKS,
    Serving,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    EVICT,
    RECREATE,
    RESTART,
    SURGE,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import pin

# A new pod of these may have its predecessor's address without anything being wrong: the mirror of a static
# pod is written anew while the pod itself never stopped, and a virtual machine's address is its own (B18).
KEEPS_ADDRESS = ("Node", "VirtualMachineInstance")

WAIT = "wait"
NEVER = "never"

Obstacle = t.Callable[[], t.Optional[str]]

# From so many members on a StatefulSet may have a quorum to lose, so the pause is kept between them (D09).
QUORUM = 3

# Who writes a workload again by themselves, without waiting for a release.
_PUT_BACK = ("Argo CD", "Flux", "the controller of")


@dataclass(frozen=True)
class Limits:
    """What the user allows: pods at once in all and in a namespace, seconds between members, and losses."""

    max_parallel: int
    per_namespace: int | None = None
    pause: float = 0.0
    consent: t.Sequence[str] = ()

    @property
    def at_once(self) -> int:
        """The most that one workload may replace at the same time."""
        return self.max_parallel if self.per_namespace is None else min(self.max_parallel, self.per_namespace)

    @property
    def words(self) -> str:
        if self.at_once < self.max_parallel:
            return f"max_parallel_per_namespace is {self.per_namespace}"
        return f"max_parallel is {self.max_parallel}"


@dataclass(frozen=True)
class Choice:
    """How one workload is treated.

    ``way`` is ``restart``, ``surge``, ``evict`` or ``recreate``; ``wait`` for pods that end by themselves; ``never``
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


def choose(
    view: View,
    owner: Owner | None,
    limits: Limits,
    obstacle: Obstacle,
    serving: Serving | None = None,
    stage: int = ORDINARY,
) -> Choice:
    """The way for the pods of ``owner``; ``obstacle`` tells why no extra pod could run, asked only if need be."""
    untouchable = _untouchable(view, owner)
    if untouchable is not None:
        return untouchable
    if owner is None or owner.kind in FINITE or _is_finite(view, owner):
        return Choice(WAIT, "it runs to an end of its own", Bounds(0, 0))
    workload = view.workloads.get(owner)
    tie = _tie(view, owner, workload)
    if tie:
        return Choice(
            NEVER,
            "its pods are tied to the pool",
            blocked=f"the annotation {tie} ties its pods to the pool, so that new ones would get no address: change it",
        )
    blocked = _nowhere_to_go(view, owner, workload) or _would_lose(owner, workload, limits)
    if blocked:
        return Choice(NEVER, "it is not safe to move", blocked=blocked)
    choice = _way(view, owner, workload, limits, obstacle, stage)
    if serving is not None and stage == WEBHOOKS and not choice.blocked:
        blocked = _last_webhook_pod(view, owner, choice, limits, serving)
        if blocked:
            return Choice(NEVER, "it is not safe to move", blocked=blocked)
    return choice


def _untouchable(view: View, owner: Owner | None) -> Choice | None:
    if owner is None:
        return Choice(
            NEVER,
            "nobody would re-create it",
            blocked="it has no controller, so nobody would re-create it: delete it and create it again yourself, or "
            "have the drain do so (consent: bare_pods)",
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
    return None


def _is_finite(view: View, owner: Owner) -> bool:
    """Pods of a kind we do not know that are not started again when they end are somebody's jobs (D11)."""
    if owner.kind in COUNTED:
        return False
    pods = view.pods_of(owner)
    return bool(pods) and all(pod.finite for pod in pods)


def _nowhere_to_go(view: View, owner: Owner, workload: Object | None) -> str:
    """A node that may be given new pods although no pool has addresses for them there (B14, D14)."""
    unserved = view.unserved(owner.namespace)
    if not unserved or workload is None or owner.kind == "DaemonSet":
        return ""
    pod_spec = template_of(workload)
    for node in sorted(unserved):
        facts = view.nodes[node]
        if facts.ready and takes(facts, pod_spec):
            pool = "a pool with free blocks" if view.pools_for(node, owner.namespace) else "a pool"
            return (
                f"its pods may be started on node {node}, for which no enabled pool has addresses: cordon the node, "
                f"or let {pool} select it"
            )
    return ""


def _would_lose(owner: Owner, workload: Object | None, limits: Limits) -> str:
    if owner.kind != "StatefulSet" or workload is None or consents(limits.consent, LOCAL_DATA, owner.namespace):
        return ""
    volumes = local_data(template_of(workload))
    if not volumes:
        return ""
    return (
        f"what its members keep in {', '.join(volumes)} would be lost or left behind: consent to that "
        f"(consent: local_data/{owner.namespace}), or give it claims"
    )


def _last_webhook_pod(view: View, owner: Owner, choice: Choice, limits: Limits, serving: Serving) -> str:
    """Taking the only pod before another is there would keep every pod from being created (B40)."""
    if choice.bounds.unavailable == 0 or consents(limits.consent, SINGLE_REPLICA_WEBHOOKS, owner.namespace):
        return ""
    for backend in serving.webhooks_of(view.pods_of(owner)):
        pods = [pod for pod in view.selected(backend.namespace, backend.selector) if not pod.terminating]
        if backend.stops_pods and len(pods) < 2:
            return (
                f"it is the only pod behind {backend.asked_by}, without which no pod can be created: add a replica, or "
                f"consent to the gap (consent: {SINGLE_REPLICA_WEBHOOKS}/{owner.namespace})"
            )
    return ""


def _way(view: View, owner: Owner, workload: Object | None, limits: Limits, obstacle: Obstacle, stage: int) -> Choice:
    if owner.kind == "Pod":
        return Choice(RECREATE, "it has no controller, and its manifest is saved", Bounds(0, 1))
    budgets = view.budgets_of(view.pods_of(owner))
    if owner.kind not in ROLLED or workload is None:
        return _evict(view, owner, budgets, 1, f"a {owner.kind} has no rollout of its own")
    idle = _none_ready(view, owner, workload, budgets)
    if idle is not None:
        return idle
    if stage == STORAGE:
        # One pod, and so one node, at a time, whatever its strategy says (D10).
        limits = replace(limits, max_parallel=1)
    if owner.kind == "Deployment":
        return _deployment(view, owner, workload, budgets, limits, obstacle)
    return _set(view, owner, workload, budgets, limits)


def _none_ready(view: View, owner: Owner, workload: Object, budgets: list[Budget]) -> Choice | None:
    """Evictions for what serves nobody anyhow: a rollout waits for new pods that are not going to be ready."""
    pods = view.pods_of(owner)
    if not pods or any(pod.ready or pod.terminating for pod in pods) or original_strategy(workload) is not None:
        return None
    if is_rolling(workload):
        return None
    choice = _evict(view, owner, budgets, 1, "none of its pods is ready, so a rollout would not come to an end")
    return None if choice.blocked else choice


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
    view: View, owner: Owner, workload: Object, budgets: list[Budget], limits: Limits, obstacle: Obstacle
) -> Choice:
    spec = workload.get("spec") or {}
    bounds = deployment_bounds(workload)
    if original_strategy(workload) is not None:
        return Choice(SURGE, "an earlier run began it, it is finished and the strategy put back", bounds)
    if spec.get("paused"):
        return _evict(view, owner, budgets, 1, "it is paused, so a restart would have no effect")
    too_much = _too_much(view, bounds, desired_count(workload), budgets, limits)
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
    above = controller_of(workload)
    if above is not None:
        # Its strategy would be put back at once, and the rollout would go on without regard to budgets.
        return _evict(view, owner, budgets, 1, f"{too_much}, and its strategy belongs to {above.kind} {above.name}")
    keeper = next((who for who in marks_of(workload) if who.startswith(_PUT_BACK)), "")
    if keeper:
        # In the middle of the rollout, perhaps; where evictions can do it, no strategy is lent.
        at_once = max(1, min(bounds.unavailable, limits.at_once, desired_count(workload) - 1))
        choice = _evict(view, owner, budgets, at_once, f"{too_much}, and {keeper} would put its strategy back")
        if not choice.blocked:
            return choice
    # As many as its author lets go at once, where that is more than is added, but no more than Kubernetes' own default.
    usual = resolve("25%", desired_count(workload), round_up=True)
    surge = max(1, min(max(bounds.surge, min(bounds.unavailable, usual)), limits.at_once))
    return Choice(SURGE, too_much, Bounds(surge, 0))


def _set(view: View, owner: Owner, workload: Object, budgets: list[Budget], limits: Limits) -> Choice:
    strategy = (workload.get("spec") or {}).get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    stateful = owner.kind == "StatefulSet"
    bounds = stateful_set_bounds(workload) if stateful else daemon_set_bounds(workload)
    if strategy.get("type") == "OnDelete":
        return _evict(view, owner, budgets, 1, "its update strategy is OnDelete")
    if partition > 0:
        return _evict(view, owner, budgets, 1, f"its rollouts stop at partition {partition}")
    too_much = _too_much(view, bounds, desired_count(workload), budgets, limits)
    unserved = () if stateful else sorted({pod.node for pod in view.pods_of(owner)} & view.unserved(owner.namespace))
    if unserved:
        return _evict(view, owner, budgets, 1, f"no enabled pool has addresses for node {unserved[0]}")
    down = _on_dead_nodes(view, owner)
    if down and not (unserved or too_much):
        return _evict(view, owner, budgets, 1, f"its rollout would wait for node {down[0]}, which is not ready")
    if stateful and limits.pause > 0 and desired_count(workload) >= QUORUM and not too_much:
        paced = _evict(view, owner, budgets, 1, f"one member at a time, {limits.pause:g} s apart")
        if not paced.blocked:
            return paced
    if not too_much:
        return Choice(RESTART, _pace(bounds), bounds)
    at_once = 1 if stateful else max(1, min(bounds.unavailable, limits.at_once, desired_count(workload) - 1))
    return _evict(view, owner, budgets, at_once, too_much)


def _on_dead_nodes(view: View, owner: Owner) -> list[str]:
    """The nodes that are not ready and have pods of the owner: nobody tells there that a new one is ready."""
    names = {pod.node for pod in view.pods_of(owner) if pod.in_pool}
    return sorted(name for name in names if name in view.nodes and not view.nodes[name].ready)


def _too_much(view: View, bounds: Bounds, replicas: int, budgets: list[Budget], limits: Limits) -> str:
    """Why a plain restart takes more than it may; ``""`` when it does not."""
    for budget in budgets:
        slack = view_slack(view, budget)
        if bounds.unavailable > slack:
            return (
                f"a restart takes {bounds.unavailable} at once and budget {budget.label} ({budget.rule}) spares {slack}"
            )
    if replicas > 1 and bounds.unavailable >= replicas:
        return f"a restart takes all {replicas} at once"
    if bounds.disrupted > limits.at_once:
        return f"a restart replaces {bounds.disrupted} at once and {limits.words}"
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
