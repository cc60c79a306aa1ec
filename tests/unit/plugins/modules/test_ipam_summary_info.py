# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules.ipam_summary_info import main

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(
        tmp_path_factory.mktemp("twin"), "small", speed=50, installation="apiserver", operator=True
    ) as handle:
        handle.settle()
        yield handle


def test_a_cluster_in_figures(small: TwinHandle) -> None:
    result = run_module(main, kubeconfig=small.kubeconfig)
    assert (result["mode"], result["supported"], result["stop"], result["changed"]) == ("apiserver", True, "", False)
    assert result["version"].startswith("v3.")
    assert result["pools"] == ["default-ipv4-ippool"]
    assert result["owners"] == ["the Tigera operator"]
    assert result["addresses"]["capacity"] == 65536
    assert 0 < result["addresses"]["in_use"] < 65536
    assert result["addresses"]["leaked"] == {"certain": 0, "likely": 0, "possible": 0}
    assert result["blocks"]["total"] > 0
    assert set(result["findings"]) == {"error", "warning", "note"}
    assert result["findings"]["error"] == 0
    assert run_module(main, check=True, kubeconfig=small.kubeconfig)["pools"] == result["pools"]


def test_nobody_there_is_one_sentence(tmp_path: Path) -> None:
    assert "does not exist" in failure(main, kubeconfig=str(tmp_path / "missing"))
