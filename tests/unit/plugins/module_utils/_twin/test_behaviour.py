# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole cluster: it goes on after a stop anywhere, it rests when there is nothing to do, it is quick."""

from __future__ import annotations

import time

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import condition, is_ready
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import CONTROLLER_REVISIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import forbidden

NAMESPACE = "shop"


@pytest.mark.parametrize("stop_after", [0.01, 0.2, 0.5, 1.0, 1.6, 2.5, 4.0, 8.0])
def test_goes_on_where_it_was_stopped(new_cluster, tmp_path, stop_after):
    path = str(tmp_path / "objects.sqlite")
    first = new_cluster(path=path)
    first.deployment(replicas=3)
    first.workload(STATEFUL_SETS, "db", 3)
    first.workload(DAEMON_SETS, "agent")
    first.service()
    first.until_ready(9)
    first.restart(DEPLOYMENTS)
    first.restart(STATEFUL_SETS, "db")
    first.restart(DAEMON_SETS, "agent")
    first.job(run_seconds=3)
    first.api.delete(PODS, first.pods("web")[0]["metadata"]["name"], NAMESPACE)
    first.clock.advance(stop_after)
    first.behaviour.stop()
    first.objects.close()

    second = new_cluster(path=path, start=first.clock.now())
    # A new process has another CNI plugin on the same records.
    second.cni.held, second.cni._next = first.cni.held, first.cni._next
    second.until(
        lambda: (
            second.rolled_out()
            and len(second.ready("db")) == 3 == len(second.pods("db"))
            and second.status(STATEFUL_SETS, "db")["updatedReplicas"] == 3
            and second.status(DAEMON_SETS, "agent").get("updatedNumberScheduled") == 3
            and len(second.ready()) == 9
            and len(second.pods()) == 10
        )
    )
    second.clock.advance(10)
    living = {pod["metadata"]["uid"] for pod in second.pods() if is_ready(pod)}
    assert set(second.cni.held) == living


def test_rests_when_nothing_happens(cluster):
    cluster.deployment(replicas=3)
    cluster.workload(STATEFUL_SETS, "db", 2)
    cluster.workload(DAEMON_SETS, "agent")
    cluster.service()
    cluster.budget(minAvailable=2)
    cluster.job(run_seconds=3)
    cluster.clock.advance(60)
    revision = cluster.objects.revision
    cluster.clock.advance(200)
    assert cluster.objects.revision == revision


def test_events_go_after_an_hour(cluster):
    cluster.deployment(replicas=2)
    cluster.clock.advance(60)
    assert cluster.objects.count(EVENTS) > 4
    cluster.clock.advance(3700)
    assert cluster.objects.count(EVENTS) == 0


def test_same_seed_same_history(new_cluster):
    def history(seed):
        cluster = new_cluster(seed=seed)
        seen = []
        cluster.objects.subscribe(lambda event: seen.append((event.type, event.resource.kind, event.entry.key)))
        cluster.deployment(replicas=3)
        cluster.until(cluster.rolled_out)
        cluster.restart(DEPLOYMENTS)
        cluster.clock.advance(30)
        return seen

    assert history(1) == history(1)
    assert history(1) != history(2)


def test_three_hundred_pods_in_seconds(new_cluster):
    cluster = new_cluster(nodes=10)
    began = time.perf_counter()
    for number in range(10):
        cluster.deployment(f"web-{number}", replicas=30)
        cluster.service(f"web-{number}")
        cluster.budget(f"web-{number}", maxUnavailable=3)
    cluster.until_ready(300)
    for number in range(10):
        cluster.restart(DEPLOYMENTS, f"web-{number}")
    cluster.until(lambda: all(cluster.rolled_out(f"web-{number}") for number in range(10)))
    assert time.perf_counter() - began < 30


@pytest.mark.parametrize("resource", [STATEFUL_SETS, DAEMON_SETS])
def test_workloads_copied_without_their_revisions_are_not_rolled_out(new_cluster, tmp_path, resource):
    path = str(tmp_path / "objects.sqlite")
    first = new_cluster(path=path)
    first.workload(resource, "db", 3)
    first.until_ready(3, "db")
    first.clock.advance(5)
    before = {pod["metadata"]["uid"] for pod in first.pods("db")}
    first.behaviour.stop()
    for pod in first.pods("db"):
        # What another cluster's controllers would have called the revision.
        value = "db-abc" if resource is STATEFUL_SETS else "abc"
        labels = {**pod["metadata"]["labels"], "controller-revision-hash": value}
        first.objects.update(PODS, {**pod, "metadata": {**pod["metadata"], "labels": labels}})
    for revision in first.objects.list(CONTROLLER_REVISIONS):
        first.objects.delete(CONTROLLER_REVISIONS, NAMESPACE, revision["metadata"]["name"])
    first.objects.close()

    second = new_cluster(path=path, start=first.clock.now())
    second.clock.advance(120)
    assert {pod["metadata"]["uid"] for pod in second.pods("db")} == before
    (revision,) = second.objects.list(CONTROLLER_REVISIONS)
    assert revision["metadata"]["name"] == "db-abc"


def refuse_pods(cluster):
    def refuse(kind, obj, old, options):
        if kind.resource == PODS and old is None:
            raise forbidden(PODS, obj["metadata"]["name"], "exceeded quota: pods")
        return obj

    cluster.server.before_write(refuse)
    return lambda: cluster.server.admissions.remove(refuse)


@pytest.mark.parametrize("resource", [REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS])
def test_a_pod_that_the_server_refuses_is_told_and_tried_again(cluster, resource):
    relent = refuse_pods(cluster)
    if resource is JOBS:
        cluster.job("web", run_seconds=1000)
    else:
        cluster.workload(resource, "web", 1)
    cluster.clock.advance(20)
    assert cluster.pods() == []
    assert "exceeded quota" in next(
        each["message"] for each in cluster.objects.list(EVENTS, NAMESPACE) if each["reason"] == "FailedCreate"
    )
    if resource is REPLICA_SETS:
        assert condition(cluster.replica_sets()[0], "ReplicaFailure")["reason"] == "FailedCreate"
    relent()
    cluster.until(lambda: len(cluster.ready()) >= 1, limit=120)
    cluster.clock.advance(1)
    if resource is REPLICA_SETS:
        assert condition(cluster.replica_sets()[0], "ReplicaFailure") is None
