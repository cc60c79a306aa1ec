# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store in memory: compare-and-swap, order of lists, threads."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

BLOCK = parse_network("10.0.0.0/30")


def now() -> datetime:
    return datetime(2026, 8, 20, 9, 0, tzinfo=timezone.utc)


def test_an_update_needs_the_revision_read_last() -> None:
    store = MemoryStore()
    first = store.create_block(new_block(BLOCK, 1))
    second = store.update_block(first, replace(first.value, sequence=2))
    with pytest.raises(UpdateConflict):
        store.update_block(first, first.value)
    with pytest.raises(UpdateConflict):
        store.delete_block(first)
    store.delete_block(second)
    with pytest.raises(NotFoundInStore):
        store.get_block(BLOCK)
    with pytest.raises(NotFoundInStore):
        store.update_block(second, second.value)


def test_a_name_clash_on_create() -> None:
    store = MemoryStore()
    store.create_handle(Handle("Pod.A", {BLOCK: 1}))
    with pytest.raises(AlreadyInStore):
        store.create_handle(Handle("pod.a", {BLOCK: 1}))
    assert store.get_handle("POD.A").value.id == "Pod.A"


def test_rows_are_listed_in_name_order() -> None:
    store = MemoryStore()
    for last in (64, 0, 192, 128):
        store.create_affinity(Affinity("n", "host", parse_network(f"10.0.0.{last}/26"), "confirmed"))
    found = [str(row.value.cidr) for row in store.list_affinities("n", "host", 4)]
    assert found == ["10.0.0.0/26", "10.0.0.128/26", "10.0.0.192/26", "10.0.0.64/26"]
    assert store.list_affinities("n", "virtual") == []
    assert store.list_affinities("n", "host", 6) == []


def test_threads_never_share_an_address() -> None:
    hosts = [f"n{i}" for i in range(4)]
    pool = Pool("p", parse_network("10.0.0.0/26"), 29)
    store = MemoryStore([pool], {host: {} for host in hosts})
    found: list[str] = []
    finished: list[str] = []

    def work(host: str, worker: int) -> None:
        for turn in range(12):
            handle = f"{host}.{worker}.{turn}"
            result = auto_assign(store, AssignRequest(host, num_v4=1, handle_id=handle, attributes={}), now=now)
            assert result.error is None
            if turn % 3 == 0 and result.addresses:
                release_by_handle(store, handle, now=now)
            else:
                found.extend(str(address.address) for address in result.addresses)
        finished.append(host)

    threads = [threading.Thread(target=work, args=(host, worker)) for host in hosts for worker in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # as many interleavings as the interpreter can give
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(finished) == len(threads)
    assert len(found) == len(set(found))
    stored = [block.value for block in store.list_blocks()]
    assert sum(block.in_use for block in stored) == len(found)
    counted = sum(sum(handle.value.blocks.values()) for handle in store.list_handles())
    assert counted >= len(found)
