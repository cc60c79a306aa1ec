# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Evictions: pod by pod, each only when the one before is replaced (hazards.md D08, D09)."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import COUNTED
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import QUORUM, eviction_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import (
    Run,
    Task,
    expected,
    rechoose,
    wanted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_waiting import (
    finish,
    look_for_progress,
    waiting_words,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_writes import evict_pod, look_at_size

# Seconds that a workload with fewer ready pods than it wants is given to get them back before one is evicted.
PATIENCE = 60.0


def step_evictions(run: Run, task: Task, here: list[PodFacts]) -> bool:
    """Evict the next pod if it may go now; true when something was done."""
    pods = run.view.pods_of(task.owner)
    if not look_at_size(run, task):
        return False
    task.stuck = ""
    if task.owner is not None and task.owner.kind in COUNTED and task.owner not in run.view.workloads:
        # Nobody replaces what is left of it, which goes by itself.
        task.active, task.note, task.done = False, "its workload has been deleted", not here
        return False
    candidates = [pod for pod in here if not pod.terminating and pod.uid not in task.evicted]
    if not candidates:
        return finish(run, task, here)
    if task.choice.blocked:
        task.note = task.choice.blocked
        task.active = False
        return False
    ready = sum(pod.ready and pod.uid not in task.evicted for pod in pods)
    goal = _goal(run, task)
    at_once = task.choice.bounds.unavailable
    # Pods that serve nobody go first; of the others the highest ordinal, as a StatefulSet's own rollout does.
    candidates.sort(key=lambda each: (each.ready, -each.ordinal, each.name))
    under_way = sum(pod.uid in task.evicted for pod in pods)
    if under_way >= at_once or (candidates[0].ready and goal - ready >= at_once):
        task.active = task.active or bool(task.evicted)
        task.note = waiting_words(run, pods, ready, goal)
        if task.evicted:
            look_for_progress(run, task, ready)
        return False
    if _is_set(task) and any(pod.terminating for pod in here):
        # Its successor comes only once it is gone; an unready pod's end must be seen as well.
        task.note = "waiting for the old pod to stop"
        return False
    if _pause_between(run, task, pods, goal):
        return False
    if not task.active:
        task.note = run.may_start(task)
        if task.note:
            return False
        if rechoose(run, task):
            return True
    return _evict_first(run, task, candidates, ready)


def _goal(run: Run, task: Task) -> int:
    """How many ready pods there are to be before one more may go.

    What has fewer than it wants is given a while to recover; what does not was like that before.
    """
    if not task.acted and run.clock.monotonic() - task.queued_at < PATIENCE:
        task.look_at = task.queued_at + PATIENCE
        return wanted(run, task)
    return expected(run, task)


def _evict_first(run: Run, task: Task, candidates: list[PodFacts], ready: int) -> bool:
    kept = ""
    for pod in candidates:
        kept = _better_left(run, task, pod)
        if kept:
            continue
        full = run.may_evict(pod)
        task.waits_for_node = pod.node if full else ""
        task.note = full or eviction_gate(run.view, pod, wanted(run, task), ready)
        if not task.note:
            if not task.evicted:
                task.progress_at = run.clock.monotonic()
            return evict_pod(run, task, pod)
    if kept and all(_better_left(run, task, pod) for pod in candidates):
        task.stuck = task.note = kept
        task.active = False
    return False


def _better_left(run: Run, task: Task, pod: PodFacts) -> str:
    """Why evicting this pod would only do harm, as things are on its node (D13, D14)."""
    node = run.view.nodes.get(pod.node)
    if node is None:
        return ""
    if not node.ready:
        return f"its node {pod.node} is not ready, so it could not be stopped there"
    daemon = task.owner is not None and task.owner.kind == "DaemonSet"
    if daemon and pod.node in run.view.unserved(pod.namespace):
        return f"no enabled pool has addresses for its node {pod.node}: let a pool select the node"
    return ""


def _pause_between(run: Run, task: Task, pods: list[PodFacts], goal: int) -> bool:
    """Keep the pause before each further member of a StatefulSet, also after an earlier run moved some."""
    if not _is_set(task) or goal < QUORUM or run.options.pause <= 0:
        return False
    gone = sum(1 for pod in pods if not pod.in_pool and pod.addressed)
    if gone == 0 or task.paused_for == gone:
        return False
    task.paused_for = gone
    task.queued_at = run.clock.monotonic()
    task.not_before = task.queued_at + run.options.pause
    # Nothing of it is being replaced meanwhile, so its place is free for others.
    task.active = False
    task.note = f"a pause of {run.options.pause:g} s between its members"
    return True


def _is_set(task: Task) -> bool:
    return task.owner is not None and task.owner.kind == "StatefulSet"
