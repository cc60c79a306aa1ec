# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The DaemonSet controller: one pod on every node that fits.

Pods are bound by the scheduler through a node affinity on the node's name, as in Kubernetes. An
update deletes the old pod first and creates the new one when it is gone (maxUnavailable), or
the other way round (maxSurge).
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DAEMON_SETS, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.amount import scaled
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.claim import claim_pods
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.placement import (
    matches_node,
    node_taints,
    untolerated,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    by_age,
    is_available,
    is_finished,
    is_ready,
    is_terminating,
    node_of,
    seconds_to_available,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import TryAgain, WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.replicaset import enqueue_owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.revision import (
    common_hash,
    current_revision,
    revision_label,
    trim_history,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.template import (
    REFUSALS,
    REVISION_LABEL,
    pod_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ADDED, DELETED, Event

GENERATION_LABEL = "pod-template-generation"
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_COMPONENT = "daemonset-controller"
_ALWAYS_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class DaemonSetController:
    """Keeps one pod of every DaemonSet on every node that it selects."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "daemonset", self._reconcile, (0.05, 0.1))
        self._refused = ""

    def start(self) -> None:
        self._ctx.informers.on(DAEMON_SETS, self._on_set)
        self._ctx.informers.on(PODS, lambda event: enqueue_owner(self._queue, DAEMON_SETS.kind, event))
        self._ctx.informers.on(NODES, self._on_node)
        self._queue_all()

    def stop(self) -> None:
        self._queue.stop()

    def _queue_all(self) -> None:
        for obj in self._ctx.objects.list(DAEMON_SETS):
            self._queue.add(object_key(obj))

    def _on_set(self, event: Event) -> None:
        if event.type != DELETED:
            self._queue.add(object_key(event.object))

    def _on_node(self, event: Event) -> None:
        old = event.previous
        if event.type in (ADDED, DELETED) or old is None:
            self._queue_all()
            return
        new = event.object
        if node_taints(old) != node_taints(new) or old["metadata"].get("labels") != new["metadata"].get("labels"):
            self._queue_all()

    # -- one reconciliation ----------------------------------------------------------------

    def _reconcile(self, key: Key) -> float | None:
        self._refused = ""
        again = self._sync(key)
        if self._refused:
            raise TryAgain(self._refused)
        return again

    def _sync(self, key: Key) -> float | None:
        ctx = self._ctx
        obj = ctx.get(DAEMON_SETS, key)
        if obj is None:
            return None
        claimed = claim_pods(ctx, DAEMON_SETS, obj)
        known = common_hash(claimed, obj)
        update = revision_label(current_revision(ctx, DAEMON_SETS, obj, short_label=True, known_hash=known))
        pods = self._by_node(claimed)
        if not is_terminating(obj):
            self._place(obj, pods, update)
            self._update(obj, self._by_node(ctx.controlled(PODS, obj)), update)
        again = self._write_status(key, update)
        hashes = {(pod["metadata"].get("labels") or {}).get(REVISION_LABEL) for pod in ctx.controlled(PODS, obj)}
        hashes.add(update)
        trim_history(ctx, obj, {f"{key[1]}-{each}" for each in hashes if each})
        return again

    @staticmethod
    def _by_node(pods: list[Object]) -> dict[str, list[Object]]:
        """Pods by the node they run on or, before they are bound, were made for; oldest first."""
        found: dict[str, list[Object]] = {}
        for pod in by_age(pods):
            found.setdefault(node_of(pod) or intended_node(pod), []).append(pod)
        return found

    def _tolerations(self, obj: Object) -> list[Object]:
        spec = obj["spec"]["template"].get("spec") or {}
        added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _ALWAYS_TOLERATED]
        if spec.get("hostNetwork"):
            added.append(
                {"key": "node.kubernetes.io/network-unavailable", "operator": "Exists", "effect": "NoSchedule"}
            )
        own = list(spec.get("tolerations") or ())
        return own + [each for each in added if each not in own]

    def _wanted(self, obj: Object, node: Object) -> tuple[bool, bool]:
        """(a pod should be made, a pod that is there may stay)."""
        spec = obj["spec"]["template"].get("spec") or {}
        if not matches_node(spec, node):
            return False, False
        taint = untolerated(self._tolerations(obj), node)
        if taint is None:
            return True, True
        return False, taint.get("effect") != "NoExecute"

    def _place(self, obj: Object, pods: dict[str, list[Object]], update: str) -> None:
        ctx = self._ctx
        surge, _unavailable = self._bounds(obj, len(ctx.objects.list(NODES)))
        names = set()
        for node in ctx.objects.list(NODES):
            name = node["metadata"]["name"]
            names.add(name)
            run, stay = self._wanted(obj, node)
            here = pods.get(name, [])
            if not here:
                if run:
                    self._create(obj, name, update)
                continue
            if not stay:
                self._delete(obj, [pod for pod in here if not is_terminating(pod)])
                continue
            living = [pod for pod in here if not is_terminating(pod)]
            finished = [pod for pod in living if is_finished(pod)]
            self._delete(obj, finished)
            running = [pod for pod in living if not is_finished(pod)]
            new = [pod for pod in running if _hash(pod) == update]
            old = [pod for pod in running if _hash(pod) != update]
            if surge and new and old:
                # Surging: the old pod makes room once the new one is available.
                min_ready = float(obj["spec"].get("minReadySeconds") or 0)
                if any(is_available(pod, min_ready, ctx.clock.now()) for pod in new):
                    self._delete(obj, old)
                self._delete(obj, new[1:])
            elif len(running) > 1:
                # One too many: the oldest stays.
                self._delete(obj, running[1:])
        for name, here in pods.items():
            # Made for a node that went away before they were bound.
            if name not in names:
                self._delete(obj, [pod for pod in here if not node_of(pod) and not is_terminating(pod)])

    @staticmethod
    def _bounds(obj: Object, nodes: int) -> tuple[int, int]:
        """(maxSurge, maxUnavailable) in pods; both percentages round up."""
        strategy = obj["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return 0, 0
        rolling = strategy.get("rollingUpdate") or {}
        surge = scaled(rolling.get("maxSurge", 0), nodes, up=True)
        unavailable = scaled(rolling.get("maxUnavailable", 1), nodes, up=True)
        if surge == 0 and unavailable == 0:
            unavailable = 1
        return surge, unavailable

    def _update(self, obj: Object, pods: dict[str, list[Object]], update: str) -> None:
        ctx = self._ctx
        if (obj["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") != "RollingUpdate":
            return
        min_ready = float(obj["spec"].get("minReadySeconds") or 0)
        now = ctx.clock.now()
        targets = [node["metadata"]["name"] for node in ctx.objects.list(NODES) if self._wanted(obj, node)[0]]
        surge, unavailable = self._bounds(obj, len(targets))
        missing = 0
        surging = 0
        replaceable: list[Object] = []
        surge_nodes: list[str] = []
        for name in targets:
            living = [pod for pod in pods.get(name, []) if not is_terminating(pod)]
            old = [pod for pod in living if _hash(pod) != update]
            new = [pod for pod in living if _hash(pod) == update]
            if not any(is_available(pod, min_ready, now) for pod in living):
                missing += 1
                if surge == 0:
                    # Replacing a pod that does not work costs nothing.
                    self._delete(obj, old)
                elif old and not new and len(pods.get(name, [])) == len(living):
                    surge_nodes.insert(0, name)
                continue
            if surge and old and new:
                surging += 1
            elif surge and old and len(pods.get(name, [])) == len(living):
                surge_nodes.append(name)
            elif old and not new:
                replaceable.extend(old)
        if surge:
            for name in surge_nodes[: max(0, surge - surging)]:
                self._create(obj, name, update)
        else:
            self._delete(obj, replaceable[: max(0, unavailable - missing)])

    # -- pods ------------------------------------------------------------------------------

    def _create(self, obj: Object, node: str, update: str) -> None:
        ctx = self._ctx
        template = obj["spec"]["template"]
        labels = {REVISION_LABEL: update}
        generation = (obj["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION)
        labels[GENERATION_LABEL] = generation or str(obj["metadata"].get("generation", 1))
        spec = template.get("spec") or {}
        affinity = spec.get("affinity") or {}
        named = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}
        pinned = {
            **affinity,
            "nodeAffinity": {
                **(affinity.get("nodeAffinity") or {}),
                "requiredDuringSchedulingIgnoredDuringExecution": named,
            },
        }
        pod = pod_of(
            template,
            DAEMON_SETS,
            obj,
            labels=labels,
            spec={"affinity": pinned, "tolerations": self._tolerations(obj)},
        )
        try:
            made = ctx.api.create(PODS, pod, obj["metadata"]["namespace"])
        except REFUSALS as error:
            self._refused = error.message
            ctx.events.emit(DAEMON_SETS, obj, WARNING, "FailedCreate", f"Error creating: {error.message}", _COMPONENT)
            return
        name = made["metadata"]["name"]
        ctx.events.emit(DAEMON_SETS, obj, NORMAL, "SuccessfulCreate", f"Created pod: {name}", _COMPONENT)

    def _delete(self, obj: Object, pods: list[Object]) -> None:
        for pod in pods:
            self._ctx.delete(PODS, pod)
            message = f"Deleted pod: {pod['metadata']['name']}"
            self._ctx.events.emit(DAEMON_SETS, obj, NORMAL, "SuccessfulDelete", message, _COMPONENT)

    # -- status ----------------------------------------------------------------------------

    def _write_status(self, key: Key, update: str) -> float | None:
        ctx = self._ctx
        obj = ctx.get(DAEMON_SETS, key)
        if obj is None:
            return None
        now = ctx.clock.now()
        min_ready = float(obj["spec"].get("minReadySeconds") or 0)
        pods = self._by_node(ctx.controlled(PODS, obj))
        desired = scheduled = misscheduled = ready = available = updated = 0
        waits: list[float] = []
        for node in ctx.objects.list(NODES):
            run, _stay = self._wanted(obj, node)
            here = [
                pod for pod in pods.get(node["metadata"]["name"], []) if not (is_terminating(pod) and is_finished(pod))
            ]
            if not run:
                misscheduled += 1 if here else 0
                continue
            desired += 1
            if not here:
                continue
            scheduled += 1
            # The oldest speaks for its node: with a surge, the new one counts once the old one is gone.
            oldest = by_age(here)[0]
            left = seconds_to_available(oldest, min_ready, now)
            ready += 1 if is_ready(oldest) else 0
            available += 1 if left == 0.0 else 0
            waits += [left] if left else []
            updated += 1 if _hash(oldest) == update else 0
        status: Object = {
            "currentNumberScheduled": scheduled,
            "numberMisscheduled": misscheduled,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": obj["metadata"].get("generation", 1),
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": desired - available,
        }
        optional = ("updatedNumberScheduled", "numberAvailable", "numberUnavailable")
        status = {field: value for field, value in status.items() if value or field not in optional}
        ctx.update_status(DAEMON_SETS, obj, status)
        return min(waits, default=None)


def intended_node(pod: Object) -> str:
    """The node that a DaemonSet's pod was made for, from its node affinity."""
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and len(field.get("values") or ()) == 1:
                return str(field["values"][0])
    return ""


def _hash(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))
