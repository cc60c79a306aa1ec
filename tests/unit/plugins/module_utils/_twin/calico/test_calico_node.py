# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    CONFIG_MAPS,
    DAEMON_SETS,
    IP_POOLS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.calico_node import CalicoNodes


@pytest.fixture
def started(world: t.Any) -> list[str]:
    """The nodes that went through the start-up logic, in order."""
    nodes: list[str] = []
    world.node("n1")
    world.calico = CalicoNodes(world.api, world.objects, world.clock, "v3.33.0", nodes.append)
    world.calico.start()
    return nodes


def come_up(world: t.Any, name: str = "calico-node-a", node: str = "n1") -> None:
    world.put(PODS, name, "kube-system", metadata={"labels": {"k8s-app": "calico-node"}}, spec={"nodeName": node})
    pod = world.objects.get(PODS, "kube-system", name)
    world.api.replace(PODS, {**pod, "status": {"phase": "Running"}}, "kube-system", subresource="status")
    world.clock.advance(2)


def environment(world: t.Any, **variables: str) -> None:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    spec = {"template": {"spec": {"containers": [{"name": "calico-node", "env": env}]}}}
    world.put(DAEMON_SETS, "calico-node", "kube-system", spec=spec)


def kubeadm(world: t.Any, subnet: str) -> None:
    text = f"networking:\n  podSubnet: {subnet}\n"
    world.put(CONFIG_MAPS, "kubeadm-config", "kube-system", data={"ClusterConfiguration": text})


def pools(world: t.Any) -> dict[str, dict[str, t.Any]]:
    return {pool["metadata"]["name"]: pool["spec"] for pool in world.objects.list(IP_POOLS)}


def test_a_pod_that_comes_up_starts_its_node_once(world: t.Any, started: list[str]) -> None:
    world.pool()
    come_up(world)
    come_up(world)
    assert started == ["n1"]
    assert world.calico.nodes() == ["n1"]
    world.objects.delete(PODS, "kube-system", "calico-node-a")
    assert world.calico.nodes() == []
    come_up(world, "calico-node-b")
    assert started == ["n1", "n1"]
    assert world.calico.restart("n1") and not world.calico.restart("n2")
    world.clock.advance(2)
    assert started == ["n1"] * 3


@pytest.mark.usefixtures("started")
def test_no_pool_is_made_while_one_exists_even_a_disabled_one(world: t.Any) -> None:
    world.pool("mine", disabled=True)
    come_up(world)
    assert list(pools(world)) == ["mine"]


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("variables", "subnet", "cidr"),
    [
        ({}, "", "192.168.0.0/16"),
        ({}, "10.8.0.0/14", "10.8.0.0/14"),
        ({}, "fd00::/48,10.8.0.0/14", "10.8.0.0/14"),
        ({"CALICO_IPV4POOL_CIDR": "172.20.0.0/16"}, "10.8.0.0/14", "172.20.0.0/16"),
    ],
)
def test_the_range_of_a_default_pool(world: t.Any, variables: dict[str, str], subnet: str, cidr: str) -> None:
    environment(world, **variables)
    if subnet:
        kubeadm(world, subnet)
    come_up(world)
    assert pools(world)["default-ipv4-ippool"] == {
        "cidr": cidr,
        "blockSize": 26,
        "ipipMode": "Always",
        "vxlanMode": "Never",
        "natOutgoing": True,
        "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    }


@pytest.mark.usefixtures("started")
def test_the_environment_shapes_a_default_pool(world: t.Any) -> None:
    environment(
        world,
        CALICO_IPV4POOL_VXLAN="CrossSubnet",
        CALICO_IPV4POOL_BLOCK_SIZE="28",
        CALICO_IPV4POOL_NAT_OUTGOING="false",
        CALICO_IPV4POOL_NODE_SELECTOR="has(rack)",
    )
    come_up(world)
    spec = pools(world)["default-ipv4-ippool"]
    assert (spec["vxlanMode"], spec["ipipMode"], spec["blockSize"], spec["nodeSelector"]) == (
        "CrossSubnet",
        "Never",
        28,
        "has(rack)",
    )
    assert "natOutgoing" not in spec


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("variables", [{"NO_DEFAULT_POOLS": "true"}, {"CALICO_IPV4POOL_CIDR": "none"}])
def test_default_pools_can_be_switched_off(world: t.Any, variables: dict[str, str]) -> None:
    environment(world, **variables)
    come_up(world)
    assert pools(world) == {}


@pytest.mark.usefixtures("started")
def test_the_cluster_record_is_written_when_it_is_missing(world: t.Any) -> None:
    world.objects.delete(CLUSTER_INFORMATIONS, None, "default")
    come_up(world)
    spec = world.objects.get(CLUSTER_INFORMATIONS, None, "default")["spec"]
    assert (spec["calicoVersion"], spec["datastoreReady"]) == ("v3.33.0", True)
