# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Giving addresses and blocks back: worked cases of spec ipam-engine.md §7.4, §12, §13 and §20."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import (
    release_host_affinities,
    release_pool_affinities,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import ReleaseRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord, NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressCooling,
    BadHandle,
    BadSequenceNumber,
    BlockNotEmpty,
    Refused,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    delete_empty_blocks,
    delete_rows_without_block,
    forget_stale_counts,
    prove_clean,
    rows_without_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.order import block_order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import (
    attributes_of,
    ips_by_handle,
    release_by_handle,
    release_ips,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

POOL = Pool("teal", parse_network("10.77.4.0/24"), 30)


def filled(now: t.Any, store: MemoryStore | None = None, host: str = "a", count: int = 5) -> MemoryStore:
    """One host with two blocks: h0 to h3 in the first, h4 in the second."""
    store = store or MemoryStore([POOL], {"a": {}, "b": {}})
    for number in range(count):
        asked = AssignRequest(host, num_v4=1, handle_id=f"{host}{number}", attributes={"node": host})
        assert auto_assign(store, asked, now=now).problem is None
    return store


def blocks_of(host: str, pool: Pool = POOL) -> list[Network]:
    return list(block_order(host, pool.cidr, pool.block_size, 0))


def test_release_by_address_reports_what_nobody_held(now: t.Any, check: t.Any) -> None:
    store = filled(now)
    first = blocks_of("a")[0]
    wanted = [first.address(0), first.address(1), parse_address("10.77.4.255"), parse_address("192.0.2.1")]
    outcome = release_ips(store, [ReleaseRequest(address) for address in wanted], now=now)
    assert outcome.error is None
    assert set(outcome.not_allocated) == set(wanted[2:])
    assert len(outcome.released) == 4
    assert [handle.value.id for handle in store.list_handles()] == ["a2", "a3", "a4"]
    check(store, now())


def test_a_block_that_fails_does_not_stop_the_others(now: t.Any, check: t.Any) -> None:
    store = filled(now)
    one, two = blocks_of("a")[:2]
    requests = [ReleaseRequest(one.address(0)), ReleaseRequest(one.address(1), "x"), ReleaseRequest(two.address(0))]
    outcome = release_ips(store, requests, now=now)
    assert isinstance(outcome.error, BadHandle)
    assert outcome.released == (requests[2],)
    assert store.get_block(one).value.in_use == 4
    check(store, now())


def test_release_by_address_with_the_sequence_number_it_was_given(now: t.Any) -> None:
    store = filled(now)
    first = blocks_of("a")[0]
    number = store.get_block(first).value.sequences[0]
    stale = release_ips(store, [ReleaseRequest(first.address(0), "a0", number + 1)], now=now)
    assert isinstance(stale.error, BadSequenceNumber)
    assert release_ips(store, [ReleaseRequest(first.address(0), "a0", number)], now=now).error is None


def test_an_address_of_a_deleted_pool_is_found_by_its_block(now: t.Any) -> None:
    store = filled(now)
    store.remove_pool("teal")
    outcome = release_ips(store, [ReleaseRequest(blocks_of("a")[0].address(0))], now=now)
    assert outcome.not_allocated == ()


def test_the_last_release_deletes_an_ownerless_block_and_keeps_an_owned_one(now: t.Any, check: t.Any) -> None:
    store = filled(now)
    one, two = blocks_of("a")[:2]
    release_by_handle(store, "a4", now=now)
    assert store.get_block(two).value.affinity == "host:a"
    release_pool_affinities(store, POOL.cidr, now=now)
    assert [stored.value.cidr for stored in store.list_blocks()] == [one]
    assert store.get_block(one).value.affinity is None
    for number in range(4):
        release_by_handle(store, f"a{number}", now=now)
    assert prove_clean(store, POOL.cidr).clean
    check(store, now())


def test_unknown_handles_and_residue(now: t.Any) -> None:
    store = MemoryStore([POOL])
    with pytest.raises(NotFoundInStore):
        release_by_handle(store, "nobody", now=now)
    with pytest.raises(NotFoundInStore):
        ips_by_handle(store, "nobody", now=now)
    store.create_handle(Handle("residue", {parse_network("10.77.4.0/30"): 2}))
    assert release_by_handle(store, "residue", now=now) == 0
    assert ips_by_handle(store, "residue", now=now) == []


def test_a_cooling_address_is_in_use_without_a_holder(now: t.Any, check: t.Any) -> None:
    store = filled(now, MemoryStore([POOL], {"a": {}}, Settings(cooldown_seconds=30)), count=1)
    address = blocks_of("a")[0].address(0)
    assert attributes_of(store, address, now=now).handle_id == "a0"
    assert ips_by_handle(store, "a0", now=now) == [address]
    assert release_by_handle(store, "a0", now=now) == 1
    with pytest.raises(AddressCooling):
        attributes_of(store, address, now=now)
    now.pass_seconds(31)
    with pytest.raises(NotFoundInStore):
        attributes_of(store, address, now=now)
    check(store, now(), ownerless_empty=True)


def test_attributes_are_not_found_in_a_disabled_pool(now: t.Any) -> None:
    store = filled(now, count=1)
    store.put_pool(replace(POOL, disabled=True))
    with pytest.raises(NotFoundInStore, match="no enabled pool"):
        attributes_of(store, blocks_of("a")[0].address(0), now=now)


@pytest.mark.parametrize(
    ("change", "node", "owner", "kept"),
    [
        ({}, True, "host:a", 1),  # still selected
        ({"node_selector": "!all()"}, True, "host:a", 0),
        ({"node_selector": "!all()", "disabled": True}, True, "host:a", 1),
        ({"node_selector": "!all()", "terminating": True}, True, "host:a", 1),
        ({"node_selector": "!all()"}, False, "host:a", 1),  # no such Node
        ({"node_selector": "zone =="}, True, "host:a", 1),  # cannot be told, and is no failure of the release
        ({"node_selector": "!all()"}, True, "virtual:a", 1),
    ],
)
def test_the_release_that_empties_a_block_looks_after_its_owner(
    now: t.Any, change: dict[str, t.Any], node: bool, owner: str, kept: int
) -> None:
    """§12, consistency check, and §20."""
    store = MemoryStore([replace(POOL, allowed_uses=frozenset({"Workload", "LoadBalancer"}))], {"a": {}})
    use = "Workload" if owner.startswith("host") else "LoadBalancer"
    assert auto_assign(store, AssignRequest("a", num_v4=1, handle_id="a0", use=use), now=now).problem is None
    assert store.list_blocks()[0].value.affinity == owner
    store.put_pool(replace(POOL, **change))
    if not node:
        store.remove_node("a")
    assert release_by_handle(store, "a0", now=now) == 1
    assert len(store.list_blocks()) == len(store.list_affinities()) == kept


def test_strays_of_another_size_are_not_seen_by_address(now: t.Any) -> None:
    """§8.1 and §20: the mask of the pool as it is today points at another record."""
    store = filled(now, count=1)
    address = blocks_of("a")[0].address(0)
    store.put_pool(replace(POOL, block_size=29))
    outcome = release_ips(store, [ReleaseRequest(address)], now=now)
    assert outcome.not_allocated == (address,)
    with pytest.raises(NotFoundInStore):
        attributes_of(store, address, now=now)
    assert ips_by_handle(store, "a0", now=now) == [address]  # a handle names its blocks
    assert release_by_handle(store, "a0", now=now) == 1


def test_a_block_that_cannot_be_read_does_not_hide_the_others(now: t.Any) -> None:
    """§12, addresses by handle."""
    store = MemoryStore([POOL], {"a": {}})
    auto_assign(store, AssignRequest("a", num_v4=5, handle_id="h"), now=now)
    first, second = blocks_of("a")[:2]

    class Damaged(MemoryStore):
        def get_block(self, cidr: Network) -> t.Any:
            if cidr == first:
                raise CorruptRecord(f"Block {cidr} is damaged.")
            return store.get_block(cidr)

        def get_handle(self, handle_id: str) -> t.Any:
            return store.get_handle(handle_id)

    assert ips_by_handle(Damaged([POOL]), "h", now=now) == [second.address(0)]


def test_a_stale_count_stays(now: t.Any) -> None:
    """§12: a block in which the handle has nothing is passed over, count and all."""
    store = filled(now, count=1)
    block = blocks_of("a")[0]
    store.create_handle(Handle("stale", {block: 2}))
    assert release_by_handle(store, "stale", now=now) == 0
    assert store.get_handle("stale").value.blocks == {block: 2}


def test_releasing_a_host(now: t.Any, check: t.Any) -> None:
    store = filled(now)
    release_by_handle(store, "a4", now=now)
    careful = release_host_affinities(store, "a", now=now, must_be_empty=True)
    one, two = blocks_of("a")[:2]
    assert careful.released == (two,)
    assert [cidr for cidr, _reason in careful.kept] == [one]
    assert isinstance(careful.error, BlockNotEmpty)
    assert release_host_affinities(store, "a", now=now).released == (one,)
    assert store.get_block(one).value.affinity is None
    check(store, now())


def test_pool_affinities_of_other_ranges_stay(now: t.Any) -> None:
    store = filled(now)
    assert release_pool_affinities(store, parse_network("10.78.0.0/16"), now=now).released == ()
    assert len(store.list_affinities()) == 2


def test_pool_affinities_can_spare_blocks_in_use(now: t.Any) -> None:
    store = filled(now)
    release_by_handle(store, "a4", now=now)
    used, empty = blocks_of("a")[:2]
    outcome = release_pool_affinities(store, POOL.cidr, now=now, must_be_empty=True)
    assert outcome.released == (empty,)
    assert [cidr for cidr, _reason in outcome.kept] == [used]
    assert store.get_block(used).value.affinity == "host:a"


def test_two_rows_for_one_block_need_more_than_one_pass(now: t.Any) -> None:
    store = filled(now, count=1)
    store.create_affinity(Affinity("b", "host", blocks_of("a")[0], "pending"))
    release_pool_affinities(store, POOL.cidr, now=now)
    assert store.list_affinities() == []
    assert store.list_blocks()[0].value.affinity is None


def test_a_row_without_a_block_survives_until_it_is_deleted_by_hand(now: t.Any) -> None:
    store = MemoryStore([replace(POOL, disabled=True)], {"a": {}})
    cidr = blocks_of("a")[0]
    row = store.create_affinity(Affinity("a", "host", cidr, "confirmed"))
    kept = release_pool_affinities(store, POOL.cidr, now=now)
    assert kept.released == ()
    assert [network for network, _reason in kept.kept] == [cidr]
    assert [affinity.host for affinity in prove_clean(store, POOL.cidr).affinities] == ["a"]
    seen = rows_without_block(store, POOL.cidr)
    assert seen == (row,)
    assert delete_rows_without_block(store, seen).released == (cidr,)
    assert prove_clean(store, POOL.cidr).clean


def test_a_row_that_changed_since_it_was_seen_is_kept(now: t.Any) -> None:
    store = MemoryStore([], {"a": {}})
    row = store.create_affinity(Affinity("a", "host", blocks_of("a")[0], "confirmed"))
    store.update_affinity(row, replace(row.value, state="pending"))
    assert delete_rows_without_block(store, [row]).released == ()
    assert len(store.list_affinities()) == 1


def test_rows_of_an_enabled_pool_are_refused(now: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    row = store.create_affinity(Affinity("a", "host", blocks_of("a")[0], "pending"))
    with pytest.raises(Refused, match="teal is enabled"):
        delete_rows_without_block(store, [row])
    with pytest.raises(Refused):
        forget_stale_counts(store, POOL.cidr)


def test_counts_of_missing_blocks_are_forgotten() -> None:
    store = MemoryStore([replace(POOL, disabled=True)])
    inside, outside = parse_network("10.77.4.0/30"), parse_network("10.99.0.0/30")
    store.create_block(new_block(parse_network("10.77.4.4/30"), 1))
    store.create_handle(Handle("gone", {inside: 2}))
    store.create_handle(Handle("half", {inside: 1, outside: 1}))
    store.create_handle(Handle("there", {parse_network("10.77.4.4/30"): 1}))
    assert [handle for handle, _cidr, _count in prove_clean(store, POOL.cidr).handles] == ["gone", "half", "there"]
    assert forget_stale_counts(store, POOL.cidr) == ("gone", "half")
    assert {h.value.id: dict(h.value.blocks) for h in store.list_handles()} == {
        "half": {outside: 1},
        "there": {parse_network("10.77.4.4/30"): 1},
    }


def test_empty_ownerless_blocks_are_deleted_and_others_kept(now: t.Any) -> None:
    store = filled(now, count=1)
    used = blocks_of("a")[0]
    free = next(cidr for cidr in blocks_of("b") if cidr != used)
    store.create_block(new_block(free, 1))
    assert delete_empty_blocks(store, POOL.cidr, now=now).released == (free,)
    assert [stored.value.cidr for stored in store.list_blocks()] == [used]


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_crash_in_the_middle_of_releasing_a_block_can_be_finished(
    recording_store: t.Any, crash: type[BaseException], now: t.Any, check: t.Any, writes: int
) -> None:
    store = filled(now, recording_store([POOL], {"a": {}}), count=1)
    release_by_handle(store, "a0", now=now)
    store.put_pool(replace(POOL, disabled=True))
    store.fail_after = writes
    with pytest.raises(crash):
        release_pool_affinities(store, POOL.cidr, now=now)
    check(store, now(), at_rest=False)
    release_pool_affinities(store, POOL.cidr, now=now)
    delete_rows_without_block(store, rows_without_block(store, POOL.cidr))
    assert prove_clean(store, POOL.cidr).clean
