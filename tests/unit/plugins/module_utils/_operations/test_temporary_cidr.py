# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.temporary_cidr import first_free


@pytest.mark.parametrize(
    ("network", "prefix", "busy", "free"),
    [
        ("10.0.0.0/16", 24, [], "10.0.0.0/24"),
        ("10.0.0.0/16", 24, ["10.0.0.0/24"], "10.0.1.0/24"),
        ("10.0.0.0/16", 24, ["10.0.0.7/32", "10.0.1.0/25"], "10.0.2.0/24"),
        ("10.0.0.0/16", 24, ["10.0.1.0/24"], "10.0.0.0/24"),
        ("10.0.0.0/16", 20, ["10.0.0.0/28", "10.0.16.5/32"], "10.0.32.0/20"),
        ("10.0.0.0/24", 24, ["10.0.0.0/8"], None),
        ("10.0.0.0/24", 25, ["10.0.0.1/32", "10.0.0.200/32"], None),
        ("10.0.0.0/16", 24, ["192.168.0.0/16"], "10.0.0.0/24"),
        ("10.0.0.0/16", 24, ["10.0.0.0/17", "10.0.0.0/24"], "10.0.128.0/24"),
        ("fd00::/48", 116, ["fd00::/64"], "fd00:0:0:1::/116"),
    ],
)
def test_worked_examples(network: str, prefix: int, busy: list[str], free: str | None) -> None:
    found = first_free(parse_network(network), prefix, [parse_network(text) for text in busy])
    assert (None if found is None else str(found)) == free


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), max_size=12), st.integers(25, 30))
def test_agrees_with_trying_every_place(places: list[tuple[int, int]], prefix: int) -> None:
    network = parse_network("10.0.0.0/24")
    busy = [Network(4, (network.value + low) >> (32 - p) << (32 - p), p) for low, p in places]
    free = [place for place in network.subnets(prefix) if not any(place.overlaps(other) for other in busy)]
    assert first_free(network, prefix, busy) == (free[0] if free else None)
