# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import Bounds
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_gates import Usage, why_limited
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import Choice
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View

from .drain_objects import POOL, Shelf, pod, ref


def run_with(pods: t.Mapping[str, int], max_parallel: int = 5) -> Run:
    """Pods of each workload, which took ten seconds to start."""
    api = t.cast("t.Any", Shelf())
    view = View(Owners(api), "old", POOL)
    for name, number in pods.items():
        for index in range(number):
            view.apply("pods", "ADDED", pod(f"{name}-{index}", owner=ref("StatefulSet", name)))
    view.finish_loading()
    return Run(api, view, DrainOptions("old", max_parallel=max_parallel, pause=0), SystemClock())


def task(name: str, cost: int, seconds: float, number: int, active: bool = False) -> Task:
    found = Task(Owner("shop", name, "StatefulSet"), Choice("restart", "", Bounds(cost, 0)), number)
    return replace(
        found, pods={f"{name}-{index}" for index in range(number)}, seconds=seconds, active=active, missing=number
    )


def test_places_that_are_kept_are_lent_to_those_who_end_in_time() -> None:
    """One place of five is taken for 200 seconds, and somebody wants all five."""
    run = run_with({"long": 20})
    usage = Usage()
    usage.add(task("long", 1, 200, 20, active=True))
    waits = "waiting for its turn (max_parallel 5)"
    assert why_limited(run, usage, task("wide", 5, 20, 5)) == waits
    assert usage.kept is not None
    assert (usage.kept.soon, usage.kept.spare) == (pytest.approx(200), 0)
    short, slow = task("short", 2, 150, 10), task("slow", 2, 300, 20)
    assert why_limited(run, usage, slow) == waits
    assert why_limited(run, usage, short) == ""
    usage.add(short)
    assert why_limited(run, usage, task("other", 3, 20, 3)) == waits  # only two are left


def test_places_that_nobody_will_want_then_are_lent_for_longer() -> None:
    """Of six, three are wanted when the two long ones end: three are to spare."""
    run = run_with({"one": 20, "two": 20}, max_parallel=6)
    usage = Usage()
    for name in ("one", "two"):
        usage.add(task(name, 2, 200, 20, active=True))
    assert why_limited(run, usage, task("wide", 3, 20, 3)) != ""
    assert usage.kept is not None
    assert usage.kept.spare == 1
    endless = task("endless", 1, 1000, 50)
    assert why_limited(run, usage, endless) == ""
    usage.add(endless)
    assert why_limited(run, usage, task("endless-too", 1, 1000, 50)) != ""


def test_what_only_has_to_stop_takes_no_place() -> None:
    stopping = replace(task("stopping", 3, 20, 3, active=True), acted=True, missing=0)
    assert (stopping.cost, replace(stopping, missing=1).cost, replace(stopping, missing=9).cost) == (0, 1, 3)
    assert replace(stopping, acted=False).cost == 1
