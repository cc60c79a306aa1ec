# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's own nodes, which a cluster with an etcd has beside those of Kubernetes.

calico-node makes one when it starts and keeps the node's tunnel addresses in it; kube-controllers
carries the labels of the Kubernetes node over, and takes it away after that node (spec
ipam-engine.md 17.2, 18).
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import (
    CALICO_NODES,
    TUNNELS,
    name_in_kubernetes,
    with_tunnels,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore

_RETRY = 10.0


class EtcdNodes:
    """Calico's nodes; ``running()`` says whether kube-controllers is there to look after them."""

    def __init__(self, etcd: EtcdApi, objects: ObjectStore, clock: VirtualClock, running: t.Callable[[], bool]) -> None:
        self._etcd = etcd
        self._objects = objects
        self._running = running
        self._queue: WorkQueue[str] = WorkQueue(clock, "etcd-nodes", self._reconcile, delay=(0.5, 1.5))

    def start(self) -> None:
        """Follow the nodes of Kubernetes."""
        self._objects.subscribe(self._on_node, NODES)
        self.look()

    def look(self) -> None:
        """Compare all nodes soon."""
        self._queue.add("all")

    def ensure(self, name: str) -> None:
        """calico-node has started on a node."""
        node = self._objects.get(NODES, None, name)
        if node is None:
            return
        body = {
            "metadata": {"name": name, "labels": node["metadata"].get("labels") or {}},
            "spec": {"orchRefs": [{"nodeName": name, "orchestrator": "k8s"}]},
        }
        try:
            self._etcd.create(CALICO_NODES, body)
        except AlreadyExists:
            return

    def node(self, name: str) -> Object | None:
        """The node of Kubernetes with the tunnel addresses of Calico's."""
        node = self._objects.get(NODES, None, name)
        if node is None:
            return None
        try:
            return with_tunnels(node, self._etcd.get(CALICO_NODES, name))
        except NotFound:
            return node

    def patch(self, resource: Resource, name: str, body: Object) -> Object:
        """Write the tunnel addresses among the annotations of a node's patch to Calico's node."""
        spec: Object = {}
        for annotation, value in body["metadata"]["annotations"].items():
            *parents, last = TUNNELS[annotation]
            place = spec
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return self._etcd.patch(CALICO_NODES, name, {"spec": spec})

    def _on_node(self, event: Event) -> None:
        before = (event.previous or {}).get("metadata") or {}
        if event.type == DELETED or before.get("labels") != event.object["metadata"].get("labels"):
            self.look()

    def _reconcile(self, _key: str) -> float | None:
        if not self._running():
            return None
        try:
            for theirs in self._etcd.list(CALICO_NODES).items:
                self._follow_kubernetes(theirs)
        except IpamError:
            return _RETRY
        return None

    def _follow_kubernetes(self, theirs: Object) -> None:
        name = name_in_kubernetes(theirs)
        if name is None:
            return
        node = self._objects.get(NODES, None, name)
        if node is None:
            self._etcd.delete(CALICO_NODES, name)
            return
        labels = node["metadata"].get("labels") or {}
        metadata = theirs["metadata"]
        if (metadata.get("labels") or {}) != labels:
            self._etcd.replace(CALICO_NODES, {**theirs, "metadata": {**metadata, "labels": labels}})
