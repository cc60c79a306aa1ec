# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether there are enough addresses for all who are still to move (hazards.md D04, D14).

Asked before each workload is begun: a pod that has lost its old address and finds no new one hangs, and while the
old pool is stopped everybody else's new pods, after a scaling or the end of a node, need addresses, too. So nothing
more is begun once the rest does not fit, however much of it would.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import NEVER, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sandbox import FOR_GOOD
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task, wanted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import POOLS

Names = t.FrozenSet[str]


@dataclass
class Shortage:
    """Keeps count of what each workload still wants, and of how long that has been too much."""

    run: Run
    words: str = ""
    """What is missing, as a clause; ``""`` while there is enough."""
    _wants: dict[Owner | None, int] = field(default_factory=dict)
    _since: float | None = None
    _seen: object = None

    def note(self, task: Task) -> None:
        """Something may have happened to the workload."""
        number = self._wanted_by(task)
        if number:
            self._wants[task.owner] = number
        else:
            self._wants.pop(task.owner, None)

    def look(self, tasks: t.Mapping[Owner | None, Task], now: float) -> str:
        """Count again; the words."""
        self.words = self._find(tasks)
        if not self.words:
            self._since = None
        elif self._since is None:
            self._since = now
        return self.words

    def lasts(self, now: float) -> bool:
        """Whether it has been so for longer than addresses take to come back that are free in a moment."""
        return self._since is not None and now - self._since >= FOR_GOOD

    def moments(self, now: float) -> list[float]:
        return [self._since + FOR_GOOD] if self._since is not None and self._since + FOR_GOOD > now else []

    def sentence(self) -> str:
        return (
            f"The drain of IPPool {self.run.options.pool!r} begins no further workload, since {self.words}: "
            "add or enlarge a pool that serves them, then run it again."
        )

    def _find(self, tasks: t.Mapping[Owner | None, Task]) -> str:
        view = self.run.view
        wants: dict[Names, int] = {}
        for owner, number in self._wants.items():
            if owner is not None and not _is_out(tasks[owner]):
                names = view.pools_of(owner.namespace)
                wants[names] = wants.get(names, 0) + number
        every = frozenset[str]().union(*wants)
        nodes = list(view.nodes.values())
        # Whoever may take from these pools only; a wider set of pools has to do for all that lie in it.
        for names in sorted({*wants, every} if wants else (), key=lambda each: (len(each), sorted(each))):
            number = sum(count for each, count in wants.items() if each <= names)
            left = view.places.left(names, nodes)
            if number > left:
                return self._say(number, names, left)
        return ""

    def _say(self, number: int, names: Names, left: int) -> str:
        places = self.run.view.places
        want = f"{counted(number, 'pod')} still {'wants' if number == 1 else 'want'} an address"
        if not names:
            return f"{want}, and no enabled pool gives any"
        strict = " in blocks that their nodes may use (strictAffinity is on)" if places.settings.strict_affinity else ""
        return f"{want}, and {places.words(names)} {left} left{strict}"

    def _wanted_by(self, task: Task) -> int:
        """Pods without an address elsewhere, as far as they are on their way or still to be moved."""
        view = self.run.view
        pods = view.pods_of(task.owner)
        if _asks_by_name(self.run, task):
            return 0
        settled = sum(pod.addressed and not pod.in_pool and not pod.terminating for pod in pods)
        coming = sum(
            pod.in_pool or not (pod.addressed or pod.terminating or pod.uid in view.first_seen) for pod in pods
        )
        return max(0, min(wanted(self.run, task) - settled, coming))


def _is_out(task: Task) -> bool:
    """Nobody moves its pods, or they are no business of the drain any more."""
    return task.done or task.choice.way in (WAIT, NEVER) or (task.hopeless and not task.active)


def _asks_by_name(run: Run, task: Task) -> bool:
    if task.owner is None:
        return True
    pins = dict(run.view.namespace_pins.get(task.owner.namespace, {}))
    for pod in run.view.pods_of(task.owner):
        pins.update(pod.pins)
    return any(pins.get(key) for key in POOLS)
