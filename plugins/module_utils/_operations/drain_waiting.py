# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a workload under way is waiting for, and for how long that is worth it (hazards.md D04, D13)."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import condition
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import EVICT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task, expected, wanted

# Kubernetes' own default for a Deployment that says nothing, and the number that says that there is no deadline.
PROGRESS_DEADLINE = 600.0
NO_DEADLINE = 2**31 - 1
# A workload whose pods have always taken long gets so many times what they took.
TIMES_USUAL = 3.0
# So long after its grace period a pod that is still there is held by a finalizer, a volume or a dead node.
STOP_MARGIN = 60.0


def finish(run: Run, task: Task, here: list[PodFacts]) -> bool:
    """All pods of the workload are on their way: wait for old ones to stop and for new ones to be ready."""
    pods = run.view.pods_of(task.owner)
    ready, goal = sum(pod.ready for pod in pods), expected(run, task)
    task.stuck = ""
    if ready < goal:
        task.active = True
        task.note = waiting_words(run, pods, ready, goal)
        look_for_progress(run, task, ready)
    elif here:
        task.active = True
        task.note = f"waiting for {here[0].name} to stop"
        _look_for_end(run, task, here)
    else:
        task.active, task.done, task.note = False, True, "done"
        run.breaker.forget(task.owner)
        return True
    return False


def _look_for_end(run: Run, task: Task, here: list[PodFacts]) -> None:
    """Pods that do not stop are not waited for: nothing is forced, and the rest goes on."""
    now = run.clock.monotonic()
    ends = []
    for pod in here:
        began = task.stopping.setdefault(pod.uid, now)
        ends.append(began + pod.grace + STOP_MARGIN)
    task.look_at = max(ends)
    if now >= task.look_at:
        task.look_at = 0.0
        task.active = False
        task.stuck = task.note = why_still_stopping(run, here[0])


def why_still_stopping(run: Run, pod: PodFacts) -> str:
    node = run.view.nodes.get(pod.node)
    words = f"still stopping since its grace period ended at {pod.deleted_at}"
    if node is not None and not node.ready:
        return f"{words}, and its node {pod.node} is not ready"
    return words


def look_for_progress(run: Run, task: Task, ready: int) -> None:
    """A workload without progress for as long as it may take is a failure, and no longer waited for."""
    now = run.clock.monotonic()
    gone = sum(1 for uid in task.pods if uid not in run.view.pods or not run.view.pods[uid].in_pool)
    # More ready pods, or fewer old ones; what was reached once and lost again is no progress.
    state = (gone, ready)
    if not task.progress or gone > task.progress[0] or (gone == task.progress[0] and ready > task.progress[1]):
        task.progress, task.progress_at = state, now
        task.stuck = ""
        run.breaker.forget(task.owner)
    stopping = _stopping_until(run, task, now)
    task.look_at = max(task.progress_at, stopping) + _deadline(run, task)
    if now < task.look_at and (now < stopping or not _given_up(run, task)):
        return
    task.look_at = 0.0
    task.active = False
    task.stuck = task.note
    if task.most_ready or wanted(run, task) == 0:
        run.breaker.note(task.owner, task.note)
    # What had no ready pod when it was begun is not the drain's failure.


def _stopping_until(run: Run, task: Task, now: float) -> float:
    """When the grace period ends of the last pod that is on its way out: until then, nothing new may come."""
    found = [pod for pod in run.view.pods_of(task.owner) if pod.terminating]
    return max((task.stopping.setdefault(pod.uid, now) + pod.grace for pod in found), default=0.0)


def _deadline(run: Run, task: Task) -> float:
    workload = run.view.workloads.get(task.owner) if task.owner is not None else None
    said = float(((workload or {}).get("spec") or {}).get("progressDeadlineSeconds") or NO_DEADLINE)
    return said if said < NO_DEADLINE else max(PROGRESS_DEADLINE, TIMES_USUAL * task.usual_start)


def _given_up(run: Run, task: Task) -> bool:
    """A Deployment's own verdict on its rollout."""
    workload = run.view.workloads.get(task.owner) if task.owner is not None else None
    if workload is None or task.choice.way == EVICT:
        return False
    progressing = condition(workload, "Progressing")
    return progressing.get("status") == "False" and progressing.get("reason") == "ProgressDeadlineExceeded"


def rollout_words(run: Run, task: Task) -> str:
    workload = run.view.workloads.get(task.owner) if task.owner is not None else None
    failure = condition(workload or {}, "ReplicaFailure")
    if failure.get("status") == "True":
        return f"its rollout does not progress: {failure.get('message') or failure.get('reason')}"
    progressing = condition(workload or {}, "Progressing")
    if progressing.get("status") == "False":
        return f"its rollout does not progress: {progressing.get('message') or progressing.get('reason')}"
    pods = run.view.pods_of(task.owner)
    return waiting_words(run, pods, sum(pod.ready for pod in pods), wanted(run, task), "its rollout")


def waiting_words(run: Run, pods: list[PodFacts], ready: int, goal: int, what: str = "") -> str:
    for pod in sorted(pods, key=lambda each: each.name):
        if not pod.ready and not pod.terminating and not pod.in_pool:
            failure = run.view.sandbox_failure(pod) or pod.trouble
            if failure:
                return f"waiting for {pod.name}: {failure}"
    # A surge has more ready pods than are wanted, and a rollout all of them while it goes on.
    return f"waiting for {what or 'new pods'}" + (f" ({ready} of {goal} ready)" if ready < goal else "")
