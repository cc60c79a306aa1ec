# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The block a host claims next, foretold and then seen (spec ipam-engine.md §9.3, §9.4, §9.6, §10)."""

from __future__ import annotations

import random
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AllocationError,
    BlockLimit,
    NoConfiguredPools,
    NoFreeBlocks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.prediction import next_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

SMALL = Pool("amber", parse_network("10.0.0.0/27"), 30)  # eight blocks of four
MORE = Pool("beryl", parse_network("10.1.0.0/28"), 30)
V6 = Pool("violet", parse_network("fd00:77::/120"), 124)
HOSTS = ("host-a", "host-b", "testHost", "node-1")


def owned(store: MemoryStore, host: str) -> set[Network]:
    return {stored.value.cidr for stored in store.list_blocks() if stored.value.affinity == f"host:{host}"}


def fill(store: MemoryStore, host: str, handle: str, now: t.Any, count: int = 4) -> t.Any:
    return auto_assign(store, AssignRequest(host, num_v4=count, handle_id=handle), now=now)


@pytest.mark.parametrize("seed", range(5))
def test_what_several_hosts_claim_is_what_was_foretold(now: t.Any, seed: int) -> None:
    """Hosts fill two pools in random order; before each step every host's next block is foretold."""
    draw = random.Random(seed)
    store = MemoryStore([SMALL, MORE], {host: {} for host in HOSTS})
    claims = 0
    for number in range(12):
        foretold = {host: next_block(store, AssignRequest(host), now=now) for host in HOSTS}
        host = draw.choice(HOSTS)
        before = owned(store, host)
        # Whole blocks are taken, so that each request needs a new one.
        assert fill(store, host, f"h{number}", now).problem is None
        assert owned(store, host) - before == {foretold[host]}
        claims += 1
        for other in HOSTS:
            if other != host and foretold[other] != foretold[host]:
                assert next_block(store, AssignRequest(other), now=now) == foretold[other]
    assert claims == 12
    with pytest.raises(NoFreeBlocks):
        next_block(store, AssignRequest("host-a"), now=now)


def test_a_host_that_loses_the_race_takes_what_is_foretold_after_it(recording_store: t.Any, now: t.Any) -> None:
    """Another host claims the foretold block right before the loser's block is created: write 3 of §7.2."""
    for write in (1, 2, 3):
        store = recording_store([SMALL], {host: {} for host in HOSTS})
        wanted = next_block(store, AssignRequest("host-a"), now=now)
        after: list[Network] = []

        # pylint: disable-next=dangerous-default-value
        def intrude(store: t.Any = store, wanted: Network = wanted, after: list[Network] = after) -> None:
            store.create_block(new_block(wanted, 1, "host:host-b", "2026-08-20T09:00:00Z"))
            # A row of its own that contradicts the block is dropped first; it plays no part in what comes next.
            bare = MemoryStore([SMALL], {"host-a": {}})
            bare.create_block(store.get_block(wanted).value)
            after.append(next_block(bare, AssignRequest("host-a"), now=now))

        store.race(write, intrude)
        assert fill(store, "host-a", "h", now).problem is None
        assert owned(store, "host-a") == set(after) != {wanted}


def test_nothing_is_written(recording_store: t.Any, now: t.Any) -> None:
    store = recording_store([SMALL, replace(MORE, node_selector="!all()")], {"host-a": {}, "host-b": {}})
    stray = next(MORE.cidr.subnets(30))
    store.create_affinity(Affinity("host-a", "host", stray, "confirmed"))
    store.create_block(new_block(stray, 1, "host:host-a", None))  # an assignment would give this one back
    fill(store, "host-b", "h", now, 1)
    store.writes.clear()
    next_block(store, AssignRequest("host-a"), now=now)
    assert store.writes == []
    assert fill(store, "host-a", "i", now, 1).problem is None
    assert "block delete" in store.writes


def test_own_blocks_with_room_are_passed_over(now: t.Any) -> None:
    store = MemoryStore([SMALL], {"host-a": {}})
    fill(store, "host-a", "h", now, 1)
    foretold = next_block(store, AssignRequest("host-a"), now=now)
    assert foretold not in owned(store, "host-a")
    fill(store, "host-a", "i", now, 4)
    assert foretold in owned(store, "host-a")


def test_a_row_without_a_block_comes_first(now: t.Any) -> None:
    store = MemoryStore([SMALL], {"host-a": {}})
    last = list(SMALL.cidr.subnets(30))[-1]
    store.create_affinity(Affinity("host-a", "host", last, "pending"))
    assert next_block(store, AssignRequest("host-a"), now=now) == last
    fill(store, "host-a", "h", now)
    assert owned(store, "host-a") == {last}


def test_an_old_empty_block_of_another_host_is_foretold(now: t.Any) -> None:
    store = MemoryStore([SMALL], {host: {} for host in HOSTS})
    for number in range(8):
        assert fill(store, "host-b", f"h{number}", now).problem is None
    given_up = [stored.value.cidr for stored in store.list_blocks()][3]
    handle = store.get_block(given_up).value.attributes[0].handle_id or ""
    release_by_handle(store, handle, now=now)
    with pytest.raises(NoFreeBlocks):  # claimed less than 60 s ago
        next_block(store, AssignRequest("host-a"), now=now)
    now.pass_seconds(60)
    assert next_block(store, AssignRequest("host-a"), now=now) == given_up
    fill(store, "host-a", "mine", now)
    assert owned(store, "host-a") == {given_up}


def test_an_empty_block_without_its_row_cannot_be_reclaimed(now: t.Any) -> None:
    pool = Pool("one", parse_network("10.0.0.0/30"), 30)
    store = MemoryStore([pool], {"host-a": {}})
    store.create_block(new_block(pool.cidr, 1, "host:gone", None))
    with pytest.raises(NoFreeBlocks):
        next_block(store, AssignRequest("host-a"), now=now)
    assert owned(store, "host-a") == set()
    assert len(fill(store, "host-a", "h", now, 1).addresses) == 1  # borrowed
    assert owned(store, "host-a") == set()


def test_why_there_is_no_next_block(now: t.Any) -> None:
    store = MemoryStore([SMALL], {"host-a": {}}, Settings(strict_affinity=True, max_blocks_per_host=1))
    fill(store, "host-a", "h", now, 1)
    for asked, settings, error in (
        (AssignRequest("host-a"), store.settings(), BlockLimit),
        (AssignRequest("host-a"), Settings(strict_affinity=True, auto_allocate_blocks=False), AllocationError),
        (AssignRequest("nobody"), Settings(), NotFoundInStore),
    ):
        store.set_settings(settings)
        with pytest.raises(error):
            next_block(store, asked, now=now)
    store.put_pool(replace(SMALL, assignment_mode="Manual"))
    with pytest.raises(NoConfiguredPools):
        next_block(store, AssignRequest("host-a"), now=now)


def test_the_other_family_and_a_virtual_host(now: t.Any) -> None:
    shared = replace(V6, allowed_uses=frozenset({"LoadBalancer"}))
    store = MemoryStore([SMALL, shared])
    asked = AssignRequest("load-balancer", num_v6=1, handle_id="lb-x", use="LoadBalancer")
    foretold = next_block(store, asked, now=now, version=6)
    assert auto_assign(store, asked, now=now).problem is None
    assert [stored.value.cidr for stored in store.list_blocks(6)] == [foretold]
    assert release_pool_affinities(store, V6.cidr, now=now).released == (foretold,)
