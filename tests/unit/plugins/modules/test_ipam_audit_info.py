# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules are tested in _engine/test_audit*.py; here the module reads a cluster."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules.ipam_audit_info import main

from .module_runner import failure, run_module

POOL = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


def test_a_healthy_cluster(small: TwinHandle) -> None:
    result = run_module(main, kubeconfig=small.kubeconfig)
    assert result["changed"] is False
    assert result["findings"] == []
    assert result["leaked"] == result["kept"] == []
    assert result["datastore_locked"] is False
    assert result["cluster"] and result["taken"].endswith("Z")
    assert result["summary"]["addresses"]["allocated"] == result["summary"]["pools"][0]["in_use"] > 0
    assert result["calicoctl"]["problems"] == 0
    assert any(POOL in line for line in result["lines"])
    assert run_module(main, kubeconfig=small.kubeconfig, pool=POOL)["summary"] == result["summary"]


def test_a_range_without_blocks(small: TwinHandle) -> None:
    result = run_module(main, kubeconfig=small.kubeconfig, cidr="10.0.0.0/8")
    assert result["summary"]["blocks"]["total"] == 0
    assert result["findings"] == []


def test_a_leak_is_found(small: TwinHandle) -> None:
    """Last here: it damages the cluster."""
    blocks = small.ask("/apis/crd.projectcalico.org/v1/ipamblocks")["items"]
    body = {**blocks[0], "metadata": {"name": "10-1-0-0-26"}, "spec": {**blocks[0]["spec"], "cidr": "10.1.0.0/26"}}
    small.ask("/apis/crd.projectcalico.org/v1/ipamblocks", body)
    result = run_module(main, kubeconfig=small.kubeconfig, severity="warning", checks=["stray-block", "leaked-address"])
    assert {finding["check"] for finding in result["findings"]} == {"stray-block", "leaked-address"}
    assert {row["kind"] for row in result["leaked"]} <= {"pod", "tunnel"}
    assert all(row["sequence"].isdigit() and row["address"].startswith("10.1.0.") for row in result["leaked"])
    assert any("10.1.0.0/26" in line for line in result["lines"])
    assert run_module(main, kubeconfig=small.kubeconfig, severity="error", pool=POOL)["leaked"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pool": "nope"}, f"There is no IPPool 'nope'; the pools of this cluster are: {POOL}."),
        ({"cidr": "192.168.1.1/16"}, "192.168.1.1/16"),
        ({"checks": ["leaks"]}, "there is no check 'leaks'"),
    ],
)
def test_wrong_input(small: TwinHandle, options: dict[str, t.Any], words: str) -> None:
    assert words in failure(main, kubeconfig=small.kubeconfig, **options)
