# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Assigning a given address: worked cases of spec ipam-engine.md §7.2, §11 and §22."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    ClaimConflict,
    HandleLimit,
    NoQualifiedPool,
    UseNotAllowed,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

POOL = Pool("teal", parse_network("10.77.4.0/24"), 30)


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


@pytest.mark.parametrize("change", [{"disabled": True}, {"terminating": True}, {"allocatable": False}])
def test_only_enabled_pools_count(now: t.Any, change: dict[str, bool]) -> None:
    """§11 step 1."""
    with pytest.raises(NoQualifiedPool):
        assign_ip(MemoryStore([replace(POOL, **change)]), parse_address("10.77.4.1"), "a", now=now)


def test_limits_and_automatic_blocks_do_not_matter(now: t.Any) -> None:
    """§11: neither the block limit, nor autoAllocateBlocks, nor whether there is such a Node."""
    settings = Settings(strict_affinity=True, auto_allocate_blocks=False, max_blocks_per_host=1)
    store = MemoryStore([POOL], settings=settings)
    for last in (1, 5, 9):
        assign_ip(store, parse_address(f"10.77.4.{last}"), "a", now=now, use="Workload")
    assert [stored.value.affinity for stored in store.list_blocks()] == ["host:a"] * 3


def test_another_hosts_block_lends_the_address_unless_affinity_is_strict(now: t.Any) -> None:
    """§11 step 5, §5.4: an ownerless block is refused like another's."""
    for owner in ("host:b", None):
        store = MemoryStore([POOL])
        store.create_block(new_block(parse_network("10.77.4.0/30"), 1, owner))
        assign_ip(store, parse_address("10.77.4.1"), "a", now=now, handle_id="h")
        assert store.list_blocks()[0].value.affinity == owner
        store.set_settings(Settings(strict_affinity=True))
        with pytest.raises(ClaimConflict):
            assign_ip(store, parse_address("10.77.4.2"), "a", now=now, handle_id="i")
        assert [stored.value.id for stored in store.list_handles()] == ["h"]


def test_losing_the_block_to_another_host_is_an_error(recording_store: t.Any, now: t.Any) -> None:
    """§11 step 4 and §22: Calico means to try again and does not; the runtime does."""
    store = recording_store([POOL])
    block = parse_network("10.77.4.0/30")
    store.race(2, lambda: store.create_block(new_block(block, 1, "host:b")))
    with pytest.raises(ClaimConflict):
        assign_ip(store, parse_address("10.77.4.1"), "a", now=now)
    assert store.list_affinities("a") == []


def test_a_row_that_changes_while_it_is_claimed_is_tried_again(recording_store: t.Any, now: t.Any) -> None:
    store = recording_store([POOL])
    block = parse_network("10.77.4.0/30")
    row = store.create_affinity(Affinity("a", "host", block, "pendingDeletion"))
    store.race(1, lambda: store.update_affinity(row, Affinity("a", "host", block, "pending")))
    assert str(assign_ip(store, parse_address("10.77.4.1"), "a", now=now)) == "10.77.4.1/32"
    assert store.list_affinities("a")[0].value.state == "confirmed"


@pytest.mark.parametrize(("maximum", "count"), [(0, 2), (1, 1)])
def test_a_conflict_raises_the_handle_again(recording_store: t.Any, now: t.Any, maximum: int, count: int) -> None:
    """§6: the count stays too high; with a maximum it must not, or the second attempt would be refused."""
    store = recording_store([POOL])
    block = parse_network("10.77.4.0/30")
    assign_ip(store, parse_address("10.77.4.2"), "a", now=now)

    def intrude() -> None:
        stored = store.get_block(block)
        store.update_block(stored, replace(stored.value, sequence=stored.value.sequence + 1))

    store.race(2, intrude)
    assign_ip(store, parse_address("10.77.4.1"), "a", now=now, handle_id="h", max_per_handle=maximum)
    assert store.get_handle("h").value.blocks == {block: count}


def test_a_cooling_address_is_taken(now: t.Any) -> None:
    """§5.4."""
    store = MemoryStore([POOL], settings=Settings(cooldown_seconds=60))
    assign_ip(store, parse_address("10.77.4.1"), "a", now=now, handle_id="h")
    release_by_handle(store, "h", now=now)
    with pytest.raises(AddressTaken):
        assign_ip(store, parse_address("10.77.4.1"), "a", now=now, handle_id="h")
    now.pass_seconds(61)
    assign_ip(store, parse_address("10.77.4.1"), "a", now=now, handle_id="h")
