# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A few pods first: one new pod ready for each set of facts that pools are chosen by (hazards.md D03, D04).

Which pool a pod gets an address of depends on its node's labels, its namespace's labels, and annotations of
both. Where all of that is alike, what is true of one pod is true of all. So before anything else moves, one
small workload of each such class is begun; when a new pod of the class is ready, with an address elsewhere,
the class is proven. A class nothing can be begun in does not hold up the others.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import ORDINARY, WEBHOOKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import NEVER, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Task
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import POOLS

# The scheduler decides where a new pod runs, so the first workload may prove another class than it was meant for.
MOST_TRIES = 3
# A workload that has waited so long for a budget is no good canary.
PATIENCE = 20.0

Facts = t.Tuple[t.FrozenSet[str], t.Tuple[str, ...]]


@dataclass
class Canary:
    """Which classes there are, which are proven, and which workloads go first for the others."""

    view: View
    on: bool = True
    seconds: t.Callable[[Task], float] = lambda task: 0.0
    """How long a workload will take, roughly."""
    chosen: dict[Facts, list[Owner]] = field(default_factory=dict)
    proven: set[Facts] = field(default_factory=set)
    _ready: bool = False

    def facts_of(self, pod: PodFacts) -> Facts:
        pins = {**self.view.namespace_pins.get(pod.namespace, {}), **pod.pins}
        return self.view.pools_for(pod.node, pod.namespace), tuple(pins.get(key, "") for key in POOLS)

    def see(self, pod: PodFacts) -> None:
        """A new pod is ready with an address elsewhere."""
        if self.on:
            self.proven.add(self.facts_of(pod))

    def advance(self, tasks: t.Mapping[Owner | None, Task], now: float) -> bool:
        """Choose who goes first, or goes next where the first did not help; true as long as others have to wait."""
        if not self.on:
            return False
        candidates = self._candidates(tasks)
        open_classes = 0
        for facts in sorted(candidates, key=str):
            if facts in self.proven:
                continue
            chosen = self.chosen.setdefault(facts, [])
            last = tasks[chosen[-1]] if chosen else None
            if last is None or not _may_help(last, now):
                if len(chosen) >= MOST_TRIES:
                    continue
                fresh = [task for task in candidates[facts] if task.owner not in chosen and _is_movable(task)]
                if not fresh:
                    continue
                best = min(fresh, key=self._smallness)
                if best.owner is not None:
                    chosen.append(best.owner)
            open_classes += 1
        self.on = open_classes > 0
        return self.on

    def is_chosen(self, task: Task) -> bool:
        """Whether the task is the canary of a class that is not proven yet."""
        return any(
            owners and owners[-1] == task.owner for facts, owners in self.chosen.items() if facts not in self.proven
        )

    def _smallness(self, task: Task) -> tuple[int, int, float, Owner | None]:
        """Nothing others depend on, then whatever replaces the fewest pods at once, then the quickest."""
        special = 0 if task.stage == ORDINARY else 2 - (task.stage > WEBHOOKS)
        return special, task.choice.cost, self.seconds(task), task.owner

    def _candidates(self, tasks: t.Mapping[Owner | None, Task]) -> dict[Facts, list[Task]]:
        found: dict[Facts, dict[Owner | None, Task]] = {}
        for pod in self.view.in_pool():
            task = tasks.get(pod.owner)
            if task is not None and task.owner is not None and task.choice.way not in (WAIT, NEVER):
                found.setdefault(self.facts_of(pod), {})[task.owner] = task
        for facts, owners in self.chosen.items():
            # A canary that is under way may have no old pod left.
            if owners and facts not in found:
                found[facts] = {owners[-1]: tasks[owners[-1]]}
        return {facts: list(each.values()) for facts, each in found.items()}


def _may_help(task: Task, now: float) -> bool:
    if task.done or task.stuck or task.hopeless:
        return False
    return task.active or now - task.queued_at < PATIENCE


def _is_movable(task: Task) -> bool:
    return not (task.done or task.stuck or task.hopeless)
