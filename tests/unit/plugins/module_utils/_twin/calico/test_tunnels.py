# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.tunnels import Tunnels

IPIP = "projectcalico.org/IPv4IPIPTunnelAddr"
VXLAN = "projectcalico.org/IPv4VXLANTunnelAddr"
VXLAN6 = "projectcalico.org/IPv6VXLANTunnelAddr"


@pytest.fixture
def tunnels(world: t.Any) -> Tunnels:
    world.node("n1", rack="a")
    world.node("n2", rack="b")
    world.pool()
    tunnels = Tunnels(world.api, world.store, world.objects, world.clock, lambda: ["n1", "n2"], 2.0)
    tunnels.start()
    world.clock.advance(10)
    return tunnels


def address(world: t.Any, node: str = "n1", annotation: str = IPIP) -> str | None:
    return (world.objects.get(NODES, None, node)["metadata"].get("annotations") or {}).get(annotation)


@pytest.mark.usefixtures("tunnels")
def test_every_node_gets_an_address_under_its_handle(world: t.Any) -> None:
    assert world.allocated() == {
        address(world, "n1"): "ipip-tunnel-addr-n1",
        address(world, "n2"): "ipip-tunnel-addr-n2",
    }
    (block, _other) = sorted(world.store.list_blocks(), key=lambda stored: stored.value.affinity)
    assert dict(block.value.attributes[0].secondary) == {"node": "n1", "type": "ipipTunnelAddress"}


@pytest.mark.usefixtures("tunnels")
def test_disabling_a_pool_moves_the_addresses_within_seconds(world: t.Any) -> None:
    world.pool("q", "10.2.0.0/24")
    world.clock.advance(5)
    assert str(address(world)).startswith("10.1.0.")
    world.pool(disabled=True)
    world.clock.advance(5)
    assert str(address(world, "n1")).startswith("10.2.0.")
    assert str(address(world, "n2")).startswith("10.2.0.")
    assert set(world.allocated()) == {address(world, "n1"), address(world, "n2")}


@pytest.mark.usefixtures("tunnels")
@pytest.mark.parametrize("change", ["delete", "disable", "mode", "uses", "selector"])
def test_without_a_qualifying_pool_the_address_goes(world: t.Any, change: str) -> None:
    if change == "delete":
        world.api.delete(IP_POOLS, "p")
    else:
        spec: dict[str, t.Any] = {
            "disable": {"disabled": True},
            "mode": {"ipipMode": "Never"},
            "uses": {"allowedUses": ["Workload"]},
            "selector": {"nodeSelector": "!all()"},
        }[change]
        world.pool(**spec)
    world.clock.advance(5)
    assert address(world) is None
    assert world.allocated() == {}


@pytest.mark.usefixtures("tunnels")
def test_a_node_selector_concerns_only_the_nodes_it_leaves_out(world: t.Any) -> None:
    before = address(world, "n2")
    world.pool(nodeSelector="rack == 'b'")
    world.clock.advance(5)
    assert address(world, "n1") is None
    assert address(world, "n2") == before


@pytest.mark.usefixtures("tunnels")
def test_each_encapsulation_has_its_own_address(world: t.Any) -> None:
    world.pool("vx", "10.2.0.0/24", ipipMode="Never", vxlanMode="CrossSubnet")
    world.pool("vx6", "fd00::/112", blockSize=122, ipipMode="Never", vxlanMode="Always")
    world.clock.advance(5)
    assert str(address(world)).startswith("10.1.0.")
    assert str(address(world, annotation=VXLAN)).startswith("10.2.0.")
    assert str(address(world, annotation=VXLAN6)).startswith("fd00::")
    assert len(world.allocated()) == 6


@pytest.mark.usefixtures("tunnels")
def test_wireguard_needs_a_key(world: t.Any) -> None:
    world.api.patch(NODES, "n1", {"metadata": {"annotations": {"projectcalico.org/WireguardPublicKey": "k"}}})
    world.clock.advance(5)
    assert address(world, "n1", "projectcalico.org/IPv4WireguardInterfaceAddr") is not None
    assert address(world, "n2", "projectcalico.org/IPv4WireguardInterfaceAddr") is None


@pytest.mark.usefixtures("tunnels")
def test_an_address_of_somebody_else_is_left_to_them(world: t.Any) -> None:
    taken = parse_address("10.1.0.200")
    assign_ip(world.store, taken, "n2", now=world.clock.now, handle_id="k8s-pod-network.abc", attributes={})
    world.api.patch(NODES, "n1", {"metadata": {"annotations": {IPIP: "10.1.0.200"}}})
    world.clock.advance(5)
    assert address(world) not in (None, "10.1.0.200")
    assert world.allocated()["10.1.0.200"] == "k8s-pod-network.abc"


@pytest.mark.usefixtures("tunnels")
def test_an_address_nobody_has_a_record_of_is_replaced(world: t.Any) -> None:
    world.api.patch(NODES, "n1", {"metadata": {"annotations": {IPIP: "10.1.0.77"}}})
    world.clock.advance(5)
    assert address(world) != "10.1.0.77"
    assert world.allocated()[str(address(world))] == "ipip-tunnel-addr-n1"
    assert len(world.allocated()) == 2


@pytest.mark.usefixtures("tunnels")
def test_nothing_changes_while_nothing_matters(world: t.Any) -> None:
    revision = world.objects.revision
    world.api.patch(IP_POOLS, "p", {"metadata": {"labels": {"a": "b"}}})
    world.node("n1", rack="a")
    world.clock.advance(20)
    assert world.objects.revision == revision + 1


@pytest.mark.usefixtures("tunnels")
def test_no_room_is_tried_again_until_there_is(world: t.Any) -> None:
    world.pool(disabled=True)
    world.pool("tiny", "10.6.0.0/32", blockSize=32)
    world.clock.advance(10)
    assert list(world.allocated()) == ["10.6.0.0"]
    world.pool("more", "10.7.0.0/24")
    world.clock.advance(10)
    assert set(world.allocated()) == {address(world, "n1"), address(world, "n2")}
