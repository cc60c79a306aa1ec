# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One workload's way out of a pool, step by step.

``step`` looks at where the workload stands and does the next thing that may be done now: nothing, one
restart, one eviction, or putting a strategy back. All it remembers can be found again in the cluster, so a
drain that was killed goes on where it was: a rollout under way is waited for, never started twice.
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_bare_pods import step_bare_pod
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_evictions import step_evictions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import NEVER, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import EVICT, RECREATE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_rollout import step_rollout
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task, rechoose


def step(run: Run, task: Task) -> bool:
    """Do the next thing that may be done; true when something was done, so that a look again is worth it."""
    here = [pod for pod in run.view.pods_of(task.owner) if pod.in_pool]
    if task.done:
        task.done = not here
        return False
    if not task.active and task.choice.blocked:
        rechoose(run, task)
    if task.choice.way in (WAIT, NEVER):
        task.done = not here
        task.note = task.choice.blocked or "left to finish"
        return False
    if task.failed:
        task.note = task.failed
        return False
    if run.clock.monotonic() < task.due:
        return False
    if task.choice.way == RECREATE:
        return step_bare_pod(run, task, here)
    return step_evictions(run, task, here) if task.choice.way == EVICT else step_rollout(run, task, here)
