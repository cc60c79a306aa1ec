# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import block_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import (
    Reservations,
    parse_reservations,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import blocks as blocks_module
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import (
    BlockFilter,
    Query,
    block_filter,
    blocks_with_holders,
    queried_blocks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import measured, pools_with_use
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool


def none_damaged(error: CorruptRecord) -> None:
    raise error


def stored(name: str, cidr: str) -> StoredPool:
    return StoredPool(name, {"metadata": {"name": name}, "spec": {"cidr": cidr, "blockSize": 30}})


def block(cidr: str, node: str | None, *holders: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """A /30 whose addresses are held as given; None is free."""
    holders = (*holders, *[None] * (4 - len(holders)))
    known = [holder for holder in holders if holder is not None]
    spec = {
        "cidr": cidr,
        "affinity": f"host:{node}" if node else None,
        "allocations": [known.index(holder) if holder is not None else None for holder in holders],
        "attributes": known,
        "unallocated": [ordinal for ordinal, holder in enumerate(holders) if holder is None],
    }
    return {"kind": "IPAMBlock", "metadata": {"name": block_name(parse_network(cidr))}, "spec": spec}


def pod(name: str, node: str) -> dict[str, t.Any]:
    return {"handle_id": f"net.{name}", "secondary": {"namespace": "shop", "pod": name, "node": node}}


TUNNEL = {
    "handle_id": "ipip-tunnel-addr-node-2",
    "secondary": {"type": "ipipTunnelAddress", "node": "node-2"},
}
POOLS = [stored("a", "10.0.0.0/28"), stored("b", "10.1.0.0/28"), stored("broken", "nonsense")]
BLOCKS = [
    block("10.1.0.0/30", "node-1"),
    block("10.0.0.4/30", "node-2", TUNNEL, pod("web-2", "node-1")),
    block("10.0.0.0/30", "node-1", pod("web-1", "node-1"), None, pod("web-3", "node-1")),
    block("10.9.0.0/30", None, pod("lost", "node-1")),
]
FILTERS = dict.fromkeys(("pool", "node", "cidr", "address", "pod", "handle"))


def shown(addresses: bool = True, **filters: str) -> dict[str, t.Any]:
    wanted = block_filter({**FILTERS, **filters}, POOLS)
    return blocks_with_holders(POOLS, BLOCKS, Reservations(), wanted, none_damaged, addresses=addresses)


def cidrs(result: dict[str, t.Any]) -> list[str]:
    return [entry["cidr"] for entry in result["blocks"]]


def test_everything_in_order_of_address() -> None:
    result = shown()
    assert cidrs(result) == ["10.0.0.0/30", "10.0.0.4/30", "10.1.0.0/30", "10.9.0.0/30"]
    first, second, _third, stray = result["blocks"]
    assert {**first, "addresses": len(first["addresses"])} == {
        "cidr": "10.0.0.0/30",
        "pool": "a",
        "node": "node-1",
        "affinity": "host:node-1",
        "size": 4,
        "in_use": 2,
        "free": 2,
        "borrowed": 0,
        "addresses": 2,
    }
    assert second["addresses"] == [
        {
            "address": "10.0.0.4",
            "kind": "tunnel",
            "namespace": None,
            "name": "ipipTunnelAddress",
            "pod": None,
            "node": "node-2",
            "handle": "ipip-tunnel-addr-node-2",
            "borrowed": False,
        },
        {
            "address": "10.0.0.5",
            "kind": "pod",
            "namespace": "shop",
            "name": "web-2",
            "pod": "web-2",
            "node": "node-1",
            "handle": "net.web-2",
            "borrowed": True,
        },
    ]
    assert (stray["pool"], stray["node"], stray["affinity"]) == (None, None, None)
    assert result["nodes"] == [
        {"node": None, "blocks": 1, "addresses": 4, "in_use": 1, "free": 3, "borrowed": 1},
        {"node": "node-1", "blocks": 2, "addresses": 8, "in_use": 2, "free": 6, "borrowed": 0},
        {"node": "node-2", "blocks": 1, "addresses": 4, "in_use": 2, "free": 2, "borrowed": 1},
    ]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"pool": "a"}, ["10.0.0.0/30", "10.0.0.4/30"]),
        ({"node": "node-2"}, ["10.0.0.4/30"]),
        ({"node": "node-1"}, ["10.0.0.0/30", "10.0.0.4/30", "10.1.0.0/30", "10.9.0.0/30"]),
        ({"cidr": "10.0.0.0/29"}, ["10.0.0.0/30", "10.0.0.4/30"]),
        ({"cidr": "10.0.0.6/32"}, ["10.0.0.4/30"]),
        ({"address": "10.0.0.5"}, ["10.0.0.4/30"]),
        ({"address": "10.0.0.7"}, []),  # free
        ({"pod": "shop/web-3"}, ["10.0.0.0/30"]),
        ({"pod": "shop/nobody"}, []),
        ({"handle": "net.web-1"}, ["10.0.0.0/30"]),
        ({"pool": "b", "node": "node-2"}, []),
    ],
)
@pytest.mark.parametrize("addresses", [True, False])
def test_filters(filters: dict[str, str], found: list[str], addresses: bool) -> None:
    result = shown(addresses, **filters)
    assert cidrs(result) == found
    assert all(("addresses" in entry) is addresses for entry in result["blocks"])


