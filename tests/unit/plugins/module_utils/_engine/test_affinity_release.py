# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking blocks away from hosts and pools: worked cases of spec ipam-engine.md §13."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import (
    release_host_affinities,
    remove_host,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import BlockNotEmpty
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

V4 = Pool("teal", parse_network("10.77.4.0/28"), 30)
V6 = Pool("violet", parse_network("fd00:77::/120"), 124)


@pytest.fixture
def store(now: t.Any) -> MemoryStore:
    """Host a holds three blocks in use, host b two."""
    store = MemoryStore([V4, V6], {"a": {}, "b": {}})
    for host, handle in (("a", "h"), ("b", "other")):
        auto_assign(store, AssignRequest(host, num_v4=1, num_v6=1, handle_id=handle), now=now)
    auto_assign(store, AssignRequest("a", num_v4=4, handle_id="more"), now=now)
    return store


def owners(store: MemoryStore) -> list[str | None]:
    return sorted((stored.value.affinity for stored in store.list_blocks()), key=str)


def test_removing_a_host_leaves_its_addresses(store: MemoryStore, now: t.Any, check: t.Any) -> None:
    store.remove_node("a")
    result = remove_host(store, "a", now=now)
    assert (len(result.released), result.kept, result.error) == (3, (), None)
    assert owners(store) == [None, None, None, "host:b", "host:b"]
    assert len(ips_by_handle(store, "h", now=now)) == 2
    assert store.list_affinities("a") == []
    check(store, now())
    assert remove_host(store, "a", now=now).released == ()


def test_removing_a_host_needs_no_pools_and_spares_a_virtual_one(store: MemoryStore, now: t.Any) -> None:
    for pool in (V4, V6):
        store.remove_pool(pool.name)
    free = next(c for c in V4.cidr.subnets(30) if c not in {s.value.cidr for s in store.list_blocks()})
    store.create_affinity(Affinity("a", "virtual", free, "confirmed"))
    assert len(remove_host(store, "a", now=now).released) == 3
    assert [stored.value.type for stored in store.list_affinities("a")] == ["virtual"]


def test_rows_that_a_list_by_host_misses_are_found(now: t.Any) -> None:
    """§2.3: a row without labels is seen only by a list without a selector."""

    class Unlabelled(MemoryStore):
        def list_affinities(self, host: t.Any = None, affinity_type: t.Any = None, version: t.Any = None) -> t.Any:
            return [] if host is not None else super().list_affinities(None, affinity_type, version)

    store = Unlabelled([V4], {"a": {}})
    auto_assign(store, AssignRequest("a", num_v4=1, handle_id="h"), now=now)
    assert release_host_affinities(store, "a", now=now).released == ()
    assert len(remove_host(store, "a", now=now).released) == 1


def test_a_row_without_a_block_survives(now: t.Any) -> None:
    """§7.4 step 2."""
    store = MemoryStore([V4])
    block = next(V4.cidr.subnets(30))
    store.create_affinity(Affinity("a", "host", block, "confirmed"))
    result = remove_host(store, "a", now=now)
    assert [cidr for cidr, _why in result.kept] == [block]
    assert result.error is None
    assert len(store.list_affinities()) == 1


def test_a_block_in_use_is_remembered_and_the_others_go_on(store: MemoryStore, now: t.Any) -> None:
    """Release of host affinities, must be empty: the last error is the answer."""
    before = ips_by_handle(store, "more", now=now)
    result = release_host_affinities(store, "a", now=now, must_be_empty=True)
    assert isinstance(result.error, BlockNotEmpty)
    assert result.released == ()
    assert len(result.kept) == 3
    assert ips_by_handle(store, "more", now=now) == before
