# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Eight writers on one store, as threads or as processes that are killed and replaced, and an administrator."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
import typing as t
from datetime import datetime
from pathlib import Path

from backends import NODES, POOLS, Backend
from second_allocator import SecondAllocator
from writer import Counting, Journal, Rival, Writer, clock, pauses, work

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import UpdateConflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    delete_empty_blocks,
    delete_rows_without_block,
    forget_stale_counts,
    rows_without_block,
)

WRITERS = 8


def journals(directory: Path) -> list[Path]:
    return sorted(directory.glob("slot-*.jsonl"))


def journal(directory: Path, slot: int) -> Journal:
    return Journal(str(directory / f"slot-{slot}.jsonl"))


def threads(
    backend: Backend, directory: Path, seed: int, seconds: float, *, pause: float = 0.0, rivals: int = 0
) -> None:
    """``pause``: how often a writer hesitates before a write. ``rivals``: how many are of another make."""
    until = time.monotonic() + seconds
    others = [backend.another() for _number in range(WRITERS)]
    jobs: list[Writer | Rival] = []
    for slot, own in enumerate(others):
        chooser, host = random.Random(f"{seed}/{slot}"), NODES[slot % len(NODES)]
        if slot >= WRITERS - rivals:
            allocator = SecondAllocator(t.cast("t.Any", own).api, host, seed=seed + slot, now=clock)
            jobs.append(Rival(allocator, slot, chooser, journal(directory, slot)))
        else:
            store = Counting(own.store, pauses(seed + slot, pause))
            jobs.append(Writer(store, slot, host, chooser, journal(directory, slot), f"w{slot}"))
    running = [
        threading.Thread(target=_quietly, args=(job, lambda: time.monotonic() >= until), daemon=True) for job in jobs
    ]
    for thread in running:
        thread.start()
    administrate(backend, random.Random(seed), until)
    for thread in running:
        thread.join(60)
        assert not thread.is_alive()
    for own in others:
        if own is not backend:
            own.close()


def _quietly(job: Writer | Rival, stop: t.Callable[[], bool]) -> None:
    # What went wrong is in the journal.
    with contextlib.suppress(Exception):
        work(job, stop)


def processes(backend: Backend, directory: Path, seed: int, seconds: float) -> int:
    """How many were killed."""
    chooser = random.Random(seed)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(__file__).parents[up]) for up in (0, 1))}
    killed = 0
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "writer.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as nursery:
        requests, answers = t.cast("t.IO[str]", nursery.stdin), t.cast("t.IO[str]", nursery.stdout)
        until = 0.0

        def start(slot: int, number: int) -> int | None:
            words = {
                "backend": backend.words,
                "slot": slot,
                "host": NODES[slot % len(NODES)],
                "seed": f"{seed}/{slot}/{number}",
                "journal": str(directory / f"slot-{slot}.jsonl"),
                "until": until,
            }
            requests.write(json.dumps(words) + "\n")
            requests.flush()
            try:
                return os.pidfd_open(int(answers.readline()))
            except ProcessLookupError:
                return None  # over already

        # The first one is over at once; it stands for the imports, which do not count.
        start(0, -1)
        until = time.monotonic() + seconds
        running = {slot: start(slot, 0) for slot in range(WRITERS)}
        administrator = threading.Thread(target=administrate, args=(backend, random.Random(seed), until), daemon=True)
        administrator.start()
        while time.monotonic() < until - 0.5:
            time.sleep(chooser.uniform(0.05, 0.35))
            slot = chooser.randrange(WRITERS)
            victim = running[slot]
            if victim is not None:
                signal.pidfd_send_signal(victim, signal.SIGKILL)
                _ended(victim)
                killed += 1
                running[slot] = start(slot, killed)
        for process in running.values():
            if process is not None:
                _ended(process)
        administrator.join(60)
        assert not administrator.is_alive()
    return killed


def _ended(process: int) -> None:
    """Wait for the end of a process."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    assert poll.poll(60_000), "a writer did not come to its end"
    os.close(process)


def administrate(backend: Backend, chooser: random.Random, until: float) -> None:
    """Take a pool out of service now and then."""
    while time.monotonic() < until - 1:
        time.sleep(chooser.uniform(0.05, 0.3))
        name, cidr, _size = chooser.choice(POOLS[1:])
        service(backend.store, backend.disable, name, cidr, chooser, clock, wait=0.4)


def service(
    store: t.Any,
    disable: t.Callable[[str, bool], None],
    name: str,
    cidr: str,
    chooser: random.Random,
    now: t.Callable[[], datetime],
    *,
    wait: float | None,
) -> None:
    """Disable a pool, perhaps take its blocks from their hosts, clean what can be cleaned, enable it again.

    ``wait``: real seconds after which whoever began before is done or has changed its row; None: no row is deleted.
    """
    network = parse_network(cidr)
    disable(name, True)
    if chooser.random() < 0.5:
        with contextlib.suppress(UpdateConflict):
            release_pool_affinities(store, network, now=now, must_be_empty=chooser.random() < 0.5)
    if wait is not None:
        rows = rows_without_block(store, network)
        time.sleep(wait)
        delete_rows_without_block(store, rows)
    delete_empty_blocks(store, network, now=now)
    forget_stale_counts(store, network)
    disable(name, False)
