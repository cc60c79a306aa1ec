# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What keeps the next workload from being begun, though it could be (hazards.md D03-D06, D15, B40, B41).

The gate after a wave, without waves: it is looked at before each single start, so nothing has to wait for
the slowest of a wave, and nothing more begins once something is wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_estimate import task_seconds
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import (
    NAME_SERVERS,
    ORDINARY,
    STAGE_WORDS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import NEVER, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task

# A workload that goes before others, but has waited so long for a budget, is left for later.
PATIENCE = 60.0


@dataclass(frozen=True)
class Kept:
    """Places for a workload that takes more than there are now: when they will be free, and how many others then."""

    soon: float
    spare: int


@dataclass
class Usage:
    """What is under way: added up once for a look at all who wait, and kept up while some are begun."""

    active: list[Task] = field(default_factory=list)
    total: int = 0
    by_namespace: Counter[str] = field(default_factory=Counter)
    budgets: dict[str, Task] = field(default_factory=dict)
    kept: Kept | None = None
    """Places that are kept for the first who did not fit."""

    def keeps_from(self, task: Task, max_parallel: int) -> bool:
        """Whether places are kept for another, so that the task need not be looked at."""
        if self.kept is None:
            return False
        too_wide = self.total + task.cost > max_parallel
        return too_wide or (self.kept.spare < task.cost and self.kept.soon < task.seconds)

    def add(self, task: Task) -> None:
        if self.kept is not None and self.kept.soon < task.seconds:
            self.kept = replace(self.kept, spare=self.kept.spare - task.cost)
        self.active.append(task)
        self.total += task.cost
        if task.owner is not None:
            self.by_namespace[task.owner.namespace] += task.cost
        if task.choice.bounds.unavailable:
            for label in task.budgets:
                self.budgets.setdefault(label, task)


def why_limited(run: Run, usage: Usage, task: Task) -> str:
    """Why the limits do not let the task begin now; ``""`` when they do."""
    options = run.options
    turn = f"waiting for its turn (max_parallel {run.max_parallel})"
    if usage.active and usage.total + task.cost > run.max_parallel:
        if usage.kept is None:
            usage.kept = _keep(run, usage, task)
        return turn
    if usage.keeps_from(task, run.max_parallel):
        # Smaller ones must not slip in for ever: the longest come first, and would be left over at the end.
        return turn
    namespace = task.owner.namespace if task.owner is not None else ""
    limit = options.max_parallel_per_namespace
    here = usage.by_namespace[namespace]
    if limit is not None and here and here + task.cost > limit:
        return f"waiting for its turn in its namespace (max_parallel_per_namespace {limit})"
    usable = [node.name for node in run.view.nodes.values() if node.usable]
    if usable and usage.active:
        room = sum(max(0, options.max_parallel_per_node - run.view.starting[name]) for name in usable)
        if room < task.cost or usage.total + task.cost > options.max_parallel_per_node * len(usable):
            return f"waiting for its turn on the nodes (max_parallel_per_node {options.max_parallel_per_node})"
    if task.choice.bounds.unavailable:
        for label in sorted(task.budgets):
            other = usage.budgets.get(label)
            if other is not None and other is not task and other.owner is not None:
                return f"waiting for {other.owner.short}, which shares budget {label}"
    return ""


def _keep(run: Run, usage: Usage, task: Task) -> Kept:
    """When there will be enough places for the task, by what those under way have still to do."""
    free = run.max_parallel - usage.total
    soon = 0.0
    for other in sorted(usage.active, key=lambda each: task_seconds(run, each)):
        soon, free = task_seconds(run, other), free + other.cost
        if free >= task.cost:
            break
    return Kept(soon, free - task.cost)


def why_node_full(run: Run, node: str) -> str:
    """Why a pod of the node, which may come back to it, should not go yet."""
    limit = run.options.max_parallel_per_node
    if node and run.view.starting[node] >= limit:
        return f"waiting for its turn on node {node} (max_parallel_per_node {limit})"
    return ""


def stage_now(tasks: list[Task], now: float) -> int:
    """The first stage with something to wait for."""
    stages = [
        task.stage
        for task in tasks
        if task.awaited
        and task.choice.way not in (WAIT, NEVER)
        and (task.active or task.stage >= ORDINARY or now - task.queued_at < PATIENCE)
    ]
    return min(stages, default=ORDINARY)


def why_not_its_stage(task: Task, stage: int, usage: Usage) -> str:
    """Others go first, or it goes alone."""
    if task.stage > stage:
        return f"waiting for {STAGE_WORDS.get(stage, 'others')} to move first"
    if task.stage != ORDINARY and any(other.stage == task.stage for other in usage.active):
        return "waiting for its turn: such workloads go one at a time"
    return ""


@dataclass
class Gate:
    """Remembers what was served when the drain began; what was down before is not the drain's business."""

    run: Run
    _name_servers: bool = False
    _webhooks: tuple[int, ...] = ()
    _apis: frozenset[str] = frozenset()

    def begin(self, tasks: list[Task]) -> None:
        view, serving = self.run.view, self.run.serving
        self._name_servers = any(task.stage == NAME_SERVERS for task in tasks)
        self._webhooks = tuple(
            index
            for index, hook in enumerate(serving.webhooks)
            if any(pod.ready for pod in view.selected(hook.namespace, hook.selector))
        )
        self._apis = frozenset(
            api.name
            for api in view.api_services.values()
            if api.available and serving.selectors.get((api.namespace, api.service))
        )

    def why_closed(self, tasks: dict[object, Task]) -> str:
        """Why nothing at all is begun; ``""`` when nothing is wrong."""
        run = self.run
        if run.clock.monotonic() < run.quiet_until:
            return "waiting for the server, which asked for fewer requests or did not answer"
        for pod, text in run.view.failing():
            task = tasks.get(pod.owner)
            if task is not None and (task.acted or task.active):
                return f"not started, since the new pod {pod.short} gets no address: {text}"
        if self._name_servers and not self._serves(tasks):
            return "not started, since no name server is ready"
        for index in self._webhooks:
            hook = run.serving.webhooks[index]
            if not any(pod.ready for pod in run.view.selected(hook.namespace, hook.selector)):
                return f"not started, since no pod behind {hook.asked_by} is ready"
        for name in sorted(self._apis):
            api = run.view.api_services.get(name)
            if api is not None and not api.available:
                return f"not started, since the API {name} is not available"
        return ""

    def _serves(self, tasks: dict[object, Task]) -> bool:
        return any(
            pod.ready
            for task in tasks.values()
            if task.stage == NAME_SERVERS
            for pod in self.run.view.pods_of(task.owner)
        )
