# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses assigned and released a second, and races lost, by one writer and by eight, on every datastore.

Writers are processes, in memory threads. They work on hosts of their own, or all for one host and so on the same
block, the worst that can happen. The embedded cluster and etcd share the machine with the writers.

    python benchmarks/concurrency.py [--seconds 4] [--writers 1 8]
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import sys
import tempfile
import threading
import time
import typing as t
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "stress")]

from backends import NODES, POOLS, Backend, EtcdBackend, KubernetesBackend, MemoryBackend, open_backend  # noqa: E402
from etcd_fixture import start_etcd  # noqa: E402
from twin_fixture import start_twin  # noqa: E402
from writer import Counting, clock  # noqa: E402

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign  # noqa: E402
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest  # noqa: E402
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle  # noqa: E402

Words = t.Mapping[str, t.Any]


def work(backend: Backend, number: int, host: str, seconds: float) -> Counter[str]:
    """Pods come and go: an address under a new handle, and back."""
    store = Counting(backend.store)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        handle = f"writer-{number}.{store.counts['pods']}"
        result = auto_assign(store, AssignRequest(host, 1, handle_id=handle, attributes={"node": host}), now=clock)
        if len(result.addresses) != 1 or release_by_handle(store, handle, now=clock) != 1:
            raise RuntimeError(f"{handle}: {result.problem}")
        store.counts["pods"] += 1
    return store.counts


def process(words: Words, number: int, host: str, seconds: float, ready: t.Any, out: t.Any) -> None:
    backend = open_backend(words)
    backend.store.pools()  # the connection is up
    ready.wait()
    out.put(work(backend, number, host, seconds))


def measure(backend: Backend, writers: int, one_host: bool, seconds: float) -> Counter[str]:
    hosts = [NODES[0] if one_host else NODES[number % len(NODES)] for number in range(writers)]
    total: Counter[str] = Counter()
    if isinstance(backend, MemoryBackend):
        counts: list[Counter[str]] = []
        threads = [
            threading.Thread(target=lambda n=n, host=host: counts.append(work(backend, n, host, seconds)))
            for n, host in enumerate(hosts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        context = multiprocessing.get_context("fork")
        ready, out = context.Barrier(writers), context.Queue()
        processes = [
            context.Process(target=process, args=(backend.words, n, host, seconds, ready, out))
            for n, host in enumerate(hosts)
        ]
        for started in processes:
            started.start()
        counts = [out.get(timeout=seconds + 60) for _process in processes]
        for started in processes:
            started.join()
    for count in counts:
        total.update(count)
    return total


@contextlib.contextmanager
def backends() -> t.Iterator[dict[str, Backend]]:
    nodes: list[dict[str, t.Any]] = [{"name": name} for name in NODES]
    scenario: list[dict[str, t.Any]] = [
        {
            "apiVersion": "ipam.calico-ops.io/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": "benchmark"},
            "spec": {"nodes": nodes},
        }
    ]
    scenario += [
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "metadata": {"name": name},
            "spec": {"cidr": cidr, "blockSize": size, "ipipMode": "Never", "vxlanMode": "Never"},
        }
        for name, cidr, size in POOLS
    ]
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        twin = stack.enter_context(start_twin(Path(directory), scenario, speed=1.0))
        (Path(directory) / "etcd").mkdir()
        etcd = stack.enter_context(start_etcd(Path(directory) / "etcd"))
        found: dict[str, Backend] = {
            "memory": MemoryBackend(),
            "twin, HTTPS": KubernetesBackend(twin.kubeconfig),
            "etcd": EtcdBackend(etcd.url),
        }
        for backend in found.values():
            backend.begin()
        yield found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args()
    print("datastore      writers  hosts  pods/s  writes/s  races lost")
    with backends() as found:
        for name, backend in found.items():
            for writers in options.writers:
                for one_host in [True] if writers == 1 else [False, True]:
                    total = measure(backend, writers, one_host, options.seconds)
                    lost = total["lost"] / (total["lost"] + total["writes"])
                    hosts = 1 if one_host else min(writers, len(NODES))
                    print(
                        f"{name:<14} {writers:>7}  {hosts:>5}  {total['pods'] / options.seconds:>6.0f}"
                        f"  {total['writes'] / options.seconds:>8.0f}  {lost:>9.1%}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
