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

from ansible_collections.calico_ops.ipam.plugins.modules.ippool_report_info import main

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        yield handle


def test_the_report_shows_pools_nodes_and_blocks(small: TwinHandle) -> None:
    result = run_module(main, kubeconfig=small.kubeconfig)
    text = "\n".join(result["lines"])
    assert result["changed"] is False
    assert "default-ipv4-ippool  192.168.0.0/16  /26" in text
    assert "node-1" in text
    assert "BLOCKS of default-ipv4-ippool (/26, 64 addresses each)" in text


def test_one_pool_can_be_chosen_and_must_exist(small: TwinHandle) -> None:
    assert run_module(main, kubeconfig=small.kubeconfig, pool="default-ipv4-ippool")["lines"]
    assert "'web'" in failure(main, kubeconfig=small.kubeconfig, pool="web")
