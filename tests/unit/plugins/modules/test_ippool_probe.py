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

from ansible_collections.calico_ops.ipam.plugins.modules import ippool_probe

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=20) as handle:
        yield handle


def test_plan_and_probe(twin: TwinHandle) -> None:
    pool = "default-ipv4-ippool"
    plan = run_module(ippool_probe.main, check=True, kubeconfig=twin.kubeconfig, pool=pool)
    assert plan["addresses"] == []
    assert len(plan["steps"]) == 3
    result = run_module(ippool_probe.main, kubeconfig=twin.kubeconfig, pool=pool, nodes=["node-1"])
    assert not result["changed"]
    assert [(entry["node"], entry["pool"]) for entry in result["addresses"]] == [("node-1", pool)]


def test_mistakes(twin: TwinHandle) -> None:
    kubeconfig = twin.kubeconfig
    assert failure(ippool_probe.main, kubeconfig=kubeconfig, pool="x").startswith("There is no IPPool 'x'")
    message = failure(ippool_probe.main, kubeconfig=kubeconfig, pool="default-ipv4-ippool", nodes=["moon"])
    assert message == "nodes: the cluster has no node 'moon'; it has node-1, node-2."
