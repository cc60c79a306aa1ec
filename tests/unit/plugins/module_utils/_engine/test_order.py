# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The generator and the order of blocks, with the values spec ipam-engine.md §10 gives."""

from __future__ import annotations

from itertools import islice

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network


def signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def test_the_derived_table_is_the_published_one() -> None:
    table = order.constant_table()
    assert len(table) == 607
    assert [signed(table[i]) for i in (0, 1, 606)] == [
        -4181792142133755926,
        -4576982950128230565,
        4152330101494654406,
    ]
    assert order.table_digest() == order.TABLE_SHA256


@pytest.mark.parametrize(
    ("host", "seed"), [("host-a", 1258779341), ("testHost", 2118914743), ("node-1", 568266919), ("", 2166136261)]
)
def test_seed_of_a_host(host: str, seed: int) -> None:
    assert order.host_seed(host) == seed


@pytest.mark.parametrize(
    ("host", "pool", "size", "first"),
    [
        ("host-a", "10.0.0.0/24", 26, ["10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/26", "10.0.0.192/26"]),
        ("testHost", "10.0.0.0/16", 26, ["10.0.4.128/26", "10.0.4.192/26", "10.0.5.0/26"]),
        (
            "testHost",
            "fd80:24e2:f998:72d6::/120",
            122,
            [f"fd80:24e2:f998:72d6::{end}/122" for end in ("80", "c0", "", "40")],
        ),
        ("node-1", "10.10.0.0/16", 20, ["10.10.240.0/20", "10.10.0.0/20", "10.10.16.0/20"]),
        (
            "node-1",
            "fd00::/48",
            122,
            ["fd00::5486:2d90:6847:2ee5:5500/122", "fd00::5486:2d90:6847:2ee5:5540/122"],
        ),
    ],
)
def test_first_blocks_of_a_host(host: str, pool: str, size: int, first: list[str]) -> None:
    network = parse_network(pool)
    found = [str(block) for block in islice(order.block_order(host, network, size, 0), len(first))]
    assert found == first


def test_every_block_comes_once() -> None:
    network = parse_network("10.10.0.0/16")
    found = list(order.block_order("node-1", network, 24, 0))
    assert len(found) == 256
    assert set(found) == set(network.subnets(24))


def test_a_pool_smaller_than_a_block_yields_nothing() -> None:
    assert list(order.block_order("a", parse_network("10.0.0.0/28"), 26, 0)) == []


def test_single_address_blocks_depend_on_the_time_not_on_the_host() -> None:
    network = parse_network("10.0.0.0/20")
    now = 1787217245204418000
    first = next(order.block_order("a", network, 32, now))
    assert first == next(order.block_order("b", network, 32, now))
    assert len({next(order.block_order("a", network, 32, now + i)) for i in range(20)}) > 10
