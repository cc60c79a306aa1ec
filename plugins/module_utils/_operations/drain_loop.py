# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The loop of a drain: watches feed the view, the agenda takes the steps, and the user is told."""

from __future__ import annotations

import typing as t
from collections import deque

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import uid_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import original_strategy
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Notice, Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_agenda import Agenda
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_cause import why_enabled, why_in_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_cron_jobs import CronJobs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_events import (
    STARTED,
    PoolEvents,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import KEEPS_ADDRESS, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_preview import (
    left_pod,
    treated_by,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_progress import (
    Overview,
    Progress,
    ProgressLines,
    column_width,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    DrainResult,
    DrainStopped,
    Left,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sandbox import Patience
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import SOURCES, scope
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_waiting import why_still_stopping
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_writes import note_trouble

Report = t.Callable[[object], None]

# So many events are taken in before the steps have a look, however fast they come.
MOST_AT_ONCE = 1000


class Loop:
    """One drain, from its lists to its end."""

    def __init__(self, run: Run, report: Report, warn: t.Callable[[str], None], events: PoolEvents | None) -> None:
        self._run = run
        self._warn = warn
        self._events = events
        self._agenda = Agenda(run, self._tell)
        self._lines = ProgressLines(
            report, run.clock.monotonic, lambda: (self._agenda.moved, self._agenda.total), self._column
        )
        self._overview = Overview(run.clock.monotonic)
        self._cron_jobs = CronJobs(run.api, run.options, run.steps)
        self._patience = Patience()
        self._untaken: deque[Notice] = deque()
        self._at_rest = True
        self._pods: tuple[str, ...] = ()
        self._started = run.clock.monotonic()
        self._deadline = self._started + run.options.timeout

    def _column(self) -> int:
        return column_width((task.owner, len(task.pods)) for task in self._agenda.tasks.values())

    def run_to_end(self) -> DrainResult:
        with Watches(self._run.api) as watches:
            for source in SOURCES:
                watches.follow(
                    source.name,
                    source.resource,
                    scope(self._run.view.namespaces, source.resource),
                    field_selector=source.field_selector,
                    optional=source.optional,
                )
            self._load(watches)
            try:
                self._cron_jobs.suspend({pod.namespace for pod in self._run.view.in_pool()})
                self._loop(watches)
            finally:
                for words in self._cron_jobs.wake():
                    self._warn(words)
        result = self._result()
        self._lines.flush(everything=True)
        for line in result.table():
            self._lines.report(line)
        self._lines.report(result.summary())
        ended = self._agenda.why_no_more(self._run.clock.monotonic())
        if ended:
            raise DrainStopped(ended, result)
        return result

    def _loop(self, watches: Watches) -> None:
        run = self._run
        self._overview.start(0)
        while self._agenda.advance() and run.clock.monotonic() < self._deadline:
            self._stop_without_addresses()
            self._listen(watches)

    def _load(self, watches: Watches) -> None:
        missing = {source.name for source in SOURCES}
        while missing:
            notice = watches.next(max(0.0, self._deadline - self._run.clock.monotonic()))
            if notice is None:
                raise Unreachable(f"The cluster could not be read within {self._run.options.timeout:g} s.")
            self._take(notice)
            if notice.change.type == "SYNCED":
                missing.discard(notice.source)
        self._run.view.finish_loading()
        self._at_rest = not self._run.view.places.enabled_again
        self._agenda.begin()
        self._pods = tuple(pod.short for pod in self._run.view.in_pool())
        if self._events is not None and self._pods:
            self._events.say(STARTED, f"moving {len(self._pods)} pods out of the pool")

    def _listen(self, watches: Watches) -> None:
        """Wait for the next event, or the next moment at which something is due, and take in all that is there."""
        now = self._run.clock.monotonic()
        moments = [self._deadline, *self._agenda.moments(now), *self._patience.moments(now)]
        due = self._lines.next_due()
        if due is not None:
            moments.append(now + due)
        notice = watches.next(max(0.0, min(moments) - now))
        taken = 0
        while notice is not None:
            self._untaken.append(notice)
            taken += 1
            notice = watches.next(0) if taken < MOST_AT_ONCE else None
        self._take_in()
        self._say_overview()
        self._lines.flush()

    def _take_in(self) -> None:
        """All that there is, in order; what cannot be understood while the server does not answer, later."""
        run = self._run
        if run.clock.monotonic() < run.quiet_until:
            # Whoever is behind it must not be taken in before it, and the server is asked for nothing now.
            return
        while self._untaken:
            try:
                self._take(self._untaken[0])
            except (ServerError, TooManyRequests, Unreachable) as error:
                note_trouble(run, error, alone=True)
                return
            self._untaken.popleft()

    def _take(self, notice: Notice) -> None:
        change = notice.change
        if change.type == "INTERRUPTED":
            words = change.error.message if change.error is not None else ""
            self._lines.say(Progress(f"the connection was interrupted and is tried again: {words}"))
        if change.type not in ("ADDED", "MODIFIED", "DELETED"):
            return
        self._run.view.apply(notice.source, change.type, change.object)
        if not self._run.view.complete:
            return
        if notice.source == "pods":
            self._check_new_pod(uid_of(change.object))
        elif notice.source == "pools" and self._at_rest and self._run.view.places.enabled_again:
            cause = why_enabled(self._run.api, self._run.options.pool)
            if cause:
                pool = self._run.options.pool
                self._stop(f"The drain stopped because pods would come back to IPPool {pool!r}: {cause}.")

    def _check_new_pod(self, uid: str) -> None:
        view = self._run.view
        pod = view.pods.get(uid)
        if pod is None or uid in view.first_seen or pod.terminating:
            return
        if not pod.in_pool:
            self._agenda.see_new_pod(pod, pod.ready and pod.addressed)
            return
        if pod.owner is not None and pod.owner.kind in KEEPS_ADDRESS:
            return
        cause = why_in_pool(self._run.api, self._run.options.pool, view.network, pod)
        self._stop(
            f"The drain stopped because the new pod {pod.short} got an address of IPPool "
            f"{self._run.options.pool!r}: {cause}."
        )

    def _stop_without_addresses(self) -> None:
        """New pods that get no address at all: the rest must not go the same way (hazards.md D04)."""
        tasks = self._agenda.tasks
        ours = [
            (pod, text)
            for pod, text in self._run.view.failing()
            if pod.owner in tasks and (tasks[pod.owner].acted or tasks[pod.owner].active)
        ]
        found = self._patience.lost(ours, self._run.clock.monotonic())
        if found is not None:
            pod, text = found
            self._stop(f"The drain stopped because the new pod {pod.short} gets no address: {text.rstrip('.')}.")

    def _stop(self, sentence: str) -> t.NoReturn:
        self._lines.flush(everything=True)
        raise DrainStopped(sentence, self._result())

    def _tell(self, task: Task) -> None:
        if task.owner is None:
            return
        # Who merely stands in the queue is not news.
        if task.active or task.stuck or (task.note and not task.note.startswith(_QUEUED)):
            self._lines.say(Progress(task.note, task.owner, task.moved, len(task.pods)))

    def _say_overview(self) -> None:
        tasks = self._agenda.ordered()
        active = sum(task.active for task in tasks if task.choice.way != WAIT)
        waiting = [task.note for task in tasks if not task.done]
        line = self._overview.line(self._agenda.moved, self._agenda.total, active, waiting)
        if line is not None:
            self._lines.say(Progress(line))

    def _result(self) -> DrainResult:
        run = self._run
        tasks = self._agenda.ordered()
        return DrainResult(
            changed=bool(run.steps),
            moved=self._agenda.moved,
            total=self._agenda.total,
            left=tuple(sorted(entry for task in tasks if not task.done for entry in self._left(task))),
            workloads=tuple(entry for task in tasks if task.acted for entry in treated_by(task)),
            seconds=run.clock.monotonic() - self._started,
            steps=tuple(run.steps),
            pods=self._pods,
        )

    def _left(self, task: Task) -> list[Left]:
        view = self._run.view
        found = []
        for pod in view.pods_of(task.owner):
            if pod.in_pool and pod.terminating:
                found.append(left_pod(pod, why_still_stopping(self._run, pod)))
            elif pod.in_pool:
                found.append(left_pod(pod, task.note or "not reached in time"))
            elif not pod.ready and not pod.terminating:
                trouble = view.sandbox_failure(pod) or pod.trouble or "no reason given"
                found.append(left_pod(pod, f"the replacement is not ready: {trouble}"))
        workload = view.workloads.get(task.owner) if task.owner is not None else None
        if task.owner is not None and workload is not None and original_strategy(workload) is not None:
            note = "its rollout is not finished and its strategy still changed: run the drain again to put it back"
            found.append(Left(task.owner.namespace, "", task.owner.label, note))
        elif not found and task.owner is not None:
            found.append(Left(task.owner.namespace, "", task.owner.label, task.note))
        return found


_QUEUED = ("waiting for its turn", "waiting for the ", "waiting for all that")
