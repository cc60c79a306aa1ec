# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same writers as in the stress tests, changing over before every call of the store, some dying there,
others never getting their answer.

A seed fixes everything, so a failure can be looked at again: ``CALICO_OPS_STRESS_SEED=17``. In custom resources
they change over before every request, so also between the two of a soft delete.
"""

from __future__ import annotations

import os
import random
import typing as t
from datetime import datetime, timedelta

import pytest
from backends import NODES, POOLS, MemoryBackend
from crash_lab import AnswerLost, Crash, KubernetesLab
from crowd import service
from healing import heal
from interleaving import Baton
from invariants import check
from judgement import hear, judge
from writer import EPOCH, Counting, Line, Writer

from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

ROUNDS = 1500 if os.environ.get("CALICO_OPS_NIGHTLY") else 70
STEPS = (3, 6, 24)  # short runs: what is left in the end is not healed by those who come later
WRITERS = 5
CALLS = ("get", "list", "create", "update", "replace", "patch", "delete")


class Notes:
    """A journal in memory; the moment is the number of calls so far."""

    def __init__(self, world: World, lines: list[Line], name: str) -> None:
        self._world, self._lines, self._name, self._number = world, lines, name, 0

    def lines(self) -> list[Line]:
        return self._lines

    def intend(self, do: str, **more: t.Any) -> str:
        self._number += 1
        number = f"{self._name}.{self._number}"
        self.write({"n": number, "t": self._world.calls, "do": do, **more})
        return number

    def answer(self, number: str, **more: t.Any) -> None:
        self.write({"n": number, "t": self._world.calls, **more})

    def write(self, line: Line) -> None:
        self._world.calls += 1
        self._lines.append(line)


class Turns:
    """A store or an API before whose calls others may act; a writer may die after them, or not get the answer."""

    def __init__(self, inner: t.Any, world: World, owner: Writer | None) -> None:
        self._inner, self._world, self._owner = inner, world, owner

    def __getattr__(self, name: str) -> t.Any:
        call = getattr(self._inner, name)
        if not name.startswith(CALLS):
            return call

        def turn(*arguments: t.Any, **options: t.Any) -> t.Any:
            self._world.calls += 1
            self._world.baton.switch()
            answer = call(*arguments, **options)
            if self._owner is not None and name.startswith(CALLS[2:]):
                fate = self._world.random.random()
                if fate < self._world.deadliness:
                    self._world.deaths += 1
                    raise Crash
                if fate > 1 - self._world.unreliability:
                    self._world.losses += 1
                    self._owner.doubt()
                    raise AnswerLost(f"no answer to {name}")
            return answer

        return turn


class World:
    """One store, one time, one order of events."""

    def __init__(self, kind: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.baton = Baton(seed, stay=self.random.choice([0.0, 0.3, 0.7]))
        self.steps = self.random.choice(STEPS)
        self.deadliness = self.random.choice([0.0, 0.01, 0.05])
        self.unreliability = self.random.choice([0.0, 0.0, 0.02])
        self.calls = self.deaths = self.losses = 0
        self.notes: dict[str, list[Line]] = {}
        self.lab = KubernetesLab(kind.partition("-")[2]) if kind != "memory" else None
        self.backend = None if self.lab else MemoryBackend()
        if self.lab:
            for name, cidr, size in POOLS:
                self.lab.pool(name, cidr, size)
            for node in NODES:
                self.lab.node(node)

    def now(self) -> datetime:
        """Every call takes a tenth of a second: blocks grow old while somebody is at work on them."""
        return EPOCH + timedelta(seconds=self.calls / 10)

    def store(self, owner: Writer | None = None) -> t.Any:
        if self.lab:
            return KubernetesStore(t.cast("t.Any", Turns(self.lab.api, self, owner)), self.lab.store.group)
        return Turns(t.cast("t.Any", self.backend).store, self, owner)

    def disable(self, pool: str, disabled: bool) -> None:
        if self.lab:
            cidr, size = next((cidr, size) for name, cidr, size in POOLS if name == pool)
            self.lab.pool(pool, cidr, size, disabled=disabled)
        else:
            t.cast("t.Any", self.backend).disable(pool, disabled)

    def state(self) -> t.Any:
        if self.lab is None:
            return t.cast("t.Any", self.backend).state(self.now())
        self.lab.now.moment = self.now()
        return self.lab.state()

    def write(self, slot: int) -> None:
        """A writer and, when it dies, its successors; together they take so many steps."""
        lines = self.notes.setdefault(f"slot-{slot}", [])
        left = self.steps
        for incarnation in range(100):
            name = f"w{slot}.{incarnation}"
            chooser = random.Random(f"{self.random.random()}")
            notes = Notes(self, lines, name)
            writer = Writer(Counting(None), slot, NODES[slot % 3], chooser, notes, name, self.now)
            writer.store = Counting(self.store(writer))
            try:
                writer.run(lambda writer=writer, left=left: writer.operations >= left)
            except Crash:
                left -= writer.operations
                continue
            return

    def administrate(self) -> None:
        """Pools go out of service, without the wait that cleaning rows asks for: so no row is deleted."""
        for _time in range(6):
            name, cidr, _size = self.random.choice(POOLS[1:])
            service(self.store(), self.disable, name, cidr, self.random, self.now, wait=None)


def problems_of(kind: str, seed: int) -> tuple[list[str], World]:
    world = World(kind, seed)
    world.baton.run([*(lambda slot=slot: world.write(slot) for slot in range(WRITERS)), world.administrate])
    evidence = hear(world.notes)
    state = world.state()
    found = judge(evidence, state)
    found += [
        f"at the end: {problem}"
        for problem in check(state, at_rest=not (world.deaths or world.losses), empty_ownerless=True)
    ]
    heal(world.store(), world.now)
    state = world.state()
    found += judge(evidence, state)
    found += [f"healed: {problem}" for problem in check(state)]
    return found, world


@pytest.mark.parametrize("kind", ["memory", "kubernetes-v1"])
def test_every_order_of_events(kind: str) -> None:
    only = os.environ.get("CALICO_OPS_STRESS_SEED")
    deaths = lost = losses = 0
    rounds = ROUNDS if kind == "memory" else ROUNDS // 3
    for seed in [int(only)] if only else range(rounds):
        found, world = problems_of(kind, seed)
        assert found == [], f"CALICO_OPS_STRESS_SEED={seed}"
        deaths += world.deaths
        losses += world.losses
        lost += hear(world.notes).counts["lost"]
    if not only:
        assert deaths > rounds / 2
        assert lost > rounds / 2
        assert losses > rounds / 4
