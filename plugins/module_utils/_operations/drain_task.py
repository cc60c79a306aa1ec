# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One workload on its way out of a pool, and what all of them have in common."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from statistics import median

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import desired_count
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.surge import surge_obstacle
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, read_counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_breaker import Breaker
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import ORDINARY, Serving
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import (
    NEVER,
    WAIT,
    Choice,
    Limits,
    choose,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View

FEWEST_PARALLEL, MOST_PARALLEL = 5, 100
# What a pod says it took beyond that is no start-up: it lost its readiness and found it again.
LONGEST_START = 3600.0


@dataclass
class Task:
    """One workload on its way; ``owner`` is ``None`` for all bare pods together."""

    owner: Owner | None
    choice: Choice
    baseline: int
    """Pods when the task was made: what an owner wants that does not say so itself."""
    stage: int = ORDINARY
    pods: set[str] = field(default_factory=set)
    """uids of the pods to move."""
    active: bool = False
    done: bool = False
    note: str = ""
    """What it is doing or waiting for."""
    acted: bool = False
    failed: str = ""
    """Why it cannot go on; waiting does not help."""
    stuck: str = ""
    """Why it is not waited for; it may still come about."""
    moved: int = 0
    """Pods that are gone and replaced, as of the last look."""
    missing: int = 0
    """Pods it wants ready with an address elsewhere and has not yet, as of the last look."""
    evicted: set[str] = field(default_factory=set)
    stopping: dict[str, float] = field(default_factory=dict)
    """When each pod was first seen to be on its way out."""
    restarts: int = 0
    failures: int = 0
    failing_since: float = 0.0
    not_before: float = 0.0
    """No request before that moment, whatever happens: the server said so, or it is a pause."""
    retry_at: float = 0.0
    """No request before that moment, unless a budget changes."""
    look_at: float = 0.0
    """Something is due then even if no event comes."""
    waits_for_node: str = ""
    """The node that has to become free for its next pod."""
    paused_for: int = -1
    """For how many evictions the pause after them has been kept."""
    progress: tuple[int, ...] = ()
    progress_at: float = 0.0
    most_ready: int = 0
    """The most ready pods it has been seen with, or may be missing only for what an earlier run did."""
    usual_start: float = 0.0
    """Seconds its pods took to become ready, as far as that can be told."""
    queued_at: float = 0.0
    seconds: float = 0.0
    """How long it will take, roughly, from its beginning."""
    chosen_at: tuple[int, int] = (-1, -1)
    obstacle: tuple[tuple[int, str | None], ...] = ()
    budgets: frozenset[str] = frozenset()

    @property
    def hopeless(self) -> bool:
        """Whether waiting cannot help."""
        return bool(self.failed or self.choice.way == NEVER or (self.choice.way != WAIT and self.choice.blocked))

    @property
    def awaited(self) -> bool:
        """Whether the drain goes on for its sake."""
        return not self.done and not self.stuck and (self.active or not self.hopeless)

    @property
    def cost(self) -> int:
        """Pods being replaced at the same time, from now on; none when only old ones still have to stop."""
        if self.active and self.missing == 0 and self.acted:
            return 0
        return max(1, min(self.choice.cost, max(1, self.missing) if self.active else len(self.pods) - self.moved))

    @property
    def due(self) -> float:
        return max(self.not_before, self.retry_at)


@dataclass
class Run:
    """What the steps work with. ``may_start`` says why a task has to wait for others, ``""`` when it need not."""

    api: KubeApi
    view: View
    options: DrainOptions
    clock: Clock
    serving: Serving = field(default_factory=Serving)
    may_start: t.Callable[[Task], str] = lambda task: ""
    may_evict: t.Callable[[PodFacts], str] = lambda pod: ""
    steps: list[str] = field(default_factory=list)
    breaker: Breaker = field(default_factory=Breaker)
    saved: dict[Owner, Object] = field(default_factory=dict)
    """Manifests of bare pods that are to be created again."""
    created: set[Owner] = field(default_factory=set)
    """Bare pods that have been, and are not back yet."""
    quiet_until: float = 0.0
    """The server asked for fewer requests, or answers nobody: nothing is asked for before."""
    troubles: int = 0
    """How many requests in a row the server could not answer."""
    served_at: float = 0.0
    """When it last carried out a write."""

    @property
    def max_parallel(self) -> int:
        """As asked for, or one for each node that takes pods, within reason."""
        if self.options.max_parallel is not None:
            return self.options.max_parallel
        usable = sum(node.usable for node in self.view.nodes.values())
        return min(MOST_PARALLEL, max(FEWEST_PARALLEL, usable))


def make_task(run: Run, owner: Owner | None) -> Task:
    """A task for a workload that has pods in the pool, or a strategy to put back."""
    view = run.view
    if owner is not None and owner not in view.workloads:
        thing = read_counted(run.api, owner)
        if thing is not None:
            view.put(owner, thing)
    pods = view.pods_of(owner)
    bare = owner is not None and owner.kind == "Pod"
    task = Task(owner, Choice(WAIT, ""), 1 if bare else sum(not pod.terminating for pod in pods))
    task.stage = run.serving.stage_of(view, owner, pods)
    task.queued_at = task.progress_at = run.clock.monotonic()
    # Those that are not ready and not new, and those that find no node. New ones may be an earlier run's.
    broken = sum(not (pod.ready or pod.terminating) and (pod.in_pool or not pod.node) for pod in pods)
    task.most_ready = max(0, wanted(run, task) - broken)
    known = [pod.startup for pod in pods if 0 < pod.startup <= LONGEST_START]
    task.usual_start = median(known) if known else 0.0
    rechoose(run, task)
    return task


def rechoose(run: Run, task: Task) -> bool:
    """Choose the way again when workloads, budgets or nodes have changed; true when that made a difference."""
    revision = run.view.revision(task.owner.namespace if task.owner is not None else "")
    if task.chosen_at == revision:
        return False
    task.chosen_at = revision

    def obstacle() -> str | None:
        # Asked again when the nodes change, and right before the beginning (``has_still_room``).
        if task.owner is not None and (not task.obstacle or task.obstacle[0][0] != run.view.node_revision):
            task.obstacle = ((run.view.node_revision, _obstacle(run, task.owner)),)
        return task.obstacle[0][1] if task.obstacle else None

    before = task.choice
    limits = Limits(run.max_parallel, run.options.max_parallel_per_namespace, run.options.pause, run.options.consent)
    task.choice = choose(run.view, task.owner, limits, obstacle, run.serving, task.stage)
    task.budgets = frozenset(budget.label for budget in run.view.budgets_of(run.view.pods_of(task.owner)))
    return task.choice != before


def has_still_room(run: Run, task: Task) -> bool:
    """Whether what was found of room for one more pod is still so, for a choice that goes by it.

    Others take room all the time, so it is asked again when it matters; if not, the way has to be chosen again.
    """
    if task.owner is None or not task.obstacle or task.choice.bounds.unavailable or not task.choice.bounds.surge:
        return True
    found = _obstacle(run, task.owner)
    if found == task.obstacle[0][1]:
        return True
    task.obstacle = ((run.view.node_revision, found),)
    task.chosen_at = (-1, -1)
    return False


def _obstacle(run: Run, owner: Owner) -> str | None:
    view = run.view
    nodes = list(view.nodes.values()) or None
    used = None if len(view.namespaces) == 1 else view.used
    quotas = view.quotas.get(owner.namespace, {}).values()
    return surge_obstacle(run.api, view.workloads[owner], nodes, used, quotas)


def wanted(run: Run, task: Task) -> int:
    """How many ready pods the workload is to have."""
    workload = run.view.workloads.get(task.owner) if task.owner is not None else None
    return desired_count(workload) if workload is not None else task.baseline


def expected(run: Run, task: Task) -> int:
    """How many of them can be expected: no more than there have been, for what was broken before stays so."""
    return min(wanted(run, task), task.most_ready)


def count_missing(run: Run, task: Task) -> int:
    """Ready pods with an address elsewhere that the workload does not have yet."""
    pods = run.view.pods_of(task.owner)
    return max(0, expected(run, task) - sum(pod.ready and pod.addressed and not pod.in_pool for pod in pods))


def count_moved(run: Run, task: Task) -> int:
    """Pods of the task that are gone and replaced by ready ones."""
    known = run.view.pods
    gone = sum(1 for uid in task.pods if uid not in known or not known[uid].in_pool)
    if task.choice.way in (WAIT, NEVER):
        return gone
    pods = run.view.pods_of(task.owner)
    # A pod on its way out is missed as well, but it is not one of those that are gone.
    missed = expected(run, task) - sum(pod.ready or (pod.in_pool and pod.terminating) for pod in pods)
    return max(0, gone - max(0, missed))


def wake(task: Task) -> None:
    """The budgets it may have been waiting for have changed; what the server or a pause demands still holds."""
    task.retry_at = 0.0
