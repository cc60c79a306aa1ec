# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.cni import CalicoCni
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.kube_controllers import KubeControllers

GRACE = 900.0


class Collected:
    """The world with one node, one pool, and the collector at work."""

    def __init__(self, world: t.Any, grace: float = GRACE) -> None:
        self.world = world
        world.node("n1")
        world.node("n2")
        world.pool()
        self.cni = CalicoCni(world.store, world.objects, world.clock)
        self.collector = KubeControllers(world.store, world.objects, world.clock, grace)
        self.collector.start()
        self.ready(True)

    def ready(self, ready: bool) -> None:
        self.world.put(PODS, "controllers", "shop", metadata={"labels": {"k8s-app": "calico-kube-controllers"}})
        pod = self.world.objects.get(PODS, "shop", "controllers")
        status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        self.world.api.replace(PODS, {**pod, "status": status}, "shop", subresource="status")

    def running_pod(self, name: str = "web", node: str = "n1") -> str:
        (address,) = self.cni.add(self.world.pod(name, node), node)
        self.world.pod(name, node, addresses=[address])
        return address

    def lose(self, name: str = "web") -> None:
        """The pod goes without a CNI DEL, as with a node that was switched off."""
        self.world.objects.delete(PODS, "shop", name)

    def blocks(self) -> int:
        return len(self.world.store.list_blocks())


@pytest.fixture
def collected(world: t.Any) -> Collected:
    return Collected(world)


def test_a_leaked_address_is_given_back_after_the_grace_only(world: t.Any, collected: Collected) -> None:
    kept = collected.running_pod("kept")
    leaked = collected.running_pod("web")
    collected.lose()
    world.clock.advance(GRACE)
    assert leaked in world.allocated()
    world.clock.advance(GRACE)
    assert set(world.allocated()) == {kept}


def test_a_pod_that_has_no_address_yet_keeps_what_was_assigned(world: t.Any, collected: Collected) -> None:
    collected.cni.add(world.pod("slow"), "n1")
    world.clock.advance(4 * GRACE)
    assert len(world.allocated()) == 1


def test_a_successor_of_the_same_name_with_another_address_does_not_protect_the_old_one(
    world: t.Any, collected: Collected
) -> None:
    old = collected.running_pod()
    collected.lose()
    new = collected.running_pod()
    assert old != new
    world.clock.advance(3 * GRACE)
    assert set(world.allocated()) == {new}


def test_a_node_that_is_gone_gives_everything_back(world: t.Any, collected: Collected) -> None:
    collected.running_pod("web", "n2")
    auto_assign(
        world.store,
        AssignRequest(
            host="n2",
            num_v4=1,
            handle_id="ipip-tunnel-addr-n2",
            attributes={"node": "n2", "type": "ipipTunnelAddress"},
            use="Tunnel",
        ),
        now=world.clock.now,
    )
    world.api.delete(NODES, "n2")
    world.clock.advance(20)
    assert len(world.allocated()) == 2
    collected.lose()
    world.clock.advance(60)
    assert world.allocated() == {}
    assert world.store.list_affinities() == []
    assert world.store.list_blocks() == []


def test_an_empty_block_goes_back_but_never_the_last_one(world: t.Any, collected: Collected) -> None:
    pods = [f"web-{number}" for number in range(17)]
    for name in pods:
        collected.running_pod(name)
    assert collected.blocks() == 2
    for name in pods:
        pod = world.objects.get(PODS, "shop", name)
        collected.cni.delete(pod, "n1")
        collected.lose(name)
    world.clock.advance(GRACE)
    assert collected.blocks() == 2
    world.clock.advance(2 * GRACE)
    assert collected.blocks() == 1


def test_blocks_of_a_deleted_pool_are_stranded_with_their_owner(world: t.Any, collected: Collected) -> None:
    collected.running_pod()
    world.api.delete(IP_POOLS, "p")
    collected.cni.delete(world.objects.get(PODS, "shop", "web"), "n1")
    collected.lose()
    world.clock.advance(4 * GRACE)
    (stored,) = world.store.list_blocks()
    assert (stored.value.affinity, stored.value.in_use) == ("host:n1", 0)


@pytest.mark.parametrize("obstacle", ["locked", "not running", "no grace"])
def test_the_collector_rests(world: t.Any, obstacle: str) -> None:
    collected = Collected(world, 0.0 if obstacle == "no grace" else GRACE)
    collected.running_pod()
    collected.lose()
    if obstacle == "locked":
        world.lock_datastore()
    if obstacle == "not running":
        collected.ready(False)
    world.clock.advance(4 * GRACE)
    assert len(world.allocated()) == 1


def test_a_restarted_collector_waits_the_grace_anew(world: t.Any, collected: Collected) -> None:
    collected.running_pod()
    collected.lose()
    world.clock.advance(GRACE)
    collected.ready(False)
    collected.ready(True)
    world.clock.advance(GRACE * 0.9)
    assert len(world.allocated()) == 1
    world.clock.advance(GRACE)
    assert world.allocated() == {}


def test_what_is_neither_pod_nor_tunnel_is_left_alone(world: t.Any, collected: Collected) -> None:
    auto_assign(
        world.store,
        AssignRequest(host="n1", num_v4=1, handle_id="by-hand", attributes={"node": "n1"}),
        now=world.clock.now,
    )
    world.api.delete(NODES, "n1")
    world.clock.advance(4 * GRACE)
    assert list(world.allocated().values()) == ["by-hand"]
    assert collected.blocks() == 1
