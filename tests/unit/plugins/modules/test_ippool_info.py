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

from ansible_collections.calico_ops.ipam.plugins.modules import ippool, ippool_info

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
