# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pool serves whom is decided in tests of the operation; here is what the module reads, on a twin."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    IP_POOLS,
    NAMESPACES,
    PODS,
    SERVICES,
)
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_binding_info

from .module_runner import ModuleFailed, failure, run_module

DEFAULT = "default-ipv4-ippool"
KEY = "cni.projectcalico.org/ipv4pools"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[HttpApi]:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    yield client
    client.close()


def ask(twin: TwinHandle, **options: t.Any) -> dict[str, t.Any]:
    return run_module(ippool_binding_info.main, kubeconfig=twin.kubeconfig, **options)


@pytest.mark.parametrize(
    "options", [{}, {"node": "node-1"}, {"namespace": "shop"}, {"node": "node-2", "namespace": "shop"}]
)
def test_the_only_pool_serves_everybody(twin: TwinHandle, options: dict[str, str]) -> None:
    found = ask(twin, **options)
    assert [(entry["pool"], entry["ip_version"]) for entry in found["serve"]] == [(DEFAULT, 4)]
    assert (found["others"], found["problems"], found["pinned_by"]) == ([], [], [])
    assert found["source"] == {"ipv4": "the selectors of the pools", "ipv6": "nothing"}


def test_a_pod(twin: TwinHandle, api: HttpApi) -> None:
    (pod,) = api.list(PODS, "shop", field_selector="metadata.name=db-0").items
    found = ask(twin, namespace="shop", pod="db-0")
    assert found["addresses"] == [{"address": pod["status"]["podIP"], "pool": DEFAULT}]
    assert f"node {pod['spec']['nodeName']}" in found["serve"][0]["reason"]
    (node_pod, *_others) = api.list(PODS, "kube-system", label_selector="k8s-app=calico-node").items
    found = ask(twin, namespace="kube-system", pod=node_pod["metadata"]["name"])
    assert found["serve"] == []
    assert found["problems"] == ["The pod uses the network of its node, so it takes no address of any pool."]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"node": "nowhere"}, "There is no Node nowhere."),
        ({"namespace": "nowhere"}, "There is no Namespace nowhere."),
        ({"namespace": "shop", "pod": "gone"}, "There is no Pod shop/gone."),
    ],
)
def test_who_is_not_there(twin: TwinHandle, options: dict[str, str], words: str) -> None:
    assert failure(ippool_binding_info.main, kubeconfig=twin.kubeconfig, **options) == words


def test_a_pod_needs_its_namespace(twin: TwinHandle) -> None:
    with pytest.raises(ModuleFailed, match="namespace"):
        ask(twin, pod="db-0")


def test_everything_that_pins_itself(twin: TwinHandle, api: HttpApi) -> None:
    """One of each: a namespace, each sort of template, a bare pod, the CNI configuration, addresses, a Service."""
    by_name, by_range = {KEY: f'["{DEFAULT}"]'}, {KEY: '["192.168.0.0/16"]'}
    fixed = {"cni.projectcalico.org/floatingIPs": '["192.168.9.9"]'}
    containers = [{"name": "x", "image": "x:1"}]
    api.patch(NAMESPACES, "shop", {"metadata": {"annotations": by_name}})
    api.patch(DEPLOYMENTS, "web", {"spec": {"template": {"metadata": {"annotations": by_range}}}}, "shop")
    template = {"metadata": {"annotations": fixed}, "spec": {"restartPolicy": "Never", "containers": containers}}
    schedule = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}}
    report = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "report"}, "spec": schedule}
    api.create(CRON_JOBS, report, "shop")
    owner = {"apiVersion": "x.example.com/v1", "kind": "Site", "name": "s", "uid": "1", "controller": True}
    for name, owners in (("bare", []), ("of-a-site", [owner])):
        metadata = {"name": name, "annotations": by_name, "ownerReferences": owners}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}
        api.create(PODS, pod, "default")
    service = {"type": "LoadBalancer", "loadBalancerIP": "192.168.8.8", "ports": [{"port": 80}]}
    metadata = {"name": "front", "annotations": {"projectcalico.org/loadBalancerIPs": '["192.168.8.8"]'}}
    api.create(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}, "shop")
    live = api.get(CONFIG_MAPS, "calico-config", "kube-system")["data"]["cni_network_config"]
    text = live.replace('"calico-ipam"', '"calico-ipam", "ipv4_pools": ["192.168.0.0/16"]')
    api.patch(CONFIG_MAPS, "calico-config", {"data": {"cni_network_config": text}}, "kube-system")
    twin.settle()

    pins = ask(twin, pool=DEFAULT)["pinned_by"]
    assert [(pin["kind"], pin["namespace"], pin["name"], pin["how"]) for pin in pins] == [
        ("ConfigMap", "kube-system", "calico-config", "ipv4_pools of the CNI configuration"),
        ("CronJob", "shop", "report", "annotation cni.projectcalico.org/floatingIPs of the pod template"),
        ("Deployment", "shop", "web", f"annotation {KEY} of the pod template"),
        ("Namespace", "", "shop", f"annotation {KEY}"),
        ("Pod", "default", "bare", f"annotation {KEY}"),
        ("Pod", "default", "of-a-site", f"annotation {KEY} of a pod of Site s"),
        ("Service", "shop", "front", "annotation projectcalico.org/loadBalancerIPs"),
        ("Service", "shop", "front", "spec.loadBalancerIP"),
    ]
    assert {pin["name"]: pin["value"] for pin in pins}["web"] == '["192.168.0.0/16"]'
    assert ask(twin, pool="192.168.0.0/16")["pinned_by"] == pins
    assert ask(twin, namespace="shop", pod="db-0")["source"]["ipv4"] == f"annotation {KEY} of the namespace"
    assert ask(twin, namespace="default")["source"]["ipv4"] == "ipv4_pools of the CNI configuration"


def test_a_pool_that_is_gone_may_still_be_named(twin: TwinHandle, api: HttpApi) -> None:
    api.create(
        NAMESPACES,
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late", "annotations": {KEY: '["gone"]'}}},
    )
    found = ask(twin, pool="gone", namespace="late")
    assert [pin["name"] for pin in found["pinned_by"]] == ["late"]
    assert "There is no IPPool 'gone'" in str(found["warnings"])
    assert found["serve"] == []
    assert "asks for pool 'gone', which does not exist" in found["problems"][0]


def test_a_selector_that_does_not_parse_fails_all(twin: TwinHandle, api: HttpApi) -> None:
    body = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": "odd"}}
    api.create(IP_POOLS, {**body, "spec": {"cidr": "10.9.0.0/16", "nodeSelector": "rack = 'a'"}})
    live = api.get(CONFIG_MAPS, "calico-config", "kube-system")["data"]["cni_network_config"]
    text = live.replace(', "ipv4_pools": ["192.168.0.0/16"]', "")
    api.patch(CONFIG_MAPS, "calico-config", {"data": {"cni_network_config": text}}, "kube-system")
    found = ask(twin, node="node-1", namespace="default")
    assert found["serve"] == []
    assert "of pool 'odd' does not parse" in found["problems"][0]
    assert "of pool 'odd' does not parse" in {entry["pool"]: entry["why"] for entry in found["others"]}[DEFAULT]
    api.delete(IP_POOLS, "odd")
