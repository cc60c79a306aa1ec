# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.filter.blocks import FilterModule

FILTERS = FilterModule().filters()
STORED = {"metadata": {"name": "web"}, "spec": {"cidr": "10.0.0.0/20", "blockSize": 28}}


def call(name: str, *args: t.Any, **options: t.Any) -> t.Any:
    return FILTERS[name](*args, **options)


@pytest.mark.parametrize(
    ("pool", "block_size", "blocks"),
    [
        ("10.0.0.0/16", 26, 1024),
        ("10.0.0.0/16", "26", 1024),
        ("10.0.0.0/16", None, 1024),
        ("10.0.0.0/26", 26, 1),
        ("2001:db8::/112", 122, 1024),
        ("2001:db8::/64", None, 2**58),
        (STORED, None, 256),
        (STORED, 26, 64),
        ({"cidr": "10.0.0.0/20", "block_size": 28}, None, 256),
        ({"name": "web", "spec": {"cidr": "10.0.0.0/20"}}, None, 64),
    ],
)
def test_block_count(pool: t.Any, block_size: t.Any, blocks: int) -> None:
    """spec ipam-engine.md §2: 2^(blockSize - prefix)."""
    assert call("block_count", pool, block_size) == blocks


@pytest.mark.parametrize(
    ("options", "nodes"),
    [
        ({}, 64),
        ({"blocks_per_node": 2}, 32),
        ({"blocks_per_node": 3}, 21),
        ({"pods_per_node": 63}, 64),
        # 64 pods and a tunnel address are one too many for a block.
        ({"pods_per_node": 64}, 32),
        ({"pods_per_node": 64, "tunnels": 0}, 64),
        ({"pods_per_node": 110}, 32),
        ({"reserved": "10.0.0.0/24"}, 60),
        ({"reserved": ["10.0.0.0-10.0.0.63", "10.0.15.*"]}, 59),
        ({"blocks_per_node": 100}, 0),
    ],
)
def test_nodes_supported(options: dict[str, t.Any], nodes: int) -> None:
    assert call("nodes_supported", "10.0.0.0/20", 26, **options) == nodes


def test_block_sizes() -> None:
    assert call("block_sizes", "10.0.0.0/18", 40) == [24, 25, 26, 27, 28, 29]
    assert call("block_sizes", "10.0.0.0/18", 40, 110, max_blocks_per_host=2) == [24, 25, 26]
    assert call("block_sizes", "10.0.0.0/24", 40) == []
    assert call("largest_block_size", "10.0.0.0/18", "40") == 24
    assert call("largest_block_size", {"name": "web", "spec": {"cidr": "10.0.0.0/18"}}, 40, 20) == 24
    assert call("largest_block_size", "2001:db8::/112", 40) == 118


def test_the_range_that_would_do_does() -> None:
    for nodes, pods in ((40, 110), (3, 1), (1000, 250), (7, 5000)):
        with pytest.raises(AnsibleFilterError) as caught:
            call("largest_block_size", "10.0.0.0/31", nodes, pods)
        prefix, size = re.findall(r"/(\d+)", str(caught.value))[1:]
        assert int(size) in call("block_sizes", f"0.0.0.0/{prefix}", nodes, pods)
        assert call("block_sizes", f"0.0.0.0/{int(prefix) + 1}", nodes, pods) == []


def test_blocks() -> None:
    assert call("block_of", "10.0.3.77", "10.0.0.0/16", 26) == "10.0.3.64/26"
    assert call("block_of", "10.0.15.255", STORED) == "10.0.15.240/28"
    assert call("block_of", "2001:db8::ff", "2001:db8::/64") == "2001:db8::c0/122"
    assert call("block_name", "10.77.4.8/30") == "10-77-4-8-30"
    assert call("block_name", "2001:db8::40/122") == "2001-db8--40-122"


def test_overlaps() -> None:
    declared = [{"name": "a", "cidr": "10.0.0.0/16"}, {"name": "b", "cidr": "10.1.0.0/16"}, STORED]
    assert call("overlaps", declared) == [{"first": "a", "second": "web"}]
    assert call("overlaps", declared, ["10.1.255.250-10.2.0.1"]) == [{"first": "b", "second": "10.1.255.250-10.2.0.1"}]
    assert call("overlaps", "10.0.0.0/8", declared[1]) == [{"first": "10.0.0.0/8", "second": "b"}]
    assert call("overlaps", ["10.0.0.0/16", "2001:db8::/64"]) == []
    assert call("overlaps", []) == []


