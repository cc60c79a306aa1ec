# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses a second that the allocator assigns, in a store in memory with compare-and-swap.

Single addresses, round-robin over the hosts, each with an ``auto_assign`` and a handle of its own and with the
attributes the CNI plugin writes. Requests are made before the clock starts. The runs of all cases take turns, so
that other load on the machine meets all of them; times are CPU time of this one process, wall time beside it.

    python benchmarks/assign.py [--addresses 50000] [--runs 5] [--growth] [--blocks]

``--growth`` assigns 1, 10 and 100 times 5,000 addresses over 1,000 hosts; ``--blocks`` compares block sizes from
/26 to /20, each filled to the last address. Exit status 1 when 1,000 hosts stay below 20,000 addresses a second.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import statistics
import sys
import time
import typing as t
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import pod_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

GOAL = 20_000
HOSTS = (100, 1_000, 5_000)


class Case(t.NamedTuple):
    name: str
    hosts: int
    addresses: int
    block_size: int = 26


class Run(t.NamedTuple):
    cpu: float
    wall: float


def now() -> datetime:
    return datetime.now(timezone.utc)


def requests(case: Case) -> list[AssignRequest]:
    found = []
    for number in range(case.addresses):
        node = f"node-{number % case.hosts:05d}"
        found.append(
            AssignRequest(
                node,
                num_v4=1,
                handle_id=pod_handle(hashlib.sha256(str(number).encode()).hexdigest()),
                attributes={
                    "namespace": f"team-{number % 50}",
                    "node": node,
                    "pod": f"web-{number:06d}",
                    "timestamp": "2026-08-20 09:14:05.204418 +0000 UTC",
                },
            )
        )
    return found


def run(case: Case) -> Run:
    """Seconds that all assignments of a case take."""
    nodes = {f"node-{number:05d}": {"kubernetes.io/os": "linux"} for number in range(case.hosts)}
    store = MemoryStore([Pool("pods", parse_network("10.0.0.0/8"), case.block_size)], nodes)
    todo = requests(case)
    # What the caller holds is not the allocator's to be searched for garbage, again and again.
    gc.collect()
    gc.freeze()
    wall, cpu = time.perf_counter(), time.process_time()
    for request in todo:
        auto_assign(store, request, now=now)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    gc.unfreeze()
    held = sum(stored.value.in_use for stored in store.list_blocks())
    if held != case.addresses or len(store.list_handles()) != case.addresses:
        raise SystemExit(f"{case.name}: {held} of {case.addresses} addresses were assigned")
    return Run(cpu, wall)


def measure(cases: t.Sequence[Case], runs: int) -> dict[str, float]:
    """Print one line per case; the best CPU rate of each."""
    times: dict[str, list[Run]] = {case.name: [] for case in cases}
    for _turn in range(runs):
        for case in cases:
            times[case.name].append(run(case))
    best = {case.name: case.addresses / min(r.cpu for r in times[case.name]) for case in cases}
    print(f"{'':24}{'addresses':>10}{'best/s':>9}{'median/s':>10}{'wall best/s':>13}{'us each':>9}{'cost':>7}")
    first = best[cases[0].name]
    for case in cases:
        count, cpu = case.addresses, [r.cpu for r in times[case.name]]
        wall = count / min(r.wall for r in times[case.name])
        median = count / statistics.median(cpu)
        print(
            f"{case.name:24}{count:>10}{best[case.name]:>9.0f}{median:>10.0f}{wall:>13.0f}"
            f"{1e6 / best[case.name]:>9.1f}{first / best[case.name]:>7.2f}"
        )
    return best


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--addresses", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--growth", action="store_true", help="also 1x, 10x and 100x as many addresses")
    parser.add_argument("--blocks", action="store_true", help="also larger blocks")
    options = parser.parse_args()
    run(Case("warm-up", 10, 1_000))
    print(f"Round-robin over hosts, blocks of /26 ({options.runs} runs, best and median):")
    best = measure([Case(f"{hosts} hosts", hosts, options.addresses) for hosts in HOSTS], options.runs)
    if options.growth:
        print("\nGrowth over 1,000 hosts:")
        growth = [Case(f"{factor}x", 1_000, 5_000 * factor) for factor in (1, 10, 100)]
        measure(growth, 1 + options.runs // 5)
    if options.blocks:
        print("\nBlocks filled to the last address, two blocks for each of the hosts:")
        sizes = [Case(f"/{size}", 1 << (size - 17), 1 << 16, size) for size in (26, 24, 22, 20)]
        measure(sizes, 1 + options.runs // 5)
    rate = best["1000 hosts"]
    print(f"\n1,000 hosts: {rate:.0f} a second, {rate / GOAL:.2f} times the goal of {GOAL}.")
    return 0 if rate >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
