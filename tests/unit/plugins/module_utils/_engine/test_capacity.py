# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import (
    Demand,
    assess,
    block_sizes_that_fit,
    largest_prefix_that_fits,
    supply_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network

PROFILE = settings(derandomize=True, max_examples=80, deadline=None)


def supply(cidr, size, reserved=(), per_block=0):
    return supply_of(parse_network(cidr), size, [parse_network(text) for text in reserved], per_block)


def shortages(found):
    return [(one.hazard, one.blocker) for one in found.shortages]


@pytest.mark.parametrize(
    ("cidr", "size", "blocks", "per_block"),
    [
        ("192.168.0.0/16", 26, 1024, 64),
        ("192.168.0.0/16", 28, 4096, 16),
        ("10.0.0.0/24", 26, 4, 64),
        ("10.0.0.0/26", 26, 1, 64),
        ("10.0.0.0/28", 26, 0, 64),
        ("10.0.0.0/24", 32, 256, 1),
        ("fd00::/48", 122, 1 << 74, 64),
    ],
)
def test_blocks_of_a_pool(cidr, size, blocks, per_block):
    found = supply(cidr, size)
    assert (found.blocks, found.usable_blocks, found.addresses_per_block) == (blocks, blocks, per_block)
    assert found.addresses == blocks * per_block


@pytest.mark.parametrize(
    ("reserved", "blocks", "addresses"),
    [
        ([], 0, 0),
        (["10.0.0.0/26"], 1, 64),
        (["10.0.0.0/27", "10.0.0.32/27"], 1, 64),
        (["10.0.0.0/27", "10.0.0.0/28"], 0, 32),
        (["10.0.0.0/27", "10.0.0.32/28", "10.0.0.48/28", "10.0.0.1/32"], 1, 64),
        (["10.0.0.0/25", "10.0.0.64/26"], 2, 128),
        (["10.0.0.0/16"], 4, 256),
        (["10.9.0.0/16", "fd00::/8"], 0, 0),
        (["10.0.0.255/32"], 0, 1),
    ],
)
def test_reservations(reserved, blocks, addresses):
    found = supply("10.0.0.0/24", 26, reserved)
    assert (found.reserved_blocks, found.reserved_addresses) == (blocks, addresses)
    assert found.usable_blocks == 4 - blocks
    assert found.addresses == 256 - addresses


def test_windows_keeps_four_addresses_of_every_block():
    found = supply("10.0.0.0/24", 26, per_block=4)
    assert found.addresses_per_block == 60
    assert found.addresses == 240
    assert supply("10.0.0.0/24", 30, per_block=4).addresses_per_block == 0


def test_the_tutorial_change_from_26_to_28():
    found = assess(supply("192.168.0.0/16", 28), Demand(nodes=4, pods=30, surge=10, busiest_node_pods=12))
    assert found.enough
    assert found.shortages == ()
    assert found.blocks_per_node == 7  # 110 pods and a tunnel address in blocks of 16
    assert found.nodes_supported == 585
    assert found.addresses_per_node == 320
    assert found.sentences == (
        "192.168.0.0/16 with blockSize 28 has 4096 blocks of 16 usable addresses.",
        "A node with 110 pods takes 111 addresses, that is 7 blocks of at most 20; 585 such nodes fit, 4 are there.",
        "44 addresses are wanted at the worst moment (30 for pods, 10 more while they are replaced, 4 for tunnels), "
        "65536 can be given.",
    )
    assert found.as_dict()["nodes_supported"] == 585
    assert found.as_dict()["enough"] is True


# Pool, block size, demand, settings, and what falls short: hazards.md B01 to B04.
SHORT = [
    ("10.0.0.0/24", 26, Demand(nodes=5), {}, [("B01", True)]),
    ("10.0.0.0/24", 26, Demand(nodes=5), {"strict_affinity": True}, [("B04", True)]),
    # Enough blocks for one each, not for full nodes: borrowing carries it, strict affinity does not.
    ("10.0.0.0/24", 26, Demand(nodes=3), {}, [("B01", False)]),
    ("10.0.0.0/24", 26, Demand(nodes=3), {"strict_affinity": True}, [("B04", True)]),
    ("10.0.0.0/24", 26, Demand(nodes=2), {}, []),
    ("10.0.0.0/24", 26, Demand(nodes=2), {"strict_affinity": True}, []),
    ("10.0.0.0/24", 26, Demand(nodes=2, more_nodes=1), {}, [("B01", False)]),
    # The busiest node of today needs three blocks, each of the others one.
    ("10.0.0.0/24", 26, Demand(nodes=3, pods=150, busiest_node_pods=140), {}, [("B01", True)]),
    # 20 blocks of 4 addresses are fewer than 110 pods.
    ("10.0.0.0/16", 30, Demand(nodes=3), {}, [("B02", True)]),
    ("10.0.0.0/16", 32, Demand(nodes=3, max_pods=30), {}, [("B02", True)]),
    ("10.0.0.0/16", 30, Demand(nodes=3, max_pods=79), {}, []),
    ("10.0.0.0/16", 30, Demand(nodes=3), {"max_blocks_per_host": 28, "strict_affinity": True}, []),
    ("10.0.0.0/16", 26, Demand(nodes=3), {"max_blocks_per_host": 1, "strict_affinity": True}, [("B02", True)]),
    ("10.0.0.0/16", 26, Demand(nodes=3), {"max_blocks_per_host": 4}, [("B03", False)]),
    # Addresses as such.
    ("10.0.0.0/24", 28, Demand(nodes=2, pods=200, surge=60, max_pods=100), {}, [("D04", True), ("B01", True)]),
    ("10.0.0.0/28", 26, Demand(nodes=1, max_pods=5), {}, [("D04", True), ("B01", True)]),
    ("fd00::/116", 122, Demand(nodes=32), {}, []),
    ("fd00::/116", 122, Demand(nodes=33), {}, [("B01", False)]),
]


