# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import JOBS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import condition_is, is_active

NAMESPACE = "shop"


def ended(cluster, kind, name="work"):
    return condition_is(cluster.get(JOBS, name), kind)


def test_runs_to_its_end_and_gives_the_address_back(cluster):
    cluster.job(run_seconds=20)
    cluster.clock.advance(10)
    status = cluster.status(JOBS, "work")
    assert (status["active"], status["ready"], status.get("succeeded", 0)) == (1, 1, 0)
    cluster.until(lambda: ended(cluster, "Complete"))
    cluster.clock.advance(2)
    status = cluster.status(JOBS, "work")
    assert (status.get("active", 0), status["succeeded"]) == (0, 1)
    assert status["completionTime"] > status["startTime"]
    assert status["uncountedTerminatedPods"] == {}
    (pod,) = cluster.pods()
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["status"]["podIP"]
    assert cluster.cni.held == {}
    assert "finalizers" not in pod["metadata"]


def test_parallelism_and_completions(cluster):
    cluster.job(run_seconds=10, parallelism=2, completions=5)
    most = []
    cluster.objects.subscribe(lambda _event: most.append(sum(map(is_active, cluster.pods()))), PODS)
    cluster.until(lambda: ended(cluster, "Complete"))
    assert max(most) == 2
    assert cluster.status(JOBS, "work")["succeeded"] == 5
    assert len(cluster.pods()) == 5


def test_fails_after_its_back_off_limit(cluster):
    cluster.job(annotations={"ipam.calico-ops.io/twin-exit-code": "1"}, backoffLimit=2)
    cluster.until(lambda: ended(cluster, "Failed"))
    job = cluster.get(JOBS, "work")
    assert job["status"]["failed"] == 3
    assert [each["reason"] for each in job["status"]["conditions"] if each["type"] == "Failed"] == [
        "BackoffLimitExceeded"
    ]
    # 10 and 20 seconds of waiting between the attempts.
    assert cluster.clock.monotonic() > 45


def test_a_deleted_pod_is_counted_and_replaced(cluster):
    cluster.job(run_seconds=30)
    cluster.until_ready(1)
    name = cluster.pods()[0]["metadata"]["name"]
    cluster.api.delete(PODS, name, NAMESPACE)
    cluster.until(lambda: cluster.get(PODS, name) is None)
    cluster.until(lambda: ended(cluster, "Complete"))
    status = cluster.status(JOBS, "work")
    assert (status["succeeded"], status["failed"]) == (1, 1)


def test_indexed(cluster):
    cluster.job(run_seconds=5, completionMode="Indexed", completions=4, parallelism=3)
    cluster.until(lambda: ended(cluster, "Complete"))
    assert cluster.status(JOBS, "work")["completedIndexes"] == "0-3"
    names = sorted(pod["metadata"]["name"].rpartition("-")[0] for pod in cluster.pods())
    assert names == ["work-0", "work-1", "work-2", "work-3"]


def test_active_deadline(cluster):
    cluster.job(run_seconds=1000, activeDeadlineSeconds=30)
    cluster.until(lambda: ended(cluster, "Failed"))
    assert 29 < cluster.clock.monotonic() < 33
    cluster.until(lambda: not any(map(is_active, cluster.pods())))


def test_suspend_and_resume(cluster):
    cluster.job(run_seconds=10, suspend=True)
    cluster.clock.advance(30)
    assert cluster.pods() == []
    assert condition_is(cluster.get(JOBS, "work"), "Suspended")
    cluster.api.patch(JOBS, "work", {"spec": {"suspend": False}}, NAMESPACE)
    cluster.until(lambda: ended(cluster, "Complete"))


def test_time_to_live(cluster):
    cluster.job(run_seconds=5, ttlSecondsAfterFinished=60)
    cluster.until(lambda: ended(cluster, "Complete"))
    cluster.clock.advance(50)
    assert cluster.get(JOBS, "work") is not None
    cluster.clock.advance(20)
    assert cluster.get(JOBS, "work") is None
    assert cluster.pods() == []


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_deleting_a_job_deletes_its_pods_in_spite_of_the_tracking(cluster, propagation):
    cluster.job(run_seconds=1000)
    cluster.until_ready(1)
    cluster.api.delete(JOBS, "work", NAMESPACE, propagation=propagation)
    cluster.until(lambda: not cluster.pods() and cluster.get(JOBS, "work") is None)
    assert cluster.cni.held == {}
