# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The CronJob controller: Jobs by the clock."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from datetime import timezone as utc_offset
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CRON_JOBS, JOBS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.job import job_ended
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import owner_reference
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    condition_is,
    created,
    is_terminating,
    parse_time,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.replicaset import enqueue_owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.schedule import Schedule, parse_schedule
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event

_COMPONENT = "cronjob-controller"
# More missed runs than this are not made up for one by one.
_MOST_MISSED = 100


class CronJobController:
    """Starts the Jobs of every CronJob when they are due, and tidies up old ones."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "cronjob", self._reconcile, (0.05, 0.2))

    def start(self) -> None:
        self._ctx.informers.on(CRON_JOBS, self._on_cron_job)
        self._ctx.informers.on(JOBS, lambda event: enqueue_owner(self._queue, CRON_JOBS.kind, event))
        for each in self._ctx.objects.list(CRON_JOBS):
            self._queue.add(object_key(each))

    def stop(self) -> None:
        self._queue.stop()

    def _on_cron_job(self, event: Event) -> None:
        if event.type != DELETED:
            self._queue.add(object_key(event.object))

    # -- one reconciliation ----------------------------------------------------------------

    def _reconcile(self, key: Key) -> float | None:
        ctx = self._ctx
        cron = ctx.get(CRON_JOBS, key)
        if cron is None or is_terminating(cron):
            return None
        jobs = sorted(ctx.controlled(JOBS, cron), key=lambda job: (created(job), job["metadata"]["name"]))
        status = dict(cron.get("status") or {})
        for job in jobs:
            done = (job.get("status") or {}).get("completionTime")
            if done and condition_is(job, "Complete") and done > status.get("lastSuccessfulTime", ""):
                status["lastSuccessfulTime"] = done
        self._trim(cron, jobs)
        again: float | None = None
        if not cron["spec"].get("suspend"):
            try:
                again = self._run(cron, status, [job for job in jobs if not job_ended(job)])
            except InvalidInput as error:
                ctx.events.emit(CRON_JOBS, cron, WARNING, "UnparseableSchedule", error.message, _COMPONENT)
        active = [job for job in ctx.controlled(JOBS, cron) if not job_ended(job) and not is_terminating(job)]
        status.pop("active", None)
        if active:
            status["active"] = [_reference(job) for job in sorted(active, key=lambda job: str(job["metadata"]["name"]))]
        fresh = ctx.get(CRON_JOBS, key)
        if fresh is not None:
            ctx.update_status(CRON_JOBS, fresh, status)
        return again

    def _run(self, cron: Object, status: Object, active: list[Object]) -> float | None:
        """Start what is due; the seconds to the next time. Raises ``InvalidInput`` for a bad schedule."""
        ctx = self._ctx
        spec = cron["spec"]
        schedule, zone = parse_schedule(spec["schedule"]), _zone(spec.get("timeZone"))
        now = ctx.clock.now()
        due = self._last_due(cron, status, schedule, zone, now)
        upcoming = schedule.next_after(now.astimezone(zone))
        again = (upcoming - now).total_seconds() if upcoming is not None else None
        if due is None:
            return again
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None and (now - due).total_seconds() > float(deadline):
            message = f"Missed scheduled time to start a job: {due.strftime('%Y-%m-%dT%H:%M:%SZ')}"
            ctx.events.emit(CRON_JOBS, cron, WARNING, "MissSchedule", message, _COMPONENT)
            return again
        policy = spec.get("concurrencyPolicy", "Allow")
        if active and policy == "Forbid":
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            ctx.events.emit(CRON_JOBS, cron, NORMAL, "JobAlreadyActive", message, _COMPONENT)
            return again
        if policy == "Replace":
            for job in active:
                ctx.delete(JOBS, job, propagation="Background")
        self._start(cron, due)
        status["lastScheduleTime"] = due.astimezone(utc_offset.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return again

    @staticmethod
    def _last_due(cron: Object, status: Object, schedule: Schedule, zone: tzinfo, now: datetime) -> datetime | None:
        """The latest time that is due and was not served yet."""
        since = parse_time(status.get("lastScheduleTime") or cron["metadata"]["creationTimestamp"])
        deadline = cron["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            since = max(since, now - timedelta(seconds=float(deadline)))
        due: datetime | None = None
        at = schedule.next_after(since.astimezone(zone))
        missed = 0
        while at is not None and at <= now:
            due = at
            missed += 1
            if missed > _MOST_MISSED:
                # Far behind: only the latest one matters, so look at the last day only.
                at = schedule.next_after(max(at, (now - timedelta(days=1)).astimezone(zone)))
                missed = -(10**9)
                continue
            at = schedule.next_after(at)
        return due

    def _start(self, cron: Object, due: datetime) -> None:
        ctx = self._ctx
        metadata = cron["metadata"]
        template = cron["spec"]["jobTemplate"]
        own = template.get("metadata") or {}
        name = f"{metadata['name']}-{int(due.timestamp() // 60)}"
        body: Object = {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": dict(own.get("labels") or {}),
                "annotations": {
                    **(own.get("annotations") or {}),
                    "batch.kubernetes.io/cronjob-scheduled-timestamp": due.isoformat().replace("+00:00", "Z"),
                },
                "ownerReferences": [owner_reference(CRON_JOBS, cron)],
            },
            "spec": template.get("spec") or {},
        }
        try:
            ctx.api.create(JOBS, body, metadata["namespace"])
        except AlreadyExists:
            return
        except Forbidden as error:
            ctx.events.emit(
                CRON_JOBS, cron, WARNING, "FailedCreate", f"Error creating job: {error.message}", _COMPONENT
            )
            return
        ctx.events.emit(CRON_JOBS, cron, NORMAL, "SuccessfulCreate", f"Created job {name}", _COMPONENT)

    def _trim(self, cron: Object, jobs: list[Object]) -> None:
        limits = (
            ("Complete", int(cron["spec"].get("successfulJobsHistoryLimit", 3))),
            ("Failed", int(cron["spec"].get("failedJobsHistoryLimit", 1))),
        )
        for kind, limit in limits:
            ended = [job for job in jobs if condition_is(job, kind) and not is_terminating(job)]
            for job in ended[: max(0, len(ended) - limit)]:
                self._ctx.delete(JOBS, job, propagation="Background")


def _zone(name: str | None) -> tzinfo:
    if not name:
        return utc_offset.utc
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidInput(f"The time zone {name!r} is not known.", "timeZone", name) from None


def _reference(job: Object) -> Object:
    metadata = job["metadata"]
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }
