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
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    BlockNotEmpty,
    InvalidSize,
    NoFreeBlocks,
    NoQualifiedPool,
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
