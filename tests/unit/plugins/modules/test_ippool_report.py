# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules.ippool_report import main

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        yield handle


def test_the_report_is_json_with_pools_blocks_and_addresses(small: TwinHandle) -> None:
    result = run_module(main, kubeconfig=small.kubeconfig)
    report = json.loads(result["report"])
    assert result["changed"] is False
    assert [pool["name"] for pool in report["pools"]] == ["default-ipv4-ippool"]
    assert result["figures"]["blocks"] == len(report["blocks"]["rows"]) > 0
    assert result["figures"]["in_use"] == len(report["addresses"]["rows"]) > 0
    assert result["figures"]["findings"] == report["audit"]["summary"]["severities"]
    assert any(row[2:4] == ["pod", "shop"] for row in report["addresses"]["rows"])


def test_without_an_audit(small: TwinHandle) -> None:
    result = run_module(main, kubeconfig=small.kubeconfig, audit=False)
    assert result["figures"]["findings"] is None
    assert json.loads(result["report"])["audit"] is None


def test_one_pool_can_be_chosen_and_must_exist(small: TwinHandle) -> None:
    assert run_module(main, kubeconfig=small.kubeconfig, pool="default-ipv4-ippool")["figures"]["pools"] == 1
    assert "'web'" in failure(main, kubeconfig=small.kubeconfig, pool="web")
