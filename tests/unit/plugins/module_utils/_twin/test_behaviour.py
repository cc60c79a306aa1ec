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
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import is_ready

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
