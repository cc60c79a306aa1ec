# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's CNI plugin: an address for each new sandbox, and back again.

Source: spec ipam-engine.md 17.1. It works through the engine on the stored objects, as the real
plugin does, so whatever is done to pools and blocks has its true effect on pods.
"""

from __future__ import annotations

import hashlib
import typing as t
from datetime import timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore, NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import old_pod_handle, pod_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import (
    NetworkConfig,
    datastore_ready,
    network_config,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.pod_request import PodRequest, pod_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.virtual_machines import (
    machine_attributes,
    machine_of,
    taken_over,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

_PLUGIN = 'plugin type="calico" failed (add): '


class CniError(Exception):
    """ADD or DEL failed; the message is what the kubelet shows in the pod's event."""


class CalicoCni:
    """The plugin on every node; ``add`` and ``delete`` are what a kubelet calls."""

    def __init__(
        self, datastore: Datastore, objects: ObjectStore, clock: VirtualClock, places: CalicoPlaces = CRD_V1
    ) -> None:
        self._datastore = datastore
        self._objects = objects
        self._clock = clock
        self._places = places

    def add(self, pod: Object, node_name: str) -> list[str]:
        """The addresses of the pod's sandbox, IPv4 first. Raises ``CniError``; nothing stays assigned then."""
        try:
            if not datastore_ready(self._objects, self._places):
                raise CniError(_PLUGIN + "Calico is currently not ready to process requests")
            config = network_config(self._objects)
            if config.ipam_type != "calico-ipam":
                raise CniError(f"{_PLUGIN}IPAM type {config.ipam_type!r} is not simulated, only calico-ipam")
            namespace = self._namespace(pod)
            request = pod_request(pod, namespace, config, self._datastore.pools())
            return [str(address) for address in self._assign(pod, namespace, node_name, config, request)]
        except IpamError as error:
            raise CniError(_PLUGIN + error.message) from None

    def delete(self, pod: Object, node_name: str) -> None:
        """Give back what the pod's sandbox holds; nothing to give back is fine. Raises ``CniError``."""
        metadata = pod["metadata"]
        try:
            network = network_config(self._objects).name
            machine = machine_of(pod, self._datastore)
            handles = [
                pod_handle(container_id(pod), network),
                old_pod_handle(metadata["namespace"], metadata["name"]),
            ]
            if machine is not None and not machine.stays(self._objects):
                handles.append(machine.handle(network))
            for handle in handles:
                self._release(handle)
        except IpamError as error:
            raise CniError(f'plugin type="calico" failed (delete): {error.message}') from None

    def _assign(
        self, pod: Object, namespace: Object, node: str, config: NetworkConfig, request: PodRequest
    ) -> t.Sequence[Address]:
        if request.outside_ipam:
            return request.addresses
        metadata = pod["metadata"]
        handle = pod_handle(container_id(pod), config.name)
        attributes = {
            "namespace": metadata["namespace"],
            "node": node,
            "pod": metadata["name"],
            "timestamp": self._clock.now().astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC"),
        }
        machine = machine_of(pod, self._datastore)
        if machine is not None:
            kept = taken_over(self._datastore, machine, config.name, attributes, self._clock.now)
            if kept:
                return kept
            handle, attributes = machine.handle(config.name), machine_attributes(machine, attributes)
        if request.addresses:
            return self._assign_given(request.addresses, node, handle, attributes)
        # A kubelet that repeats ADD for the same sandbox must not collect addresses.
        self._release(handle)
        assignment = auto_assign(
            self._datastore,
            AssignRequest(
                host=node,
                num_v4=1 if 4 in request.families else 0,
                num_v6=1 if 6 in request.families else 0,
                handle_id=handle,
                attributes=attributes,
                requested_v4=request.pools.get(4, ()),
                requested_v6=request.pools.get(6, ()),
                namespace_labels=namespace["metadata"].get("labels") or {},
            ),
            now=self._clock.now,
        )
        problem = assignment.problem
        if problem is not None:
            self._release(handle)
            raise CniError(f"{_PLUGIN}failed to request IP addresses: {problem}")
        return [assigned.address for assigned in assignment.addresses]

    def _assign_given(
        self, addresses: t.Sequence[Address], node: str, handle: str, attributes: t.Mapping[str, str]
    ) -> list[Address]:
        taken: list[Address] = []
        for address in addresses:
            try:
                assign_ip(
                    self._datastore,
                    address,
                    node,
                    now=self._clock.now,
                    handle_id=handle,
                    attributes=attributes,
                    use="Workload",
                )
            except IpamError:
                self._release(handle)
                raise
            taken.append(address)
        return taken

    def _release(self, handle: str) -> None:
        try:
            release_by_handle(self._datastore, handle, now=self._clock.now)
        except NotFoundInStore:
            return

    def _namespace(self, pod: Object) -> Object:
        name = pod["metadata"]["namespace"]
        return self._objects.get(NAMESPACES, None, name) or {"metadata": {"name": name}}


def container_id(pod: Object) -> str:
    """The id of the pod's sandbox: 64 hexadecimal digits, the same each time a pod is asked for."""
    return hashlib.sha256(f"sandbox/{pod['metadata']['uid']}".encode()).hexdigest()