@pytest.mark.parametrize(("cidr", "size", "demand", "settings", "short"), SHORT)
def test_shortages(cidr, size, demand, settings, short):
    found = assess(supply(cidr, size), demand, **settings)
    assert shortages(found) == short
    assert found.enough == (not any(blocker for _hazard, blocker in short))
    for one in found.shortages:
        assert one.message.endswith(".")
        assert one.remedy.endswith(".")


def test_a_whole_reservation_takes_blocks_from_nodes():
    four = Demand(nodes=4, max_pods=50)
    assert shortages(assess(supply("10.0.0.0/24", 26), four)) == []
    assert shortages(assess(supply("10.0.0.0/24", 26, ["10.0.0.64/26"]), four)) == [("B01", True)]


def test_sentences_say_what_to_do():
    (one,) = assess(supply("10.0.0.0/24", 26), Demand(nodes=5)).shortages
    assert one.message == (
        "10.0.0.0/24 with blockSize 26 has 4 usable blocks for 5 nodes: "
        "the others must borrow single addresses from the blocks of other nodes."
    )
    assert one.remedy == "Choose a CIDR of /22 or larger for 5 full nodes."
    (one,) = assess(supply("10.0.0.0/16", 30), Demand(nodes=3)).shortages
    assert one.message == (
        "With blockSize 30 a node can have 80 addresses (20 blocks of 4), but 110 pods and 1 tunnel take 111: "
        "beyond the limit pods fail, they do not borrow."
    )
    assert one.remedy == (
        "Use blockSize 29 or less, or set maxBlocksPerHost to 28 together with strictAffinity true, "
        "which stops borrowing at once."
    )
    (one,) = assess(supply("10.0.0.0/23", 24), Demand(nodes=4, max_pods=50)).shortages
    assert one.remedy == "Choose a CIDR of /22 or larger for 4 full nodes, or a blockSize from 25 to 30."


@pytest.mark.parametrize(
    ("cidr", "demand", "settings", "sizes"),
    [
        ("10.0.0.0/16", Demand(nodes=100), {}, (23, 24, 25, 26, 27, 28, 29)),
        ("10.0.0.0/24", Demand(nodes=2), {}, (25, 26, 27, 28, 29)),
        ("10.0.0.0/24", Demand(nodes=3), {}, ()),
        ("10.0.0.0/24", Demand(nodes=2, more_nodes=1), {}, ()),
        ("10.0.0.0/24", Demand(nodes=2, pods=255), {}, ()),
        ("10.0.0.0/24", Demand(nodes=2), {"max_blocks_per_host": 2}, (25, 26)),
        ("10.0.0.0/24", Demand(nodes=1), {"reserved": [parse_network("10.0.0.0/25")]}, (24, 25, 26, 27, 28, 29)),
        ("10.0.0.0/24", Demand(nodes=2), {"reserved": [parse_network("10.0.0.0/25")]}, ()),
        ("fd00::/112", Demand(nodes=100), {}, (119, 120, 121, 122, 123, 124, 125)),
    ],
)
def test_block_sizes(cidr, demand, settings, sizes):
    assert block_sizes_that_fit(parse_network(cidr), demand, **settings) == sizes


@pytest.mark.parametrize(
    ("version", "addresses", "nodes", "size", "prefix"),
    [
        (4, 111, 4, 26, 23),
        (4, 64, 4, 26, 24),
        (4, 65, 4, 26, 23),
        (4, 1, 1, 26, 26),
        (4, 111, 5, 28, 22),
        (6, 111, 100, 122, 114),
    ],
)
def test_prefix_for_nodes(version, addresses, nodes, size, prefix):
    assert largest_prefix_that_fits(version, addresses, nodes, size) == prefix


demands = st.builds(
    Demand,
    nodes=st.integers(1, 60),
    max_pods=st.integers(1, 250),
    tunnels=st.integers(0, 2),
    more_nodes=st.integers(0, 5),
)


@PROFILE
@given(st.integers(16, 26), demands, st.integers(0, 4))
def test_sizes_that_fit_are_those_assessed_without_shortage(prefix, demand, per_block):
    cidr = parse_network(f"10.0.0.0/{prefix}")
    fitting = block_sizes_that_fit(cidr, demand, reserved_per_block=per_block)
    for size in range(max(20, prefix), 33):
        found = assess(supply_of(cidr, size, (), per_block), demand)
        assert (size in fitting) == (found.shortages == ())


@PROFILE
@given(demands, st.integers(20, 30))
def test_the_proposed_prefix_is_the_longest_that_holds_the_nodes(demand, size):
    prefix = largest_prefix_that_fits(4, demand.per_node, demand.nodes, size)
    per_node = -(-demand.per_node // (1 << (32 - size)))
    assert 1 << (size - prefix) >= demand.nodes * per_node
    assert prefix == size or 1 << (size - prefix - 1) < demand.nodes * per_node


@PROFILE
@given(
    st.integers(24, 30),
    st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), max_size=12),
)
def test_reservations_agree_with_counting_addresses(size, entries):
    cidr = parse_network("10.0.0.0/24")
    reserved = [parse_network(f"10.0.0.{last}/{prefix}", strict=False) for last, prefix in entries]
    found = supply_of(cidr, size, reserved)
    taken = {value for network in reserved for value in range(network.value, network.end + 1)}
    blocks = [block for block in cidr.subnets(size) if taken.issuperset(range(block.value, block.end + 1))]
    assert found.reserved_addresses == len(taken)
    assert found.reserved_blocks == len(blocks)
