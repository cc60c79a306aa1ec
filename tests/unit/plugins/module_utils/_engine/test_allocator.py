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
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved, new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AllocationError,
    BlockLimit,
    HandleLimit,
    NoConfiguredPools,
    NoQualifiedPool,
    RequestedPool,
    SelectorError,
    StrictAffinityRequired,
    UseRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
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


@pytest.mark.parametrize("field", ["node_selector", "namespace_selector"])
@pytest.mark.parametrize("mode", ["Automatic", "Manual"])
def test_a_selector_that_does_not_parse_fails_what_asks_for_no_pool(now: t.Any, field: str, mode: str) -> None:
    """§8.2; a pool that is not Automatic is left out before its selectors are read, a disabled one anyway."""
    broken = Pool("broken", parse_network("10.9.0.0/28"), 30, assignment_mode=mode, **{field: "zone =="})
    store = MemoryStore([POOL, broken], {"a": {}})
    unrequested = auto_assign(store, request(), now=now)
    assert isinstance(unrequested.error, SelectorError) is (mode == "Automatic")
    requested = auto_assign(store, request(handle="i", requested_v4=[POOL.cidr]), now=now)
    assert len(requested.addresses) == 1
    store.put_pool(replace(broken, disabled=True))
    assert auto_assign(store, request(handle="j"), now=now).problem is None


def test_an_own_block_in_a_pool_with_a_broken_selector_does_not_fail_a_request(now: t.Any) -> None:
    """§8.2 and §9.1 step 7: whether the block should be given back cannot be told, so it stays."""
    other = Pool("other", parse_network("10.9.0.0/28"), 30)
    store = MemoryStore([POOL, other], {"a": {}})
    auto_assign(store, request(requested_v4=[other.cidr]), now=now)
    release_by_handle(store, "h", now=now)
    store.put_pool(replace(other, node_selector="zone =="))
    result = auto_assign(store, request(handle="i", requested_v4=[POOL.cidr]), now=now)
    assert result.problem is None
    assert len(store.list_blocks()) == 2


def test_a_requested_pool_of_the_other_family_is_an_error(now: t.Any) -> None:
    """§9.1 step 1."""
    store = MemoryStore([POOL, V6_POOL], {"a": {}})
    result = auto_assign(store, request(requested_v4=[V6_POOL.cidr]), now=now)
    assert isinstance(result.error, RequestedPool)
    assert result.v4 is not None and result.v6 is None


def test_requested_pools_are_used_in_the_order_asked_for(now: t.Any) -> None:
    """§9.2 step 2."""
    other = Pool("aaa", parse_network("10.9.0.0/30"), 30)
    store = MemoryStore([POOL, other], {"a": {}})
    for asked in ([POOL.cidr, other.cidr], [other.cidr, POOL.cidr]):
        # Own blocks come first whatever was asked for, so each order has a host of its own.
        host = f"host-{asked[0].value}"
        store.put_node(host)
        result = auto_assign(store, request(host, handle=host, requested_v4=asked), now=now)
        assert asked[0].contains(result.addresses[0].address)


@pytest.mark.parametrize(
    ("asked", "stored", "limit"), [(0, 0, 20), (3, 0, 3), (0, 2, 2), (3, 2, 2), (2, 3, 2), (30, 0, 30)]
)
def test_the_smaller_limit_counts_and_zeros_do_not(now: t.Any, asked: int, stored: int, limit: int) -> None:
    """§9.1 step 8."""
    wide = Pool("wide", parse_network("10.0.0.0/24"), 30)
    store = MemoryStore([wide], {"a": {}}, Settings(strict_affinity=True, max_blocks_per_host=stored))
    result = auto_assign(store, request(count=200, max_blocks=asked), now=now)
    assert isinstance(result.error, BlockLimit)
    assert len(result.addresses) == 4 * limit


def test_blocks_in_pools_a_request_may_not_use_do_not_count(now: t.Any) -> None:
    """§9.1 step 8: the limit is one for the pools at hand."""
    other = Pool("other", parse_network("10.9.0.0/28"), 30)
    store = MemoryStore([POOL, other], {"a": {}})
    for number, pool in enumerate((POOL, other)):
        asked = request(handle=f"h{number}", requested_v4=[pool.cidr], max_blocks=1)
        assert auto_assign(store, asked, now=now).problem is None


def test_a_wholly_reserved_own_block_is_passed_over(now: t.Any) -> None:
    """§9.3 step 1."""
    store = MemoryStore([TINY], {"a": {}})
    first, second = order("a", TINY)
    auto_assign(store, request(), now=now)
    store.set_reservations([str(first)])
    result = auto_assign(store, request(handle="i"), now=now)
    assert second.contains(result.addresses[0].address)


def test_no_candidate_is_taken_that_is_wholly_reserved_in_parts(now: t.Any) -> None:
    """§8.3: the entries inside a block add up to its size."""
    store = MemoryStore([TINY], {"a": {}})
    first, second = order("a", TINY)
    store.set_reservations([f"{first.address(0)}/31", str(first.address(2)), str(first.address(3))])
    result = auto_assign(store, request(count=4), now=now)
    assert {second.contains(assigned.address) for assigned in result.addresses} == {True}
    assert len(result.addresses) == 4


def test_another_process_of_the_host_made_a_block_without_a_row_yet(now: t.Any) -> None:
    """§9.4: an own block with room is a candidate; claiming it makes its row (§7.3)."""
    store = MemoryStore([TINY], {"a": {}})
    first = order("a", TINY)[0]
    store.create_block(new_block(first, 1, "host:a", None))
    result = auto_assign(store, request(), now=now)
    assert first.contains(result.addresses[0].address)
    assert [stored.value.state for stored in store.list_affinities("a")] == ["confirmed"]


