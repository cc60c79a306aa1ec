# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The twin whose Calico keeps its data in a real etcd, in virtual time: what the components make of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from etcd_fixture import EtcdServer, start_etcd
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    DEPLOYMENTS,
    IP_POOLS,
    IP_RESERVATIONS,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import CALICO_NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi

DEFAULT = "default-ipv4-ippool"
OTHER = {"cidr": "10.0.0.0/16", "ipipMode": "Always", "blockSize": 28}


ODD: list[Object] = [
    {
        "apiVersion": "ipam.calico-ops.io/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "odd"},
        "spec": {
            "description": "One kind too many.",
            "seed": 1,
        },
    },
    {"apiVersion": "crd.projectcalico.org/v1", "kind": "Felix", "metadata": {"name": "default"}},
]


@pytest.fixture
def twin(etcd: EtcdServer) -> t.Iterator[Twin]:
    found = local_twin("small", installation="etcd", etcd_endpoints=[etcd.url])
    yield found
    found.close()


def kinds(twin: Twin) -> EtcdApi:
    assert twin.datastore is not None
    return twin.datastore.api


def pool(name: str, **spec: t.Any) -> Object:
    return {"metadata": {"name": name}, "spec": spec}


def tunnels(twin: Twin) -> dict[str, str]:
    nodes = kinds(twin).list(CALICO_NODES).items
    return {node["metadata"]["name"]: node["spec"].get("bgp", {}).get("ipv4IPIPTunnelAddr", "") for node in nodes}


def test_the_api_serves_nothing_of_calico(twin: Twin) -> None:
    api = LocalApi(twin.server, "admin")
    assert not [group for group in api.api_groups() if "calico" in group]
    information = kinds(twin).get(CLUSTER_INFORMATIONS, "default")
    assert "kdd" not in information["spec"]["clusterType"]
    assert len(kinds(twin).list(IP_POOLS).items) == 1


def test_tunnels_follow_the_pools(twin: Twin) -> None:
    before = tunnels(twin)
    assert len(before) == 2 and all(before.values())
    kinds(twin).create(IP_POOLS, pool("other", **OTHER))
    kinds(twin).patch(IP_POOLS, DEFAULT, {"spec": {"disabled": True}})
    twin.clock.advance(20)
    network = parse_network("10.0.0.0/16")
    assert all(network.contains(parse_address(address)) for address in tunnels(twin).values())
    for node in twin.objects.list(NODES):
        assert not [key for key in node["metadata"].get("annotations") or {} if "TunnelAddr" in key]


def test_pools_and_reservations_count_at_once(twin: Twin) -> None:
    """The CNI plugin asks etcd itself."""
    kinds(twin).create(IP_RESERVATIONS, {"metadata": {"name": "r"}, "spec": {"reservedCIDRs": ["10.0.0.0/17"]}})
    kinds(twin).create(IP_POOLS, pool("other", **OTHER))
    kinds(twin).patch(IP_POOLS, DEFAULT, {"spec": {"disabled": True}})
    api = LocalApi(twin.server, "admin")
    api.delete(PODS, "db-0", "shop")
    twin.clock.advance(60)
    moved = api.get(PODS, "db-0", "shop")["status"]["podIP"]
    assert parse_network("10.0.128.0/17").contains(parse_address(moved))


def test_labels_of_nodes_are_carried_over(twin: Twin) -> None:
    """Selectors of pools look at Calico's node, which kube-controllers keeps up to date."""
    kinds(twin).create(IP_POOLS, pool("gold", **OTHER, nodeSelector='tier == "gold"'))
    LocalApi(twin.server, "admin").patch(NODES, "node-1", {"metadata": {"labels": {"tier": "gold"}}})
    twin.clock.advance(10)
    assert kinds(twin).get(CALICO_NODES, "node-1")["metadata"]["labels"]["tier"] == "gold"
    assert twin.store.node_labels("node-1")["tier"] == "gold"


def test_a_node_that_is_gone_goes_from_etcd(twin: Twin) -> None:
    LocalApi(twin.server, "admin").delete(NODES, "node-2")
    twin.clock.advance(120)
    assert list(tunnels(twin)) == ["node-1"]
    assert {row.value.host for row in twin.store.list_affinities()} == {"node-1"}


