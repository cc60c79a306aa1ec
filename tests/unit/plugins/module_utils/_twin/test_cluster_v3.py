# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole twin with v3 CRDs, in this process, its clock moved by hand."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from invariants import Holder, check, state_of_api
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.pool_controller import FINALIZER
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import API_SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load, names
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.settling import unsettled

POOL = "default-ipv4-ippool"
TUNNEL = "projectcalico.org/IPv4IPIPTunnelAddr"


@pytest.fixture
def small() -> Twin:
    return local_twin("small", installation="crd_v3")


def admin(twin: Twin) -> LocalApi:
    return LocalApi(twin.server, "system:admin")


def addresses(twin: Twin) -> set[str]:
    pods = (pod for pod in twin.objects.list(PODS) if not pod["spec"].get("hostNetwork"))
    return {pod["status"]["podIP"] for pod in pods if (pod.get("status") or {}).get("podIP")}


def all_inside(found: t.Iterable[str | None], cidr: str) -> bool:
    network = parse_network(cidr)
    return all(each is not None and network.contains(parse_address(each)) for each in found)


def tunnels(twin: Twin) -> list[str | None]:
    return [node["metadata"].get("annotations", {}).get(TUNNEL) for node in twin.objects.list(NODES)]


def broken(twin: Twin) -> list[str]:
    """What is wrong with the IPAM records, see ``tests/invariants.py``."""
    # A pod that has ended keeps its address in its status and has given it back.
    ended = {
        pod["status"].get("podIP")
        for pod in twin.objects.list(PODS)
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    }
    holders = [Holder(each) for each in addresses(twin) - ended]
    state = state_of_api(admin(twin), "projectcalico.org", holders=holders, now=twin.clock.now())
    return [str(violation) for violation in check(state)]


def condition(twin: Twin, name: str) -> str:
    pool = twin.objects.get(twin.places.pools, None, name)
    if pool is None:
        return "gone"
    return "".join(each["reason"] for each in (pool.get("status") or {}).get("conditions") or [])


def new_pool(twin: Twin, name: str, cidr: str = "10.0.0.0/16", **spec: t.Any) -> None:
    body = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": name},
        "spec": {"cidr": cidr, "blockSize": 28, "ipipMode": "Always", "natOutgoing": True, **spec},
    }
    admin(twin).create(twin.places.pools, body)


def restart_web(twin: Twin) -> None:
    patch = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    admin(twin).patch(DEPLOYMENTS, "web", patch, "shop", patch_type="strategic")


@pytest.mark.parametrize("scenario", names())
def test_a_scenario_comes_up_in_the_v3_group(scenario: str) -> None:
    twin = local_twin(scenario, installation="crd_v3")
    assert unsettled(twin.objects) == []
    pods = [pod for pod in twin.objects.list(PODS) if not pod["spec"].get("hostNetwork")]
    assert len(addresses(twin)) == len(pods) > 3
    pools = twin.objects.list(twin.places.pools)
    networks = [parse_network(pool["spec"]["cidr"]) for pool in pools]
    assert all(any(network.contains(parse_address(each)) for network in networks) for each in addresses(twin))
    blocks = twin.objects.list(twin.places.blocks)
    assert blocks and {block["apiVersion"] for block in blocks} == {"projectcalico.org/v3"}
    assert len(twin.objects.list(twin.places.affinities)) == len(blocks)
    for pool in pools:
        verdict = "PoolDisabled" if pool["spec"].get("disabled") else "OK"
        if not twin.kube_controllers.running:
            # Not every scenario has it, and nobody else judges pools.
            verdict = ""
        assert condition(twin, pool["metadata"]["name"]) == verdict
        assert (FINALIZER in (pool["metadata"].get("finalizers") or [])) == (verdict == "OK")
    assert twin.recorder.record()["violations"] == []
    assert broken(twin) == []


@pytest.mark.parametrize("scenario", ["small", "tutorial"])
def test_tunnels_have_addresses_too(scenario: str) -> None:
    twin = local_twin(scenario, installation="crd_v3")
    assert all_inside(tunnels(twin), "192.168.0.0/16")


