# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One of many writers: random operations on a store, each told to a journal before it begins and after it ended.

In a thread, or as a process that may be killed at any moment: ``python writer.py`` forks one for each line
of JSON that it reads.

A journal is a file of JSON lines. An intention has ``do``, its answer the same ``n``; an answer that never
came means that the process died, or is at work. Time is the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
import typing as t
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from backends import NODES, POOLS, open_backend
from crash_lab import AnswerLost
from second_allocator import SecondAllocator

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_host_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import ReleaseRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    BadSequenceNumber,
    ClaimConflict,
    NoConfiguredPools,
    NoQualifiedPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import delete_empty_blocks
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.owner import OwnerChange, set_owner_attributes
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle, release_ips

#: So that 60 s, after which empty blocks may be taken away, pass several times in a run.
CLOCK_FACTOR = 120.0
EPOCH = datetime(2026, 8, 20, 9, tzinfo=timezone.utc)
ENOUGH = 6
Line = t.Dict[str, t.Any]
SIZES = {parse_network(cidr): size for _name, cidr, size in POOLS}


def clock() -> datetime:
    """A time that runs fast, and alike in every process of the machine."""
    return EPOCH + timedelta(seconds=time.monotonic() * CLOCK_FACTOR)


class Journal:
    """Appends lines to a file; each is one write of the system, so that a kill cannot tear it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._number = 0
        self._incarnation = f"{os.getpid()}.{time.monotonic_ns()}"

    def lines(self) -> list[Line]:
        """Everything in it, also what others wrote."""
        return [json.loads(text) for text in Path(self._path).read_text(encoding="utf-8").splitlines()]

    def intend(self, do: str, **more: t.Any) -> str:
        self._number += 1
        number = f"{self._incarnation}.{self._number}"
        self.write({"n": number, "t": time.monotonic(), "do": do, **more})
        return number

    def answer(self, number: str, **more: t.Any) -> None:
        self.write({"n": number, "t": time.monotonic(), **more})

    def write(self, line: Line) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Journaling(t.Protocol):
    """What a writer needs of a journal."""

    def lines(self) -> list[Line]: ...

    def intend(self, do: str, **more: t.Any) -> str: ...

    def answer(self, number: str, **more: t.Any) -> None: ...

    def write(self, line: Line) -> None: ...


class Counting:
    """Passes calls on to a store and counts writes and lost races; ``pause`` lets others act before a write."""

    def __init__(self, store: t.Any, pause: t.Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._pause = pause
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name: str) -> t.Any:
        call = getattr(self._store, name)
        if not name.startswith(("create_", "update_", "delete_")):
            return call

        def write(*arguments: t.Any) -> t.Any:
            self._pause()
            try:
                answer = call(*arguments)
            except (UpdateConflict, AlreadyInStore, NotFoundInStore):
                self.counts["lost"] += 1
                raise
            self.counts["writes"] += 1
            return answer

        return write


@dataclass
class Writer:
    """``wrong`` takes what must never happen. ``held`` is what this writer was told to have, by handle."""

    store: Counting
    slot: int
    host: str
    random: random.Random
    journal: Journaling
    prefix: str
    now: t.Callable[[], datetime] = clock
    held: dict[str, set[str]] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    at_work: str | None = None
    operations: int = 0

    def run(self, stop: t.Callable[[], bool]) -> None:
        self.finish_what_a_predecessor_began()
        while not stop():
            try:
                self.step()
            except AnswerLost:
                self.doubt()
            self.operations += 1
            self.tell()

    def doubt(self) -> None:
        """An answer was lost: more may be recorded under the handle at work than we were told."""
        if self.at_work:
            self.doubted.add(self.at_work)
            self.journal.write({"doubt": self.at_work})

    def tell(self) -> None:
        self.journal.write({"who": self.prefix, "operations": self.operations, **self.store.counts})

    def finish_what_a_predecessor_began(self) -> None:
        """As kubelet does after a restart: every sandbox of a dead process is deleted."""
        last: dict[str, dict[str, t.Any]] = {}
        answered = set()
        for line in self.journal.lines():
            if "handle" in line:
                last[line["handle"]] = line
            elif "n" in line:
                answered.add(line["n"])
        for handle, line in last.items():
            if not handle.startswith("Shared") and not (line.get("all") and line["n"] in answered):
                with contextlib.suppress(AnswerLost):
                    self.release_all(handle, sure=False)

    def step(self) -> None:
        self.at_work = None
        holding = sum(map(len, self.held.values()))
        choice = self.random.random()
        if holding > ENOUGH or (self.held and choice < 0.30):
            handle = self.random.choice(sorted(self.held))
            if handle.startswith("Shared") or self.random.random() < 0.5:
                self.release_some(handle)
            else:
                self.release_all(handle)
        elif choice < 0.62:
            self.assign()
        elif choice < 0.72:
            self.pick()
        elif choice < 0.75 and self.held:
            self.release_stale()
        elif choice < 0.78 and self.held:
            self.count()
        elif choice < 0.84 and self.held:
            self.rename()
        elif choice < 0.97:
            self.give_back(self.host if self.random.random() < 0.7 else self.random.choice(NODES))
        else:
            self.sweep()

    def handle(self) -> str:
        # Names in capitals too: in Kubernetes they are lowered, in etcd they are not.
        if self.random.random() < 0.2:
            return f"Shared.{self.random.randrange(2)}"
        return f"{self.prefix}.Pod-{self.operations}"

    def assign(self) -> None:
        handle, v4, v6 = self.handle(), self.random.randint(0, 3), self.random.choice([0, 0, 1, 2])
        if v4 + v6 == 0 or handle.startswith("Shared"):
            v4, v6 = 1, 0  # a count that is too high would hide that one was lost
        self.at_work = handle
        number = self.journal.intend("assign", handle=handle, v4=v4, v6=v6)
        request = AssignRequest(self.host, v4, v6, handle, {"node": self.host, "test": self.prefix})
        result = auto_assign(self.store, request, now=self.now)
        got = [str(assigned.address) for assigned in result.addresses]
        self.journal.answer(number, got=got, error=result.error and str(result.error))
        if got:
            self.held.setdefault(handle, set()).update(got)
        if result.error is not None and not isinstance(result.error, (NoQualifiedPool, NoConfiguredPools, AnswerLost)):
            self.wrong(f"assigning failed: {type(result.error).__name__} {result.error}")

    def pick(self) -> None:
        network = self.random.choice(sorted(SIZES))
        address = network.address(self.random.randrange(network.size))
        handle = f"{self.prefix}.Pod-{self.operations}"
        self.at_work = handle
        number = self.journal.intend("pick", handle=handle, address=str(address))
        try:
            assign_ip(self.store, address, self.host, now=self.now, handle_id=handle, attributes={"node": self.host})
        except (AddressTaken, NoQualifiedPool, ClaimConflict, NotFoundInStore) as refused:
            self.journal.answer(number, got=[], error=type(refused).__name__)
        else:
            self.journal.answer(number, got=[str(address)])
            self.held.setdefault(handle, set()).add(str(address))

    def release_all(self, handle: str, *, sure: bool = True) -> None:
        """CNI DEL. ``sure``: we were told that the handle has these addresses."""
        known = self.held.pop(handle, set())
        self.at_work = handle
        number = self.journal.intend("release", handle=handle, gone=sorted(known), all=True)
        try:
            count = release_by_handle(self.store, handle, now=self.now)
        except NotFoundInStore:
            count = 0
        self.journal.answer(number, count=count)
        more = handle in self.doubted and count > len(known)
        if sure and count != len(known) and not more:
            self.wrong(f"handle {handle} held {sorted(known)}, but {count} were released")

    def release_some(self, handle: str) -> None:
        """By address, with the sequence number: what the leak collector does."""
        known = self.held[handle]
        chosen = self.random.sample(sorted(known), self.random.randint(1, len(known)))
        requests = [ReleaseRequest(parse_address(text), handle, self.sequence(text)) for text in chosen]
        known.difference_update(chosen)
        if not known:
            del self.held[handle]
        self.at_work = handle
        number = self.journal.intend("release", handle=handle, gone=chosen)
        outcome = release_ips(self.store, requests, now=self.now)
        self.journal.answer(number, count=len(outcome.released))
        if isinstance(outcome.error, AnswerLost):
            return
        if outcome.error or outcome.not_allocated or len(outcome.released) != len(chosen):
            self.wrong(f"releasing {chosen} of {handle}: {outcome}")

    def release_stale(self) -> None:
        """With a number that is not the one stored: nothing may happen."""
        handle = self.random.choice(sorted(self.held))
        text = self.random.choice(sorted(self.held[handle]))
        stale = ReleaseRequest(parse_address(text), handle, self.sequence(text) - 1)
        outcome = release_ips(self.store, [stale], now=self.now)
        if not isinstance(outcome.error, BadSequenceNumber):
            self.wrong(f"a stale release of {text} came to {outcome}")

    def count(self) -> None:
        """A handle's count is never less than what is held under it (23)."""
        handle = self.random.choice(sorted(self.held))
        mine = Counter(self.block_of(text) for text in self.held[handle])
        counts = self.store.get_handle(handle).value.blocks
        for cidr, number in mine.items():
            if counts.get(cidr, 0) < number:
                self.wrong(f"handle {handle} counts {counts.get(cidr, 0)} in {cidr}, of which {number} are ours")

    def rename(self) -> None:
        handle = self.random.choice(sorted(self.held))
        text = self.random.choice(sorted(self.held[handle]))
        change = OwnerChange({"node": self.host, "test": f"{self.prefix}-{self.operations}"})
        with contextlib.suppress(NotFoundInStore):  # its pool is disabled
            set_owner_attributes(self.store, parse_address(text), handle, now=self.now, active=change)

    def give_back(self, host: str) -> None:
        release_host_affinities(self.store, host, now=self.now, must_be_empty=True)

    def sweep(self) -> None:
        network = self.random.choice(sorted(SIZES))
        delete_empty_blocks(self.store, network, now=self.now)

    def sequence(self, text: str) -> int:
        """The number under which our address is recorded; that it is recorded is part of the test."""
        block = self.store.get_block(self.block_of(text)).value
        number: int = block.sequences[block.cidr.ordinal(parse_address(text))]
        return number

    def block_of(self, text: str) -> Network:
        address = parse_address(text)
        return address.network(next(size for network, size in SIZES.items() if network.contains(address)))

    def wrong(self, sentence: str) -> None:
        self.journal.write({"wrong": f"slot {self.slot}: {sentence}"})


