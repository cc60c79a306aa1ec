# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Invalid
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CRON_JOBS, JOBS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import condition_is

NAMESPACE = "shop"


@pytest.fixture
def cluster(new_cluster):
    return new_cluster(start=datetime(2026, 3, 1, 10, 2, 30, tzinfo=timezone.utc))


def create(cluster, make_template, schedule="*/5 * * * *", run_seconds=5, **spec):
    template = make_template(
        "cron", annotations={"ipam.calico-ops.io/twin-run-seconds": str(run_seconds)}, restartPolicy="Never"
    )
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": NAMESPACE},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}, **spec},
    }
    return cluster.api.create(CRON_JOBS, body, NAMESPACE)


def jobs(cluster):
    return cluster.objects.list(JOBS, NAMESPACE)


def test_starts_jobs_on_time_and_keeps_three(cluster, make_template):
    create(cluster, make_template)
    cluster.clock.advance(140)
    assert jobs(cluster) == []
    cluster.clock.advance(30)
    (job,) = jobs(cluster)
    assert job["metadata"]["name"] == f"tick-{int(datetime(2026, 3, 1, 10, 5, tzinfo=timezone.utc).timestamp()) // 60}"
    assert cluster.status(CRON_JOBS, "tick")["lastScheduleTime"] == "2026-03-01T10:05:00Z"
    cluster.clock.advance(3600)
    assert len(jobs(cluster)) == 3
    assert all(condition_is(job, "Complete") for job in jobs(cluster))
    status = cluster.status(CRON_JOBS, "tick")
    assert "active" not in status
    assert status["lastSuccessfulTime"] > status["lastScheduleTime"]


@pytest.mark.parametrize(("policy", "running"), [("Allow", 3), ("Forbid", 1), ("Replace", 1)])
def test_concurrency(cluster, make_template, policy, running):
    create(cluster, make_template, "* * * * *", run_seconds=10_000, concurrencyPolicy=policy)
    cluster.clock.advance(30 + 2 * 60 + 50)
    assert len(jobs(cluster)) == running
    assert len(cluster.status(CRON_JOBS, "tick")["active"]) == running


def test_suspended(cluster, make_template):
    create(cluster, make_template, suspend=True)
    cluster.clock.advance(3600)
    assert jobs(cluster) == []


def test_time_zone(cluster, make_template):
    create(cluster, make_template, "0 12 * * *", timeZone="Europe/Berlin")
    cluster.clock.advance(58 * 60)
    assert len(jobs(cluster)) == 1


def test_an_unreadable_schedule_only_warns(cluster, make_template):
    try:
        create(cluster, make_template, "61 * * * *")
    except Invalid:
        return
    cluster.clock.advance(600)
    assert jobs(cluster) == []
