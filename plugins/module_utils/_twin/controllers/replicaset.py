# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The ReplicaSet controller: as many active pods as wanted.

A pod whose deletion has begun does not count, so its replacement is created at once (spec
kubernetes-api-behaviour.md §10). Pods to remove are chosen as Kubernetes chooses them.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS, REPLICA_SETS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.claim import claim_pods
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    condition,
    created,
    is_active,
    is_ready,
    is_terminating,
    node_of,
    phase,
    ready_since,
    seconds_to_available,
    with_condition,
    without_condition,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import TryAgain, WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.template import REFUSALS, pod_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import selects

# Pods one reconciliation creates or deletes at most.
_BURST = 500
_DELAY = (0.05, 0.1)
# Less than the Deployment controller ever takes: what shrinks has shrunk before something grows in its place.
_SHRINK_DELAY = 0.03
_COST = "controller.kubernetes.io/pod-deletion-cost"
_COMPONENT = "replicaset-controller"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


class ReplicaSetController:
    """Keeps every ReplicaSet at its number of replicas and its status true."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "replicaset", self._reconcile, _DELAY)

    def start(self) -> None:
        self._ctx.informers.on(REPLICA_SETS, self._on_replica_set)
        self._ctx.informers.on(PODS, self._on_pod)
        for obj in self._ctx.objects.list(REPLICA_SETS):
            self._queue.add(object_key(obj))

    def stop(self) -> None:
        self._queue.stop()

    def _on_replica_set(self, event: Event) -> None:
        if event.type == DELETED:
            return
        old = event.previous
        if old is not None and old["spec"].get("replicas", 1) > event.object["spec"].get("replicas", 1):
            self._queue.add(object_key(event.object), _SHRINK_DELAY)
        else:
            self._queue.add(object_key(event.object))

    def _on_pod(self, event: Event) -> None:
        enqueue_owner(self._queue, REPLICA_SETS.kind, event)
        pod = event.object
        if event.type != DELETED and controller_of(pod) is None:
            labels = pod["metadata"].get("labels") or {}
            if not labels:
                return
            for obj in self._ctx.objects.list(REPLICA_SETS, pod["metadata"]["namespace"]):
                if selects(obj["spec"].get("selector"), labels):
                    self._queue.add(object_key(obj))

    def _reconcile(self, key: Key) -> float | None:
        ctx = self._ctx
        obj = ctx.get(REPLICA_SETS, key)
        if obj is None:
            return None
        pods = [pod for pod in claim_pods(ctx, REPLICA_SETS, obj) if is_active(pod)]
        wanted = int(obj["spec"].get("replicas", 1))
        failure = ""
        if not is_terminating(obj):
            failure = self._scale(obj, pods, wanted)
            obj = ctx.get(REPLICA_SETS, key)
            if obj is None:
                return None
            pods = [pod for pod in ctx.controlled(PODS, obj) if is_active(pod)]
        again = self._write_status(obj, pods, failure)
        if failure:
            raise TryAgain(failure)
        return again

    def _scale(self, obj: Object, pods: list[Object], wanted: int) -> str:
        ctx = self._ctx
        missing = wanted - len(pods)
        for _each in range(min(missing, _BURST)):
            pod = pod_of(obj["spec"]["template"], REPLICA_SETS, obj)
            try:
                made = ctx.api.create(PODS, pod, obj["metadata"]["namespace"])
            except REFUSALS as error:
                ctx.events.emit(
                    REPLICA_SETS, obj, WARNING, "FailedCreate", f"Error creating: {error.message}", _COMPONENT
                )
                return error.message
            ctx.events.emit(
                REPLICA_SETS, obj, NORMAL, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", _COMPONENT
            )
        if missing < 0:
            for pod in sorted(pods, key=self._deletion_order(obj, pods))[: min(-missing, _BURST)]:
                ctx.delete(PODS, pod)
                name = pod["metadata"]["name"]
                ctx.events.emit(REPLICA_SETS, obj, NORMAL, "SuccessfulDelete", f"Deleted pod: {name}", _COMPONENT)
        return ""

    def _deletion_order(self, obj: Object, pods: list[Object]) -> t.Callable[[Object], t.Any]:
        """A sort key: those to delete first come first."""
        # Pods of sibling ReplicaSets count too when it is about which node is crowded.
        related = list(pods)
        owner = controller_of(obj)
        if owner is not None:
            for sibling in self._ctx.objects.list(REPLICA_SETS, obj["metadata"]["namespace"]):
                reference = controller_of(sibling)
                same = reference is not None and reference["uid"] == owner["uid"]
                if same and sibling["metadata"]["uid"] != obj["metadata"]["uid"]:
                    related += [pod for pod in self._ctx.controlled(PODS, sibling) if is_active(pod)]
        crowd: dict[str, int] = {}
        for pod in related:
            crowd[node_of(pod)] = crowd.get(node_of(pod), 0) + 1

        def order(pod: Object) -> t.Any:
            since = ready_since(pod)
            annotations = pod["metadata"].get("annotations") or {}
            return (
                1 if node_of(pod) else 0,
                _PHASES.get(phase(pod), 2),
                1 if is_ready(pod) else 0,
                _cost(annotations.get(_COST, "0")),
                -crowd[node_of(pod)],
                -(since.timestamp() if since is not None else 0.0),
                -restarts(pod),
                _reverse(created(pod)),
                pod["metadata"]["name"],
            )

        return order

    def _write_status(self, obj: Object, pods: list[Object], failure: str) -> float | None:
        ctx = self._ctx
        min_ready = float(obj["spec"].get("minReadySeconds") or 0)
        now = ctx.clock.now()
        waits = [seconds_to_available(pod, min_ready, now) for pod in pods]
        template_labels = (obj["spec"]["template"].get("metadata") or {}).get("labels") or {}
        labelled = sum(1 for pod in pods if template_labels.items() <= (pod["metadata"].get("labels") or {}).items())
        status: Object = {
            "replicas": len(pods),
            "fullyLabeledReplicas": labelled,
            "readyReplicas": sum(1 for wait in waits if wait is not None),
            "availableReplicas": sum(1 for wait in waits if wait == 0.0),
            "observedGeneration": obj["metadata"].get("generation", 1),
        }
        status = {key: value for key, value in status.items() if value or key in ("replicas", "observedGeneration")}
        conditions = list((obj.get("status") or {}).get("conditions") or ())
        if failure:
            if condition(obj, "ReplicaFailure") is None:
                conditions = with_condition(
                    conditions, "ReplicaFailure", "True", ctx.clock.timestamp(), "FailedCreate", failure
                )
        else:
            conditions = without_condition(conditions, "ReplicaFailure")
        if conditions:
            status["conditions"] = conditions
        ctx.update_status(REPLICA_SETS, obj, status)
        return min((wait for wait in waits if wait), default=None)


def enqueue_owner(queue: WorkQueue[Key], kind: str, event: Event) -> None:
    """Queue the managing owners of that kind, those of before the event too."""
    for obj in (event.object, event.previous):
        if obj is None:
            continue
        reference = controller_of(obj)
        if reference is not None and reference["kind"] == kind:
            queue.add((obj["metadata"].get("namespace") or "", reference["name"]))


def restarts(pod: Object) -> int:
    """The highest restart count of the pod's containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(each.get("restartCount") or 0) for each in statuses), default=0)


def _cost(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _reverse(text: str) -> tuple[int, ...]:
    """Sorts texts of equal length backwards."""
    return tuple(-ord(letter) for letter in text)
