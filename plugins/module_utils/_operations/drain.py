# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Move every pod out of a pool, without an outage and without breaking a disruption budget.

The pool has to be stopped first: disabled, or selecting no node. Tunnel addresses leave it by themselves
(hazards.md D01); a drain is about pods. It decides for each workload which way its pods go
(``drain_plan.py``) and in which order (``drain_order.py``), takes the steps when they are allowed
(``drain_agenda.py``, ``drain_steps.py``), and is driven by watches: nothing is polled and nothing is forced.
Whatever is still there at the end is listed with the reason.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections import deque

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of, uid_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    IP_POOLS,
    NAMESPACES,
    REPLICA_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import original_strategy
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Notice, Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_agenda import Agenda
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_bare_pods import read_saved
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_breaker import Breaker
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_cause import why_enabled, why_in_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    BARE_PODS,
    anywhere,
    check_consent,
    consents,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_cron_jobs import CronJobs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_events import (
    FINISHED,
    INCOMPLETE,
    STARTED,
    STOPPED,
    PoolEvents,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import read_serving
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_places import read_places
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import KEEPS_ADDRESS, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_preview import (
    left_pod,
    preview,
    treated_by,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_progress import (
    Overview,
    Progress,
    ProgressLines,
    column_width,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    DrainOptions,
    DrainResult,
    DrainStopped,
    Left,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sandbox import Patience
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import SOURCES, scope
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View, load_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_waiting import why_still_stopping
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_writes import note_trouble
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import clean_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped

Report = t.Callable[[object], None]

# So many events are taken in before the steps have a look, however fast they come.
MOST_AT_ONCE = 1000


def drain_pool(
    api: KubeApi,
    options: DrainOptions,
    clock: Clock,
    report: Report,
    warn: t.Callable[[str], None],
    *,
    check_mode: bool,
) -> DrainResult:
    """Drain a pool by its name; with ``check_mode`` only say how. See ``disabled_pool`` and ``drain``.

    Refused on an installation that must not be written to (spec ippool.md §7.1).
    """
    check_options(api, options)
    require_writable(api)  # With a locked datastore, restarted pods would get no address.
    network = disabled_pool(api, options.pool, check_mode)
    if network is None:
        warn(f"There is no IPPool {options.pool!r}, so there is nothing to drain.")
        return DrainResult(changed=False, moved=0, total=0)
    if check_mode:
        return plan_drain(api, network, options, clock)
    _refuse_nowhere_to_go(api, options.pool, network)
    with contextlib.suppress(Forbidden):
        clean_range(api, network, clock)
    events = PoolEvents(api, api.get(IP_POOLS, options.pool), clock)
    try:
        result = drain(api, network, options, clock, report, warn, events)
    except IpamError as error:
        events.say(STOPPED, error.message)
        raise
    if result.changed or result.left:
        events.say(INCOMPLETE if result.left else FINISHED, result.summary())
    return result


def check_options(api: KubeApi, options: DrainOptions) -> None:
    """Raises ``InvalidInput`` for numbers out of their range, unknown consents and missing namespaces."""
    numbers: dict[str, float | None] = {
        "max_parallel": options.max_parallel,
        "max_parallel_per_namespace": options.max_parallel_per_namespace,
        "max_parallel_per_node": options.max_parallel_per_node,
        "max_failures": options.max_failures,
        "timeout": options.timeout,
    }
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InvalidInput(f"{name} is {number:g}, it must be at least 1.", name, number)
    if options.pause < 0:
        raise InvalidInput(f"pause is {options.pause:g}, it must not be negative.", "pause", options.pause)
    check_consent(options.consent)
    for namespace in options.namespaces:
        try:
            api.get(NAMESPACES, namespace)
        except NotFound:
            raise InvalidInput(f"namespaces: there is no namespace {namespace!r}.", "namespaces", namespace) from None


def disabled_pool(api: KubeApi, name: str, check_mode: bool) -> Network | None:
    """The CIDR of a pool that may be drained; ``None`` when there is no such pool any more.

    Raises ``Refused`` while the pool still gives out addresses: its pods would come back to it. In check
    mode that is let pass, since the step that disables it has not been carried out either.
    """
    try:
        pool = api.get(IP_POOLS, name)
    except NotFound:
        return None
    spec = pool.get("spec") or {}
    if not is_stopped(spec) and not metadata_of(pool).get("deletionTimestamp") and not check_mode:
        raise Refused(
            f"IPPool {name!r} is enabled, so restarted pods would get addresses of it again: disable it first "
            "(calico_ops.ipam.ippool with disabled: true), or let it select no node (node_selector: '!all()').",
            pool=name,
        )
    return parse_network(spec.get("cidr"), strict=False)


def _refuse_nowhere_to_go(api: KubeApi, name: str, network: Network) -> None:
    """A pod that is restarted while no pool gives out addresses gets none: that is an outage, not a drain."""
    if not giving_pools(api, name, network):
        raise Refused(
            f"IPPool {name!r} cannot be drained: no other enabled IPv{network.version} pool gives addresses to pods, "
            "so restarted ones would get none; create or enable one first.",
            pool=name,
        )


def giving_pools(api: KubeApi, name: str, network: Network) -> list[Pool]:
    """The other pools that give addresses of the family to pods, without being asked for by name."""
    return [
        pool
        for pool in engine_pools(read_pools(api))
        if pool.name != name and pool.enabled and pool.version == network.version and "Workload" in pool.allowed_uses
    ]


def plan_drain(api: KubeApi, network: Network, options: DrainOptions, clock: Clock) -> DrainResult:
    """What a drain would do and what it would have to leave; reads only."""
    started = clock.monotonic()
    run = _start(api, network, options, clock)
    load_view(api, run.view)
    agenda = Agenda(run, lambda task: None)
    agenda.begin()
    lack = agenda.shortage.look(agenda.tasks, clock.monotonic()) if run.view.places.pools else ""
    return preview(run, agenda.ordered(), clock.monotonic() - started, lack)


def drain(
    api: KubeApi,
    network: Network,
    options: DrainOptions,
    clock: Clock,
    report: Report,
    warn: t.Callable[[str], None] = lambda text: None,
    events: PoolEvents | None = None,
) -> DrainResult:
    """Move the pods out of ``network``; returns when all are moved, nothing more can be, or time is up.

    ``report`` takes a ``Progress`` for each event. Raises ``DrainStopped`` when a new pod gets an address
    of the pool or none at all, or too many workloads failed; ``ClusterError`` when the cluster refuses what
    the drain is made of.
    """
    return _Drain(_start(api, network, options, clock), report, warn, events).run_to_end()


def _start(api: KubeApi, network: Network, options: DrainOptions, clock: Clock) -> Run:
    namespaces = frozenset(options.namespaces)
    owners = Owners(api)
    owners.learn(REPLICA_SETS, scope(namespaces, REPLICA_SETS))
    view = View(owners, options.pool, network, namespaces)
    view.bare_owned = lambda namespace: consents(options.consent, BARE_PODS, namespace)
    view.places = read_places(api, options.pool, network, giving_pools(api, options.pool, network))
    run = Run(api, view, options, clock, read_serving(api, namespaces), breaker=Breaker(options.max_failures))
    if anywhere(options.consent, BARE_PODS):
        run.saved = read_saved(api, namespaces)
    return run


class _Drain:
    """The loop around the agenda: feeds the view from the watches, and tells the user."""

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
        elif notice.source == "pools" and self._run.view.places.enabled_again:
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
