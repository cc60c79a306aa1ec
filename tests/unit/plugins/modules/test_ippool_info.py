# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choosing and counting is tested in _operations/test_blocks.py; here the module reads a cluster."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IPAM_BLOCKS
from ansible_collections.calico_ops.ipam.plugins.modules import (
    ipam_block_info,
    ippool,
    ippool_info,
    ippool_report_info,
)

from .module_runner import failure, run_module

DEFAULT = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        run_module(ippool.main, kubeconfig=handle.kubeconfig, name="second", cidr="10.30.0.0/24", labels={"a": "b"})
        yield handle


def info(twin: TwinHandle, **options: t.Any) -> dict[str, t.Any]:
    result = run_module(ippool_info.main, kubeconfig=twin.kubeconfig, **options)
    assert not result["changed"]
    return result


def test_all_pools(twin: TwinHandle) -> None:
    result = info(twin)
    assert [pool["name"] for pool in result["pools"]] == [DEFAULT, "second"]
    first, second = result["pools"]
    assert first["spec"]["cidr"] == "192.168.0.0/16"
    use = first["utilization"]
    assert use["addresses"]["capacity"] == 65536
    assert use["addresses"]["in_use"] + use["addresses"]["free"] == 65536
    assert use["addresses"]["in_use"] == sum(node["in_use"] for node in use["nodes"]) >= 6
    assert use["blocks"]["possible"] == 1024
    assert use["blocks"]["allocated"] == sum(node["blocks"] for node in use["nodes"])
    assert second["labels"] == {"a": "b"}
    assert second["utilization"]["addresses"] == {"capacity": 256, "in_use": 0, "reserved": 0, "free": 256}
    assert result["strays"] == []


def test_one_pool(twin: TwinHandle) -> None:
    assert [pool["name"] for pool in info(twin, name="second")["pools"]] == ["second"]
    assert [pool["name"] for pool in info(twin, cidr="10.30.0.0/24")["pools"]] == ["second"]
    assert info(twin, name="nope")["pools"] == []


def test_a_cidr_that_is_none(twin: TwinHandle) -> None:
    assert "10.30.0" in failure(ippool_info.main, kubeconfig=twin.kubeconfig, cidr="10.30.0")


def test_damaged_blocks_are_named_by_every_report(twin: TwinHandle) -> None:
    spec = {
        "cidr": "10.30.0.0/31",
        "affinity": "host:elsewhere",
        "allocations": [7, None],
        "unallocated": [1, 1],
        "attributes": [],
        "strictAffinity": False,
    }
    name = "10-30-0-0-31"
    body = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock", "metadata": {"name": name}, "spec": spec}
    api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    api.create(IPAM_BLOCKS, body)
    damaged = [{"kind": "IPAMBlock", "name": name, "fault": "has an address that points to an attribute outside its 0"}]
    for main, options, key in (
        (ippool_info.main, {}, "pools"),
        (ipam_block_info.main, {}, "blocks"),
        (ipam_block_info.main, {"query": "blocks[].cidr"}, "result"),
        (ippool_report_info.main, {}, "lines"),
    ):
        result = run_module(main, kubeconfig=twin.kubeconfig, **options)
        assert result["damaged"] == damaged
        assert result[key]
        assert "IPAMBlock 10-30-0-0-31 has an address" in str(result["warnings"])
    assert (
        "10.30.0.0/31" in run_module(ipam_block_info.main, kubeconfig=twin.kubeconfig, query="blocks[].cidr")["result"]
    )
    api.delete(IPAM_BLOCKS, name)
    api.close()
    assert info(twin)["damaged"] == []