def test_borrowing_names_every_pool_it_walked_to_its_end(now: t.Any) -> None:
    """§9.5."""
    twin = Pool("twin", parse_network("10.0.1.0/29"), 30)
    store = MemoryStore([TINY, twin], {"a": {}, "b": {}})
    assert auto_assign(store, request("b", count=15, handle="b"), now=now).problem is None
    result = auto_assign(store, request(count=3), now=now)
    assert len(result.addresses) == 1
    assert result.v4 is not None
    assert [("tiny" in note, "twin" in note) for note in result.v4.notes] == [(True, False), (False, True)]
    assert {stored.value.affinity for stored in store.list_blocks()} == {"host:b"}


@pytest.mark.parametrize(("age", "taken"), [(59, False), (60, True)])
def test_the_age_of_a_block_that_may_be_reclaimed(now: t.Any, age: int, taken: bool) -> None:
    """§9.6; with strict affinity, so that nothing is borrowed instead."""
    one = Pool("one", parse_network("10.0.0.0/30"), 30)
    store = MemoryStore([one], {"a": {}, "b": {}}, Settings(strict_affinity=True))
    auto_assign(store, request("b"), now=now)
    release_by_handle(store, "h", now=now)
    now.pass_seconds(age)
    assert len(auto_assign(store, request(handle="i"), now=now).addresses) == taken


def test_a_block_without_a_claim_time_counts_as_old_and_a_cooling_one_as_in_use(now: t.Any) -> None:
    """§9.6 and §5.8."""
    one = Pool("one", parse_network("10.0.0.0/30"), 30)
    store = MemoryStore([one], {"a": {}, "b": {}}, Settings(strict_affinity=True, cooldown_seconds=300))
    auto_assign(store, request("b"), now=now)
    stored = store.list_blocks()[0]
    store.update_block(stored, replace(stored.value, claim_time=None))
    release_by_handle(store, "h", now=now)
    assert auto_assign(store, request(handle="i"), now=now).addresses == ()
    now.pass_seconds(301)
    assert len(auto_assign(store, request(handle="i"), now=now).addresses) == 1
    assert store.list_blocks()[0].value.affinity == "host:a"


def test_a_handle_with_a_count_but_no_address_fails_without_taking_blocks(now: t.Any) -> None:
    """§11: what a crash between handle and block leaves looks like another process half-way."""
    store = MemoryStore([POOL], {"a": {}})
    store.create_handle(Handle("h", {order("a", POOL)[5]: 1}))
    result = auto_assign(store, request(max_per_handle=1), now=now)
    assert isinstance(result.error, HandleLimit)
    assert result.addresses == ()
    assert len(store.list_blocks()) == 1


def test_a_maximum_never_names_an_address_twice(now: t.Any) -> None:
    """§11, over the edge of a block: the first one's count leaves no room for the second."""
    store = MemoryStore([POOL], {"a": {}})
    auto_assign(store, request(count=3, handle="before"), now=now)
    result = auto_assign(store, request(count=2, max_per_handle=2), now=now)
    assert isinstance(result.error, HandleLimit)
    assert len(result.addresses) == 1


def test_a_maximum_counts_each_family_by_itself(now: t.Any) -> None:
    """§11: a VM of both families has one address of each."""
    store = MemoryStore([POOL, V6_POOL], {"a": {}, "b": {}})
    for host in ("a", "b"):
        result = auto_assign(store, AssignRequest(host, 1, 1, handle_id="vm", max_per_handle=1), now=now)
        assert result.problem is None
        assert [assigned.address.version for assigned in result.addresses] == [4, 6]
    assert sum(stored.value.in_use for stored in store.list_blocks()) == 2


def test_an_error_of_the_first_family_ends_the_call(now: t.Any) -> None:
    """§9: IPv4 first and completely."""
    store = MemoryStore([V6_POOL], {"a": {}})
    result = auto_assign(store, AssignRequest("a", num_v4=1, num_v6=1, handle_id="h"), now=now)
    assert isinstance(result.error, NoQualifiedPool)
    assert result.v6 is None
    assert store.list_blocks() == []


def test_what_an_assignment_asks_of_the_store_does_not_grow_with_the_cluster(now: t.Any) -> None:
    """Blocks are listed for a claim only, once (§9.4); an address of an own block costs five calls on records."""
    calls: list[str] = []

    class Counting(MemoryStore):
        def __getattribute__(self, name: str) -> t.Any:
            if name.partition("_")[0] in ("get", "list", "create", "update", "delete", "block", "blocks", "handles"):
                calls.append(name)
            return super().__getattribute__(name)

    wide = Pool("wide", parse_network("10.0.0.0/22"), 30)
    store = Counting([wide], {f"host-{number}": {} for number in range(100)})
    for number in range(100):
        auto_assign(store, request(f"host-{number}", handle=f"first-{number}"), now=now)
    calls.clear()
    auto_assign(store, request("host-42", handle="h"), now=now)
    assert calls == ["list_affinities", "get_block", "get_handle", "create_handle", "update_block"]
    store.put_node("new")
    calls.clear()
    auto_assign(store, request("new", handle="i"), now=now)
    assert calls == [
        "list_affinities",
        "block_index",
        "create_affinity",
        "get_block",
        "update_affinity",
        "create_block",
        "update_affinity",
        "get_handle",
        "create_handle",
        "update_block",
    ]
