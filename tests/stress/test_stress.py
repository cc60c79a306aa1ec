# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Eight writers at once on every store, some of them killed, some of another make.

In the end the journals and the records agree, and after healing every invariant holds (spec ipam-engine.md §21).
``CALICO_OPS_STRESS_SEED`` repeats a run as far as the machine lets it; ``CALICO_OPS_NIGHTLY`` runs ten times as long.
"""

from __future__ import annotations

import os
import random
import sys
import typing as t
from pathlib import Path

import pytest
from backends import Backend
from crowd import journals, processes, threads
from healing import clean, heal
from invariants import check
from judgement import Evidence, hear, judge, read
from writer import clock

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
    evidence = hear(read(journals(directory)))
    state = backend.state(clock())
    assert judge(evidence, state) == []
    assert check(state, at_rest=not killed, empty_ownerless=True) == []
    heal(backend.store, clock)
    state = backend.state(clock())
    assert judge(evidence, state) == []
    assert check(state) == []
    clean(backend, clock)
    counts = evidence.counts
    print(f"{counts['operations']} operations, {counts['writes']} writes, {counts['lost']} races lost")
    return evidence


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
    assert settle_accounts(backend, tmp_path).counts["lost"] > 0


@pytest.mark.parametrize("name", ["twin", "etcd"])
def test_threads_over_the_wire(make_backend: Make, tmp_path: Path, seed: int, name: str) -> None:
    backend = make_backend(name)
    threads(backend, tmp_path, seed, 4 * SCALE)
    assert settle_accounts(backend, tmp_path).counts["lost"] > 0
    backend.close()


@pytest.mark.parametrize("name", ["twin", "etcd"])
def test_processes_that_are_killed(make_backend: Make, tmp_path: Path, seed: int, name: str) -> None:
    backend = make_backend(name)
    killed = processes(backend, tmp_path, seed, 5 * SCALE)
    print(f"{killed} killed")
    assert killed > 2
    assert settle_accounts(backend, tmp_path, killed=True).counts["lost"] > 0
    backend.close()


def test_two_makes_of_writers(make_backend: Make, tmp_path: Path, seed: int) -> None:
    backend = make_backend("twin")
    threads(backend, tmp_path, seed, 4 * SCALE, rivals=4)
    assert settle_accounts(backend, tmp_path).counts["lost"] > 0
    backend.close()
