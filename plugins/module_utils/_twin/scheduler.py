# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The scheduler: which node a pod runs on.

Node selectors, required node affinity, taints, requests against capacity, required pod
(anti-)affinity and hard topology spread constraints decide what fits; among what fits, the node
with the fewest pods of the same owner, then the least allocated one. Ties go by name, so that
the same cluster always schedules the same way.
"""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Conflict, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.nodeload import (
    NodeLoads,
    Request,
    capacity,
    request_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.placement import (
    UNSCHEDULABLE_TAINT,
    matches_node,
    node_taints,
    preference,
    untolerated,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_finished,
    is_terminating,
    node_of,
    with_condition,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import selects

NAME = "default-scheduler"
_MOST_OWNED = 100


class Scheduler:
    """Binds pods that have no node yet."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "scheduler", self._reconcile, (0.005, 0.03))
        self._loads = NodeLoads(ctx)
        self._unschedulable: dict[Key, None] = {}
        self._repelling: dict[str, Object] = {}

    def start(self) -> None:
        self._ctx.informers.on(PODS, self._on_pod)
        self._ctx.informers.on(NODES, self._on_node)
        for pod in self._ctx.objects.list(PODS):
            self._note(pod, gone=False)
            if self._mine(pod):
                self._queue.add(object_key(pod))

    def stop(self) -> None:
        self._queue.stop()

    # -- events ----------------------------------------------------------------------------

    @staticmethod
    def _mine(pod: Object) -> bool:
        spec = pod["spec"]
        return (
            not node_of(pod)
            and not is_terminating(pod)
            and not is_finished(pod)
            and not spec.get("schedulingGates")
            and spec.get("schedulerName", NAME) == NAME
        )

    def _note(self, pod: Object, *, gone: bool) -> None:
        """Remember bound pods that keep others away, so that not every pod has to be asked."""
        uid = pod["metadata"]["uid"]
        if gone or is_finished(pod):
            self._repelling.pop(uid, None)
        elif node_of(pod) and _terms(pod, "podAntiAffinity"):
            self._repelling[uid] = pod

    def _on_pod(self, event: Event) -> None:
        pod, gone = event.object, event.type == DELETED
        self._note(pod, gone=gone)
        if gone:
            self._unschedulable.pop(object_key(pod), None)
        elif self._mine(pod) and (event.previous is None or event.previous["spec"] != pod["spec"]):
            self._queue.add(object_key(pod))
        freed = node_of(pod) and (gone or (is_finished(pod) and not is_finished(event.previous or pod)))
        bound = node_of(pod) and event.previous is not None and not node_of(event.previous)
        if freed or (bound and self._unschedulable):
            self._retry()

    def _on_node(self, event: Event) -> None:
        old, new = event.previous, event.object
        if (
            old is None
            or node_taints(old) != node_taints(new)
            or old["metadata"].get("labels") != new["metadata"].get("labels")
            or (old.get("status") or {}).get("allocatable") != (new.get("status") or {}).get("allocatable")
        ):
            self._retry()

    def _retry(self) -> None:
        for key in self._unschedulable:
            self._queue.add(key)

    # -- one pod ---------------------------------------------------------------------------

    def _reconcile(self, key: Key) -> float | None:
        ctx = self._ctx
        pod = ctx.get(PODS, key)
        if pod is None or not self._mine(pod):
            self._unschedulable.pop(key, None)
            return None
        nodes = ctx.objects.list(NODES)
        request = request_of(pod)
        reasons: Counter[str] = Counter()
        fitting: list[Object] = []
        attracted = self._attraction(pod, nodes)
        spread = self._spread_limits(pod, nodes)
        for node in nodes:
            reason = self._misfit(pod, node, request)
            if not reason and not attracted(node):
                reason = "node(s) didn't match pod affinity rules"
            if not reason and not spread(node):
                reason = "node(s) didn't match pod topology spread constraints"
            if reason:
                reasons[reason] += 1
            else:
                fitting.append(node)
        if not fitting:
            self._refuse(key, pod, len(nodes), reasons)
            return None
        best = min(fitting, key=lambda node: self._rank(pod, node, request))
        self._bind(key, pod, best["metadata"]["name"])
        return None

    def _bind(self, key: Key, pod: Object, node: str) -> None:
        ctx = self._ctx
        metadata = pod["metadata"]
        body: Object = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": key[1], "namespace": key[0], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._unschedulable.pop(key, None)
        try:
            ctx.api.create_subresource(PODS, key[1], "binding", body, key[0])
        except (NotFound, Conflict):
            return
        message = f"Successfully assigned {key[0]}/{key[1]} to {node}"
        ctx.events.emit(PODS, pod, NORMAL, "Scheduled", message, NAME)

    def _refuse(self, key: Key, pod: Object, nodes: int, reasons: Counter[str]) -> None:
        ctx = self._ctx
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        message = f"0/{nodes} nodes are available: {listed}." if nodes else "no nodes available to schedule pods"
        self._unschedulable[key] = None
        status = pod.get("status") or {}
        conditions = with_condition(
            status.get("conditions") or (),
            "PodScheduled",
            "False",
            ctx.clock.timestamp(),
            "Unschedulable",
            message,
        )
        ctx.update_status(PODS, pod, {**status, "conditions": conditions})
        ctx.events.emit(PODS, pod, WARNING, "FailedScheduling", message, NAME)

    # -- what fits -------------------------------------------------------------------------

    def _misfit(self, pod: Object, node: Object, request: Request) -> str:
        """Why the pod cannot run there, in the scheduler's words; ``""`` when it can."""
        spec = pod["spec"]
        taint = untolerated(spec.get("tolerations") or (), node)
        if taint is not None:
            if taint.get("key") == UNSCHEDULABLE_TAINT:
                return "node(s) were unschedulable"
            return f"node(s) had untolerated taint(s) {{{taint.get('key')}: {taint.get('value') or ''}}}"
        if not matches_node(spec, node):
            return "node(s) didn't match Pod's node affinity/selector"
        name = node["metadata"]["name"]
        load = self._loads.of(name)
        if load.pods + 1 > capacity(node, "pods"):
            return "Too many pods"
        if request.cpu and load.cpu + request.cpu > capacity(node, "cpu"):
            return "Insufficient cpu"
        if request.memory and load.memory + request.memory > capacity(node, "memory"):
            return "Insufficient memory"
        if self._repelled(pod, node):
            return "node(s) didn't match pod anti-affinity rules"
        return ""

    def _repelled(self, pod: Object, node: Object) -> bool:
        """Whether required anti-affinity, the pod's own or that of pods already there, speaks against it."""
        for term in _terms(pod, "podAntiAffinity"):
            if any(_affects(term, pod, other) for other in self._in_domain(node, term["topologyKey"])):
                return True
        labels = node["metadata"].get("labels") or {}
        for other in self._repelling.values():
            for term in _terms(other, "podAntiAffinity"):
                if not _affects(term, other, pod):  # pylint: disable=arguments-out-of-order
                    continue
                key = term["topologyKey"]
                there = self._node_labels(node_of(other))
                if key in labels and there.get(key) == labels[key]:
                    return True
        return False

    def _node_labels(self, name: str) -> dict[str, str]:
        node = self._ctx.objects.get(NODES, None, name)
        return dict(((node or {"metadata": {}})["metadata"]).get("labels") or {})

    def _in_domain(self, node: Object, key: str) -> list[Object]:
        """The living pods on all nodes that share the node's value of a topology label."""
        labels = node["metadata"].get("labels") or {}
        if key not in labels:
            return []
        if key == "kubernetes.io/hostname":
            names = [node["metadata"]["name"]]
        else:
            names = [
                each["metadata"]["name"]
                for each in self._ctx.objects.list(NODES)
                if (each["metadata"].get("labels") or {}).get(key) == labels[key]
            ]
        return [pod for name in names for pod in self._ctx.pods_by_node.get(name) if not is_finished(pod)]

    def _attraction(self, pod: Object, nodes: list[Object]) -> t.Callable[[Object], bool]:
        """A check of required pod affinity; a pod that matches its own rule may be the first of its kind."""
        terms = _terms(pod, "podAffinity")
        if not terms:
            return lambda _node: True
        everywhere = [
            other
            for node in nodes
            for other in self._ctx.pods_by_node.get(node["metadata"]["name"])
            if not is_finished(other)
        ]
        first = all(
            _affects(term, pod, pod) and not any(_affects(term, pod, other) for other in everywhere) for term in terms
        )

        def attracted(node: Object) -> bool:
            labels = node["metadata"].get("labels") or {}
            if first:
                return all(term["topologyKey"] in labels for term in terms)
            return all(
                any(_affects(term, pod, other) for other in self._in_domain(node, term["topologyKey"]))
                for term in terms
            )

        return attracted

    def _spread_limits(self, pod: Object, nodes: list[Object]) -> t.Callable[[Object], bool]:
        """A check of the topology spread constraints that say DoNotSchedule."""
        hard = [
            each
            for each in pod["spec"].get("topologySpreadConstraints") or ()
            if each.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
        ]
        if not hard:
            return lambda _node: True
        counts: list[tuple[Object, Counter[str]]] = []
        namespace = pod["metadata"]["namespace"]
        for constraint in hard:
            key = constraint["topologyKey"]
            found: Counter[str] = Counter()
            for node in nodes:
                value = (node["metadata"].get("labels") or {}).get(key)
                if value is None or not matches_node(pod["spec"], node):
                    continue
                found[value] += 0
                for other in self._ctx.pods_by_node.get(node["metadata"]["name"]):
                    same = other["metadata"]["namespace"] == namespace and not is_terminating(other)
                    if same and selects(constraint.get("labelSelector"), other["metadata"].get("labels")):
                        found[value] += 1
            counts.append((constraint, found))

        def allowed(node: Object) -> bool:
            labels = node["metadata"].get("labels") or {}
            for constraint, found in counts:
                value = labels.get(constraint["topologyKey"])
                if value is None or value not in found:
                    return False
                if found[value] + 1 - min(found.values()) > int(constraint.get("maxSkew") or 1):
                    return False
            return True

        return allowed

    # -- what is best ----------------------------------------------------------------------

    def _rank(self, pod: Object, node: Object, request: Request) -> tuple[t.Any, ...]:
        name = node["metadata"]["name"]
        load = self._loads.of(name)
        owner = controller_of(pod)
        siblings = load.owners.get(owner["uid"], 0) if owner is not None else 0
        cpu, memory = capacity(node, "cpu") or 1, capacity(node, "memory") or 1
        share = (load.cpu + request.cpu) / cpu + (load.memory + request.memory) / memory
        room = load.pods / (capacity(node, "pods") or 1)
        return -preference(pod["spec"], node), min(siblings, _MOST_OWNED), share, room, name


def _terms(pod: Object, kind: str) -> list[Object]:
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    return list(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ())


def _affects(term: Object, pod: Object, other: Object) -> bool:
    """Whether ``other`` is one of the pods that a term of ``pod`` is about."""
    namespaces = term.get("namespaces") or [pod["metadata"]["namespace"]]
    if term.get("namespaceSelector") != {} and other["metadata"]["namespace"] not in namespaces:
        return False
    return selects(term.get("labelSelector"), other["metadata"].get("labels"))
