# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Move every pod out of a pool, without an outage and without breaking a disruption budget.

The pool has to be disabled first. Tunnel addresses leave a disabled pool by themselves (hazards.md D01);
a drain is about pods. It decides for each workload which way its pods go (``drain_plan.py``), takes the
steps when they are allowed (``drain_steps.py``), and is driven by watches: nothing is polled and nothing
is forced. Whatever is still there at the end is listed with the reason.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, Unreachable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of, uid_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    IP_POOLS,
    NAMESPACES,
    REPLICA_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import is_rolling, original_strategy
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Notice, Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_cause import why_in_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import KEEPS_ADDRESS, NEVER, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    EVICT,
    SURGE,
    DrainOptions,
    DrainResult,
    DrainStopped,
    Left,
    Progress,
    ProgressLines,
    Treated,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_steps import (
    Run,
    Task,
    make_task,
    moved,
    step,
    wake,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import (
    SOURCES,
    PodFacts,
    View,
    load_view,
    scope,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools

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
    _check(api, options)
    require_writable(api)  # With a locked datastore, restarted pods would get no address.
    network = disabled_pool(api, options.pool, check_mode)
    if network is None:
        warn(f"There is no IPPool {options.pool!r}, so there is nothing to drain.")
        return DrainResult(changed=False, moved=0, total=0)
    if check_mode:
        return plan_drain(api, network, options, clock)
    _refuse_nowhere_to_go(api, options.pool, network)
    return drain(api, network, options, clock, report)


def _check(api: KubeApi, options: DrainOptions) -> None:
    for name, number in (("max_parallel", options.max_parallel), ("timeout", options.timeout)):
        if number < 1:
            raise InvalidInput(f"{name} is {number:g}, it must be at least 1.", name, number)
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
    if not spec.get("disabled") and not metadata_of(pool).get("deletionTimestamp") and not check_mode:
        raise Refused(
            f"IPPool {name!r} is enabled, so restarted pods would get addresses of it again: disable it first "
            "(calico_ops.ipam.ippool with disabled: true).",
            pool=name,
        )
    return parse_network(spec.get("cidr"), strict=False)


def _refuse_nowhere_to_go(api: KubeApi, name: str, network: Network) -> None:
    """A pod that is restarted while no pool gives out addresses gets none: that is an outage, not a drain."""
    for pool in engine_pools(read_pools(api)):
        if pool.name != name and pool.enabled and pool.version == network.version and "Workload" in pool.allowed_uses:
            return
    raise Refused(
        f"IPPool {name!r} cannot be drained: no other enabled IPv{network.version} pool gives addresses to pods, so "
        "restarted ones would get none; create or enable one first.",
        pool=name,
    )


def plan_drain(api: KubeApi, network: Network, options: DrainOptions, clock: Clock) -> DrainResult:
    """What a drain would do and what it would have to leave; reads only."""
    started = clock.monotonic()
    run = _start(api, network, options, clock)
    load_view(api, run.view)
    tasks = _tasks(run, {})
    steps: list[str] = []
    left: list[Left] = []
    treated: list[Treated] = []
    would_move = 0
    for task in _in_order(tasks.values()):
        pods = [pod for pod in run.view.pods_of(task.owner) if pod.in_pool]
        steps.append(_planned_step(run, task, len(pods)))
        treated.extend(_treated(task))
        if task.hopeless:
            left.extend(_left_pod(pod, task.choice.blocked) for pod in pods)
        else:
            would_move += len(pods)
    return DrainResult(
        changed=any(not task.hopeless and task.choice.way != WAIT for task in tasks.values()),
        moved=would_move,
        total=sum(len(task.pods) for task in tasks.values()),
        left=tuple(sorted(left)),
        workloads=tuple(treated),
        seconds=clock.monotonic() - started,
        steps=tuple(steps),
        pods=tuple(pod.short for pod in run.view.in_pool()),
    )


def drain(api: KubeApi, network: Network, options: DrainOptions, clock: Clock, report: Report) -> DrainResult:
    """Move the pods out of ``network``; returns when all are moved, nothing more can be, or time is up.

    ``report`` takes a ``Progress`` for each event. Raises ``DrainStopped`` when a new pod gets an address
    of the pool, and ``ClusterError`` when the cluster refuses what the drain is made of.
    """
    return _Drain(_start(api, network, options, clock), report).run_to_end()


def _start(api: KubeApi, network: Network, options: DrainOptions, clock: Clock) -> Run:
    namespaces = frozenset(options.namespaces)
    owners = Owners(api)
    owners.learn(REPLICA_SETS, scope(namespaces))
    return Run(api, View(owners, options.pool, network, namespaces), options, clock)


def _tasks(run: Run, known: dict[Owner | None, Task]) -> dict[Owner | None, Task]:
    """A task for each workload with pods in the pool or with a strategy to put back; known ones are kept."""
    tasks = known
    first = not known
    for pod in run.view.in_pool():
        if pod.owner not in tasks:
            tasks[pod.owner] = make_task(run, pod.owner)
        task = tasks[pod.owner]
        if pod.uid not in task.pods:
            task.pods.add(pod.uid)
            task.done = False
    if first:
        for owner, workload in sorted(run.view.workloads.items()):
            if owner.kind == "Deployment" and owner not in tasks and original_strategy(workload) is not None:
                tasks[owner] = make_task(run, owner)
    return tasks


def _in_order(tasks: t.Iterable[Task]) -> list[Task]:
    """Cluster DNS first, then by namespace and name; bare pods last."""

    def place(task: Task) -> tuple[int, str, str, str]:
        owner = task.owner
        return (2, "", "", "") if owner is None else (0 if task.dns else 1, owner.namespace, owner.name, owner.kind)

    return sorted(tasks, key=place)


def _treated(task: Task) -> list[Treated]:
    if task.owner is None or task.choice.way in (WAIT, NEVER):
        return []
    return [Treated(task.owner.label, task.choice.way, len(task.pods))]


def _planned_step(run: Run, task: Task, pods: int) -> str:
    if task.owner is None:
        return f"leave {_count(pods)} without a controller: {task.choice.reason}"
    name = f"{task.owner.label} ({_count(pods)})"
    if task.hopeless or task.choice.way == NEVER:
        return f"leave {name}: {task.choice.blocked}"
    if task.choice.way == WAIT:
        return f"wait for {name}: {task.choice.reason}"
    if task.choice.way == EVICT:
        return f"evict the pods of {name}: {task.choice.reason}"
    workload = run.view.workloads.get(task.owner)
    if workload is not None and is_rolling(workload):
        return f"wait for the rollout of {name} that is under way"
    if task.choice.way == SURGE and pods == 0:
        return f"put the strategy of {name} back: {task.choice.reason}"
    if task.choice.way == SURGE:
        return f"restart {name}, adding {task.choice.bounds.surge} before taking any: {task.choice.reason}"
    return f"restart {name}: {task.choice.reason}"


def _count(pods: int) -> str:
    return "1 pod" if pods == 1 else f"{pods} pods"


def _left_pod(pod: PodFacts, reason: str) -> Left:
    return Left(pod.namespace, pod.name, pod.owner.label if pod.owner is not None else "", reason)


class _Drain:
    """The loop around the steps: feeds the view from the watches, paces the tasks, tells the user."""

    def __init__(self, run: Run, report: Report) -> None:
        self._run = run
        self._lines = ProgressLines(report, run.clock.monotonic, self._counts)
        self._tasks: dict[Owner | None, Task] = {}
        self._pods: tuple[str, ...] = ()
        self._started = run.clock.monotonic()
        self._deadline = self._started + run.options.timeout
        run.may_start = self._may_start

    def run_to_end(self) -> DrainResult:
        with Watches(self._run.api) as watches:
            for source in SOURCES:
                watches.follow(
                    source.name,
                    source.resource,
                    scope(self._run.view.namespaces),
                    field_selector=source.field_selector,
                    optional=source.optional,
                )
            self._load(watches)
            while self._advance():
                self._listen(watches)
        result = self._result()
        self._lines.flush(everything=True)
        self._lines.report(result.summary())
        return result

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
        self._pods = tuple(pod.short for pod in self._run.view.in_pool())

    def _listen(self, watches: Watches) -> None:
        """Wait for the next event, or the next moment at which something is due, and take in all that is there."""
        now = self._run.clock.monotonic()
        moments = [self._deadline]
        moments += [task.not_before for task in self._tasks.values() if task.not_before > now and not task.done]
        due = self._lines.next_due()
        if due is not None:
            moments.append(now + due)
        notice = watches.next(max(0.0, min(moments) - now))
        taken = 0
        while notice is not None:
            self._take(notice)
            taken += 1
            notice = watches.next(0) if taken < MOST_AT_ONCE else None
        self._lines.flush()

    def _take(self, notice: Notice) -> None:
        change = notice.change
        if change.type == "INTERRUPTED":
            words = change.error.message if change.error is not None else ""
            self._lines.say(Progress(f"the connection was interrupted and is tried again: {words}"))
        if change.type not in ("ADDED", "MODIFIED", "DELETED"):
            return
        self._run.view.apply(notice.source, change.type, change.object)
        if notice.source == "budgets":
            for task in self._tasks.values():
                wake(task)
        elif notice.source == "pods" and self._run.view.complete:
            self._check_new_pod(change.object)

    def _check_new_pod(self, thing: Object) -> None:
        view = self._run.view
        pod = view.pods.get(uid_of(thing))
        if pod is None or not pod.in_pool or pod.terminating or pod.uid in view.first_seen:
            return
        if pod.owner is not None and pod.owner.kind in KEEPS_ADDRESS:
            return
        cause = why_in_pool(self._run.api, self._run.options.pool, view.network, pod)
        self._lines.flush(everything=True)
        raise DrainStopped(
            f"The drain stopped because the new pod {pod.short} got an address of IPPool "
            f"{self._run.options.pool!r}: {cause}.",
            self._result(),
        )

    def _advance(self) -> bool:
        """Let every task do what it may; false when the drain is over."""
        run = self._run
        _tasks(run, self._tasks)
        ordered = _in_order(self._tasks.values())
        again = True
        while again:
            again = False
            for task in ordered:
                if step(run, task):
                    again = True
                    self._tell(task)
        for task in ordered:
            self._tell(task)
        if run.clock.monotonic() >= self._deadline:
            return False
        return any(not task.done and not task.hopeless or task.active for task in self._tasks.values())

    def _may_start(self, task: Task) -> str:
        """Why a task has to wait for others: name servers go alone, budgets and ``max_parallel`` are shared."""
        view = self._run.view
        active = [other for other in self._tasks.values() if other.active and other is not task]
        if not task.dns and any(other.dns for other in active):
            return "waiting for the cluster's name servers to move first"
        if active and sum(other.choice.cost for other in active) + task.choice.cost > self._run.options.max_parallel:
            return f"waiting for its turn (max_parallel {self._run.options.max_parallel})"
        for other in active:
            for pod in view.pods_of(other.owner):
                failure = view.sandbox_failure(pod) if pod.uid not in view.first_seen else ""
                if failure:
                    return f"not started, since the new pod {pod.short} gets no address: {failure}"
        mine = {budget.label for budget in view.budgets_of(view.pods_of(task.owner))}
        if mine and task.choice.bounds.unavailable:
            for other in active:
                shared = mine & {budget.label for budget in view.budgets_of(view.pods_of(other.owner))}
                if shared and other.owner is not None and other.choice.bounds.unavailable:
                    return f"waiting for {other.owner.short}, which shares budget {min(shared)}"
        return ""

    def _tell(self, task: Task) -> None:
        if task.owner is None:
            return
        # Who merely stands in the queue is not news.
        queued = task.note.startswith(("waiting for its turn", "waiting for the cluster's name"))
        if task.active or (task.note and not queued):
            done = moved(self._run, task)
            self._lines.say(Progress(task.note, task.owner, done, len(task.pods)))

    def _counts(self) -> tuple[int, int]:
        tasks = self._tasks.values()
        return sum(moved(self._run, task) for task in tasks), sum(len(task.pods) for task in tasks)

    def _result(self) -> DrainResult:
        run = self._run
        tasks = _in_order(self._tasks.values())
        return DrainResult(
            changed=any(task.acted for task in tasks),
            moved=sum(moved(run, task) for task in tasks),
            total=sum(len(task.pods) for task in tasks),
            left=tuple(sorted(entry for task in tasks if not task.done for entry in self._left(task))),
            workloads=tuple(entry for task in tasks if task.acted for entry in _treated(task)),
            seconds=run.clock.monotonic() - self._started,
            steps=tuple(run.steps),
            pods=self._pods,
        )

    def _left(self, task: Task) -> list[Left]:
        view = self._run.view
        pods = view.pods_of(task.owner)
        found = []
        for pod in pods:
            if pod.in_pool and pod.terminating:
                found.append(_left_pod(pod, f"still stopping since its grace period ended at {pod.deleted_at}"))
            elif pod.in_pool:
                found.append(_left_pod(pod, task.note or "not reached in time"))
            elif not pod.ready and not pod.terminating:
                trouble = view.sandbox_failure(pod) or pod.trouble or "no reason given"
                found.append(_left_pod(pod, f"the replacement is not ready: {trouble}"))
        workload = view.workloads.get(task.owner) if task.owner is not None else None
        if task.owner is not None and workload is not None and original_strategy(workload) is not None:
            note = "its rollout is not finished and its strategy still changed: run the drain again to put it back"
            found.append(Left(task.owner.namespace, "", task.owner.label, note))
        elif not found and task.owner is not None:
            found.append(Left(task.owner.namespace, "", task.owner.label, task.note))
        return found
