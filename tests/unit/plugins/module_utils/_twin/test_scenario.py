# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import scenario
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import parse_network_config


def head(**spec: t.Any) -> dict[str, t.Any]:
    return {"apiVersion": scenario.API_VERSION, "kind": "Scenario", "metadata": {"name": "mine"}, "spec": spec}


def by_kind(loaded: scenario.Scenario, kind: str) -> dict[str, dict[str, t.Any]]:
    return {item["metadata"]["name"]: item for item in loaded.objects if item["kind"] == kind}


def test_the_tutorial_is_the_cluster_of_calicos_guide() -> None:
    tutorial = scenario.load("tutorial")
    pools = by_kind(tutorial, "IPPool")
    assert list(pools) == ["default-ipv4-ippool"]
    spec = pools["default-ipv4-ippool"]["spec"]
    assert (spec["cidr"], spec["ipipMode"], spec["natOutgoing"], spec["blockSize"]) == (
        "192.168.0.0/16",
        "Always",
        True,
        26,
    )
    config_maps = by_kind(tutorial, "ConfigMap")
    assert "podSubnet: 10.0.0.0/16" in config_maps["kubeadm-config"]["data"]["ClusterConfiguration"]
    assert "serviceSubnet: 10.96.0.0/12" in config_maps["kubeadm-config"]["data"]["ClusterConfiguration"]
    assert "clusterCIDR: 10.0.0.0/16" in config_maps["kube-proxy"]["data"]["config.conf"]
    network = parse_network_config(config_maps["calico-config"]["data"]["cni_network_config"])
    assert (network.name, network.ipam_type, network.policy_type) == ("k8s-pod-network", "calico-ipam", "k8s")
    manager = by_kind(tutorial, "Pod")["kube-controller-manager-control-1"]
    assert "--cluster-cidr=10.0.0.0/16" in manager["spec"]["containers"][0]["command"]
    assert by_kind(tutorial, "Deployment")["coredns"]["spec"]["replicas"] == 2
    nodes = by_kind(tutorial, "Node")
    assert list(nodes) == ["control-1", "worker-1", "worker-2", "worker-3", "worker-4"]
    assert nodes["control-1"]["spec"]["taints"][0]["effect"] == "NoSchedule"


def test_budgets_of_the_tutorial_select_their_workloads() -> None:
    tutorial = scenario.load("tutorial")
    templates = [
        (item["metadata"]["namespace"], item["spec"]["template"]["metadata"]["labels"])
        for item in tutorial.objects
        if item["kind"] in ("Deployment", "StatefulSet")
    ]
    for name, budget in by_kind(tutorial, "PodDisruptionBudget").items():
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        namespace = budget["metadata"]["namespace"]
        assert any(where == namespace and wanted <= labels.items() for where, labels in templates), name


def test_every_scenario_of_the_collection_loads() -> None:
    assert scenario.names() == ["nasty", "pools_by_filter", "pools_by_namespace", "small", "tutorial"]
    for name in scenario.names():
        loaded = scenario.load(name)
        assert loaded.name == name
        assert all(item["apiVersion"] and item["kind"] for item in loaded.objects)


def test_nodes_are_made_from_a_count_and_a_template() -> None:
    loaded = scenario.parse(
        [head(nodes=[{"name": "a"}, {"prefix": "w-", "count": 2, "template": {"metadata": {"labels": {"rack": "1"}}}}])]
    )
    nodes = by_kind(loaded, "Node")
    assert list(nodes) == ["a", "w-1", "w-2"]
    assert nodes["w-2"]["metadata"]["labels"]["rack"] == "1"
    assert nodes["w-2"]["metadata"]["labels"]["kubernetes.io/hostname"] == "w-2"
    addresses = {item["status"]["addresses"][0]["address"] for item in nodes.values()}
    assert len(addresses) == 3


