# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report import (
    LISTED_BLOCKS,
    MAP_WIDTH,
    block_lines,
    encapsulation,
    gauge,
    render,
    table,
)


def pool(name: str = "web", **use: t.Any) -> dict[str, t.Any]:
    utilization = {
        "addresses": {"capacity": 65536, "in_use": 45, "reserved": 0, "free": 65491},
        "blocks": {"possible": 1024, "allocated": 2, "free": 1022, "size": 26},
        "nodes": [{"node": "worker-1", "blocks": 2, "addresses": 128, "in_use": 45, "free": 83}],
    }
    spec = {"cidr": "192.0.2.0/24", "blockSize": 26, "ipipMode": "Always", "vxlanMode": "Never", "natOutgoing": True}
    return {"name": name, "spec": spec, "utilization": {**utilization, **use}}


def block(number: int, in_use: int, pool_name: str | None = "web", borrowed: int = 0) -> dict[str, t.Any]:
    return {
        "cidr": f"192.0.2.{number}/26",
        "pool": pool_name,
        "node": "worker-1",
        "size": 64,
        "in_use": in_use,
        "free": 64 - in_use,
        "borrowed": borrowed,
    }


def test_columns_line_up_and_figures_stand_to_the_right() -> None:
    assert table(("NAME", ">COUNT"), [("a", "7"), ("longer", "1,000")]) == [
        "NAME    COUNT",
        "a           7",
        "longer  1,000",
    ]


@pytest.mark.parametrize(
    ("used", "size", "text"),
    [(0, 64, "░░░░"), (1, 64, "█░░░"), (32, 64, "██░░"), (64, 64, "████"), (0, 0, "░░░░"), (70, 64, "████")],
)
def test_a_gauge_shows_the_first_address_and_never_overflows(used: int, size: int, text: str) -> None:
    assert gauge(used, size, 4) == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"ipipMode": "Always", "vxlanMode": "Never"}, "IPIP Always"),
        ({"ipipMode": "Never", "vxlanMode": "CrossSubnet"}, "VXLAN CrossSubnet"),
        ({}, "none"),
    ],
)
def test_encapsulation_in_words(spec: dict[str, str], text: str) -> None:
    assert encapsulation(spec) == text


def test_the_report_names_pools_nodes_blocks_and_strays() -> None:
    text = "\n".join(render([pool()], [block(0, 40, borrowed=2), block(64, 5), block(128, 1, pool_name=None)]))
    assert "web   192.0.2.0/24  /26    IPIP Always    yes  enabled      45     65,536  2 of 1,024" in text
    assert "worker-1  web        2      45    83  ██████░░░░░░░░░░" in text
    assert "192.0.2.0/26   worker-1  ██████████░░░░░░   40/64  2 borrowed" in text
    assert "BLOCKS outside every pool" in text
    assert "192.0.2.128/26  worker-1    1/64" in text


def test_a_cluster_without_pools_is_one_sentence() -> None:
    assert render([], []) == ["This cluster has no IP pools."]


def test_many_blocks_become_a_map_of_one_cell_each() -> None:
    many = [block(0, 64 if i % 2 else 0) for i in range(LISTED_BLOCKS + MAP_WIDTH)]
    lines = block_lines(pool(), many)
    cells = "".join(lines[2:])
    assert len(cells) == len(many)
    assert cells[:4] == "·█·█"
    assert max(len(line) for line in lines[2:]) == MAP_WIDTH
