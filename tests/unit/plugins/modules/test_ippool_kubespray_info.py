# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module on a twin; the tables of inventories and clusters are in ``test_kubespray_*.py``."""

from __future__ import annotations

import typing as t
from contextlib import closing

import pytest
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, NODES
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_kubespray_info

from .module_runner import failure, run_module

INVENTORY = {
    "kube_network_plugin": "calico",
    "kube_pods_subnet": "10.0.0.0/8",
    "calico_pool_name": "default-ipv4-ippool",
    "calico_pool_cidr": "192.168.0.0/16",
    "calico_pool_blocksize": 26,
    "calico_ipip_mode": "Always",
    "calico_vxlan_mode": "Never",
    "nat_outgoing": True,
    "calico_ipam_maxblocksperhost": 0,
    "calico_datastore": "kdd",
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", rbac=True) as handle:
        yield handle


def info(twin: TwinHandle, inventory: t.Mapping[str, t.Any] | None = None, **options: t.Any) -> dict[str, t.Any]:
    given = dict(INVENTORY if inventory is None else inventory)
    return run_module(ippool_kubespray_info.main, kubeconfig=twin.kubeconfig, inventory=given, **options)


def test_an_inventory_that_describes_the_cluster(twin: TwinHandle) -> None:
    result = info(twin)
    assert (result["changed"], result["drift"], result["findings"], result["stops"]) == (False, False, [], [])
    assert result["changed_variables"] == {}
    assert {run["verdict"] for run in result["runs"]} == {"passes"}
    assert result["pools"][0]["live"]["spec"]["blockSize"] == 26


def test_the_range_of_kubeadm_and_the_settings_are_read(twin: TwinHandle) -> None:
    result = info(twin, {**INVENTORY, "kube_pods_subnet": "10.0.0.0/9", "calico_ipam_maxblocksperhost": 7})
    assert [finding["subject"] for finding in result["findings"]] == [
        "calico_ipam_maxblocksperhost",
        "kube_pods_subnet",
    ]
    assert "networking.podSubnet of ConfigMap kube-system/kubeadm-config" in result["findings"][1]["message"]


def test_defaults_and_overrides(twin: TwinHandle) -> None:
    result = info(
        twin,
        {**INVENTORY, "calico_pool_blocksize": ""},
        defaults={**INVENTORY, "calico_pool_blocksize": 24},
        overrides={"calico_pool_name": "pods"},
    )
    assert (result["pools"][0]["name"], result["pools"][0]["declared"]["blockSize"]) == ("pods", 24)


def test_a_move(twin: TwinHandle) -> None:
    result = info(twin, procedure="migrate_pool", target={"cidr": "10.20.0.0/16"})
    to = {"name": "default-ipv4-ippool-2", "cidr": "10.20.0.0/16"}
    assert result["moves"] == [{"family": "ipv4", "pool": "default-ipv4-ippool", "to": to}]
    assert result["changed_variables"] == {"calico_pool_name": to["name"], "calico_pool_cidr": to["cidr"]}


def test_nodes_that_have_not_joined(twin: TwinHandle) -> None:
    assert info(twin, expected_nodes=["node-1", "node-2", "node-9"])["missing_nodes"] == ["node-9"]


def test_a_node_that_somebody_drains(twin: TwinHandle) -> None:
    with closing(connect(ConnectionOptions(kubeconfig=twin.kubeconfig))) as client:
        client.patch(NODES, "node-1", {"spec": {"unschedulable": True}})
        try:
            result = info(twin, procedure="migrate_pool", target={"cidr": "10.20.0.0/16"})
        finally:
            client.patch(NODES, "node-1", {"spec": {"unschedulable": None}})
    assert [stop["id"] for stop in result["stops"]] == ["kubespray-running"]


def test_a_journal_that_nobody_can_read(twin: TwinHandle) -> None:
    body = {
        "metadata": {
            "name": "calico-ops-ipam-pods",
            "namespace": "kube-system",
            "labels": {"ipam.calico-ops.io/journal": "migrate-pool"},
        },
        "data": {"journal.json": "nonsense"},
    }
    with closing(connect(ConnectionOptions(kubeconfig=twin.kubeconfig))) as client:
        client.create(CONFIG_MAPS, body, "kube-system")
        try:
            said = failure(ippool_kubespray_info.main, kubeconfig=twin.kubeconfig, inventory=INVENTORY)
        finally:
            client.delete(CONFIG_MAPS, "calico-ops-ipam-pods", "kube-system")
    assert "ConfigMap kube-system/calico-ops-ipam-pods is not a journal" in said


def test_what_cannot_be_meant_is_one_sentence(twin: TwinHandle) -> None:
    wrong = {**INVENTORY, "calico_pool_blocksize": "many"}
    said = failure(ippool_kubespray_info.main, kubeconfig=twin.kubeconfig, inventory=wrong)
    assert said == "The Kubespray variable calico_pool_blocksize is 'many'; it has to be a whole number."
    said = failure(
        ippool_kubespray_info.main, kubeconfig=twin.kubeconfig, inventory=INVENTORY, procedure="migrate_pool"
    )
    assert said.startswith("kubespray_target: say where to")
