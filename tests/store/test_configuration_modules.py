# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules of settings and reservations on a cluster whose Calico has an etcd of its own."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/plugins/modules"))

from etcd_fixture import EtcdServer, small_with_etcd
from module_runner import failure, run_module
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.modules import (
    ip_reservation,
    ip_reservation_info,
    ipam_config,
    ipam_config_info,
)

RESOURCES = "/calico/resources/v3/projectcalico.org/"
SETTINGS = "/calico/ipam/v2/config"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    """Where pods and nodes are asked for; its own Calico objects must not be looked at."""
    with start_twin(tmp_path_factory.mktemp("twin"), small_with_etcd(), speed=50) as handle:
        yield handle


@pytest.fixture
def calico(client: EtcdClient) -> EtcdClient:
    """Calico's records in etcd: the cluster and one pool."""
    for path, kind, spec in (
        ("clusterinformations/default", "ClusterInformation", {"calicoVersion": "v3.32.1", "datastoreReady": True}),
        ("ippools/teal", "IPPool", {"cidr": "10.77.4.0/24", "blockSize": 30}),
    ):
        name = path.partition("/")[2]
        thing = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": {"name": name}, "spec": spec}
        client.create(RESOURCES + path, json.dumps(thing).encode())
    return client


def stored(client: EtcdClient, key: str) -> t.Any:
    row = client.get(key)
    return None if row is None else json.loads(row.value)


def test_settings(etcd: EtcdServer, calico: EtcdClient, twin: TwinHandle) -> None:
    where = {"kubeconfig": twin.kubeconfig, "datastore": "etcd", "etcd_endpoints": [etcd.url]}
    assert not run_module(ipam_config_info.main, **where)["exists"]
    wanted = {"strict_affinity": True, "max_blocks_per_host": 4}
    planned = run_module(ipam_config.main, check=True, **where, **wanted)
    assert stored(calico, SETTINGS) is None
    made = run_module(ipam_config.main, **where, **wanted)
    assert (made["changed"], made["diff"]) == (True, planned["diff"])
    assert stored(calico, SETTINGS) == {"strict_affinity": True, "auto_allocate_blocks": True, "maxBlocksPerHost": 4}
    assert not run_module(ipam_config.main, **where, **wanted)["changed"]
    # What is true of the twin's own Calico, which is new enough, does not count.
    message = failure(ipam_config.main, **where, ip_cooldown_seconds=30)
    assert "ClusterInformation default" in message
    assert "down to v3.32" in message
    assert run_module(ipam_config_info.main, **where)["settings"]["maxBlocksPerHost"] == 4
    assert not run_module(ipam_config_info.main, kubeconfig=twin.kubeconfig)["exists"]


def test_reservations(etcd: EtcdServer, calico: EtcdClient, twin: TwinHandle) -> None:
    where = {"kubeconfig": twin.kubeconfig, "datastore": "etcd", "etcd_endpoints": [etcd.url]}
    made = run_module(ip_reservation.main, **where, name="all", reserved_cidrs=["10.77.4.0/24"])
    assert "Every address of pool teal" in str(made["warnings"])
    assert stored(calico, RESOURCES + "ipreservations/all")["spec"] == {"reservedCIDRs": ["10.77.4.0/24"]}
    (found,) = run_module(ip_reservation_info.main, **where)["reservations"]
    assert (found["name"], found["pools"], found["addresses"]) == ("all", ["teal"], 256)
    assert run_module(ip_reservation.main, **where, name="all", state="absent")["changed"]
    assert stored(calico, RESOURCES + "ipreservations/all") is None


def test_an_etcd_without_calico(etcd: EtcdServer, twin: TwinHandle) -> None:
    where = {"kubeconfig": twin.kubeconfig, "datastore": "etcd", "etcd_endpoints": [etcd.url]}
    assert "There is no ClusterInformation" in failure(ipam_config.main, **where, strict_affinity=True)
    assert "There is no ClusterInformation" in failure(ip_reservation_info.main, **where)
