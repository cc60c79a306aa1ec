# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
)

NAMESPACE = "shop"


@pytest.fixture
def rolled_out(cluster):
    cluster.deployment(replicas=2)
    cluster.until(cluster.rolled_out)
    return cluster


def owned(name, *owners, block=True):
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    return {"metadata": {"name": name, "ownerReferences": references}}


def test_background(rolled_out):
    cluster = rolled_out
    cluster.api.delete(DEPLOYMENTS, "web", NAMESPACE)
    assert cluster.get(DEPLOYMENTS, "web") is None
    assert len(cluster.ready("web")) == 2
    cluster.until(lambda: not cluster.pods("web") and not cluster.replica_sets())


def test_foreground(rolled_out):
    cluster = rolled_out
    gone = []
    for resource in (DEPLOYMENTS, REPLICA_SETS, PODS):
        cluster.objects.subscribe(
            lambda event: gone.append(event.resource.kind) if event.type == "DELETED" else None, resource
        )
    cluster.api.delete(DEPLOYMENTS, "web", NAMESPACE, propagation="Foreground")
    assert cluster.get(DEPLOYMENTS, "web")["metadata"]["finalizers"] == ["foregroundDeletion"]
    cluster.until(lambda: cluster.get(DEPLOYMENTS, "web") is None)
    assert gone == ["Pod", "Pod", "ReplicaSet", "Deployment"]


def test_orphan(rolled_out):
    cluster = rolled_out
    cluster.api.delete(DEPLOYMENTS, "web", NAMESPACE, propagation="Orphan")
    cluster.until(lambda: cluster.get(DEPLOYMENTS, "web") is None)
    cluster.clock.advance(30)
    (left,) = cluster.replica_sets()
    assert "ownerReferences" not in left["metadata"]
    assert len(cluster.ready("web")) == 2
    # A Deployment of the same selector takes the ReplicaSet over.
    cluster.deployment(replicas=2)
    cluster.until(cluster.rolled_out)
    cluster.clock.advance(30)
    (adopted,) = cluster.replica_sets()
    assert adopted["metadata"]["uid"] == left["metadata"]["uid"]


def test_orphaned_pods_are_adopted(cluster):
    cluster.workload(REPLICA_SETS, "web", 2)
    cluster.until_ready(2, "web")
    before = {pod["metadata"]["uid"] for pod in cluster.pods("web")}
    cluster.api.delete(REPLICA_SETS, "web", NAMESPACE, propagation="Orphan")
    cluster.until(lambda: cluster.get(REPLICA_SETS, "web") is None)
    cluster.workload(REPLICA_SETS, "web", 2)
    cluster.clock.advance(20)
    assert {pod["metadata"]["uid"] for pod in cluster.pods("web")} == before


def test_a_pod_that_no_longer_matches_is_released_and_replaced(cluster):
    cluster.workload(REPLICA_SETS, "web", 2)
    cluster.until_ready(2, "web")
    name = cluster.pods("web")[0]["metadata"]["name"]
    cluster.api.patch(PODS, name, {"metadata": {"labels": {"app": "debug"}}}, NAMESPACE)
    cluster.clock.advance(10)
    assert len(cluster.ready("web")) == 2
    assert "ownerReferences" not in cluster.get(PODS, name)["metadata"]


def test_an_object_of_two_owners_goes_with_the_last(cluster):
    one, two = (cluster.api.create(CONFIG_MAPS, {"metadata": {"name": name}}, NAMESPACE) for name in ("one", "two"))
    cluster.api.create(CONFIG_MAPS, owned("child", one, two), NAMESPACE)
    cluster.api.delete(CONFIG_MAPS, "one", NAMESPACE)
    cluster.clock.advance(2)
    (reference,) = cluster.get(CONFIG_MAPS, "child")["metadata"]["ownerReferences"]
    assert reference["name"] == "two"
    cluster.api.delete(CONFIG_MAPS, "two", NAMESPACE)
    cluster.clock.advance(2)
    assert cluster.get(CONFIG_MAPS, "child") is None


def test_an_owner_that_never_was(cluster):
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    cluster.api.create(CONFIG_MAPS, owned("child", ghost), NAMESPACE)
    cluster.clock.advance(2)
    assert cluster.get(CONFIG_MAPS, "child") is None


def test_the_same_name_is_not_the_same_owner(cluster):
    owner = cluster.api.create(CONFIG_MAPS, {"metadata": {"name": "one"}}, NAMESPACE)
    cluster.api.create(CONFIG_MAPS, owned("child", owner), NAMESPACE)
    cluster.api.delete(CONFIG_MAPS, "one", NAMESPACE)
    cluster.api.create(CONFIG_MAPS, {"metadata": {"name": "one"}}, NAMESPACE)
    cluster.clock.advance(2)
    assert cluster.get(CONFIG_MAPS, "child") is None


def test_dependents_that_do_not_block_are_not_waited_for(cluster):
    owner = cluster.api.create(CONFIG_MAPS, {"metadata": {"name": "one"}}, NAMESPACE)
    child = owned("child", owner, block=False)
    child["metadata"]["finalizers"] = ["example.org/mine"]
    cluster.api.create(CONFIG_MAPS, child, NAMESPACE)
    cluster.api.delete(CONFIG_MAPS, "one", NAMESPACE, propagation="Foreground")
    cluster.clock.advance(2)
    assert cluster.get(CONFIG_MAPS, "one") is None
