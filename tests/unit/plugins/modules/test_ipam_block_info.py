# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters and queries are tested in _operations/test_blocks.py; here the module reads a cluster."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules import ipam_block_info

from .module_runner import failure, run_module

DEFAULT = "default-ipv4-ippool"
PODS = "blocks[].addresses[?kind=='pod'][]"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


def info(twin: TwinHandle, **options: t.Any) -> dict[str, t.Any]:
    result = run_module(ipam_block_info.main, kubeconfig=twin.kubeconfig, **options)
    assert not result["changed"]
    return result


def test_all_blocks(twin: TwinHandle) -> None:
    result = info(twin)
    assert len(result["blocks"]) == sum(node["blocks"] for node in result["nodes"])
    assert {block["pool"] for block in result["blocks"]} == {DEFAULT}
    assert all(block["in_use"] + block["free"] == block["size"] == 64 for block in result["blocks"])
    # All addresses of a cluster are listed only when they are asked for.
    assert all("addresses" not in block for block in result["blocks"])
    listed = info(twin, addresses=True)
    assert [len(block["addresses"]) for block in listed["blocks"]] == [block["in_use"] for block in result["blocks"]]
    assert listed["blocks"] == info(twin, pool=DEFAULT)["blocks"]


def test_a_query_replaces_the_result(twin: TwinHandle) -> None:
    result = info(twin, pool=DEFAULT, query=PODS)
    assert "blocks" not in result
    assert "nodes" not in result
    assert {entry["namespace"] for entry in result["result"]} == {"kube-system", "shop"}
    first = result["result"][0]
    assert info(twin, address=first["address"], query=PODS)["result"] == [first]
    assert info(twin, pod=f"{first['namespace']}/{first['pod']}", query=PODS)["result"] == [first]
    assert info(twin, handle=first["handle"], query=PODS)["result"] == [first]
    assert info(twin, query="sort(nodes[].node)")["result"] == sorted(n["node"] for n in info(twin)["nodes"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pool": "nope"}, f"There is no IPPool 'nope'; the pools of this cluster are: {DEFAULT}."),
        ({"query": "blocks[?"}, "position 8"),
        ({"pod": "web"}, "namespace/name"),
        ({"address": "192.168.1"}, "192.168.1"),
        ({"cidr": "192.168.1.1/16"}, "192.168.1.1/16"),
    ],
)
def test_wrong_input(twin: TwinHandle, options: dict[str, t.Any], words: str) -> None:
    assert words in failure(ipam_block_info.main, kubeconfig=twin.kubeconfig, **options)
