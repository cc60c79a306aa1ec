# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The requests a drain is made of, and what is made of each answer.

A budget's refusal concerns one workload, which tries again when a budget changes or after a while; others
go on meanwhile. A server that asks for fewer requests concerns all: nothing new is begun until it said so.
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
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
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of, uid_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import ROLLED, Owner, read_counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import SOURCES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task

FOLLOWED = frozenset(source.name for source in SOURCES)
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 20.0
# So many answers of 500 and above in a row to the eviction of one workload's pods are more than a bad moment.
MOST_SERVER_ERRORS = 10


def evict_pod(run: Run, task: Task, pod: PodFacts) -> bool:
    """Ask for one eviction; true when it was accepted, or was no longer needed."""
    if _is_quiet(run, task):
        return False
    try:
        run.api.evict(pod.name, pod.namespace, uid=pod.uid)
    except NotFound:
        # Gone already, perhaps by our own request whose answer was lost.
        task.evicted.add(pod.uid)
        return True
    except Conflict:
        return _after_conflict(run, task, pod)
    except TooManyRequests as error:
        _refused(run, task, error)
        return False
    except ServerError as error:
        if "more than one PodDisruptionBudget" in error.message:
            task.failed = "several budgets match its pods, which the Eviction API does not support: remove all but one"
        elif _fails_alone(run, task):
            task.failed = f"its pods cannot be evicted: {error.message}"
            run.breaker.note(task.owner, task.failed)
        else:
            _troubled(run, task, error)
        task.note = task.failed or error.message
        return False
    except (Invalid, BadRequest) as error:
        task.failed = task.note = f"its pods cannot be evicted: {error.message}"
        run.breaker.note(task.owner, task.failed)
        return False
    except Unreachable as error:
        _troubled(run, task, error)
        return False
    except Forbidden as error:
        return denied(run, task, error)
    _served(run, task)
    task.evicted.add(pod.uid)
    task.active = task.acted = True
    task.note = f"evicted {pod.name}: {task.choice.reason}"
    run.steps.append(f"evict pod {pod.short}: {task.choice.reason}")
    return True


def _after_conflict(run: Run, task: Task, pod: PodFacts) -> bool:
    """Either another pod has the name by now, or somebody wrote to this one at the same moment."""
    try:
        here = still_here(run, pod)
    except (ServerError, TooManyRequests, Unreachable):
        here = True
    if here:
        pause_task(run, task, None)
        task.note = f"{pod.name} was changed at the same moment"
        return False
    task.evicted.add(pod.uid)
    return True


def _refused(run: Run, task: Task, error: TooManyRequests) -> None:
    if any(cause.get("reason") == "DisruptionBudget" for cause in error.causes):
        causes = "; ".join(str(cause.get("message") or "") for cause in error.causes)
        pause_task(run, task, error.retry_after, soft=error.retry_after is None)
        task.note = f"waiting for its budget ({causes or error.message})"
        return
    pause_task(run, task, error.retry_after, soft=False)
    run.quiet_until = max(run.quiet_until, task.not_before)
    task.note = f"the server asks for fewer requests: {error.message}"


def write_workload(run: Run, task: Task, owner: Owner, patch: Object, words: str) -> bool:
    """One compare-and-swap on the workload; whatever comes of it, the view then shows the workload as it is."""
    if _is_quiet(run, task):
        return False
    try:
        run.view.put(owner, run.api.patch(ROLLED[owner.kind], owner.name, patch, owner.namespace))
    except (Conflict, NotFound):
        pause_task(run, task, None)
    except TooManyRequests as error:
        _refused(run, task, error)
    except (ServerError, Unreachable) as error:
        if isinstance(error, ServerError) and _fails_alone(run, task):
            task.failed = task.note = f"it cannot be changed: {error.message}"
            run.breaker.note(task.owner, task.failed)
            return False
        _troubled(run, task, error)
    except (Invalid, BadRequest) as error:
        task.failed = f"it cannot be changed: {error.message}"
        run.breaker.note(task.owner, task.failed)
        return False
    except Forbidden as error:
        return denied(run, task, error)
    else:
        _served(run, task)
        task.acted = True
        run.steps.append(words)
        return True
    try:
        run.view.put(owner, read_counted(run.api, owner))
    except (ServerError, TooManyRequests, Unreachable):
        # The watch will tell; until then the stale version keeps a second write from passing.
        task.note = task.note or "waiting for the cluster to answer"
    return False


