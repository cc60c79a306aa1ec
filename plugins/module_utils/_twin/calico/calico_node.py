# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""calico-node's start on a node: the cluster record, default pools, then the tunnel addresses.

The start follows the DaemonSet's pods: whenever a calico-node pod comes up, its node goes through
the start-up logic, as after a rollout restart of the DaemonSet.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, Unreachable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_form import stored_form
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.default_pools import default_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import (
    calico_node_environment,
    kubeadm_pod_subnet,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore

LABEL = ("k8s-app", "calico-node")
_RETRY = 10.0


class _Creating(t.Protocol):
    """As much of a ``KubeApi`` as calico-node needs to write Calico's kinds."""

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object: ...


class CalicoNodes:
    """Runs the start-up logic of every node whose calico-node pod comes up, then calls ``started(node)``."""

    def __init__(
        self,
        api: _Creating,
        objects: ObjectStore,
        clock: VirtualClock,
        calico_version: str,
        started: t.Callable[[str], None],
        places: CalicoPlaces = CRD_V1,
    ) -> None:
        self._api = api
        self._objects = objects
        self._clock = clock
        self._version = calico_version
        self._started = started
        self._places = places
        self._up: dict[str, str] = {}
        self._queue: WorkQueue[str] = WorkQueue(clock, "calico-node", self._start_node, delay=(0.2, 0.8))

    def start(self) -> None:
        """Follow the calico-node pods; those that run already count as started."""
        for pod in self._objects.list(PODS):
            if is_calico_node(pod) and _running(pod):
                self._up[pod["spec"]["nodeName"]] = pod["metadata"]["uid"]
        self._objects.subscribe(self._on_pod, PODS)

    def nodes(self) -> list[str]:
        """The nodes on which calico-node runs."""
        return sorted(self._up)

    def restart(self, node: str) -> bool:
        """Go through the start-up logic again without a new pod; False when calico-node does not run there."""
        if node not in self._up:
            return False
        self._queue.add(node)
        return True

    def _on_pod(self, event: Event) -> None:
        pod = event.object
        node = (pod.get("spec") or {}).get("nodeName")
        if not node or not is_calico_node(pod):
            return
        uid = pod["metadata"]["uid"]
        if event.type == DELETED or not _running(pod):
            if self._up.get(node) == uid:
                del self._up[node]
                self._queue.discard(node)
        elif self._up.get(node) != uid:
            self._up[node] = uid
            self._queue.add(node)

    def _start_node(self, node: str) -> float | None:
        if node not in self._up:
            return None
        try:
            self._write_cluster_information()
            self._create_default_pools()
            self._started(node)
        except Unreachable:
            # Without its datastore calico-node ends, and is started again.
            return _RETRY
        return None

    def _write_cluster_information(self) -> None:
        if self._objects.get(self._places.cluster_information, None, "default") is None:
            guid = f"{self._clock.random('cluster-guid').getrandbits(128):032x}"
            spec = {
                "clusterGUID": guid,
                "clusterType": "k8s,bgp" if self._places.etcd else "k8s,bgp,kdd",
                "calicoVersion": self._version,
                "datastoreReady": True,
            }
            self._create(self._places.cluster_information, {"metadata": {"name": "default"}, "spec": spec})

    def _create_default_pools(self) -> None:
        families = set()
        for pool in self._objects.list(self._places.pools):
            try:
                families.add(parse_network(str((pool.get("spec") or {}).get("cidr")), strict=False).version)
            except InvalidInput:
                continue
        subnets = {
            version: subnet
            for version in (4, 6)
            for subnet in [kubeadm_pod_subnet(self._objects, version)]
            if subnet is not None
        }
        environment = calico_node_environment(self._objects)
        chance = self._clock.random("default-pool")
        for pool in default_pools(environment, families, subnets, chance):
            self._create(self._places.pools, pool)

    def _create(self, resource: Resource, body: Object) -> None:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        if resource.group == CALICO_V1:
            # calico-node writes by Calico's client, which packs the metadata away (spec ippool.md 1.1).
            metadata = {**body["metadata"], "creationTimestamp": self._clock.timestamp()}
            body = stored_form({**body, "metadata": metadata}, resource)
        try:
            self._api.create(resource, body)
        except AlreadyExists:
            return


def is_calico_node(pod: Object) -> bool:
    """Whether a pod is one of calico-node's."""
    return (pod["metadata"].get("labels") or {}).get(LABEL[0]) == LABEL[1]


def _running(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"
