# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Nodes: conditions and heartbeats as the kubelet writes them, the cordon's taint, pods of lost nodes.

Heartbeats are sparse on purpose: at a hundred times the speed of life a lease a node every ten
virtual seconds would be all that the twin does.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import LEASES, NAMESPACES, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.placement import UNSCHEDULABLE_TAINT
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import condition, is_finished
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ADDED, DELETED, Event

LEASE_NAMESPACE = "kube-node-lease"
# Seconds until the pods of a node that is gone are removed.
_ORPHAN_AFTER = 40.0
# Seconds between heartbeats: virtual on a manual clock, real otherwise.
_HEARTBEAT = 300.0
_HEARTBEAT_REAL = 10.0
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


class NodeController:
    """One for all nodes."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[str] = WorkQueue(ctx.clock, "node", self._reconcile, (0.1, 0.3))
        self._beats: WorkQueue[str] = WorkQueue(ctx.clock, "heartbeat", self._beat, (0.5, 2.0))
        self._orphans: WorkQueue[str] = WorkQueue(ctx.clock, "orphans", self._remove_orphans)

    def start(self) -> None:
        self._ctx.informers.on(NODES, self._on_node)
        for node in self._ctx.objects.list(NODES):
            self._queue.add(node["metadata"]["name"])
            self._beats.add(node["metadata"]["name"])
        for name in list(self._ctx.pods_by_node.keys()):
            if self._ctx.objects.get(NODES, None, str(name)) is None:
                self._orphans.add(str(name), _ORPHAN_AFTER)

    def stop(self) -> None:
        for queue in (self._queue, self._beats, self._orphans):
            queue.stop()

    def _on_node(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        if event.type == DELETED:
            self._beats.discard(name)
            self._orphans.add(name, _ORPHAN_AFTER)
            return
        self._queue.add(name)
        if event.type == ADDED:
            self._beats.add(name)

    def _reconcile(self, name: str) -> float | None:
        ctx = self._ctx
        node = ctx.objects.get(NODES, None, name)
        if node is None:
            return None
        spec = node.get("spec") or {}
        taints: list[Object] = list(spec.get("taints") or ())
        others = [each for each in taints if each.get("key") != UNSCHEDULABLE_TAINT]
        cordoned = bool(spec.get("unschedulable"))
        if cordoned != (len(others) != len(taints)):
            if cordoned:
                others.append({"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule", "timeAdded": ctx.clock.timestamp()})
            changed = {key: value for key, value in spec.items() if key != "taints"}
            if others:
                changed["taints"] = others
            ctx.update(NODES, {**node, "spec": changed})
        return None

    # -- heartbeats ------------------------------------------------------------------------

    def _beat(self, name: str) -> float | None:
        ctx = self._ctx
        node = ctx.objects.get(NODES, None, name)
        if node is None:
            return None
        now = ctx.clock.timestamp()
        status = node.get("status") or {}
        conditions: list[Object] = list(status.get("conditions") or ())
        for kind, truth, reason, message in _HEALTHY:
            known = condition(node, kind)
            if known is None:
                conditions.append(
                    {
                        "type": kind,
                        "status": truth,
                        "lastHeartbeatTime": now,
                        "lastTransitionTime": now,
                        "reason": reason,
                        "message": message,
                    }
                )
            elif known.get("reason", "").startswith("Kubelet"):
                conditions[conditions.index(known)] = {**known, "lastHeartbeatTime": now}
        ctx.update_status(NODES, node, {**status, "conditions": conditions})
        self._renew(node)
        speed = ctx.clock.speed
        return _HEARTBEAT if speed is None else max(_HEARTBEAT_REAL, _HEARTBEAT_REAL * speed)

    def _renew(self, node: Object) -> None:
        ctx = self._ctx
        if ctx.objects.get(NAMESPACES, None, LEASE_NAMESPACE) is None:
            return
        name = node["metadata"]["name"]
        now = ctx.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = ctx.objects.get(LEASES, LEASE_NAMESPACE, name)
        if lease is not None:
            ctx.update(LEASES, {**lease, "spec": {**(lease.get("spec") or {}), "renewTime": now}})
            return
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        body: Object = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
        }
        try:
            ctx.api.create(LEASES, body, LEASE_NAMESPACE)
        except AlreadyExists:
            return

    # -- lost nodes ------------------------------------------------------------------------

    def _remove_orphans(self, name: str) -> float | None:
        ctx = self._ctx
        if ctx.objects.get(NODES, None, name) is not None:
            return None
        for pod in ctx.pods_by_node.get(name):
            if not is_finished(pod):
                status: t.Any = {**(pod.get("status") or {}), "phase": "Failed"}
                pod = ctx.update_status(PODS, pod, status)
            ctx.delete(PODS, pod, grace_seconds=0)
        return None
