# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The Job controller: pods that run to their end, counted once each.

A pod carries the finalizer ``batch.kubernetes.io/job-tracking`` until its end is in the Job's
status, so that no end is lost or counted twice, whatever deletes the pod.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import JOBS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    by_age,
    condition_is,
    is_active,
    is_finished,
    is_ready,
    is_terminating,
    parse_time,
    phase,
    with_condition,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import TryAgain, WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.replicaset import enqueue_owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.template import REFUSALS, pod_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
_COMPONENT = "job-controller"
_FIRST_BACK_OFF = 10.0
_LAST_BACK_OFF = 600.0


class JobController:
    """Runs every Job to its end."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "job", self._reconcile, (0.1, 0.4))
        self._refused = ""

    def start(self) -> None:
        self._ctx.informers.on(JOBS, self._on_job)
        self._ctx.informers.on(PODS, lambda event: enqueue_owner(self._queue, JOBS.kind, event))
        for job in self._ctx.objects.list(JOBS):
            self._queue.add(object_key(job))

    def stop(self) -> None:
        self._queue.stop()

    def _on_job(self, event: Event) -> None:
        if event.type == DELETED:
            # Pods of a deleted Job are nobody's to count any more.
            for pod in self._ctx.controlled(PODS, event.object):
                self._ctx.clock.call_soon(self._untrack, pod)
            return
        self._queue.add(object_key(event.object))

    # -- one reconciliation ----------------------------------------------------------------

    def _reconcile(self, key: Key) -> float | None:
        self._refused = ""
        again = self._sync(key)
        if self._refused:
            raise TryAgain(self._refused)
        return again

    def _sync(self, key: Key) -> float | None:
        ctx = self._ctx
        job = ctx.get(JOBS, key)
        if job is None:
            return None
        if is_terminating(job):
            for pod in ctx.controlled(PODS, job):
                self._untrack(pod)
            return None
        if job_ended(job):
            for pod in ctx.controlled(PODS, job):
                self._untrack(pod)
            return self._expire(job)
        pods = by_age(ctx.controlled(PODS, job))
        status = self._count(job, pods)
        outcome = self._outcome(job, status, pods)
        active = [pod for pod in pods if is_active(pod)]
        again: float | None = None
        if outcome is not None or job["spec"].get("suspend"):
            for pod in active:
                ctx.delete(PODS, pod)
            active = []
        else:
            active, again = self._scale(job, status, pods, active)
        self._write_status(key, job, status, active, outcome)
        for pod in pods:
            if is_finished(pod):
                self._untrack(pod)
        return again if again is not None else self._deadline(job)

    def _count(self, job: Object, pods: list[Object]) -> Object:
        """The status with the ends of those pods that still carry the finalizer added."""
        before = job.get("status") or {}
        status = dict(before)
        status.setdefault("startTime", self._ctx.clock.timestamp())
        succeeded, failed = int(before.get("succeeded") or 0), int(before.get("failed") or 0)
        indexes = _read_indexes(before.get("completedIndexes"))
        # Counted in a status that was written before the finalizer could be taken off.
        uncounted = before.get("uncountedTerminatedPods") or {}
        known = set(uncounted.get("succeeded") or ()) | set(uncounted.get("failed") or ())
        counted: dict[str, list[str]] = {"succeeded": [], "failed": []}
        indexed = job["spec"].get("completionMode") == "Indexed"
        for pod in pods:
            if not is_finished(pod) or TRACKING not in (pod["metadata"].get("finalizers") or ()):
                continue
            uid = pod["metadata"]["uid"]
            good = phase(pod) == "Succeeded" and not is_terminating(pod)
            counted["succeeded" if good else "failed"].append(uid)
            if good and indexed:
                indexes.add(int((pod["metadata"].get("annotations") or {}).get(INDEX, -1)))
            if uid in known:
                continue
            if good:
                succeeded += 1
            else:
                failed += 1
        if indexed:
            succeeded = len(indexes)
            if indexes:
                status["completedIndexes"] = _write_indexes(indexes)
        status["succeeded"], status["failed"] = succeeded, failed
        status["uncountedTerminatedPods"] = {kind: uids for kind, uids in counted.items() if uids}
        return status

    def _outcome(self, job: Object, status: Object, pods: list[Object]) -> tuple[str, str, str] | None:
        """(condition, reason, message) when the Job is over."""
        spec = job["spec"]
        completions = spec.get("completions")
        limit = int(spec.get("backoffLimit", 6))
        retries = status["failed"] + sum(_restarts(pod) for pod in pods if not is_finished(pod))
        if retries > limit:
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        left = self._deadline(job)
        if left is not None and left <= 0:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        done = int(status["succeeded"])
        if completions is None:
            complete = done > 0 and not any(is_active(pod) for pod in pods)
        else:
            complete = done >= int(completions)
        if complete:
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        return None

    def _deadline(self, job: Object) -> float | None:
        limit = job["spec"].get("activeDeadlineSeconds")
        began = (job.get("status") or {}).get("startTime")
        if limit is None or began is None or job["spec"].get("suspend"):
            return None
        return max(0.0, float(limit) - (self._ctx.clock.now() - parse_time(began)).total_seconds())

    def _scale(
        self, job: Object, status: Object, pods: list[Object], active: list[Object]
    ) -> tuple[list[Object], float | None]:
        """Create or delete pods; the active ones then, and when to try again."""
        spec = job["spec"]
        parallelism = int(spec.get("parallelism", 1))
        completions = spec.get("completions")
        if completions is None:
            wanted = len(active) if status["succeeded"] else parallelism
        else:
            wanted = min(parallelism, max(0, int(completions) - int(status["succeeded"])))
        if len(active) > wanted:
            for pod in sorted(active, key=lambda pod: (is_ready(pod), pod["metadata"]["name"]))[: len(active) - wanted]:
                self._ctx.delete(PODS, pod)
            return active[:wanted], None
        if len(active) == wanted:
            return active, None
        wait = self._back_off(pods)
        if wait > 0:
            return active, wait
        made: list[Object] = []
        free = self._free_indexes(job, status, active) if spec.get("completionMode") == "Indexed" else None
        for position in range(wanted - len(active)):
            index = None
            if free is not None:
                if position >= len(free):
                    break
                index = free[position]
            created = self._create(job, index)
            if created is None:
                break
            made.append(created)
        return active + made, None

    def _back_off(self, pods: list[Object]) -> float:
        """After a failure the next pod waits: 10 seconds, then twice as long each time."""
        failures = 0
        last = None
        for pod in pods:
            if phase(pod) == "Failed":
                failures += 1
                ended = _ended_at(pod)
                if ended is not None and (last is None or ended > last):
                    last = ended
            elif phase(pod) == "Succeeded":
                failures = 0
        if not failures or last is None:
            return 0.0
        wait = min(_LAST_BACK_OFF, _FIRST_BACK_OFF * 2.0 ** (failures - 1))
        return wait - (self._ctx.clock.now() - parse_time(last)).total_seconds()

    @staticmethod
    def _free_indexes(job: Object, status: Object, active: list[Object]) -> list[int]:
        done = _read_indexes(status.get("completedIndexes"))
        busy = {int((pod["metadata"].get("annotations") or {}).get(INDEX, -1)) for pod in active}
        return [each for each in range(int(job["spec"].get("completions") or 0)) if each not in done | busy]

    def _create(self, job: Object, index: int | None) -> Object | None:
        ctx = self._ctx
        metadata = job["metadata"]
        labels = {
            "batch.kubernetes.io/controller-uid": metadata["uid"],
            "batch.kubernetes.io/job-name": metadata["name"],
            "controller-uid": metadata["uid"],
            "job-name": metadata["name"],
        }
        annotations: dict[str, str] = {}
        spec: Object = {}
        if index is not None:
            labels[INDEX] = annotations[INDEX] = str(index)
            spec["hostname"] = f"{metadata['name']}-{index}"
        pod = pod_of(
            job["spec"]["template"],
            JOBS,
            job,
            labels=labels,
            annotations=annotations,
            finalizers=(TRACKING,),
            spec=spec,
        )
        if index is not None:
            pod["metadata"]["generateName"] = f"{metadata['name']}-{index}-"
        try:
            made = ctx.api.create(PODS, pod, metadata["namespace"])
        except REFUSALS as error:
            self._refused = error.message
            ctx.events.emit(JOBS, job, WARNING, "FailedCreate", f"Error creating: {error.message}", _COMPONENT)
            return None
        ctx.events.emit(JOBS, job, NORMAL, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", _COMPONENT)
        return made

    def _untrack(self, pod: Object) -> None:
        """Let go of a pod whose end is counted."""
        fresh = self._ctx.get(PODS, object_key(pod))
        if fresh is None or fresh["metadata"]["uid"] != pod["metadata"]["uid"]:
            return
        finalizers = fresh["metadata"].get("finalizers") or ()
        if TRACKING not in finalizers:
            return
        kept = [each for each in finalizers if each != TRACKING]
        try:
            self._ctx.update(PODS, {**fresh, "metadata": {**fresh["metadata"], "finalizers": kept}})
        except NotFound:
            return

    # -- status and end --------------------------------------------------------------------

    def _write_status(
        self, key: Key, job: Object, status: Object, active: list[Object], outcome: tuple[str, str, str] | None
    ) -> None:
        ctx = self._ctx
        now = ctx.clock.timestamp()
        pods = ctx.controlled(PODS, job)
        status["active"] = len(active)
        status["ready"] = sum(1 for pod in pods if is_active(pod) and is_ready(pod))
        status["terminating"] = sum(1 for pod in pods if is_terminating(pod) and not is_finished(pod))
        conditions: list[Object] = list(status.get("conditions") or ())
        if outcome is not None:
            kind, reason, message = outcome
            criterion = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
            for each in (criterion, kind):
                conditions = with_condition(conditions, each, "True", now, reason, message, lastProbeTime=now)
            if kind == "Complete":
                status["completionTime"] = now
            status["uncountedTerminatedPods"] = {}
            status["ready"] = 0
            event = "Completed" if kind == "Complete" else reason
            text = "Job completed" if kind == "Complete" else message
            ctx.events.emit(JOBS, job, NORMAL if kind == "Complete" else WARNING, event, text, _COMPONENT)
        elif job["spec"].get("suspend"):
            conditions = with_condition(
                conditions, "Suspended", "True", now, "JobSuspended", "Job suspended", lastProbeTime=now
            )
            status.pop("startTime", None)
        elif any(each.get("type") == "Suspended" and each.get("status") == "True" for each in conditions):
            conditions = with_condition(
                conditions, "Suspended", "False", now, "JobResumed", "Job resumed", lastProbeTime=now
            )
        if conditions:
            status["conditions"] = conditions
        optional = ("active", "succeeded", "failed")
        cleaned = {field: value for field, value in status.items() if value or field not in optional}
        fresh = ctx.get(JOBS, key)
        if fresh is not None:
            ctx.update_status(JOBS, fresh, cleaned)

    def _expire(self, job: Object) -> float | None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        ended = next(
            each["lastTransitionTime"]
            for each in job["status"]["conditions"]
            if each["type"] in ("Complete", "Failed") and each["status"] == "True"
        )
        left = float(ttl) - (self._ctx.clock.now() - parse_time(ended)).total_seconds()
        if left > 0:
            return left
        self._ctx.delete(JOBS, job, propagation="Background")
        return None


def job_ended(job: Object) -> bool:
    """Whether the Job is complete or has failed for good."""
    return condition_is(job, "Complete") or condition_is(job, "Failed")


def _restarts(pod: Object) -> int:
    if pod["spec"].get("restartPolicy") != "OnFailure":
        return 0
    return sum(int(each.get("restartCount") or 0) for each in (pod.get("status") or {}).get("containerStatuses") or ())


def _ended_at(pod: Object) -> str | None:
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = ((each.get("state") or {}).get("terminated") or {}).get("finishedAt")
        if ended:
            return str(ended)
    return None


def _read_indexes(text: t.Any) -> set[int]:
    """``"1,3-5"`` as numbers."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, dash, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last if dash else first) + 1))
    return found


def _write_indexes(numbers: set[int]) -> str:
    """Numbers as ``"1,3-5"``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)
