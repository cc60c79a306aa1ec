# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The disruption controller: how many pods a PodDisruptionBudget lets go at this moment.

``expectation`` is the arithmetic (spec kubernetes-api-behaviour.md §11): an integer
``minAvailable`` expects the pods there are, everything else expects the scale of the pods'
controllers, and pods without a scalable controller cannot be expected at all.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.amount import is_percentage, scaled
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_ready,
    is_terminating,
    parse_time,
    with_condition,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import selects

# How long an evicted pod may take to get its deletionTimestamp before it counts again.
DISRUPTION_TIMEOUT = 120.0
_COMPONENT = "controllermanager"
_SCALABLE: dict[str, Resource] = {
    each.kind: each for each in (REPLICA_SETS, STATEFUL_SETS, REPLICATION_CONTROLLERS, DEPLOYMENTS)
}


class NoScale(Exception):
    """A pod's controller has no number of replicas to expect."""


@dataclass(frozen=True)
class Expectation:
    """``expected`` pods in all, of which ``desired`` have to stay healthy."""

    expected: int
    desired: int


def expectation(spec: Object, pods: int, scale: t.Callable[[], int]) -> Expectation:
    """What the budget's spec asks for; ``scale()`` gives the sum of the controllers' replicas."""
    if spec.get("maxUnavailable") is not None:
        expected = scale()
        return Expectation(expected, max(0, expected - scaled(spec["maxUnavailable"], expected, up=True)))
    minimum = spec.get("minAvailable")
    if is_percentage(minimum):
        expected = scale()
        return Expectation(expected, scaled(minimum, expected, up=True))
    return Expectation(pods, scaled(minimum, pods, up=True))


def allowed_disruptions(healthy: int, expected: Expectation) -> int:
    """How many healthy pods may go; never below 0, and none where none is expected."""
    if expected.expected <= 0:
        return 0
    return max(0, healthy - expected.desired)


def disruption_condition(conditions: t.Iterable[Object], allowed: int, now: str, generation: int) -> list[Object]:
    """The conditions with ``DisruptionAllowed`` as the number says."""
    truth, reason = ("True", "SufficientPods") if allowed > 0 else ("False", "InsufficientPods")
    return with_condition(
        conditions, "DisruptionAllowed", truth, now, reason, observedGeneration=generation, message=""
    )


