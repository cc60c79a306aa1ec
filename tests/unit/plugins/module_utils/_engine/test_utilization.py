# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures of blocks, nodes and pools: spec ipam-engine.md §15."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import parse_reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import MOST, Tally, holders, measure

# The block of §2.5 with one more address, borrowed by another node.
SPEC: dict[str, t.Any] = {
    "cidr": "10.77.4.8/29",
    "affinity": "host:worker-7",
    "allocations": [0, 1, 2, None, 3, None, None, None],
    "unallocated": [3, 5, 6, 7],
    "attributes": [
        {"handle_id": "k8s-pod-network.9d", "secondary": {"namespace": "shop", "node": "worker-7", "pod": "cart"}},
        {"handle_id": "vxlan-tunnel-addr-worker-7", "secondary": {"node": "worker-7", "type": "vxlanTunnelAddress"}},
        {"releasedAt": "2026-08-20T11:02:40Z"},
        {"handle_id": "k8s-pod-network.aa", "secondary": {"namespace": "shop", "node": "worker-9", "pod": "till"}},
    ],
    "sequenceNumber": 1787217245204418104,
    "sequenceNumberForAllocation": {"0": 1787217245204418101, "1": 1787217245204418102},
}


def block(cidr: str, affinity: str | None = None, used: int = 0) -> dict[str, t.Any]:
    size = parse_network(cidr).size
    return {
        "cidr": cidr,
        "affinity": affinity,
        "allocations": [0] * used + [None] * (size - used),
        "unallocated": list(range(used, size)),
        "attributes": [{"handle_id": "h"}] if used else [],
    }


def test_figures_of_a_block() -> None:
    figures = measure(SPEC, parse_reservations(["10.77.4.8", "10.77.4.11"]))
    assert figures._asdict() == {
        "cidr": parse_network("10.77.4.8/29"),
        "owner_type": "host",
        "node": "worker-7",
        "in_use": 4,
        "reserved": 2,
        "free": 3,
        "borrowed": 1,
        "deleted": False,
    }
    assert (figures.size, figures.affinity) == (8, "host:worker-7")


def test_figures_of_an_ownerless_block() -> None:
    figures = measure({**SPEC, "affinity": None, "deleted": True})
    assert (figures.affinity, figures.node, figures.borrowed, figures.deleted) == (None, "", 3, True)


def test_holders_of_a_block() -> None:
    found = list(holders(SPEC))
    assert [str(entry.address) for entry in found] == ["10.77.4.8", "10.77.4.9", "10.77.4.10", "10.77.4.12"]
    assert [entry.holder.kind for entry in found] == ["pod", "tunnel", "cooling", "pod"]
    assert [entry.borrowed for entry in found] == [False, False, False, True]
    assert [entry.sequence for entry in found] == [1787217245204418101, 1787217245204418102, 0, 0]


def test_an_index_outside_the_attributes_is_an_unknown_holder() -> None:
    spec = {**block("10.0.0.0/31"), "allocations": [7, None], "unallocated": [1]}
    assert [entry.holder.kind for entry in holders(spec)] == ["unknown"]


def test_pools_and_nodes_add_up() -> None:
    pools = [Pool("b", parse_network("10.1.0.0/24"), 26), Pool("a", parse_network("10.0.0.0/24"), 26, disabled=True)]
    reservations = parse_reservations(["10.0.0.0/30", "10.0.0.252/30"])
    tally = Tally(pools, reservations)
    for spec in (
        block("10.0.0.0/26", "host:n1", 10),
        block("10.0.0.64/26", "host:n2", 64),
        block("10.0.0.128/28", "host:n1", 1),  # left from another block size
        block("10.9.0.0/26", None, 3),
    ):
        tally.add(measure(spec, reservations))
    first, second = tally.pools()
    assert first.pool.name == "a"
    assert first.shown() == {
        "addresses": {"capacity": 256, "in_use": 75, "reserved": 8, "free": 54 + 0 + 15 + (256 - 64 - 64 - 16 - 4)},
        "blocks": {"possible": 4, "allocated": 3, "free": 1, "size": 26},
        "nodes": [
            {"node": "n1", "blocks": 2, "addresses": 80, "in_use": 11, "free": 69},
            {"node": "n2", "blocks": 1, "addresses": 64, "in_use": 64, "free": 0},
        ],
    }
    assert second.shown()["addresses"] == {"capacity": 256, "in_use": 0, "reserved": 0, "free": 256}
    assert [str(figures.cidr) for figures in tally.strays] == ["10.9.0.0/26"]


def test_large_counts_stop_at_calicos_counters() -> None:
    tally = Tally([Pool("six", parse_network("fd00::/48"), 122)])
    assert tally.add(measure(block("fd00::/122", "host:n", 1))) is not None
    (figures,) = tally.pools()
    assert (figures.capacity, figures.free) == (MOST, MOST)
    assert figures.blocks_free == 2**74 - 1
