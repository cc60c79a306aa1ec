# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claiming and releasing blocks by hand (spec ipam-engine.md §13), ensuring a block (§9.7)."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign, ensure_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved, next_revision
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import UpdateConflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    BlockNotEmpty,
    InvalidSize,
    NoFreeBlocks,
    NoQualifiedPool,
    StrictAffinityRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.ownership import (
    claim_affinity,
    release_affinity,
    release_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

POOL = Pool("teal", parse_network("10.77.4.0/28"), 30)
HALF = parse_network("10.77.4.0/29")


def test_claiming_reports_what_others_own(now: t.Any, check: t.Any) -> None:
    store = MemoryStore([POOL])
    first, second, *_rest = POOL.cidr.subnets(30)
    assert claim_affinity(store, second, "b", now=now).claimed == (second,)
    claims = claim_affinity(store, HALF, "a", now=now)
    assert (claims.claimed, claims.failed) == ((first,), (second,))
    assert claim_affinity(store, HALF, "a", now=now) == claims  # own blocks count as claimed
    check(store, now())


def test_releasing_stops_at_a_block_in_use(now: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    blocks = list(POOL.cidr.subnets(30))
    claim_affinity(store, POOL.cidr, "a", now=now)
    auto_assign(store, AssignRequest("a", num_v4=1, handle_id="h"), now=now)
    with pytest.raises(BlockNotEmpty):
        release_affinity(store, POOL.cidr, "a", now=now, must_be_empty=True)
    assert len(store.list_affinities()) == 4
    assert release_affinity(store, POOL.cidr, "b", now=now) == ()
    assert release_affinity(store, POOL.cidr, "a", now=now) == tuple(blocks)
    assert [stored.value.affinity for stored in store.list_blocks()] == [None]


def test_what_cannot_be_claimed(now: t.Any) -> None:
    store = MemoryStore([replace(POOL, disabled=True)])
    with pytest.raises(NoQualifiedPool):
        claim_affinity(store, HALF, "a", now=now)
    store.put_pool(POOL)
    with pytest.raises(InvalidSize, match="give /30 or larger"):
        claim_affinity(store, parse_network("10.77.4.0/31"), "a", now=now)


def test_releasing_one_block_whoever_owns_it(now: t.Any) -> None:
    store = MemoryStore([POOL], {"a": {}})
    auto_assign(store, AssignRequest("a", num_v4=1, handle_id="h"), now=now)
    cidr = store.list_blocks()[0].value.cidr
    assert release_block(access_to(store, now), cidr, must_be_empty=False)
    assert not release_block(access_to(store, now), cidr, must_be_empty=False)


def test_ensuring_a_block(now: t.Any) -> None:
    pool = Pool("p", parse_network("10.0.0.0/28"), 29)
    store = MemoryStore([pool], {"w": {}, "x": {}, "y": {}}, Settings(strict_affinity=True))
    first = ensure_block(store, "w", HostReserved(3, 1), now=now)
    assert store.get_block(first).value.in_use == 4
    assert ensure_block(store, "w", HostReserved(3, 1), now=now) == first
    assert ensure_block(store, "x", HostReserved(3, 1), now=now) != first
    with pytest.raises(NoFreeBlocks):
        ensure_block(store, "y", HostReserved(3, 1), now=now)


def test_a_claim_may_reach_beyond_its_pool(now: t.Any) -> None:
    """§13: only the first address is looked up; limits and reservations do not matter."""
    store = MemoryStore([POOL], settings=Settings(strict_affinity=True, max_blocks_per_host=1))
    store.set_reservations(["10.77.4.0/24"])
    wide = parse_network("10.77.4.0/27")
    claims = claim_affinity(store, wide, "lb", now=now, affinity_type="virtual")
    assert claims.claimed == tuple(wide.subnets(30))
    assert {stored.value.affinity for stored in store.list_blocks()} == {"virtual:lb"}
    # Release by CIDR is for hosts only.
    assert release_affinity(store, wide, "lb", now=now) == ()
    assert len(store.list_blocks()) == 8


def test_a_claimed_block_keeps_what_the_host_reserves(now: t.Any) -> None:
    store = MemoryStore([Pool("p", parse_network("10.0.0.0/28"), 29)])
    claim_affinity(store, parse_network("10.0.0.0/29"), "w", now=now, reserved=HostReserved(3, 1))
    assert store.list_blocks()[0].value.unallocated == (3, 4, 5, 6)


def test_a_block_that_always_conflicts_is_in_neither_list(now: t.Any) -> None:
    """§13."""
    attempts = []

    class Contended(MemoryStore):
        def create_affinity(self, affinity: t.Any) -> t.Any:
            if affinity.cidr == HALF.subnet(0, 30):
                attempts.append(affinity)
                raise UpdateConflict("Somebody was faster.")
            return super().create_affinity(affinity)

    claims = claim_affinity(Contended([POOL]), HALF, "a", now=now)
    assert (claims.claimed, claims.failed) == ((HALF.subnet(1, 30),), ())
    assert len(attempts) == 100


def test_releasing_by_cidr_needs_an_enabled_pool(now: t.Any) -> None:
    """§13 and §20."""
    store = MemoryStore([POOL])
    claim_affinity(store, HALF, "a", now=now)
    store.put_pool(replace(POOL, disabled=True))
    with pytest.raises(NoQualifiedPool):
        release_affinity(store, HALF, "a", now=now)
    with pytest.raises(NoQualifiedPool):
        release_affinity(store, parse_network("10.9.0.0/24"), "a", now=now)
    assert len(store.list_blocks()) == 2


def test_releasing_one_block_hands_a_conflict_back(recording_store: t.Any, now: t.Any) -> None:
    """§13: one attempt, conflicts are the caller's."""
    store = recording_store([POOL], {"a": {}})
    auto_assign(store, AssignRequest("a", num_v4=1, handle_id="h"), now=now)
    cidr = store.list_blocks()[0].value.cidr
    with pytest.raises(BlockNotEmpty):
        release_block(access_to(store, now), cidr, must_be_empty=True)

    def intrude() -> None:
        stored = store.get_block(cidr)
        store.update_block(stored, next_revision(stored.value))

    store.race(2, intrude)
    with pytest.raises(UpdateConflict):
        release_block(access_to(store, now), cidr, must_be_empty=False)
    assert store.list_affinities()[0].value.state == "pendingDeletion"
    # The host's next use heals the row (§7.3).
    auto_assign(store, AssignRequest("a", num_v4=1, handle_id="i"), now=now)
    assert store.list_affinities()[0].value.state == "confirmed"


def test_ensuring_a_block_ignores_the_limit_and_takes_a_full_one(now: t.Any) -> None:
    """§9.7: a block with 0 free addresses is enough, and no limit counts."""
    pool = Pool("p", parse_network("10.0.0.0/28"), 29)
    other = Pool("q", parse_network("10.1.0.0/28"), 29)
    store = MemoryStore([pool, other], {"w": {}}, Settings(strict_affinity=True, max_blocks_per_host=1))
    first = ensure_block(store, "w", HostReserved(3, 1), now=now)
    reserved = {"host_reserved_v4": HostReserved(3, 1), "windows": True}
    full = AssignRequest("w", num_v4=4, handle_id="h", **reserved)
    assert auto_assign(store, full, now=now).problem is None
    assert ensure_block(store, "w", HostReserved(3, 1), now=now) == first
    elsewhere = ensure_block(store, "w", HostReserved(3, 1), now=now, requested=[other.cidr])
    assert other.cidr.contains(elsewhere)


def test_ensuring_a_block_of_the_other_family(now: t.Any) -> None:
    v6 = Pool("v", parse_network("fd00::/120"), 124)
    store = MemoryStore([v6], {"w": {}}, Settings(strict_affinity=True))
    block = ensure_block(store, "w", HostReserved(3, 1), now=now, version=6)
    assert block.version == 6
    assert store.get_block(block).value.in_use == 4


def test_windows_needs_strict_affinity(now: t.Any) -> None:
    """§14 and §17.4."""
    store = MemoryStore([POOL], {"w": {}})
    with pytest.raises(StrictAffinityRequired):
        ensure_block(store, "w", HostReserved(3, 1), now=now)
