# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cleaning is tested in _operations/test_range_cleaning.py; here the module does it to a cluster."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from leaks import leave_behind
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules import ipam_range, ipam_range_info

from .module_runner import failure, run_module

RANGE = "10.9.0.0/24"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


def test_a_range_is_proven_and_made_clean(twin: TwinHandle, tmp_path: Path) -> None:
    leave_behind(twin)
    before = run_module(ipam_range_info.main, kubeconfig=twin.kubeconfig, cidr=RANGE)
    assert not before["clean"]
    assert [block["reason"] for block in before["blocks"]] == ["empty", "empty_without_owner"]
    assert sorted(row["reason"] for row in before["affinities"]) == ["deleting", "with_block", "without_block"]
    assert [handle["reason"] for handle in before["handles"]] == ["stale_count"]
    assert before["pools"] == before["addresses"] == []

    would = run_module(ipam_range.main, check=True, kubeconfig=twin.kubeconfig, cidr=RANGE, settle=0)
    assert would["changed"] and not would["range"]["clean"]
    assert len(would["steps"]) == 6
    assert "IPAMBlock 10.9.0.16/28" in would["diff"]["before"] and would["diff"]["after"] == ""
    same = run_module(ipam_range_info.main, kubeconfig=twin.kubeconfig, cidr=RANGE)
    assert {**same, "taken": ""} == {**before, "taken": ""}

    lines = tmp_path / "lines"
    options = {"kubeconfig": twin.kubeconfig, "cidr": RANGE, "settle": 0, "progress_file": str(lines)}
    did = run_module(ipam_range.main, **options)
    assert did["changed"] and did["range"]["clean"]
    assert did["steps"] == would["steps"]
    assert "Range 10.9.0.0/24: taking away 2 blocks and" in lines.read_text()
    again = run_module(ipam_range.main, **options)
    assert not again["changed"] and again["range"]["clean"] and again["steps"] == []
    assert run_module(ipam_range_info.main, kubeconfig=twin.kubeconfig, cidr=RANGE)["clean"]


def test_the_range_of_an_enabled_pool(twin: TwinHandle) -> None:
    message = failure(ipam_range.main, kubeconfig=twin.kubeconfig, cidr="192.168.4.0/24")
    assert "IPPool 'default-ipv4-ippool' (192.168.0.0/16) overlaps it and is enabled" in message


@pytest.mark.parametrize("cidr", ["10.9.0.0", "10.9.0.1/24", "nonsense"])
def test_a_range_that_is_none(twin: TwinHandle, cidr: str) -> None:
    assert cidr in failure(ipam_range.main, kubeconfig=twin.kubeconfig, cidr=cidr)
