# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How long a drain will take, roughly: said in the plan, and used to begin the longest workloads first."""

from __future__ import annotations

import math
import typing as t
from statistics import median

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import ORDINARY
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import NEVER, QUORUM, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task

# Where no pod tells how long it took to become ready, or what it tells is no start-up time any more.
USUAL_START = 10.0
LONGEST_START = 600.0
# From the request to the end of a pod, where it must go before the next one comes.
USUAL_STOP = 5.0


def task_seconds(run: Run, task: Task) -> float:
    """Rounds times what the workload's own pods took to become ready."""
    if task.choice.way in (WAIT, NEVER) or task.hopeless:
        return 0.0
    pods = run.view.pods_of(task.owner)
    number = sum(pod.in_pool for pod in pods)
    known = [pod.startup for pod in pods if 0 < pod.startup <= LONGEST_START]
    start = median(known) if known else USUAL_START
    bounds = task.choice.bounds
    stop = 0.0 if bounds.unavailable == 0 else USUAL_STOP
    pause = 0.0
    if task.owner is not None and task.owner.kind == "StatefulSet" and number >= QUORUM:
        pause = run.options.pause * (number - 1)
    return math.ceil(number / max(1, bounds.disrupted)) * (start + stop) + pause


def drain_seconds(run: Run, tasks: t.Iterable[Task]) -> float:
    """The longest workload or the work of all over ``max_parallel``, and the stages that go one at a time."""
    serial, longest, work = 0.0, 0.0, 0.0
    for task in tasks:
        seconds = task_seconds(run, task)
        if task.stage != ORDINARY:
            serial += seconds
        else:
            longest = max(longest, seconds)
            work += seconds * task.choice.cost
    return serial + max(longest, work / run.max_parallel)


def in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