def work(writer: Writer | Rival, stop: t.Callable[[], bool]) -> None:
    """Run, and tell what ended it other than ``stop``."""
    try:
        writer.run(stop)
    except Exception as error:
        writer.wrong(f"died of {type(error).__name__}: {error}")
        raise


def pauses(seed: int, chance: float) -> t.Callable[[], None]:
    """Now and then a moment between reading and writing, which is where races are lost."""
    chooser = random.Random(seed)

    def pause() -> None:
        if chooser.random() < chance:
            time.sleep(chooser.random() * 0.002)

    return pause


class Rival:
    """A writer of another make: the second allocator, on the objects of the API themselves."""

    def __init__(self, allocator: SecondAllocator, slot: int, chooser: random.Random, journal: Journaling) -> None:
        self.allocator = allocator
        self.slot = slot
        self.random = chooser
        self.journal = journal
        self.held: dict[str, str] = {}
        self.operations = 0

    def run(self, stop: t.Callable[[], bool]) -> None:
        while not stop():
            self.step()
            self.operations += 1
        self.journal.write({"who": f"rival {self.slot}", "operations": self.operations})

    def step(self) -> None:
        choice = self.random.random()
        if len(self.held) > ENOUGH or (self.held and choice < 0.35):
            handle = self.random.choice(sorted(self.held))
            address = self.held.pop(handle)
            number = self.journal.intend("release", handle=handle, gone=[address], all=True)
            count = self.allocator.release(handle)
            self.journal.answer(number, count=count)
            if count != 1:
                self.wrong(f"handle {handle} held {address}, but {count} were released")
        elif choice < 0.85:
            handle = f"rival{self.slot}.Pod-{self.operations}"
            number = self.journal.intend("assign", handle=handle)
            got = self.allocator.assign(handle, {"node": self.allocator.host}, self.random.choice([4, 4, 6]))
            self.journal.answer(number, got=[got] if got else [])
            if got:
                self.held[handle] = got
        else:
            network = self.random.choice(sorted(SIZES))
            blocks = list(network.subnets(SIZES[network]))
            self.allocator.give_back(str(self.random.choice(blocks)))

    def wrong(self, sentence: str) -> None:
        self.journal.write({"wrong": f"rival {self.slot}: {sentence}"})


def nursery() -> None:
    """Fork a writer for each line of standard input and print its process id: the imports are done once."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number, line in enumerate(sys.stdin):
        if number == 0:
            open_backend(json.loads(line)["backend"]).close()  # libraries are imported on the first use
        child = os.fork()
        if child == 0:
            status = 1
            try:
                be(json.loads(line))
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)


def be(words: t.Mapping[str, t.Any]) -> None:
    """The writer that the words describe, until its time is over."""
    backend = open_backend(words["backend"])
    writer = Writer(
        Counting(backend.store),
        words["slot"],
        words["host"],
        random.Random(words["seed"]),
        Journal(words["journal"]),
        f"w{words['slot']}.{os.getpid()}",
    )
    work(writer, lambda: time.monotonic() >= words["until"])


if __name__ == "__main__":
    nursery()
