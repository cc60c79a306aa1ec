# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CRD_V3, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

Object = t.Dict[str, t.Any]


class World:
    """An API server with Calico's types and nothing that runs; time moves by hand."""

    def __init__(self, places: CalicoPlaces = CRD_V1) -> None:
        self.places = places
        self.clock = VirtualClock()
        self.objects = ObjectStore()
        self.api = LocalApi(ApiServer(self.objects, self.clock))
        for crd in calico_crds(places.definitions):
            self.api.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
        self.store = KubernetesStore(self.api, places.group)
        for name in ("kube-system", "shop"):
            self.put(NAMESPACES, name)
        self.put(places.cluster_information, "default", spec={"datastoreReady": True})

    def put(self, resource: Resource, name: str, namespace: str | None = None, **rest: t.Any) -> Object:
        """Create the object, or replace what it has by ``rest``."""
        metadata: Object = {"name": name, **rest.pop("metadata", {})}
        if namespace:
            metadata["namespace"] = namespace
        stored = self.objects.get(resource, namespace, name)
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **rest}
        if stored is None:
            return self.api.create(resource, body, namespace)
        return self.api.replace(resource, {**stored, **rest, "metadata": {**stored["metadata"], **metadata}}, namespace)

    def pool(self, name: str = "p", cidr: str = "10.1.0.0/24", **spec: t.Any) -> Object:
        defaults: Object = {"blockSize": 28, "ipipMode": "Always", "natOutgoing": True, "nodeSelector": "all()"}
        return self.put(self.places.pools, name, spec={"cidr": cidr, **defaults, **spec})

    def node(self, name: str = "n1", **labels: str) -> Object:
        return self.put(NODES, name, metadata={"labels": {"kubernetes.io/hostname": name, **labels}})

    def pod(self, name: str = "web", node: str = "n1", addresses: t.Sequence[str] = (), **annotations: t.Any) -> Object:
        keys = {f"cni.projectcalico.org/{key}": value for key, value in annotations.items()}
        status: Object = {"phase": "Running" if addresses else "Pending"}
        if addresses:
            status.update(podIP=addresses[0], podIPs=[{"ip": each} for each in addresses])
        self.put(PODS, name, "shop", metadata={"annotations": keys}, spec={"nodeName": node})
        pod = self.objects.get(PODS, "shop", name)
        return self.api.replace(PODS, {**(pod or {}), "status": status}, "shop", subresource="status")

    def network_config(self, text: str) -> None:
        self.put(CONFIG_MAPS, "calico-config", "kube-system", data={"cni_network_config": text})

    def lock_datastore(self, ready: bool = False) -> None:
        self.put(self.places.cluster_information, "default", spec={"datastoreReady": ready})

    def allocated(self) -> dict[str, str]:
        """Every allocated address with its handle."""
        found = {}
        for stored in self.store.list_blocks():
            block = stored.value
            for ordinal in range(block.cidr.size):
                attribute = block.attribute_at(ordinal)
                if attribute is not None:
                    found[str(block.cidr.address(ordinal))] = attribute.handle_id or ""
        return found


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def world_v3() -> World:
    """The same, with the v3 CRDs."""
    return World(CRD_V3)
