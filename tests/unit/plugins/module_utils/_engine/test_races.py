# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody else acts in the middle of every write sequence: addresses stay unique and records agree."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import release_block_affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.order import block_order
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle

POOL = Pool("p", parse_network("10.0.0.0/29"), 30)
FIRST = next(block_order("a", POOL.cidr, 30, 0))

Store = t.Any


def assign_to(store: Store, host: str, handle: str, now: t.Any, count: int = 1) -> list[str]:
    result = auto_assign(store, AssignRequest(host, num_v4=count, handle_id=handle, attributes={"n": host}), now=now)
    return [str(address.address) for address in result.addresses]


def intrusions(store: Store, now: t.Any, got: list[str]) -> dict[str, t.Callable[[], None]]:
    """What else can happen meanwhile; addresses taken are added to ``got``."""

    def sibling() -> None:
        got.extend(assign_to(store, "a", "sibling", now))

    def other() -> None:
        got.extend(assign_to(store, "b", "other", now, 5))

    def specific() -> None:
        with contextlib.suppress(IpamError):
            assign_ip(store, FIRST.address(0), "b", now=now, handle_id="specific")
            got.append(str(FIRST.address(0)))

    def retire() -> None:
        release_pool_affinities(store, POOL.cidr, now=now)

    def collect() -> None:
        with contextlib.suppress(IpamError):
            release_block_affinity(access_to(store, now), "a", "host", FIRST, must_be_empty=True)

    return {"sibling": sibling, "other": other, "specific": specific, "retire": retire, "collect": collect}


def all_held(store: Store) -> list[str]:
    return sorted(
        str(stored.value.cidr.address(ordinal))
        for stored in store.list_blocks()
        for ordinal, index in enumerate(stored.value.allocations)
        if index is not None
    )


@pytest.mark.parametrize("intrusion", ["sibling", "other", "specific", "retire", "collect"])
@pytest.mark.parametrize("number", range(1, 8))
def test_an_assignment_is_raced_at_every_write(
    recording_store: t.Any, now: t.Any, check: t.Any, number: int, intrusion: str
) -> None:
    store = recording_store([POOL], {"a": {}, "b": {}})
    got: list[str] = []
    store.race(number, intrusions(store, now, got)[intrusion])
    mine = assign_to(store, "a", "mine", now, 2)
    assert len(mine) == 2
    assert sorted(mine + got) == all_held(store)
    check(store, now(), at_rest=intrusion not in ("retire", "collect"))
    # Whatever the race left, the next visit works and everything can be given back.
    now.pass_seconds(61)
    assert len(assign_to(store, "a", "later", now)) == 1
    for stored in store.list_handles():
        release_by_handle(store, stored.value.id, now=now)
    assert all_held(store) == []
    check(store, now(), at_rest=False)


@pytest.mark.parametrize("intrusion", ["sibling", "other", "specific", "retire"])
@pytest.mark.parametrize("number", range(1, 5))
def test_a_release_is_raced_at_every_write(
    recording_store: t.Any, now: t.Any, check: t.Any, number: int, intrusion: str
) -> None:
    store = recording_store([POOL], {"a": {}, "b": {}})
    assign_to(store, "a", "mine", now, 2)
    got: list[str] = []
    store.race(number, intrusions(store, now, got)[intrusion])
    assert release_by_handle(store, "mine", now=now) == 2
    store.race(0, lambda: None)
    assert sorted(got) == all_held(store)
    check(store, now(), at_rest=intrusion != "retire")


@pytest.mark.parametrize("intrusion", ["sibling", "other", "specific"])
@pytest.mark.parametrize("number", range(1, 4))
def test_giving_a_block_back_is_raced_at_every_write(
    recording_store: t.Any, now: t.Any, check: t.Any, number: int, intrusion: str
) -> None:
    store = recording_store([POOL], {"a": {}, "b": {}})
    assign_to(store, "a", "mine", now)
    release_by_handle(store, "mine", now=now)
    got: list[str] = []
    store.race(number, intrusions(store, now, got)[intrusion])
    release_pool_affinities(store, POOL.cidr, now=now)
    assert sorted(got) == all_held(store)
    check(store, now(), at_rest=False)
