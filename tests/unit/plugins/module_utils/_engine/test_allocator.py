# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Handing out addresses: worked cases of spec ipam-engine.md §6, §7, §9 and §11."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved, new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    AllocationError,
    BlockLimit,
    ClaimConflict,
    HandleLimit,
    NoConfiguredPools,
    NoQualifiedPool,
    RequestedPool,
    StrictAffinityRequired,
    UseNotAllowed,
    UseRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.order import block_order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

POOL = Pool("teal", parse_network("10.77.4.0/24"), 30)
V6_POOL = Pool("violet", parse_network("fd00:77::/120"), 124)
TINY = Pool("tiny", parse_network("10.0.0.0/29"), 30)  # two blocks of four


def request(host: str = "a", count: int = 1, handle: str | None = "h", **more: t.Any) -> AssignRequest:
    return AssignRequest(host, num_v4=count, handle_id=handle, attributes={"node": host}, **more)


def addresses(result: t.Any) -> list[str]:
    return [str(address) for address in result.addresses]


def order(host: str, pool: Pool) -> list[Network]:
    return list(block_order(host, pool.cidr, pool.block_size, 0))


def test_addresses_come_from_the_hosts_own_order_with_the_blocks_prefix(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    first = order("a", POOL)[0]
    result = auto_assign(store, request(count=2), now=now)
    assert addresses(result) == [f"{first.address(0)}/30", f"{first.address(1)}/30"]
    assert result.problem is None
    check(store, now())


def test_writes_of_the_first_automatic_assignment(recording_store: t.Any, now: t.Any) -> None:
    store = recording_store([POOL], {"a": {}})
    auto_assign(store, request(), now=now)
    assert store.writes == [
        "affinity create",
        "affinity update pending",
        "block create",
        "affinity update confirmed",
        "handle create",
        "block update",
    ]


def test_writes_of_assigning_a_given_address(recording_store: t.Any, now: t.Any) -> None:
    store = recording_store([POOL], {"a": {}})
    assign_ip(store, parse_address("10.77.4.9"), "a", now=now, handle_id="h")
    assert store.writes == [
        "affinity create",
        "block create",
        "affinity update confirmed",
        "handle create",
        "block update",
    ]


def test_a_handle_counts_what_was_wanted_and_keeps_the_excess(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    auto_assign(store, request(count=6), now=now)
    one, two = order("a", POOL)[:2]
    assert store.get_handle("h").value.blocks == {one: 6, two: 2}
    assert release_by_handle(store, "h", now=now) == 6
    assert store.get_handle("h").value.blocks == {one: 2}
    check(store, now())


def test_freed_addresses_go_to_the_end_of_the_queue(now: t.Any) -> None:
    store = MemoryStore([TINY], {"a": {}})
    got = [addresses(auto_assign(store, request(handle=f"h{i}"), now=now))[0] for i in range(2)]
    release_by_handle(store, "h0", now=now)
    later = [addresses(auto_assign(store, request(handle=f"later{i}"), now=now))[0] for i in range(3)]
    assert got[0] not in later[:2]
    assert later[2] == got[0]


def test_both_families(now: t.Any) -> None:
    store = MemoryStore([POOL, V6_POOL], {"a": {}})
    result = auto_assign(store, AssignRequest("a", num_v4=1, num_v6=1, handle_id="h"), now=now)
    assert [address.address.version for address in result.addresses] == [4, 6]
    assert len(store.get_handle("h").value.blocks) == 2


def test_a_failure_of_the_second_family_leaves_the_first_ones_addresses(now: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    result = auto_assign(store, AssignRequest("a", num_v4=1, num_v6=1, handle_id="h"), now=now)
    assert isinstance(result.error, NoQualifiedPool)
    assert len(result.addresses) == 1
    assert result.problem == result.error.message


@pytest.mark.parametrize(
    ("change", "asked", "error"),
    [
        ({}, {"use": ""}, UseRequired),
        ({"disabled": True}, {}, NoQualifiedPool),
        ({"terminating": True}, {}, NoQualifiedPool),
        ({"allocatable": False}, {}, NoQualifiedPool),
        ({"node_selector": "zone == 'b'"}, {}, NoConfiguredPools),
        ({"namespace_selector": "team == 'b'"}, {"namespace_labels": {"team": "a"}}, NoConfiguredPools),
        ({"assignment_mode": "Manual"}, {}, NoConfiguredPools),
        ({"allowed_uses": frozenset({"Tunnel"})}, {}, NoQualifiedPool),
        ({}, {"requested_v4": [parse_network("10.9.0.0/24")]}, RequestedPool),
        ({}, {"host_reserved_v4": HostReserved(3, 1)}, NoQualifiedPool),
        ({}, {"windows": True}, StrictAffinityRequired),
        ({}, {"host": "nobody"}, NotFoundInStore),
    ],
)
def test_why_nothing_is_assigned(
    now: t.Any, change: dict[str, t.Any], asked: dict[str, t.Any], error: type[Exception]
) -> None:
    store = MemoryStore([replace(POOL, **change)], {"a": {"zone": "a"}})
    result = auto_assign(store, request(**asked), now=now)
    assert isinstance(result.error, error)
    assert result.addresses == ()
    assert store.list_blocks() == []


def test_requested_pools_bypass_selectors(now: t.Any) -> None:
    store = MemoryStore([replace(POOL, node_selector="!all()", assignment_mode="Manual")], {"a": {}})
    result = auto_assign(store, request(requested_v4=[POOL.cidr]), now=now)
    assert result.problem is None


def test_a_host_borrows_when_every_block_is_taken(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([TINY], {"a": {}, "b": {}, "c": {}})
    for host in "ab":
        auto_assign(store, request(host, handle=host), now=now)
    result = auto_assign(store, request("c", 3, "c"), now=now)
    assert len(result.addresses) == 3
    assert store.list_affinities("c") == []
    check(store, now())


def test_strict_affinity_forbids_borrowing(now: t.Any) -> None:
    store = MemoryStore([TINY], {"a": {}, "b": {}, "c": {}}, Settings(strict_affinity=True))
    for host in "ab":
        auto_assign(store, request(host, handle=host), now=now)
    result = auto_assign(store, request("c", handle="c"), now=now)
    assert result.error is None
    assert result.addresses == ()
    assert result.problem is not None and "strict affinity" in result.problem


def test_the_block_limit_comes_before_borrowing(now: t.Any) -> None:
    store = MemoryStore([TINY], {"a": {}, "b": {}}, Settings(max_blocks_per_host=1))
    auto_assign(store, request("b", handle="b"), now=now)
    result = auto_assign(store, request("a", 6), now=now)
    assert isinstance(result.error, BlockLimit)
    assert len(result.addresses) == 4
    assert len(store.list_affinities("a")) == 1


def test_the_built_in_limit_is_twenty_blocks(now: t.Any) -> None:
    store = MemoryStore([Pool("p", parse_network("10.0.0.0/24"), 31)], {"a": {}})
    result = auto_assign(store, request(count=41), now=now)
    assert isinstance(result.error, BlockLimit)
    assert len(result.addresses) == 40


def test_no_new_blocks_when_auto_allocation_is_off(now: t.Any) -> None:
    store = MemoryStore([TINY], {"a": {}}, Settings(strict_affinity=True, auto_allocate_blocks=False))
    result = auto_assign(store, request(), now=now)
    assert result.error.__class__ is AllocationError


def test_reserved_addresses_and_blocks_are_skipped(now: t.Any) -> None:
    store = MemoryStore([TINY], {"a": {}})
    first, second = order("a", TINY)
    store.set_reservations([str(first), str(second.address(0))])
    result = auto_assign(store, request(count=4), now=now)
    assert addresses(result) == [f"{second.address(i)}/30" for i in (1, 2, 3)]
    assert result.problem is not None


def test_an_old_empty_block_is_taken_from_its_owner(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([TINY], {"a": {}, "b": {}, "c": {}}, Settings(strict_affinity=True))
    for host in "ab":
        auto_assign(store, request(host, handle=host), now=now)
    release_by_handle(store, "a", now=now)
    assert auto_assign(store, request("c", handle="c"), now=now).addresses == ()  # claimed less than 60 s ago
    now.pass_seconds(60)
    assert len(auto_assign(store, request("c", handle="c"), now=now).addresses) == 1
    assert store.list_affinities("a") == []
    check(store, now())


def test_an_ownerless_empty_block_cannot_be_reclaimed(now: t.Any) -> None:
    store = MemoryStore([Pool("one", parse_network("10.0.0.0/30"), 30)], {"a": {}})
    store.create_block(new_block(parse_network("10.0.0.0/30"), 1))
    assert len(auto_assign(store, request(), now=now).addresses) == 1  # borrowed
    assert store.list_affinities() == []


def test_empty_blocks_of_pools_that_no_longer_select_the_node_are_given_back(now: t.Any, check: t.Any) -> None:
    other = Pool("other", parse_network("10.1.0.0/24"), 30)
    store = MemoryStore([POOL], {"a": {}})
    auto_assign(store, request(handle="one"), now=now)
    release_by_handle(store, "one", now=now)
    assert len(store.list_affinities("a")) == 1
    store.put_pool(replace(POOL, node_selector="!all()"))
    store.put_pool(other)
    auto_assign(store, request(handle="two"), now=now)
    assert [row.value.cidr for row in store.list_affinities("a")] == [order("a", other)[0]]
    check(store, now())


def test_blocks_of_a_disabled_pool_are_neither_used_nor_given_back(now: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    auto_assign(store, request(handle="one"), now=now)
    release_by_handle(store, "one", now=now)
    store.put_pool(replace(POOL, disabled=True))
    assert isinstance(auto_assign(store, request(handle="two"), now=now).error, NoQualifiedPool)
    assert len(store.list_affinities("a")) == 1


@pytest.mark.parametrize("state", ["pending", "pendingDeletion"])
def test_a_row_left_half_way_is_healed(now: t.Any, check: t.Any, state: str) -> None:
    store = MemoryStore([POOL], {"a": {}})
    cidr = order("a", POOL)[3]
    before = store.create_block(new_block(cidr, 7, "host:a"))
    store.create_affinity(Affinity("a", "host", cidr, state))
    result = auto_assign(store, request(), now=now)
    assert cidr.contains(result.addresses[0].address)
    assert store.get_affinity("a", "host", cidr).value.state == "confirmed"
    assert store.get_block(cidr).value.sequence == before.value.sequence + 2
    check(store, now())


def test_a_row_without_a_block_gets_its_block_back(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    cidr = order("a", POOL)[3]
    store.create_affinity(Affinity("a", "host", cidr, "confirmed"))
    result = auto_assign(store, request(), now=now)
    assert cidr.contains(result.addresses[0].address)
    check(store, now())


@pytest.mark.parametrize("owner", ["host:b", "virtual:a", None])
def test_a_stale_row_is_deleted(now: t.Any, owner: str | None) -> None:
    store = MemoryStore([POOL], {"a": {}})
    cidr = order("a", POOL)[3]
    store.create_block(new_block(cidr, 7, owner))
    store.create_affinity(Affinity("a", "host", cidr, "confirmed"))
    result = auto_assign(store, request(), now=now)
    assert not cidr.contains(result.addresses[0].address)
    with pytest.raises(NotFoundInStore):
        store.get_affinity("a", "host", cidr)


def test_load_balancer_addresses_belong_to_a_virtual_host_without_a_node(now: t.Any) -> None:
    pool = replace(POOL, allowed_uses=frozenset({"LoadBalancer"}))
    store = MemoryStore([pool])
    result = auto_assign(store, request("load-balancer", use="LoadBalancer"), now=now)
    assert result.problem is None
    assert store.list_blocks()[0].value.affinity == "virtual:load-balancer"
    assert store.list_affinities("load-balancer", "virtual")[0].value.confirmed


def test_single_address_blocks(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([Pool("p", parse_network("10.0.0.0/28"), 32)], {"a": {}})
    result = auto_assign(store, request(count=16), now=now)
    assert len(set(addresses(result))) == 16
    check(store, now())


def test_windows_hosts_keep_the_ends_of_their_blocks(now: t.Any) -> None:
    store = MemoryStore([Pool("p", parse_network("10.0.0.0/28"), 29)], {"w": {}}, Settings(strict_affinity=True))
    asked = request("w", 4, windows=True, host_reserved_v4=HostReserved(3, 1), max_blocks=1)
    result = auto_assign(store, asked, now=now)
    assert [address.address.value % 8 for address in result.addresses] == [3, 4, 5, 6]


def test_a_maximum_per_handle_returns_what_the_handle_has(now: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}, "b": {}})
    first = auto_assign(store, request(max_per_handle=1), now=now)
    again = auto_assign(store, request("b", max_per_handle=1), now=now)
    assert [a.address for a in again.addresses] == [a.address for a in first.addresses]
    assert addresses(again)[0].endswith("/32")
    assert again.problem is None


def test_a_given_address_ignores_selectors_and_reservations(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([replace(POOL, node_selector="!all()", assignment_mode="Manual")])
    store.set_reservations(["10.77.4.9"])
    given = assign_ip(store, parse_address("10.77.4.9"), "a", now=now, handle_id="h", use="Workload")
    assert str(given) == "10.77.4.9/32"
    with pytest.raises(AddressTaken):
        assign_ip(store, parse_address("10.77.4.9"), "b", now=now, handle_id="other")
    check(store, now())


def test_what_a_given_address_may_not_be(now: t.Any) -> None:
    store = MemoryStore([POOL], settings=Settings(strict_affinity=True))
    with pytest.raises(NoQualifiedPool):
        assign_ip(store, parse_address("10.0.0.1"), "a", now=now)
    with pytest.raises(UseNotAllowed):
        assign_ip(store, parse_address("10.77.4.1"), "a", now=now, use="LoadBalancer")
    assign_ip(store, parse_address("10.77.4.1"), "a", now=now)
    with pytest.raises(ClaimConflict):
        assign_ip(store, parse_address("10.77.4.2"), "b", now=now)


def test_a_given_address_with_a_maximum_per_handle(now: t.Any) -> None:
    store = MemoryStore([POOL])
    for _turn in range(2):  # the same handle may ask again
        assign_ip(store, parse_address("10.77.4.1"), "a", now=now, handle_id="vm", max_per_handle=1)
    with pytest.raises(HandleLimit):
        assign_ip(store, parse_address("10.77.4.2"), "a", now=now, handle_id="vm", max_per_handle=1)


@pytest.mark.parametrize("writes", range(1, 7))
def test_a_crash_after_any_write_is_healed_by_the_next_assignment(
    recording_store: t.Any, crash: type[BaseException], now: t.Any, check: t.Any, writes: int
) -> None:
    store = recording_store([TINY], {"a": {}, "b": {}})
    store.fail_after = writes
    with pytest.raises(crash):
        auto_assign(store, request(handle="first"), now=now)
    check(store, now(), at_rest=False)
    now.pass_seconds(61)
    assert auto_assign(store, request(handle="second"), now=now).problem is None
    assert auto_assign(store, request("b", handle="third"), now=now).problem is None
    check(store, now())
