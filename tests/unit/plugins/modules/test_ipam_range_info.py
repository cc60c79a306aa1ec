# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a range is tested in _operations/test_range_cleaning.py, and what is left behind in test_ipam_range.py."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules import ipam_range_info

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


def test_a_pool_in_use(twin: TwinHandle) -> None:
    result = run_module(ipam_range_info.main, kubeconfig=twin.kubeconfig, cidr="192.168.0.0/16")
    assert not result["clean"] and not result["changed"]
    assert [pool["name"] for pool in result["pools"]] == ["default-ipv4-ippool"]
    assert {block["reason"] for block in result["blocks"]} == {"in_use"}
    assert {row["reason"] for row in result["affinities"]} == {"with_block"}
    assert {handle["reason"] for handle in result["handles"]} == {"in_use"}
    kinds = {entry["kind"]: entry for entry in result["addresses"]}
    assert set(kinds) == {"pod", "tunnel"}
    assert kinds["pod"]["state"] == "stays"
    assert kinds["tunnel"]["handle"].startswith("ipip-tunnel-addr-node-")


def test_a_range_nobody_ever_used(twin: TwinHandle) -> None:
    assert run_module(ipam_range_info.main, kubeconfig=twin.kubeconfig, cidr="fd00::/64")["clean"]


def test_a_range_that_is_none(twin: TwinHandle) -> None:
    assert "10.9" in failure(ipam_range_info.main, kubeconfig=twin.kubeconfig, cidr="10.9")