@pytest.mark.parametrize(
    ("value", "minus", "expected"),
    [
        ("10.0.0.0/24", [], ["10.0.0.0/24"]),
        ("10.0.0.7", [], ["10.0.0.7/32"]),
        ("10.0.0.7/24", [], ["10.0.0.0/24"]),
        ("10.0.0.1-10.0.0.3", [], ["10.0.0.1/32", "10.0.0.2/31"]),
        ("10.0.0.1 - 10.0.0.3", [], ["10.0.0.1/32", "10.0.0.2/31"]),
        ("10.0.0.*", [], ["10.0.0.0/24"]),
        ("10.0.0.0-3", [], ["10.0.0.0/30"]),
        ("2001:db8::-2001:db8::3", [], ["2001:db8::/126"]),
        (["10.0.0.0/25", "10.0.0.128/25", "10.0.0.4"], [], ["10.0.0.0/24"]),
        (["2001:db8::/64", "10.0.0.0/24"], [], ["10.0.0.0/24", "2001:db8::/64"]),
        ([["10.0.0.0/25"], ("10.0.0.128/25",)], [], ["10.0.0.0/24"]),
        ("10.0.0.0/22", "10.0.0.0/24", ["10.0.1.0/24", "10.0.2.0/23"]),
        ("10.0.0.0/24", "10.0.0.0/16", []),
        (STORED, ["10.0.8.0/21"], ["10.0.0.0/21"]),
        ([], [], []),
    ],
)
def test_cidrs(value: t.Any, minus: t.Any, expected: list[str]) -> None:
    assert call("cidrs", value, minus) == expected


PARTS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
            lambda pair: str(ipaddress.ip_network(f"10.0.0.{pair[0]}/{pair[1]}", strict=False))
        ),
        st.tuples(st.integers(0, 255), st.integers(0, 255)).map(lambda pair: f"10.0.0.{min(pair)}-10.0.0.{max(pair)}"),
    ),
    max_size=6,
)


def addresses(parts: list[str]) -> set[int]:
    found: set[int] = set()
    for part in parts:
        first, dash, last = part.partition("-")
        if dash:
            found.update(range(int(first.rpartition(".")[2]), int(last.rpartition(".")[2]) + 1))
        else:
            found.update(int(each) & 255 for each in ipaddress.ip_network(part))
    return found


@settings(max_examples=60, deadline=None)
@given(PARTS, PARTS)
def test_cidrs_are_the_same_addresses_and_as_few_as_can_be(value: list[str], minus: list[str]) -> None:
    found = call("cidrs", value, minus)
    assert addresses(found) == addresses(value) - addresses(minus)
    parsed = [ipaddress.ip_network(each) for each in found]
    assert list(ipaddress.collapse_addresses(parsed)) == parsed


@pytest.mark.parametrize(
    ("name", "args", "options", "words"),
    [
        ("block_count", ("10.0.0.0",), {}, "has no prefix length"),
        ("block_count", ("10.0.0.1/16", 26), {}, "host bits set"),
        ("block_count", (None,), {}, "must be a CIDR"),
        ("block_count", ({"name": "web"},), {}, "a dictionary with cidr in it"),
        ("block_count", ({"spec": 7},), {}, "a dictionary with cidr in it"),
        ("block_count", ("10.0.0.0/16", 16), {}, "from 20 to 32, not 16"),
        ("block_count", ("10.0.0.0/16", True), {}, "from 20 to 32, not True"),
        ("block_count", ("10.0.0.0/16", "²6"), {}, "from 20 to 32"),
        ("block_count", ("2001:db8::/64", 26), {}, "from 116 to 128"),
        ("block_count", ("10.0.0.0/28", 26), {}, "a block is inside its pool"),
        ("nodes_supported", ("10.0.0.0/16",), {"blocks_per_node": 0}, "1 or more"),
        ("nodes_supported", ("10.0.0.0/16",), {"blocks_per_node": 2, "pods_per_node": 3}, "not both"),
        ("largest_block_size", ("10.0.0.0/24", 40), {}, "a range of /19 would do, with blocks of /25"),
        ("largest_block_size", ("2001:db8::/120", 40), {}, "a range of /115 would do, with blocks of /121"),
        ("largest_block_size", ("10.0.0.0/8", 4, 9000), {"max_blocks_per_host": 2}, "so raise maxBlocksPerHost"),
        ("largest_block_size", ("10.0.0.0/24", 0), {}, "nodes must be a whole number, 1 or more"),
        ("block_sizes", ("10.0.0.0/24", "many"), {}, "nodes must be a whole number"),
        ("block_sizes", ({"spec": None}, 2), {}, "must be a CIDR"),
        ("block_of", ("10.1.0.1", "10.0.0.0/16"), {}, "is not in the pool"),
        ("block_of", ("10.0.0.0/26", "10.0.0.0/16"), {}, "does not parse"),
        ("block_name", ("10.0.0.1",), {}, "has no prefix length"),
        ("overlaps", (7,), {}, "must be a list"),
        ("overlaps", (["10.0.0.0/8"], [7]), {}, "others must be a CIDR"),
        ("cidrs", ("10.0.0.9-10.0.0.1",), {}, "does not parse"),
        ("cidrs", ("10.0.0.1-2001:db8::1",), {}, "does not parse"),
        ("cidrs", ("10.*.0.1",), {}, "does not parse"),
        ("cidrs", ("web-pool",), {}, "does not parse"),
        ("cidrs", (b"10.0.0.0/8",), {}, "value must be a CIDR"),
        ("cidrs", (7,), {}, "value must be a CIDR"),
        ("cidrs", ("10.0.0.0/8",), {"minus": "x"}, "minus 'x' does not parse"),
    ],
)
def test_bad_input_gets_one_sentence(name: str, args: tuple[t.Any, ...], options: dict[str, t.Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        call(name, *args, **options)
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"calico_ops.ipam.{name}: ") and message.endswith(".") and "\n" not in message