def test_filters_for_addresses_list_only_those() -> None:
    (entry,) = shown(pod="shop/web-1")["blocks"]
    assert [holder["address"] for holder in entry["addresses"]] == ["10.0.0.0"]
    assert entry["in_use"] == 2


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"pool": "nope"}, "the pools of this cluster are: a, b, broken"),
        ({"pool": "broken"}, "does not parse"),
        ({"pod": "web-1"}, "namespace/name"),
        ({"address": "10.0.0"}, "10.0.0"),
        ({"cidr": "10.0.0.1/24"}, "10.0.0.0/24"),
    ],
)
def test_wrong_filters(filters: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        shown(**filters)


def test_whether_anything_was_chosen() -> None:
    assert not BlockFilter().chosen
    assert BlockFilter(node="node-1").chosen


# Queries


def test_a_query() -> None:
    query = Query("blocks[].addresses[?kind=='pod'][].name")
    assert query.search(shown()) == ["web-1", "web-3", "web-2", "lost"]
    assert query.mentions("addresses")
    assert not Query("nodes[?borrowed > `0`].node").mentions("addresses")
    assert Query("{a: blocks[*].addresses}").mentions("addresses")
    assert not Query("'addresses'").mentions("addresses")


IN_ORDER = sorted(BLOCKS, key=lambda thing: parse_network(thing["spec"]["cidr"]))


@pytest.mark.parametrize(
    ("text", "streams"),
    [
        ("blocks[]", True),
        ("blocks[*].cidr", True),
        ("blocks[].addresses[?kind=='pod'][]", True),
        ("blocks[].addresses[].name", True),
        ("blocks[?in_use > `1`].[cidr, length(addresses)]", True),
        ("blocks[].addresses[0].name", True),
        ("blocks[][]", True),
        ("blocks", False),
        ("blocks[0]", False),
        ("blocks[:2].cidr", False),
        ("blocks[].cidr | [0]", False),
        ("length(blocks)", False),
        ("nodes[].node", False),
        ("[blocks[].cidr, nodes[].node]", False),
    ],
)
def test_queries_part_by_part(text: str, streams: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    query = Query(text)
    assert query.streams is streams
    whole = query.search(blocks_with_holders(POOLS, IN_ORDER, Reservations(), BlockFilter(), none_damaged))
    for size in (1, 2, 3, 10):
        monkeypatch.setattr(blocks_module, "PART", size)
        assert (
            queried_blocks(POOLS, IN_ORDER, Reservations(), BlockFilter(), query, none_damaged, addresses=True) == whole
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blocks[", "at its end"),
        ("blocks[?in_use>]", "position 15"),
        ("blocks[?in_use>'x]", "position 15"),
        ("a # b", "position 2"),
        ("", "cannot be evaluated"),
    ],
)
def test_queries_that_do_not_parse(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        Query(text)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["nothing(blocks)", "length(nodes[0].in_use)", "abs('x')"])
def test_queries_that_cannot_be_evaluated(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be evaluated") as caught:
        Query(text).search(shown())
    assert "\n" not in caught.value.message


# Pools


def test_pools_with_their_use() -> None:
    reserved = parse_reservations(["10.0.0.8/30"])
    result = pools_with_use(POOLS, measured(BLOCKS, reserved, none_damaged), reserved)
    assert [pool["name"] for pool in result["pools"]] == ["a", "b", "broken"]
    assert result["pools"][0]["utilization"] == {
        "addresses": {"capacity": 16, "in_use": 4, "reserved": 4, "free": 8},
        "blocks": {"possible": 4, "allocated": 2, "free": 2, "size": 30},
        "nodes": [
            {"node": "node-1", "blocks": 1, "addresses": 4, "in_use": 2, "free": 2},
            {"node": "node-2", "blocks": 1, "addresses": 4, "in_use": 2, "free": 2},
        ],
    }
    assert result["pools"][2]["utilization"]["addresses"]["capacity"] == 0
    assert cidrs({"blocks": result["strays"]}) == ["10.9.0.0/30"]


def test_chosen_pools() -> None:
    def names(**chosen: str) -> list[str]:
        result = pools_with_use(POOLS, measured(BLOCKS, Reservations(), none_damaged), Reservations(), **chosen)
        assert result["strays"] == []
        return [pool["name"] for pool in result["pools"]]

    assert names(name="b") == ["b"]
    assert names(name="nope") == []
    assert names(cidr="10.1.0.0/28") == ["b"]
    assert names(cidr="10.1.0.0/27") == []
    with pytest.raises(InvalidInput):
        names(cidr="x")
