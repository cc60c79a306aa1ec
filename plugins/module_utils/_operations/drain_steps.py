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

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import condition, metadata_of, uid_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import (
    desired_count,
    is_rolling,
    original_strategy,
    restart_patch,
    restore_patch,
    surge_patch,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.surge import surge_obstacle
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import ROLLED, Owner, read_counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import (
    NEVER,
    WAIT,
    Choice,
    choose,
    eviction_gate,
    rollout_gate,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    EVICT,
    SURGE,
    DrainOptions,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import SOURCES, PodFacts, View

# A rollout that ended and left pods in the pool is begun again this often: it may have been under way when
# the pool was disabled, but a second one of our own that changes nothing shows that restarts do not help.
MOST_RESTARTS = 2
FOLLOWED = frozenset(source.name for source in SOURCES)
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 20.0


@dataclass
class Task:
    """One workload on its way; ``owner`` is ``None`` for all bare pods together."""

    owner: Owner | None
    choice: Choice
    dns: bool
    baseline: int
    """Pods when the task was made: what an owner wants that does not say so itself."""
    pods: set[str] = field(default_factory=set)
    """uids of the pods to move."""
    active: bool = False
    done: bool = False
    note: str = ""
    """What it is doing or waiting for."""
    acted: bool = False
    failed: str = ""
    """Why it cannot go on; waiting does not help."""
    evicted: set[str] = field(default_factory=set)
    restarts: int = 0
    failures: int = 0
    not_before: float = 0.0
    chosen_at: int = -1
    obstacle: tuple[str | None] | None = None

    @property
    def hopeless(self) -> bool:
        """Whether waiting cannot help."""
        return bool(self.failed or self.choice.way == NEVER or (self.choice.way == EVICT and self.choice.blocked))


@dataclass
class Run:
    """What the steps work with. ``may_start`` says why a task has to wait for others, ``""`` when it need not."""

    api: KubeApi
    view: View
    options: DrainOptions
    clock: Clock
    may_start: t.Callable[[Task], str] = lambda task: ""
    steps: list[str] = field(default_factory=list)


def make_task(run: Run, owner: Owner | None) -> Task:
    """A task for a workload that has pods in the pool, or a strategy to put back."""
    view = run.view
    if owner is not None and owner not in view.workloads:
        thing = read_counted(run.api, owner)
        if thing is not None:
            view.put(owner, thing)
    pods = view.pods_of(owner)
    dns = any(pod.namespace == "kube-system" and pod.labels.get("k8s-app") == "kube-dns" for pod in pods)
    task = Task(owner, Choice(WAIT, ""), dns, sum(not pod.terminating for pod in pods))
    rechoose(run, task)
    return task


def rechoose(run: Run, task: Task) -> bool:
    """Choose the way again when workloads or budgets have changed; true when that made a difference."""
    if task.chosen_at == run.view.revision:
        return False
    task.chosen_at = run.view.revision

    def obstacle() -> str | None:
        if task.obstacle is None and task.owner is not None:
            task.obstacle = (surge_obstacle(run.api, run.view.workloads[task.owner]),)
        return task.obstacle[0] if task.obstacle else None

    before = task.choice
    task.choice = choose(run.view, task.owner, run.options.max_parallel, obstacle)
    return task.choice != before


def wanted(run: Run, task: Task) -> int:
    """How many ready pods the workload is to have."""
    workload = run.view.workloads.get(task.owner) if task.owner is not None else None
    return desired_count(workload) if workload is not None else task.baseline


def moved(run: Run, task: Task) -> int:
    """Pods of the task that are gone and replaced by ready ones."""
    view = run.view
    gone = sum(1 for uid in task.pods if uid not in view.pods or not view.pods[uid].in_pool)
    if task.choice.way in (WAIT, NEVER):
        return gone
    pods = view.pods_of(task.owner)
    # A pod on its way out is missed as well, but it is not one of those that are gone.
    missed = wanted(run, task) - sum(pod.ready or (pod.in_pool and pod.terminating) for pod in pods)
    return max(0, gone - max(0, missed))


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
    if run.clock.monotonic() < task.not_before:
        return False
    return _step_evictions(run, task, here) if task.choice.way == EVICT else _step_rollout(run, task, here)


def _step_rollout(run: Run, task: Task, here: list[PodFacts]) -> bool:
    owner = task.owner
    workload = run.view.workloads.get(owner) if owner is not None else None
    if owner is None or workload is None:
        task.active = False
        task.note = "its workload has been deleted"
        task.done = not here
        return False
    if is_rolling(workload):
        task.active = True
        task.note = _rollout_words(run, task, workload)
        return False
    if any(not pod.terminating for pod in here):
        return _start_rollout(run, task, owner, workload, here)
    if original_strategy(workload) is not None:
        task.active = True
        return _write(run, task, owner, restore_patch(workload), f"put the strategy of {owner.label} back")
    return _finish(run, task, here)


def _start_rollout(run: Run, task: Task, owner: Owner, workload: Object, here: list[PodFacts]) -> bool:
    task.active = False
    task.note = run.may_start(task)
    if task.note:
        return False
    if rechoose(run, task):
        return True
    task.note = rollout_gate(run.view, owner, task.choice)
    if task.note:
        return False
    if not any(_still_here(run, pod) for pod in here if not pod.terminating):
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
    if not _write(run, task, owner, patch, words):
        return False
    task.restarts += 1
    task.active = True
    added = task.choice.bounds.surge if task.choice.way == SURGE else 0
    task.note = f"restarting{f', adding {added} before taking any' if added else ''}: {task.choice.reason}"
    return True


def _still_here(run: Run, pod: PodFacts) -> bool:
    """Read the pod itself: watches of two kinds have no common order, so a rollout may be seen to be complete
    before its last old pod is seen to go, and must not be begun again for that."""
    try:
        thing = run.api.get(PODS, pod.name, pod.namespace)
    except NotFound:
        thing = None
    if thing is None or uid_of(thing) != pod.uid:
        # Also when another has its name by now: the old one must not be looked for again and again.
        gone = {"metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}}
        run.view.apply("pods", "DELETED", gone)
        return False
    run.view.apply("pods", "MODIFIED", thing)
    now = run.view.pods.get(pod.uid)
    return now is not None and now.in_pool and not now.terminating


def _finish(run: Run, task: Task, here: list[PodFacts]) -> bool:
    pods = run.view.pods_of(task.owner)
    ready, goal = sum(pod.ready for pod in pods), wanted(run, task)
    if here:
        task.active = True
        task.note = f"waiting for {here[0].name} to stop"
    elif ready < goal:
        task.active = True
        task.note = _waiting_words(run, pods, ready, goal)
    else:
        task.active, task.done, task.note = False, True, "done"
        return True
    return False


def _step_evictions(run: Run, task: Task, here: list[PodFacts]) -> bool:
    pods = run.view.pods_of(task.owner)
    if not _look_at_size(run, task):
        return False
    candidates = [pod for pod in here if not pod.terminating and pod.uid not in task.evicted]
    if not candidates:
        return _finish(run, task, here)
    if task.choice.blocked:
        task.note = task.choice.blocked
        task.active = False
        return False
    ready = sum(pod.ready and pod.uid not in task.evicted for pod in pods)
    goal = wanted(run, task)
    at_once = task.choice.bounds.unavailable
    # Pods that serve nobody go first; of the others the highest ordinal, as a StatefulSet's own rollout does.
    candidates.sort(key=lambda each: (each.ready, -each.ordinal, each.name))
    under_way = sum(pod.uid in task.evicted for pod in pods)
    if under_way >= at_once or (candidates[0].ready and goal - ready >= at_once):
        task.note = _waiting_words(run, pods, ready, goal)
        return False
    if any(pod.terminating for pod in here) and task.owner is not None and task.owner.kind == "StatefulSet":
        # Its successor comes only once it is gone; an unready pod's end must be seen as well.
        task.note = "waiting for the old pod to stop"
        return False
    if not task.active:
        task.note = run.may_start(task)
        if task.note:
            return False
        if rechoose(run, task):
            return True
    for pod in candidates:
        task.note = eviction_gate(run.view, pod, goal, ready)
        if not task.note:
            return _evict(run, task, pod)
    return False


def _look_at_size(run: Run, task: Task) -> bool:
    """Read how many pods a ReplicaSet wants by now: they are not watched, since a cluster has thousands of old ones.

    False when that could not be read, so that nothing is evicted on an old number.
    """
    owner = task.owner
    known = run.view.workloads.get(owner) if owner is not None else None
    if owner is None or known is None or owner.kind in FOLLOWED:
        return True
    try:
        thing = read_counted(run.api, owner)
    except (ServerError, TooManyRequests, Unreachable) as error:
        _pause(run, task, error.retry_after if isinstance(error, ApiError) else None)
        task.note = error.message
        return False
    if thing is None or metadata_of(thing).get("resourceVersion") != metadata_of(known).get("resourceVersion"):
        run.view.put(owner, thing)
    return True


def _evict(run: Run, task: Task, pod: PodFacts) -> bool:
    try:
        run.api.evict(pod.name, pod.namespace, uid=pod.uid)
    except (NotFound, Conflict):
        # Gone already, perhaps by our own request whose answer was lost, or replaced under the same name.
        task.evicted.add(pod.uid)
        return True
    except TooManyRequests as error:
        causes = "; ".join(str(cause.get("message") or "") for cause in error.causes)
        _pause(run, task, error.retry_after)
        task.note = f"waiting for its budget ({causes or error.message})"
        return False
    except ServerError as error:
        if "more than one PodDisruptionBudget" in error.message:
            task.failed = "several budgets match its pods, which the Eviction API does not support: remove all but one"
        else:
            _pause(run, task, error.retry_after)
        task.note = task.failed or error.message
        return False
    except Unreachable as error:
        _pause(run, task, None)
        task.note = error.message
        return False
    except Forbidden as error:
        return _denied(task, error)
    task.evicted.add(pod.uid)
    task.failures = 0
    task.active = task.acted = True
    task.note = f"evicted {pod.name}: {task.choice.reason}"
    run.steps.append(f"evict pod {pod.short}: {task.choice.reason}")
    return True


def _write(run: Run, task: Task, owner: Owner, patch: Object, words: str) -> bool:
    """One compare-and-swap on the workload; whatever comes of it, the view then shows the workload as it is."""
    try:
        run.view.put(owner, run.api.patch(ROLLED[owner.kind], owner.name, patch, owner.namespace))
    except (Conflict, NotFound):
        _pause(run, task, None)
    except (ServerError, TooManyRequests, Unreachable) as error:
        _pause(run, task, error.retry_after if isinstance(error, ApiError) else None)
        task.note = error.message
    except (Invalid, BadRequest) as error:
        task.failed = f"it cannot be changed: {error.message}"
        return False
    except Forbidden as error:
        return _denied(task, error)
    else:
        task.failures = 0
        task.acted = True
        run.steps.append(words)
        return True
    try:
        run.view.put(owner, read_counted(run.api, owner))
    except (ServerError, TooManyRequests, Unreachable):
        # The watch will tell; until then the stale version keeps a second write from passing.
        task.note = task.note or "waiting for the cluster to answer"
    return False


def _denied(task: Task, error: Forbidden) -> bool:
    if " cannot " in error.message:
        # Not about this workload: the user has no right to do what the drain is made of.
        raise error
    task.failed = f"the cluster denies the change: {error.message}"
    task.note = task.failed
    return False


def _pause(run: Run, task: Task, retry_after: float | None) -> None:
    """Try again after a while, or as soon as the budgets change (see ``wake``)."""
    task.failures += 1
    pause = retry_after if retry_after is not None else min(FIRST_PAUSE * 2.0 ** (task.failures - 1), LONGEST_PAUSE)
    task.not_before = run.clock.monotonic() + pause


def wake(task: Task) -> None:
    """Something the task may have been waiting for has changed."""
    task.not_before = 0.0


def _rollout_words(run: Run, task: Task, workload: Object) -> str:
    progressing = condition(workload, "Progressing")
    if progressing.get("status") == "False":
        return f"its rollout does not progress: {progressing.get('message') or progressing.get('reason')}"
    pods = run.view.pods_of(task.owner)
    return _waiting_words(run, pods, sum(pod.ready for pod in pods), wanted(run, task), "its rollout")


def _waiting_words(run: Run, pods: list[PodFacts], ready: int, goal: int, what: str = "") -> str:
    for pod in sorted(pods, key=lambda each: each.name):
        if not pod.ready and not pod.terminating and not pod.in_pool:
            failure = run.view.sandbox_failure(pod) or pod.trouble
            if failure:
                return f"waiting for {pod.name}: {failure}"
    return f"waiting for {what or 'new pods'} ({ready} of {goal} ready)"