def test_a_pool_deleted_under_pods_is_on_record(twin: Twin) -> None:
    kinds(twin).delete(IP_POOLS, DEFAULT)
    twin.clock.advance(5)
    assert len(twin.recorder.record()["addresses_outside_pools"]) >= 6


def test_a_lock_stops_calico(twin: Twin) -> None:
    kinds(twin).patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": False}})
    twin.clock.advance(2)
    api = LocalApi(twin.server, "admin")
    api.delete(PODS, "db-0", "shop")
    twin.clock.advance(20)
    assert api.get(PODS, "db-0", "shop")["status"].get("podIP") is None
    kinds(twin).patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": True}})
    twin.clock.advance(300)
    assert api.get(PODS, "db-0", "shop")["status"]["podIP"]


def test_an_etcd_that_goes_and_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    with start_etcd(tmp_path_factory.mktemp("mortal")) as server:
        twin = local_twin("small", installation="etcd", etcd_endpoints=[server.url])
        api = LocalApi(twin.server, "admin")
        server.kill()
        api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 4}}, "shop")
        api.patch(NODES, "node-1", {"metadata": {"labels": {"tier": "gold"}}})
        twin.clock.advance(30)
        assert without_address(api) == 1
        server.restart()
        twin.clock.advance(300)
        assert without_address(api) == 0
        assert kinds(twin).get(CALICO_NODES, "node-1")["metadata"]["labels"]["tier"] == "gold"
        kinds(twin).create(IP_POOLS, pool("other", **OTHER))
        twin.clock.advance(2)
        assert len(twin.objects.list(twin.places.pools)) == 2
        twin.close()


def without_address(api: LocalApi) -> int:
    return sum(1 for pod in api.list(PODS).items if not pod["status"].get("podIP"))


def test_a_load_that_was_cut_off_is_begun_anew(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        local_twin([*ODD], installation="etcd", tmp_path=tmp_path)
    assert (tmp_path / "etcd").exists()
    (tmp_path / "objects.sqlite").unlink()
    twin = local_twin("small", installation="etcd", tmp_path=tmp_path)
    assert len(kinds(twin).list(IP_POOLS).items) == 1
    twin.close()


def test_a_damaged_pool_stops_nobody(twin: Twin, etcd: EtcdServer) -> None:
    etcd.put("/calico/resources/v3/projectcalico.org/ippools/broken", b"{")
    twin.clock.advance(5)
    assert [thing["metadata"]["name"] for thing in kinds(twin).list(IP_POOLS).items] == [DEFAULT]
    assert [each.name for each in twin.store.pools()] == [DEFAULT]


def test_calico_node_makes_its_record_and_a_pool(etcd: EtcdServer) -> None:
    """A cluster that nobody has told of either."""
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load

    documents = [
        {
            "apiVersion": "ipam.calico-ops.io/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": "bare"},
            "spec": {
                "description": "Without anything of Calico's.",
                "seed": 1,
                "nodes": [{"prefix": "n-", "count": 1}],
            },
        },
        *(item for item in load("small").objects if "calico" not in item["apiVersion"] and item["kind"] == "DaemonSet"),
    ]
    twin = local_twin(documents, installation="etcd", etcd_endpoints=[etcd.url])
    assert kinds(twin).get(CLUSTER_INFORMATIONS, "default")["spec"]["clusterType"] == "k8s,bgp"
    (made,) = kinds(twin).list(IP_POOLS).items
    assert made["metadata"]["name"] == DEFAULT
    assert tunnels(twin)["n-1"]
    twin.close()


def test_an_etcd_that_is_in_use_is_left_alone(etcd: EtcdServer) -> None:
    etcd.put("/calico/resources/v3/projectcalico.org/ippools/theirs", {})
    with pytest.raises(InvalidInput, match="holds data of Calico already"):
        local_twin("small", installation="etcd", etcd_endpoints=[etcd.url])


def test_a_scenario_that_etcd_has_no_place_for(etcd: EtcdServer) -> None:
    with pytest.raises(InvalidInput, match="Felix default was refused: the twin keeps no kind Felix of Calico in etcd"):
        local_twin(ODD, installation="etcd", etcd_endpoints=[etcd.url])
