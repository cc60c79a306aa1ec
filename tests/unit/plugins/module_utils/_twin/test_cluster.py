# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole twin in this process, its clock moved by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    IP_POOLS,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load

POOL = "default-ipv4-ippool"
TUNNEL = "projectcalico.org/IPv4IPIPTunnelAddr"


def booted(scenario: str = "small", data_dir: Path | None = None, seed: int | None = None) -> Twin:
    twin = Twin(data_dir, load(scenario), speed=None, seed=seed)
    twin.boot()
    return twin


@pytest.fixture
def small() -> Twin:
    return booted()


def admin(twin: Twin) -> LocalApi:
    return LocalApi(twin.server, "system:admin")


def addresses(twin: Twin) -> dict[str, str]:
    """Pod to address, for pods on the pod network that have one and are not finished."""
    return {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod["status"]["podIP"]
        for pod in twin.objects.list(PODS)
        if not pod["spec"].get("hostNetwork")
        and (pod.get("status") or {}).get("podIP")
        and pod["status"].get("phase") not in ("Succeeded", "Failed")
    }


def tunnels(twin: Twin) -> dict[str, str | None]:
    return {
        node["metadata"]["name"]: node["metadata"].get("annotations", {}).get(TUNNEL)
        for node in twin.objects.list(NODES)
    }


def new_pool(twin: Twin, name: str = "new", cidr: str = "10.0.0.0/16", **spec: t.Any) -> None:
    body = {
        "apiVersion": IP_POOLS.api_version,
        "kind": "IPPool",
        "metadata": {"name": name},
        "spec": {"cidr": cidr, "blockSize": 28, "ipipMode": "Always", "natOutgoing": True, **spec},
    }
    admin(twin).create(IP_POOLS, body)


def inside(address: str | None, cidr: str) -> bool:
    return address is not None and parse_network(cidr).contains(parse_address(address))


def test_the_tutorial_comes_up_complete() -> None:
    twin = booted("tutorial")
    assert twin.settle(0) == []
    found = addresses(twin)
    assert 38 <= len(found) <= 45
    assert len(set(found.values())) == len(found)
    assert all(inside(each, "192.168.0.0/16") for each in found.values())
    assert all(inside(each, "192.168.0.0/16") for each in tunnels(twin).values())
    assert not set(found.values()) & set(tunnels(twin).values())
    record = twin.recorder.record()
    assert record["violations"] == []
    held = {str(pool.name): pool for pool in twin.store.pools()}
    assert held[POOL].block_size == 26
    assert sum(stored.value.in_use for stored in twin.store.list_blocks()) == len(found) + len(tunnels(twin))


def test_the_record_agrees_with_the_controllers_about_a_cluster_at_rest() -> None:
    twin = booted("tutorial")
    record = twin.recorder.record()
    budgets = {(each["namespace"], each["name"]): each for each in record["budgets"]}
    for budget in twin.objects.list(POD_DISRUPTION_BUDGETS):
        mine = budgets.pop((budget["metadata"]["namespace"], budget["metadata"]["name"]))
        status = budget["status"]
        assert mine["desiredHealthy"] == status["desiredHealthy"], budget["metadata"]["name"]
        assert mine["currentHealthy"] == status["currentHealthy"], budget["metadata"]["name"]
    assert not budgets
    workloads = {(each["kind"], each["namespace"], each["name"]): each for each in record["workloads"]}
    for resource, key in (
        (DEPLOYMENTS, "readyReplicas"),
        (STATEFUL_SETS, "readyReplicas"),
        (DAEMON_SETS, "numberReady"),
    ):
        for item in twin.objects.list(resource):
            mine = workloads.pop((resource.kind, item["metadata"]["namespace"], item["metadata"]["name"]))
            assert mine["ready"] == mine["replicas"] == mine["minReady"] == item["status"][key]
    assert not workloads


def test_two_runs_with_one_seed_are_the_same_and_another_seed_differs() -> None:
    first, second, other = booted(), booted(), booted(seed=99)
    for twin in (first, second, other):
        twin.clock.advance(1000)
    assert addresses(first) == addresses(second)
    assert addresses(first) != addresses(other)


