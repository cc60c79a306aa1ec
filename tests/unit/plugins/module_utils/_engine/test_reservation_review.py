# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes reserved that was not (spec ippool.md §3.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation_review import (
    held_addresses,
    reservation_warnings,
)

POOL = Pool("teal", parse_network("10.77.4.0/24"), 30)
# Ordinal 0 a pod, 1 a tunnel address, 2 cooling, 3 free: the worked example of spec ipam-engine.md §2.5.
BLOCK = replace(
    new_block(parse_network("10.77.4.8/30"), 1, "host:worker-7"),
    allocations=(0, 1, 2, None),
    unallocated=(3,),
    attributes=(
        Attribute("k8s-pod-network.9d1e", {"namespace": "shop", "node": "worker-7", "pod": "cart-5c9"}),
        Attribute("vxlan-tunnel-addr-worker-7", {"node": "worker-7", "type": "vxlanTunnelAddress"}),
        Attribute(released_at="2026-08-20T11:02:40Z"),
    ),
)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([], ["10.77.4.11/32"], []),
        ([], ["10.77.4.10/31"], []),
        ([], ["10.77.4.8/32"], ["1 reserved address is in use (1 pod)"]),
        ([], ["10.77.4.8/30"], ["2 reserved addresses are in use (1 pod, 1 tunnel): existing allocations stay"]),
        (["10.77.4.8/31"], ["10.77.4.8/31", "10.77.4.0/32"], []),
        ([], ["192.0.2.0/24"], ["192.0.2.0/24 lies in no pool"]),
        ([], ["10.77.4.128/25"], []),
        (["10.77.4.0/25"], ["10.77.4.0/25", "10.77.4.128/25"], ["Every address of pool teal (10.77.4.0/24)"]),
        (["10.77.4.0/24"], ["10.77.4.0/24"], []),
        ([], ["10.0.0.0/8"], ["Every address of pool teal", "2 reserved addresses"]),
        (["10.77.4.0/24"], ["10.77.4.0/25"], []),
    ],
)
def test_warnings(before: list[str], after: list[str], words: list[str]) -> None:
    found = reservation_warnings(map(parse_network, before), map(parse_network, after), [POOL], [BLOCK])
    assert len(found) == len(words), found
    assert all(word in warning for word, warning in zip(words, found))


def test_holders_come_in_order_and_are_named() -> None:
    found = held_addresses([parse_network("10.77.4.0/24")], [BLOCK])
    assert [str(holder) for holder in found] == [
        "pod shop/cart-5c9 on worker-7",
        "tunnel vxlanTunnelAddress on worker-7",
    ]
    assert held_addresses([parse_network("fd00::/64")], [BLOCK]) == []