def test_a_base_comes_first_and_can_be_overridden() -> None:
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "new"}}
    loaded = scenario.parse([head(base="small", seed=7, nodes=[{"name": "extra"}]), extra])
    assert loaded.seed == 7
    assert loaded.timings == scenario.load("small").timings
    assert list(by_kind(loaded, "Node")) == ["node-1", "node-2", "extra"]
    assert {"new", "shop"} <= set(by_kind(loaded, "Namespace"))
    assert loaded.objects[-1] == extra
    addresses = {item["status"]["addresses"][0]["address"] for item in by_kind(loaded, "Node").values()}
    assert len(addresses) == 3


def test_settings() -> None:
    loaded = scenario.parse(
        [head(startTime="2026-02-03T04:05:06Z", timings={"podStart": 2, "podStop": [5, 1], "leakGrace": 60})]
    )
    assert loaded.start == datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
    assert loaded.timings.pod_start == (2.0, 2.0)
    assert loaded.timings.pod_stop == (1.0, 5.0)
    assert loaded.timings.leak_grace == 60.0


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([], "kind: Scenario"),
        ([{"kind": "Pod"}], "kind: Scenario"),
        ([{**head(), "apiVersion": "v1"}], "apiVersion"),
        ([head(sede=1)], "spec.sede"),
        ([head(seed="one")], "spec.seed"),
        ([head(startTime="noon")], "spec.startTime"),
        ([head(installation="consul")], "spec.installation"),
        ([head(timings={"coffee": 1})], "spec.timings.coffee"),
        ([head(timings={"podStart": [1, 2, 3]})], "spec.timings.podStart"),
        ([head(nodes=[{"count": 3}])], "spec.nodes[0]"),
        ([head(base="nowhere")], "nowhere"),
        ([head(), "text"], "document 2"),
        ([head(), {"apiVersion": "v1", "kind": "Pod", "metadata": {}}], "metadata"),
        ([head(), {"kind": "Pod", "metadata": {"name": "x"}}], "apiVersion"),
    ],
)
def test_wrong_input_gets_one_sentence(documents: list[t.Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        scenario.parse(documents, "mine.yml")
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_a_scenario_is_found_by_name_or_path(tmp_path: Path) -> None:
    path = tmp_path / "other.yml"
    path.write_text("apiVersion: ipam.calico-ops.io/v1alpha1\nkind: Scenario\nspec: {}\n", encoding="utf-8")
    assert scenario.load(str(path)).name == "other"
    with pytest.raises(InvalidInput, match=r"one of nasty, .*small, tutorial"):
        scenario.load("missing")
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(InvalidInput, match="is not YAML"):
        scenario.load(str(path))


def test_an_object_takes_the_place_of_the_bases() -> None:
    pool = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": "default-ipv4-ippool"},
        "spec": {"cidr": "10.9.0.0/16"},
    }
    loaded = scenario.parse([head(base="small"), pool])
    assert by_kind(loaded, "IPPool") == {"default-ipv4-ippool": pool}
    assert len(loaded.objects) == len(scenario.load("small").objects)


def test_what_is_done_afterwards() -> None:
    entries = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "patch": {"spec": {}}},
        {"apiVersion": "v1", "kind": "Node", "name": "node-2", "delete": True},
    ]
    patched, deleted = scenario.parse([head(base="small", afterwards=entries)]).afterwards
    assert (patched.kind, patched.namespace, patched.name, patched.patch) == ("Deployment", "shop", "web", {"spec": {}})
    assert (deleted.kind, deleted.namespace, deleted.patch) == ("Node", "", None)


@pytest.mark.parametrize(
    "entry",
    [
        "web",
        {"apiVersion": "v1", "kind": "Pod", "name": "x"},
        {"apiVersion": "v1", "kind": "Pod", "name": "x", "delete": True, "patch": {}},
        {"apiVersion": "v1", "kind": "Pod", "delete": True},
        {"apiVersion": "v1", "kind": "Pod", "name": "x", "delete": True, "when": "now"},
    ],
)
def test_wrong_entries_of_afterwards(entry: t.Any) -> None:
    with pytest.raises(InvalidInput, match=r"spec\.afterwards\[0\] must have"):
        scenario.parse([head(afterwards=[entry])])
