# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is found out before settings change, on an API server with Calico's own definitions."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    IP_POOLS,
    NAMESPACES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_assign import assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings_review import SettingsFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings_facts import read_facts
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore


class World:
    def __init__(self) -> None:
        self.api = LocalApi(ApiServer(ObjectStore(), VirtualClock()))
        for crd in calico_crds("v1"):
            self.api.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
        self.store = KubernetesStore(self.api)
        self.make(NAMESPACES, "kube-system")
        self.information: Object = {}

    def make(self, resource: Resource, name: str, namespace: str | None = None, **rest: t.Any) -> Object:
        metadata: Object = {"name": name, **rest.pop("metadata", {})}
        if namespace:
            metadata["namespace"] = namespace
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **rest}
        return self.api.create(resource, body, namespace)

    def component(self, name: str, app: str, *images: str) -> None:
        containers = [{"name": f"c{position}", "image": image} for position, image in enumerate(images)]
        spec = {"nodeName": "node-a", "containers": containers}
        self.make(PODS, name, "kube-system", metadata={"labels": {"k8s-app": app}}, spec=spec)

    def facts(self, before: Settings, after: Settings) -> SettingsFacts:
        return read_facts(self.api, self.store, lambda: self.information, before, after)


COOLING = Settings(cooldown_seconds=30)


@pytest.fixture
def world() -> World:
    return World()


def test_an_empty_cluster(world: World) -> None:
    assert world.facts(Settings(), Settings(True)) == SettingsFacts()
    assert world.facts(Settings(), COOLING) == SettingsFacts(keeps_released_at=True)


def test_blocks_and_nodes(world: World) -> None:
    spec = {"cidr": "10.77.4.0/24", "blockSize": 30, "natOutgoing": True, "ipipMode": "Always"}
    world.make(IP_POOLS, "teal", spec=spec)
    world.make(IP_POOLS, "off", spec={**spec, "cidr": "10.78.0.0/16", "blockSize": 26, "disabled": True})
    world.make(NODES, "node-a", status={"capacity": {"pods": "110"}})
    world.make(NODES, "node-b", metadata={"labels": {"kubernetes.io/os": "windows"}})
    for position, cidr in enumerate(("10.77.4.0/30", "10.77.4.4/30", "10.78.0.0/26", "fd00::/122")):
        block = new_block(parse_network(cidr), 1, "host:node-a")
        if position == 0:
            block = assign(block, 2, "net.1", {"node": "node-b", "pod": "p", "namespace": "n"})[0]
            block = assign(block, 1, "net.vmi.shop.till", {"node": "node-a", "vmi-name": "till"})[0]
        world.store.create_block(block)
    world.store.create_block(new_block(parse_network("10.77.4.8/30"), 1))
    facts = world.facts(Settings(), Settings(True))
    assert facts == SettingsFacts(
        borrowed=2,
        blocks_of={"node-a": 3},
        nodes={"node-a": 110, "node-b": 0},
        windows_nodes=("node-b",),
        free_blocks=61,
        addresses_per_block=4,
        vm_addresses=1,
    )


def test_versions(world: World) -> None:
    world.make(NODES, "node-a")
    digest = "@sha256:" + "0" * 64
    images = ("quay.io/calico/node:v3.33.0", "registry:5000/calico/cni:v3.32.1", f"calico/node{digest}", "sidecar:v1.2")
    world.component("calico-node-x", "calico-node", *images)
    world.component("kc", "calico-kube-controllers", "calico/kube-controllers:master")
    world.component("web", "web", "calico/node:v3.1.0")
    world.information = {"spec": {"calicoVersion": "v3.33.2"}}
    assert world.facts(Settings(), COOLING).versions == {
        "c0 on node-a": (3, 33),
        "c1 on node-a": (3, 32),
        "ClusterInformation default": (3, 33),
    }
    assert world.facts(COOLING, replace(COOLING, cooldown_seconds=60)).versions == {}, "only what is needed is read"


def test_service_addresses(world: World) -> None:
    row = Affinity("load-balancer", "virtual", parse_network("10.90.0.0/26"), "confirmed")
    world.store.create_affinity(row)
    assert world.facts(Settings(), COOLING).load_balancer == ("block 10.90.0.0/26",)
    spec = {"cidr": "10.90.0.0/24", "allowedUses": ["LoadBalancer"], "nodeSelector": "all()"}
    world.make(IP_POOLS, "services", spec=spec)
    assert world.facts(Settings(), COOLING).load_balancer == ("pool services",)


def test_definitions_of_an_older_calico(world: World) -> None:
    name = "ipamblocks.crd.projectcalico.org"
    crd = copy.deepcopy(world.api.get(CUSTOM_RESOURCE_DEFINITIONS, name))
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["attributes"]["items"]["properties"]["releasedAt"]
    world.api.replace(CUSTOM_RESOURCE_DEFINITIONS, crd)
    assert world.facts(Settings(), COOLING).keeps_released_at is False


def test_settings_an_older_calico_does_not_have(world: World) -> None:
    crd = copy.deepcopy(world.api.get(CUSTOM_RESOURCE_DEFINITIONS, "ipamconfigs.crd.projectcalico.org"))
    members = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    for member in ("ipCooldownSeconds", "kubeVirtVMAddressPersistence"):
        del members[member]
    world.api.replace(CUSTOM_RESOURCE_DEFINITIONS, crd)
    assert world.facts(Settings(), Settings(True, True, 4)).unserved == ()
    assert world.facts(Settings(), COOLING).unserved == ("ipCooldownSeconds",)


def test_a_datastore_without_schema_keeps_everything(world: World) -> None:
    assert read_facts(world.api, MemoryStore(), dict, Settings(), COOLING).keeps_released_at is True
