# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS, STATEFUL_SETS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import is_ready, is_terminating
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import PERSISTENT_VOLUME_CLAIMS

NAMESPACE = "shop"
HASH = "controller-revision-hash"


def rolled_out(cluster, name="db"):
    """What ``kubectl rollout status statefulset`` waits for."""
    obj = cluster.get(STATEFUL_SETS, name)
    status = obj.get("status") or {}
    return (
        status.get("observedGeneration", 0) >= obj["metadata"]["generation"]
        and status.get("readyReplicas", 0) >= obj["spec"]["replicas"]
        and status.get("updateRevision") == status.get("currentRevision")
        and status.get("updatedReplicas", 0) == obj["spec"]["replicas"]
    )


def history(cluster):
    """(what, pod) for each pod created, ready, deletion begun and gone, in order."""
    seen = []

    def look(event):
        name, pod, old = event.object["metadata"]["name"], event.object, event.previous
        if event.type == "ADDED":
            seen.append(("created", name))
        elif event.type == "DELETED":
            seen.append(("gone", name))
        elif is_terminating(pod) and not is_terminating(old):
            seen.append(("deleted", name))
        elif is_ready(pod) and not is_ready(old):
            seen.append(("ready", name))

    cluster.objects.subscribe(look, PODS)
    return seen


def test_ordered_start(cluster):
    seen = history(cluster)
    cluster.workload(STATEFUL_SETS, "db", 3)
    cluster.until(lambda: rolled_out(cluster))
    assert seen == [(what, f"db-{number}") for number in range(3) for what in ("created", "ready")]
    pod = cluster.get(PODS, "db-1")
    assert pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")


def test_parallel_start(cluster):
    seen = history(cluster)
    cluster.workload(STATEFUL_SETS, "db", 3, podManagementPolicy="Parallel")
    cluster.until(lambda: rolled_out(cluster))
    assert [what for what, _name in seen] == ["created"] * 3 + ["ready"] * 3


def test_restart_goes_down_one_by_one_and_reuses_names_only_when_free(cluster):
    cluster.workload(STATEFUL_SETS, "db", 3)
    cluster.until(lambda: rolled_out(cluster))
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods("db")}
    seen = history(cluster)
    cluster.restart(STATEFUL_SETS, "db")
    cluster.until(lambda: rolled_out(cluster))
    assert seen == [(what, f"db-{number}") for number in (2, 1, 0) for what in ("deleted", "gone", "created", "ready")]
    after = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods("db")}
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())


def test_partition_keeps_lower_ordinals_on_the_old_revision(cluster):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    cluster.workload(STATEFUL_SETS, "db", 3, updateStrategy=strategy)
    cluster.until(lambda: rolled_out(cluster))
    old = cluster.status(STATEFUL_SETS, "db")["updateRevision"]
    cluster.restart(STATEFUL_SETS, "db")
    cluster.clock.advance(60)
    status = cluster.status(STATEFUL_SETS, "db")
    assert status["currentRevision"] == old != status["updateRevision"]
    assert (status["updatedReplicas"], status["currentReplicas"], status["readyReplicas"]) == (1, 2, 3)
    # A pod below the partition comes back in its old revision.
    cluster.api.delete(PODS, "db-0", NAMESPACE)
    cluster.clock.advance(30)
    assert cluster.get(PODS, "db-0")["metadata"]["labels"][HASH] == old
    cluster.api.patch(STATEFUL_SETS, "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}, NAMESPACE)
    cluster.until(lambda: rolled_out(cluster))


def test_on_delete_waits_for_the_user(cluster):
    cluster.workload(STATEFUL_SETS, "db", 2, updateStrategy={"type": "OnDelete"})
    cluster.until_ready(2, "db")
    cluster.restart(STATEFUL_SETS, "db")
    seen = history(cluster)
    cluster.clock.advance(120)
    assert seen == []
    cluster.api.delete(PODS, "db-0", NAMESPACE)
    cluster.clock.advance(30)
    assert (
        cluster.get(PODS, "db-0")["metadata"]["labels"][HASH] == cluster.status(STATEFUL_SETS, "db")["updateRevision"]
    )


def test_scale_down_takes_the_highest_first(cluster):
    cluster.workload(STATEFUL_SETS, "db", 3)
    cluster.until(lambda: rolled_out(cluster))
    seen = history(cluster)
    cluster.scale(STATEFUL_SETS, "db", 1)
    cluster.until(lambda: len(cluster.pods("db")) == 1)
    assert seen == [("deleted", "db-2"), ("gone", "db-2"), ("deleted", "db-1"), ("gone", "db-1")]


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_broken_update_stops_and_can_be_repaired(cluster, make_template, policy):
    cluster.workload(STATEFUL_SETS, "db", 3, podManagementPolicy=policy)
    cluster.until(lambda: rolled_out(cluster))
    broken = make_template("db", image="registry/db:broken")
    cluster.api.patch(STATEFUL_SETS, "db", {"spec": {"template": broken}}, NAMESPACE)
    cluster.clock.advance(120)
    assert [pod["metadata"]["name"] for pod in cluster.ready("db")] == ["db-0", "db-1"]
    cluster.api.patch(STATEFUL_SETS, "db", {"spec": {"template": make_template("db")}}, NAMESPACE)
    # As in Kubernetes: with OrderedReady the broken pod is waited for until somebody deletes it.
    cluster.clock.advance(60)
    if policy == "OrderedReady":
        assert len(cluster.ready("db")) == 2
        cluster.api.delete(PODS, "db-2", NAMESPACE)
    cluster.until(lambda: rolled_out(cluster))


def test_claims_are_made_once_and_mounted(cluster, make_template):
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.workload(STATEFUL_SETS, "db", 2, volumeClaimTemplates=[claim])
    cluster.until_ready(2, "db")
    names = [each["metadata"]["name"] for each in cluster.objects.list(PERSISTENT_VOLUME_CLAIMS, NAMESPACE)]
    assert names == ["data-db-0", "data-db-1"]
    volumes = cluster.get(PODS, "db-0")["spec"]["volumes"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}} in volumes
