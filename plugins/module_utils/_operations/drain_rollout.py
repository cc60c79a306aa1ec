# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Restarts: begun once, waited for, and a changed strategy put back."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import (
    is_rolling,
    original_strategy,
    restart_patch,
    restore_patch,
    surge_patch,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import rollout_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import SURGE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import (
    Run,
    Task,
    has_still_room,
    rechoose,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_waiting import (
    finish,
    look_for_progress,
    rollout_words,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_writes import still_here, write_workload

# A rollout that ended and left pods in the pool is begun again this often: it may have been under way when
# the pool was disabled, but a second one of our own that changes nothing shows that restarts do not help.
MOST_RESTARTS = 2


def step_rollout(run: Run, task: Task, here: list[PodFacts]) -> bool:
    owner = task.owner
    workload = run.view.workloads.get(owner) if owner is not None else None
    if owner is None or workload is None:
        task.active = False
        task.note = "its workload has been deleted"
        task.done = not here
        return False
    if is_rolling(workload):
        task.active, task.stuck = True, ""
        task.note = rollout_words(run, task)
        look_for_progress(run, task, sum(pod.ready for pod in run.view.pods_of(owner)))
        return False
    if any(not pod.terminating for pod in here):
        return _start_rollout(run, task, owner, workload, here)
    if original_strategy(workload) is not None:
        task.active = True
        return write_workload(run, task, owner, restore_patch(workload), f"put the strategy of {owner.label} back")
    return finish(run, task, here)


def _start_rollout(run: Run, task: Task, owner: Owner, workload: Object, here: list[PodFacts]) -> bool:
    task.active = False
    task.note = run.may_start(task)
    if task.note:
        return False
    if not has_still_room(run, task):
        rechoose(run, task)
        return True
    if rechoose(run, task):
        return True
    task.note = rollout_gate(run.view, owner, task.choice)
    if task.note:
        return False
    if not any(still_here(run, pod) for pod in here if not pod.terminating):
        return True
    if task.restarts >= MOST_RESTARTS:
        task.failed = f"its pods still have addresses of the pool after {task.restarts} restarts"
        return True
    now = run.clock.now()
    if task.choice.way == SURGE and original_strategy(workload) is None:
        patch = surge_patch(workload, task.choice.bounds.surge, now)
        words = f"restart {owner.label}, adding {task.choice.bounds.surge} before taking any: {task.choice.reason}"
    else:
        patch = restart_patch(workload, now)
        words = f"restart {owner.label}: {task.choice.reason}"
    if not write_workload(run, task, owner, patch, words):
        return False
    task.restarts += 1
    task.active = True
    task.progress_at = run.clock.monotonic()
    added = task.choice.bounds.surge if task.choice.way == SURGE else 0
    task.note = f"restarting{f', adding {added} before taking any' if added else ''}: {task.choice.reason}"
    return True