def test_a_run_does_not_depend_on_the_order_of_hashes() -> None:
    code = (
        f"from {Twin.__module__} import Twin\n"
        f"from {load.__module__} import load\n"
        "twin = Twin(None, load('small'), speed=None)\n"
        "twin.boot()\n"
        "print([obj for kind in twin.server.served.all() for obj in twin.objects.list(kind.resource)])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_disabling_the_pool_moves_tunnels_and_new_pods_only(small: Twin) -> None:
    new_pool(small)
    before = addresses(small)
    admin(small).patch(IP_POOLS, POOL, {"spec": {"disabled": True}})
    small.clock.advance(10)
    assert all(inside(each, "10.0.0.0/16") for each in tunnels(small).values())
    assert addresses(small) == before
    admin(small).delete(PODS, "db-0", "shop")
    assert small.settle(120) == []
    assert inside(addresses(small)["shop/db-0"], "10.0.0.0/16")
    assert inside(addresses(small)["shop/db-1"], "192.168.0.0/16")


def test_without_an_enabled_pool_new_pods_wait_for_an_address(small: Twin) -> None:
    admin(small).patch(IP_POOLS, POOL, {"spec": {"disabled": True}})
    small.clock.advance(10)
    assert set(tunnels(small).values()) == {None}
    admin(small).delete(PODS, "db-0", "shop")
    small.clock.advance(60)
    assert "shop/db-0" not in addresses(small)
    assert any("db-0" in each for each in small.settle(0))
    admin(small).patch(IP_POOLS, POOL, {"spec": {"disabled": False}})
    assert small.settle(300) == []
    assert "shop/db-0" in addresses(small)


def test_deleting_the_pool_object_strands_its_blocks(small: Twin) -> None:
    new_pool(small)
    admin(small).delete(IP_POOLS, POOL)
    small.clock.advance(30)
    record = small.recorder.record()
    assert len(record["addresses_outside_pools"]) == len(addresses(small))
    for pod in list(addresses(small)):
        namespace, name = pod.split("/")
        admin(small).delete(PODS, name, namespace)
        assert small.settle(200) == []
    assert all(inside(each, "10.0.0.0/16") for each in addresses(small).values())
    stray = [stored.value for stored in small.store.list_blocks() if stored.value.cidr.prefix == 26]
    assert stray
    assert all(block.in_use == 0 and block.owner is not None for block in stray)
    assert all(each["until"] is not None for each in small.recorder.record()["addresses_outside_pools"])


def test_a_restart_of_calico_node_brings_a_default_pool_back(small: Twin) -> None:
    admin(small).delete(IP_POOLS, POOL)
    small.clock.advance(5)
    patch = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    admin(small).patch(DAEMON_SETS, "calico-node", patch, "kube-system", patch_type="strategic")
    small.clock.advance(30)
    (pool,) = small.objects.list(IP_POOLS)
    assert pool["metadata"]["name"] == POOL
    assert pool["spec"]["cidr"] == "10.0.0.0/8"
    small.clock.advance(30)
    assert all(inside(each, "10.0.0.0/8") for each in tunnels(small).values())


def test_a_rollout_restart_is_recorded_without_violations(small: Twin) -> None:
    before = set(addresses(small))
    patch = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    admin(small).patch(DEPLOYMENTS, "web", patch, "shop", patch_type="strategic")
    assert small.settle(300) == []
    assert len(before - set(addresses(small))) == 3
    record = small.recorder.record()
    assert record["violations"] == []
    assert record["counts"]["podsDeletedOtherwise"] == 3
    assert record["counts"]["evictionsAccepted"] == 0


def test_evictions_go_through_the_budget(small: Twin) -> None:
    names = [pod.split("/")[1] for pod in addresses(small) if "web" in pod]
    api = admin(small)
    api.evict(names[0], "shop")
    with pytest.raises(Exception, match="disruption budget"):
        api.evict(names[1], "shop")
    assert small.settle(120) == []
    counts = small.recorder.record()["counts"]
    assert (counts["evictionsAccepted"], counts["evictionsRefused"], counts["podsDeletedOtherwise"]) == (1, 1, 0)
    assert small.recorder.record()["violations"] == []


def test_deleting_pods_against_the_budget_is_recorded(small: Twin) -> None:
    names = [pod.split("/")[1] for pod in addresses(small) if "web" in pod]
    for name in names:
        admin(small).delete(PODS, name, "shop")
    assert small.settle(120) == []
    record = small.recorder.record()
    assert [each["object"] for each in record["outages"]] == ["Deployment shop/web"]
    assert [each["object"] for each in record["budget_violations"]] == ["PodDisruptionBudget shop/web"]


def test_a_node_that_goes_gives_everything_back(small: Twin) -> None:
    admin(small).delete(NODES, "node-2")
    small.clock.advance(300)
    assert small.settle(300) == []
    owners = {stored.value.affinity for stored in small.store.list_blocks()}
    assert owners == {"host:node-1"}
    assert {row.value.host for row in small.store.list_affinities()} == {"node-1"}
    assert len(set(addresses(small).values())) == len(addresses(small))


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    first = booted(data_dir=tmp_path, seed=5)
    first.clock.advance(100)
    before, revision, then = addresses(first), first.objects.revision, first.clock.now()
    first.close()
    second = booted(data_dir=tmp_path)
    assert second.seed == 5
    assert second.clock.now() >= then
    assert second.objects.revision == revision
    assert addresses(second) == before
    second.clock.advance(60)
    assert second.settle(60) == []
    assert addresses(second) == before


def test_a_data_directory_keeps_its_scenario(tmp_path: Path) -> None:
    booted(data_dir=tmp_path).close()
    with pytest.raises(InvalidInput, match="holds scenario small, not tutorial"):
        booted("tutorial", data_dir=tmp_path)
