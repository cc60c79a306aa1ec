# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Eight writers at once on every store, some of them killed, some of another make.

In the end the journals and the records agree, and after healing every invariant holds (spec ipam-engine.md §21).
``CALICO_OPS_STRESS_SEED`` repeats a run as far as the machine lets it; ``CALICO_OPS_NIGHTLY`` runs ten times as long.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import typing as t
from pathlib import Path

import pytest
from backends import NODES, POOLS, Backend
from crowd import journals, processes, threads
from invariants import check
from judgement import Evidence, hear, judge
from writer import clock

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    delete_empty_blocks,
    delete_rows_without_block,
    forget_stale_counts,
    prove_clean,
    rows_without_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

SCALE = 10.0 if os.environ.get("CALICO_OPS_NIGHTLY") else 1.0

Make = t.Callable[[str], Backend]


@pytest.fixture
def seed() -> int:
    found = int(os.environ.get("CALICO_OPS_STRESS_SEED") or random.randrange(2**31))
    print(f"CALICO_OPS_STRESS_SEED={found}")
    return found


def settle_accounts(backend: Backend, directory: Path, *, killed: bool = False) -> Evidence:
    """Judge, heal, judge again, and leave nothing behind. Only a death may break what holds at rest."""
    evidence = hear(journals(directory))
    state = backend.state(clock())
    assert judge(evidence, state) == []
    assert check(state, at_rest=not killed, empty_ownerless=True) == []
    heal(backend)
    state = backend.state(clock())
    assert judge(evidence, state) == []
    assert check(state) == []
    clean(backend)
    counts = evidence.counts
    print(f"{counts['operations']} operations, {counts['writes']} writes, {counts['lost']} races lost")
    return evidence


def heal(backend: Backend) -> None:
    """Each host asks for everything once, so that it looks at every row of its own; then the range is swept."""
    networks = [parse_network(cidr) for _name, cidr, _size in POOLS]
    for network in networks:
        backend.store.finish_deletes(network)
    for host in NODES:
        result = auto_assign(backend.store, AssignRequest(host, 64, 64, f"heal-{host}"), now=clock)
        assert result.error is None
        with contextlib.suppress(NotFoundInStore):
            release_by_handle(backend.store, f"heal-{host}", now=clock)
    for network in networks:
        delete_empty_blocks(backend.store, network, now=clock)


def clean(backend: Backend) -> None:
    """Nothing the writers left can keep a range from being cleaned."""
    for stored in backend.store.list_handles():
        with contextlib.suppress(NotFoundInStore):
            release_by_handle(backend.store, stored.value.id, now=clock)
    for name, cidr, _size in POOLS:
        network = parse_network(cidr)
        backend.disable(name, True)
        release_pool_affinities(backend.store, network, now=clock)
        delete_rows_without_block(backend.store, rows_without_block(backend.store, network))
        delete_empty_blocks(backend.store, network, now=clock)
        forget_stale_counts(backend.store, network)
        assert prove_clean(backend.store, network).clean


@pytest.fixture
def quick_switches() -> t.Iterator[None]:
    """Threads take turns a hundred times as often, so that they meet."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.00005)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(strict_affinity=True), Settings(cooldown_seconds=5)],
    ids=["default", "strict", "cooldown"],
)
def test_threads_in_memory(make_backend: Make, tmp_path: Path, seed: int, settings: Settings) -> None:
    backend = make_backend("memory")
    backend.settings(settings)
    threads(backend, tmp_path, seed, 2.5 * SCALE, pause=0.3)
    # Nothing rests any more, and whoever may borrow gets everything: only then is the healing complete.
    backend.settings(Settings(cooldown_seconds=-1) if settings.cooldown_seconds else Settings())
    assert settle_accounts(backend, tmp_path).counts["lost"] >= 5


@pytest.mark.parametrize("name", ["twin", "etcd"])
def test_threads_over_the_wire(make_backend: Make, tmp_path: Path, seed: int, name: str) -> None:
    backend = make_backend(name)
    threads(backend, tmp_path, seed, 5 * SCALE)
    assert settle_accounts(backend, tmp_path).counts["lost"] >= 5
    backend.close()


@pytest.mark.parametrize("name", ["twin", "etcd"])
def test_processes_that_are_killed(make_backend: Make, tmp_path: Path, seed: int, name: str) -> None:
    backend = make_backend(name)
    killed = processes(backend, tmp_path, seed, 6 * SCALE)
    print(f"{killed} killed")
    assert killed > 8
    assert settle_accounts(backend, tmp_path, killed=True).counts["lost"] >= 5
    backend.close()


def test_two_makes_of_writers(make_backend: Make, tmp_path: Path, seed: int) -> None:
    backend = make_backend("twin")
    threads(backend, tmp_path, seed, 5 * SCALE, rivals=4)
    assert settle_accounts(backend, tmp_path).counts["lost"] >= 5
    backend.close()