class DisruptionController:
    """Keeps the status of every PodDisruptionBudget true."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "disruption", self._reconcile, (0.03, 0.1))

    def start(self) -> None:
        informers = self._ctx.informers
        informers.on(POD_DISRUPTION_BUDGETS, self._on_budget)
        informers.on(PODS, self._on_pod)
        for resource in _SCALABLE.values():
            informers.on(resource, self._on_owner)
        for obj in self._ctx.objects.list(POD_DISRUPTION_BUDGETS):
            self._queue.add(object_key(obj))

    def stop(self) -> None:
        self._queue.stop()

    def _on_budget(self, event: Event) -> None:
        if event.type != DELETED:
            self._queue.add(object_key(event.object))

    def _on_pod(self, event: Event) -> None:
        namespace = event.object["metadata"]["namespace"]
        for budget in self._ctx.objects.list(POD_DISRUPTION_BUDGETS, namespace):
            selector = budget["spec"].get("selector")
            for pod in (event.object, event.previous):
                if pod is not None and selects(selector, pod["metadata"].get("labels")):
                    self._queue.add(object_key(budget))
                    break

    def _on_owner(self, event: Event) -> None:
        old, new = event.previous, event.object
        changed = old is None or old["spec"].get("replicas") != new["spec"].get("replicas") or event.type == DELETED
        if changed:
            for budget in self._ctx.objects.list(POD_DISRUPTION_BUDGETS, new["metadata"]["namespace"]):
                self._queue.add(object_key(budget))

    # -- one reconciliation ----------------------------------------------------------------

    def _reconcile(self, key: Key) -> float | None:
        ctx = self._ctx
        budget = ctx.get(POD_DISRUPTION_BUDGETS, key)
        if budget is None:
            return None
        pods = ctx.select_pods(key[0], budget["spec"].get("selector"))
        if not pods:
            ctx.events.emit(POD_DISRUPTION_BUDGETS, budget, NORMAL, "NoPods", "No matching pods found", _COMPONENT)
        try:
            wanted = expectation(budget["spec"], len(pods), lambda: self._scale_of(pods))
        except NoScale as error:
            self._fail_safe(budget, str(error))
            return None
        disrupted, again = self._disrupted(budget, pods)
        healthy = sum(
            1 for pod in pods if not is_terminating(pod) and pod["metadata"]["name"] not in disrupted and is_ready(pod)
        )
        allowed = allowed_disruptions(healthy, wanted)
        generation = int(budget["metadata"].get("generation", 1))
        status: Object = {
            "observedGeneration": generation,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": wanted.desired,
            "expectedPods": wanted.expected,
            "conditions": disruption_condition(
                (budget.get("status") or {}).get("conditions") or (), allowed, ctx.clock.timestamp(), generation
            ),
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        ctx.update_status(POD_DISRUPTION_BUDGETS, budget, status)
        return again

    def _fail_safe(self, budget: Object, message: str) -> None:
        """The controller cannot tell: then nobody may be evicted."""
        ctx = self._ctx
        generation = int(budget["metadata"].get("generation", 1))
        ctx.events.emit(
            POD_DISRUPTION_BUDGETS,
            budget,
            WARNING,
            "CalculateExpectedPodCountFailed",
            f"Failed to calculate the number of expected pods: {message}",
            _COMPONENT,
        )
        before = budget.get("status") or {}
        status: Object = {
            **before,
            "observedGeneration": generation,
            "disruptionsAllowed": 0,
            "currentHealthy": int(before.get("currentHealthy") or 0),
            "desiredHealthy": int(before.get("desiredHealthy") or 0),
            "expectedPods": int(before.get("expectedPods") or 0),
            "conditions": with_condition(
                before.get("conditions") or (),
                "DisruptionAllowed",
                "False",
                ctx.clock.timestamp(),
                "SyncFailed",
                message,
                observedGeneration=generation,
            ),
        }
        ctx.update_status(POD_DISRUPTION_BUDGETS, budget, status)

    def _disrupted(self, budget: Object, pods: list[Object]) -> tuple[Object, float | None]:
        """Evictions that were granted but do not show in the pods yet, and when to look again."""
        ctx = self._ctx
        there = {pod["metadata"]["name"]: pod for pod in pods}
        now = ctx.clock.now()
        kept: Object = {}
        again: float | None = None
        for name, since in ((budget.get("status") or {}).get("disruptedPods") or {}).items():
            pod = there.get(name)
            if pod is None or is_terminating(pod):
                continue
            left = (parse_time(since) + timedelta(seconds=DISRUPTION_TIMEOUT) - now).total_seconds()
            if left <= 0:
                ctx.events.emit(
                    PODS, pod, WARNING, "NotDeleted", "Pod was expected by PDB to be deleted but it wasn't", _COMPONENT
                )
                continue
            kept[name] = since
            again = left if again is None else min(again, left)
        return kept, again

    def _scale_of(self, pods: list[Object]) -> int:
        """The replicas that the pods' controllers want, each controller counted once."""
        found: dict[str, int] = {}
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                continue
            owner = self._scalable(pod["metadata"]["namespace"], reference)
            if owner is not None:
                found[owner["metadata"]["uid"]] = int(owner["spec"].get("replicas", 1))
        return sum(found.values())

    def _scalable(self, namespace: str, reference: Object) -> Object | None:
        resource = _SCALABLE.get(reference["kind"])
        if resource is None:
            plural = reference["kind"].lower() + "s"
            group = reference["apiVersion"].rpartition("/")[0]
            name = f"{plural}.{group}" if group else plural
            raise NoScale(f"{name} does not implement the scale subresource")
        owner = self._ctx.objects.get(resource, namespace, reference["name"])
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return None
        above = controller_of(owner)
        if resource is REPLICA_SETS and above is not None and above["kind"] == DEPLOYMENTS.kind:
            return self._scalable(namespace, above)
        return owner
