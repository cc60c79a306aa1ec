# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who is looked at when: workloads to which something happened, and then those who wait for a free place.

A change in the cluster concerns one workload, so only that one is looked at again. The others wait in their
order and are looked at when a place may have become free; while none is, they cost nothing.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import original_strategy
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_canary import Canary
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_estimate import task_seconds
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_gates import (
    Gate,
    Usage,
    stage_now,
    why_limited,
    why_node_full,
    why_not_its_stage,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import ORDINARY, place
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import NEVER, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_shortage import Shortage
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_steps import step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import (
    Run,
    Task,
    count_missing,
    count_moved,
    make_task,
    wake,
    wanted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_writes import note_trouble

Tell = t.Callable[[Task], None]


@dataclass
class Agenda:
    """All workloads of a drain."""

    run: Run
    tell: Tell
    tasks: dict[Owner | None, Task] = field(default_factory=dict)
    moved: int = 0
    total: int = 0
    _order: list[Task] = field(default_factory=list)
    _canary: Canary = field(init=False)
    _gate: Gate = field(init=False)
    shortage: Shortage = field(init=False)
    _usage: Usage = field(default_factory=Usage)
    _stage: int = ORDINARY
    _closed: str = ""
    _holding: bool = False
    _nodes_seen: int = -1

    def __post_init__(self) -> None:
        self._canary = Canary(self.run.view, self.run.options.canary, lambda task: task_seconds(self.run, task))
        self._gate = Gate(self.run)
        self.shortage = Shortage(self.run)
        self.run.may_start = self._may_start
        self.run.may_evict = lambda pod: why_node_full(self.run, pod.node)

    def begin(self) -> None:
        """The lists are in: make a task for each workload with pods in the pool or a strategy to put back."""
        view = self.run.view
        for owner in dict.fromkeys(pod.owner for pod in view.in_pool()):
            self._notice(owner)
        for owner, workload in sorted(view.workloads.items()):
            if owner.kind == "Deployment" and owner not in self.tasks and original_strategy(workload) is not None:
                self._add(owner)
        for owner in sorted(self.run.saved):
            if owner not in self.tasks:
                self._add(owner)
        view.touched.clear()
        view.touched_budgets.clear()
        for task in self.tasks.values():
            self.shortage.note(task)
        self._gate.begin(list(self.tasks.values()))
        self._sort()

    def advance(self) -> bool:
        """Let everybody do what may be done now; false when the drain is over."""
        view = self.run.view
        touched, view.touched = view.touched, set()
        spaces, view.touched_budgets = view.touched_budgets, set()
        try:
            return self._advance(touched, spaces)
        except (ServerError, TooManyRequests, Unreachable) as error:
            # Something could not be read. What happened is looked at again when the server answers.
            view.touched |= touched
            view.touched_budgets |= spaces
            note_trouble(self.run, error, alone=True)
            return True

    def _advance(self, touched: set[Owner | None], spaces: set[str]) -> bool:
        view, now = self.run.view, self.run.clock.monotonic()
        view.look_at_places()
        for owner in touched:
            self._notice(owner)
            if owner in self.tasks:
                self.shortage.note(self.tasks[owner])
        self.shortage.look(self.tasks, now)
        if len(self.tasks) != len(self._order):
            self._sort()
        everybody = view.node_revision != self._nodes_seen
        for task in self._order:
            namespace = task.owner.namespace if task.owner is not None else ""
            if namespace in spaces:
                wake(task)
            if task.done and task.owner not in touched:
                continue
            timer = _rings(task, now) or (task.waits_for_node and not why_node_full(self.run, task.waits_for_node))
            under_way = task.active or task.stuck or task.choice.way in (WAIT, NEVER) or task.done
            if under_way and (everybody or timer or namespace in spaces or task.owner in touched):
                self._step(task)
        self._nodes_seen = view.node_revision
        self._begin_others(now)
        ending = bool(self.why_no_more(now))
        return any(task.awaited for task in self._order if task.active or not ending)

    def why_no_more(self, now: float) -> str:
        """Why nothing is begun any more, whatever happens, as a sentence; ``""`` when something may be."""
        if self.run.breaker.open:
            return self.run.breaker.sentence(self.run.options.pool)
        return self.shortage.sentence() if self.shortage.lasts(now) else ""

    def ordered(self) -> list[Task]:
        return list(self._order)

    def moments(self, now: float) -> list[float]:
        """When something is due although nothing may have happened."""
        found = [self.run.quiet_until] if self.run.quiet_until > now else []
        found.extend(self.shortage.moments(now))
        for task in self._order:
            if not task.done:
                found.extend(moment for moment in (task.due, task.look_at) if moment > now)
        return found

    def see_new_pod(self, pod: PodFacts, ready_elsewhere: bool) -> None:
        """A pod that was not there when the drain began has changed."""
        if ready_elsewhere:
            self._canary.see(pod)

    def _begin_others(self, now: float) -> None:
        """Everybody who waits for a place, in order, as often as one beginning makes way for another."""
        again = True
        while again:
            again = False
            waiting = [
                task
                for task in self._order
                if not (task.active or task.done or task.stuck or task.failed) and task.choice.way not in (WAIT, NEVER)
            ]
            if not waiting:
                return
            self._usage = Usage()
            for task in self._order:
                if task.active and task.choice.way != WAIT:
                    self._usage.add(task)
            if self._usage.total >= self.run.max_parallel:
                return
            self._closed = self._gate.why_closed(t.cast("dict[object, Task]", self.tasks))
            if self.shortage.words and not self._closed:
                self._closed = f"not started, since {self.shortage.words}"
            self._holding = self._canary.advance(self.tasks, now)
            self._stage = stage_now(self._order, now)
            for task in waiting:
                if self._usage.keeps_from(task, self.run.max_parallel):
                    task.note = task.note or f"waiting for its turn (max_parallel {self.run.max_parallel})"
                    continue
                before = task.active
                if self._step(task):
                    again = True
                if task.active and not before:
                    self._usage.add(task)
                if self._usage.total >= self.run.max_parallel:
                    break

    def _may_start(self, task: Task) -> str:
        if self.run.breaker.open:
            return "not started, since too many others have failed (max_failures)"
        if self._closed:
            return self._closed
        if self._holding:
            if not self._canary.is_chosen(task):
                return "waiting for the first new pods to be ready with an address elsewhere"
        else:
            words = why_not_its_stage(task, self._stage, self._usage)
            if words:
                return words
        return why_limited(self.run, self._usage, task)

    def _notice(self, owner: Owner | None) -> None:
        uids = [pod.uid for pod in self.run.view.pods_of(owner) if pod.in_pool]
        task = self.tasks.get(owner)
        if task is None:
            if not uids:
                return
            task = self._add(owner)
        fresh = set(uids) - task.pods
        if fresh:
            task.pods |= fresh
            task.done = False
            self.total += len(fresh)

    def _add(self, owner: Owner | None) -> Task:
        task = make_task(self.run, owner)
        self.tasks[owner] = task
        return task

    def _sort(self) -> None:
        self._order = in_order(self.run, self.tasks.values())

    def _step(self, task: Task) -> bool:
        anything = False
        while step(self.run, task):
            anything = True
            self._count(task)
            self.tell(task)
            if not task.active:
                break
        self._count(task)
        self.tell(task)
        return anything

    def _count(self, task: Task) -> None:
        ready = sum(pod.ready for pod in self.run.view.pods_of(task.owner))
        # A surge has more of them for a moment.
        task.most_ready = max(task.most_ready, min(ready, wanted(self.run, task)))
        task.missing = count_missing(self.run, task)
        moved = count_moved(self.run, task)
        self.moved += moved - task.moved
        task.moved = moved


def _rings(task: Task, now: float) -> bool:
    """Whether something of the task is due, which is told once."""
    rings = False
    if 0 < task.due <= now:
        task.not_before = task.retry_at = 0.0
        rings = True
    if 0 < task.look_at <= now:
        task.look_at = 0.0
        rings = True
    return rings


def in_order(run: Run, tasks: t.Collection[Task]) -> list[Task]:
    for task in tasks:
        task.seconds = task_seconds(run, task)
    return sorted(tasks, key=lambda task: place(task.stage, task.seconds, task.owner))
