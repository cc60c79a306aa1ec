# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    condition,
    is_active,
    is_ready,
    is_terminating,
)

NAMESPACE = "shop"


def test_comes_up(cluster):
    cluster.deployment(replicas=3)
    cluster.until(cluster.rolled_out)
    pods = cluster.pods("web")
    assert len(pods) == 3
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2", "node-3"}
    assert len({pod["status"]["podIP"] for pod in pods}) == 3
    deployment = cluster.get(DEPLOYMENTS, "web")
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    status = deployment["status"]
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (3, 3, 3)
    assert condition(deployment, "Available")["status"] == "True"
    assert condition(deployment, "Progressing")["reason"] == "NewReplicaSetAvailable"
    # Nothing is instant: even the quickest pod needs a second.
    assert cluster.clock.monotonic() > 1.0


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "fewest"),
    [
        (4, "25%", "25%", 5, 3),
        (10, "25%", "25%", 13, 8),
        (3, 0, 1, 3, 2),
        (3, 1, 0, 4, 3),
        (5, "50%", "50%", 8, 3),
    ],
)
def test_rolling_update_keeps_within_its_bounds(cluster, replicas, surge, unavailable, most, fewest):
    cluster.deployment(
        replicas=replicas,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
    )
    cluster.until(cluster.rolled_out)
    before = {pod["metadata"]["uid"] for pod in cluster.pods("web")}
    totals, available = [], []

    def look(_event):
        pods = cluster.pods("web")
        totals.append(sum(1 for pod in pods if is_active(pod)))
        available.append(sum(1 for pod in pods if is_ready(pod) and not is_terminating(pod)))

    cluster.objects.subscribe(look, PODS)
    cluster.restart(DEPLOYMENTS)
    cluster.until(lambda: cluster.rolled_out() and len(cluster.pods("web")) == replicas)
    after = {pod["metadata"]["uid"] for pod in cluster.pods("web")}
    assert not before & after
    assert max(totals) <= most
    assert min(available) >= fewest
    assert cluster.get(DEPLOYMENTS, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_recreate_never_runs_old_and_new_together(cluster):
    cluster.deployment(replicas=3, strategy={"type": "Recreate"})
    cluster.until(cluster.rolled_out)
    seen = set()

    def look(_event):
        seen.add(frozenset(pod["metadata"]["labels"]["pod-template-hash"] for pod in cluster.pods("web")))

    cluster.objects.subscribe(look, PODS)
    cluster.restart(DEPLOYMENTS)
    cluster.until(cluster.rolled_out)
    assert all(len(hashes) <= 1 for hashes in seen)
    assert len(cluster.pods("web")) == 3


def test_paused_deployment_scales_but_does_not_roll(cluster):
    cluster.deployment(replicas=2, paused=False)
    cluster.until(cluster.rolled_out)
    cluster.api.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}}, NAMESPACE)
    cluster.restart(DEPLOYMENTS)
    cluster.scale(DEPLOYMENTS, "web", 4)
    cluster.clock.advance(60)
    assert len(cluster.ready("web")) == 4
    assert len(cluster.replica_sets()) == 1
    cluster.api.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}}, NAMESPACE)
    cluster.until(cluster.rolled_out)
    assert len(cluster.replica_sets()) == 2


def test_scaling_in_the_middle_of_a_rollout_shares_the_change(cluster, make_template):
    cluster.deployment(replicas=10)
    cluster.until(cluster.rolled_out)
    broken = make_template("web", image="registry/web:broken")
    cluster.api.patch(DEPLOYMENTS, "web", {"spec": {"template": broken}}, NAMESPACE)
    cluster.clock.advance(60)
    sizes = sorted(each["spec"]["replicas"] for each in cluster.replica_sets())
    assert sizes == [5, 8]
    cluster.scale(DEPLOYMENTS, "web", 20)
    cluster.clock.advance(60)
    sizes = sorted(each["spec"]["replicas"] for each in cluster.replica_sets())
    assert sum(sizes) == 25
    assert sizes[0] > 5 < 8 < sizes[1]


def test_rollback_takes_up_the_old_replica_set_as_a_new_revision(cluster, make_template):
    cluster.deployment(replicas=2)
    cluster.until(cluster.rolled_out)
    cluster.api.patch(
        DEPLOYMENTS, "web", {"spec": {"template": make_template("web", image="registry/web:2")}}, NAMESPACE
    )
    cluster.until(cluster.rolled_out)
    cluster.api.patch(
        DEPLOYMENTS, "web", {"spec": {"template": make_template("web", image="registry/web:1")}}, NAMESPACE
    )
    cluster.clock.advance(1)
    cluster.until(cluster.rolled_out)
    revisions = {
        each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: each["spec"]["replicas"]
        for each in cluster.replica_sets()
    }
    assert revisions == {"2": 0, "3": 2}


def test_history_is_limited(cluster, make_template):
    cluster.deployment(replicas=1, revisionHistoryLimit=2)
    for number in range(2, 7):
        cluster.until(cluster.rolled_out)
        cluster.api.patch(
            DEPLOYMENTS, "web", {"spec": {"template": make_template("web", image=f"registry/web:{number}")}}, NAMESPACE
        )
        cluster.clock.advance(1)
    cluster.until(cluster.rolled_out)
    cluster.clock.advance(30)
    assert len(cluster.replica_sets()) == 3


def test_progress_deadline(cluster, make_template):
    cluster.deployment(
        replicas=2, progressDeadlineSeconds=60, template=make_template("web", image="registry/web:broken")
    )
    cluster.clock.advance(120)
    found = condition(cluster.get(DEPLOYMENTS, "web"), "Progressing")
    assert (found["status"], found["reason"]) == ("False", "ProgressDeadlineExceeded")


def test_min_ready_seconds_delays_availability(cluster):
    cluster.deployment(replicas=2, minReadySeconds=30)
    cluster.until_ready(2, "web")
    assert cluster.status(DEPLOYMENTS).get("availableReplicas", 0) == 0
    cluster.clock.advance(20)
    assert cluster.status(DEPLOYMENTS).get("availableReplicas", 0) == 0
    cluster.until(cluster.rolled_out, limit=15)


def test_deleting_a_pod_brings_its_replacement_before_it_is_gone(cluster):
    cluster.deployment(replicas=2)
    cluster.until(cluster.rolled_out)
    victim = cluster.pods("web")[0]
    cluster.api.delete(PODS, victim["metadata"]["name"], NAMESPACE)
    cluster.clock.advance(0.3)
    assert len(cluster.pods("web")) == 3
    cluster.until_ready(2, "web")


def test_a_second_look_writes_nothing(cluster):
    cluster.deployment(replicas=3)
    cluster.until(cluster.rolled_out)
    cluster.clock.advance(30)
    revision = cluster.objects.revision
    cluster.clock.advance(120)
    assert cluster.objects.revision == revision


def test_deletion_takes_everything_along(cluster):
    cluster.deployment(replicas=3)
    cluster.until(cluster.rolled_out)
    cluster.api.delete(DEPLOYMENTS, "web", NAMESPACE)
    cluster.until(lambda: not cluster.pods("web") and not cluster.objects.list(REPLICA_SETS, NAMESPACE))
    assert cluster.cni.held == {}