def test_only_the_v3_group_is_served(small: Twin) -> None:
    groups = {crd["spec"]["group"] for crd in small.objects.list(CUSTOM_RESOURCE_DEFINITIONS)}
    assert groups == {"projectcalico.org"}
    assert [each["metadata"]["name"] for each in small.objects.list(API_SERVICES)] == ["v3.projectcalico.org"]
    information = small.objects.get(small.places.cluster_information, None, "default") or {}
    assert (information["spec"]["datastoreReady"], "kdd" in information["spec"]["clusterType"]) == (True, True)
    daemon_set = small.objects.get(DAEMON_SETS, "kube-system", "calico-node") or {}
    environment = daemon_set["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "CALICO_API_GROUP", "value": "projectcalico.org/v3"} in environment


def test_the_same_seed_makes_the_same_cluster() -> None:
    one, two = (local_twin("small", installation="crd_v3") for _number in range(2))
    assert addresses(one) == addresses(two)
    assert one.objects.list(one.places.pools) == two.objects.list(two.places.pools)


def test_a_locked_datastore_stops_new_pods(small: Twin) -> None:
    admin(small).patch(small.places.cluster_information, "default", {"spec": {"datastoreReady": False}})
    restart_web(small)
    assert "Deployment shop/web" in small.settle(60)
    admin(small).patch(small.places.cluster_information, "default", {"spec": {"datastoreReady": True}})
    assert small.settle(300) == []
    assert broken(small) == []


def test_moving_to_another_pool_and_deleting_the_old_one(small: Twin) -> None:
    new_pool(small, "new")
    small.clock.advance(5)
    assert condition(small, "new") == "OK"
    # The delete is the disabling: it cannot be taken back, and protects what is in use.
    admin(small).delete(small.places.pools, POOL)
    small.clock.advance(10)
    assert condition(small, POOL) == "Terminating"
    assert all_inside(tunnels(small), "10.0.0.0/16")
    assert not all_inside(addresses(small), "10.0.0.0/16")
    for pod in small.objects.list(PODS):
        if not pod["spec"].get("hostNetwork"):
            admin(small).delete(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])
    assert small.settle(300) == []
    assert all_inside(addresses(small), "10.0.0.0/16")
    assert condition(small, POOL) == "gone"
    rows = [*small.objects.list(small.places.blocks), *small.objects.list(small.places.affinities)]
    assert {row["spec"]["cidr"].split(".")[0] for row in rows} == {"10"}
    assert broken(small) == []


def test_a_disabled_pool_goes_at_once_under_its_pods(small: Twin) -> None:
    new_pool(small, "new")
    admin(small).patch(small.places.pools, POOL, {"spec": {"disabled": True}})
    small.clock.advance(5)
    assert condition(small, POOL) == "PoolDisabled"
    blocks = len(small.objects.list(small.places.blocks))
    admin(small).delete(small.places.pools, POOL)
    assert condition(small, POOL) == "gone"
    small.clock.advance(5)
    assert len(small.objects.list(small.places.blocks)) >= blocks
    assert small.recorder.record()["addresses_outside_pools"]


def test_calico_node_makes_the_default_pool_again(small: Twin) -> None:
    admin(small).patch(small.places.pools, POOL, {"spec": {"disabled": True}})
    small.clock.advance(5)
    admin(small).delete(small.places.pools, POOL)
    node = small.calico_nodes.nodes()[0]
    assert small.calico_nodes.restart(node)
    small.clock.advance(10)
    assert condition(small, POOL) == "OK"


def test_the_data_directory_remembers_how_calico_is_installed(tmp_path: Path) -> None:
    twin = local_twin("small", tmp_path=tmp_path, installation="crd_v3")
    found = addresses(twin)
    twin.close()
    again = local_twin("small", tmp_path=tmp_path)
    assert (again.installation, addresses(again)) == ("crd_v3", found)
    again.clock.advance(400)
    assert condition(again, POOL) == "OK"
    again.close()
    with pytest.raises(InvalidInput, match="holds installation crd_v3, not crd_v1: take another data directory"):
        Twin(tmp_path, load("small"), speed=None, installation="crd_v1")


def test_a_deletion_goes_on_in_the_next_process(tmp_path: Path) -> None:
    twin = local_twin("small", tmp_path=tmp_path, installation="crd_v3")
    new_pool(twin, "new")
    admin(twin).delete(twin.places.pools, POOL)
    twin.close()
    again = local_twin("small", tmp_path=tmp_path)
    again.clock.advance(5)
    assert (condition(again, "new"), condition(again, POOL)) == ("OK", "Terminating")
    for pod in again.objects.list(PODS):
        if not pod["spec"].get("hostNetwork"):
            admin(again).delete(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])
    assert again.settle(300) == []
    assert condition(again, POOL) == "gone"
    again.close()


def test_a_scenario_may_name_the_installation() -> None:
    head = {
        "apiVersion": "ipam.calico-ops.io/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "mine"},
        "spec": {"base": "small", "installation": "crd_v3"},
    }
    assert local_twin([head]).installation == "crd_v3"
    assert local_twin([head], installation="crd_v1").installation == "crd_v1"