def denied(run: Run, task: Task, error: Forbidden) -> bool:
    """Raises the error when it is about the user's rights; else it is about this workload."""
    if " cannot " in error.message:
        # Not about this workload: the user has no right to do what the drain is made of.
        raise error
    task.failed = f"the cluster denies the change: {error.message}"
    task.note = task.failed
    run.breaker.note(task.owner, task.failed)
    return False


def _is_quiet(run: Run, task: Task) -> bool:
    """Whether nothing is to be asked for just now; then the task comes back to it by itself."""
    if run.clock.monotonic() >= run.quiet_until:
        return False
    task.not_before = max(task.not_before, run.quiet_until)
    task.note = task.note or "waiting for the server"
    return True


def _served(run: Run, task: Task) -> None:
    task.failures = run.troubles = 0
    run.served_at = run.clock.monotonic()


def _fails_alone(run: Run, task: Task) -> bool:
    """Whether it is the workload and not the server: it fails again and again while others are served."""
    return task.failures + 1 >= MOST_SERVER_ERRORS and run.served_at > task.failing_since


def _troubled(run: Run, task: Task, error: ApiError | Unreachable) -> None:
    note_trouble(run, error)
    pause_task(run, task, error.retry_after if isinstance(error, ApiError) else None, soft=False)
    task.note = error.message


def note_trouble(run: Run, error: ApiError | Unreachable, *, alone: bool = False) -> None:
    """The server could not answer; the second time in a row, nobody asks it for anything for a while.

    ``alone``: there is no workload that could wait for itself.
    """
    run.troubles += 1
    if run.troubles > 1 or alone:
        asked = error.retry_after if isinstance(error, ApiError) else None
        pause = asked if asked is not None else min(FIRST_PAUSE * 2.0 ** (run.troubles - 1), LONGEST_PAUSE)
        run.quiet_until = max(run.quiet_until, run.clock.monotonic() + pause)


def pause_task(run: Run, task: Task, retry_after: float | None, soft: bool = True) -> None:
    """Try again after a while; a ``soft`` pause ends as soon as the budgets change (see ``wake``)."""
    if task.failures == 0:
        task.failing_since = run.clock.monotonic()
    task.failures += 1
    pause = retry_after if retry_after is not None else min(FIRST_PAUSE * 2.0 ** (task.failures - 1), LONGEST_PAUSE)
    moment = run.clock.monotonic() + pause
    if soft:
        task.retry_at = moment
    else:
        task.not_before = moment


def still_here(run: Run, pod: PodFacts) -> bool:
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


def look_at_size(run: Run, task: Task) -> bool:
    """Read how many pods a ReplicaSet wants by now: they are not watched, since a cluster has thousands of old ones.

    False when that could not be read, so that nothing is evicted on an old number.
    """
    owner = task.owner
    known = run.view.workloads.get(owner) if owner is not None else None
    if owner is None or known is None or owner.kind in FOLLOWED:
        return True
    if _is_quiet(run, task):
        return False
    try:
        thing = read_counted(run.api, owner)
    except (ServerError, TooManyRequests, Unreachable) as error:
        _troubled(run, task, error)
        return False
    if thing is None or metadata_of(thing).get("resourceVersion") != metadata_of(known).get("resourceVersion"):
        run.view.put(owner, thing)
    return True
