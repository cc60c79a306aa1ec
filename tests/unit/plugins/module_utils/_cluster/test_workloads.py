# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, NotFound, ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import REPLICA_SETS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners, read_counted


class Api:
    """ReplicaSets and Jobs on a shelf; counts how often it is asked."""

    def __init__(self, *things: Object) -> None:
        self._things = {(thing["kind"], thing["metadata"]["name"]): thing for thing in things}
        self.asked = 0

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self.asked += 1
        if (resource.kind, name) not in self._things:
            raise NotFound(f'{resource.plural} "{name}" not found', 404, "NotFound")
        return self._things[resource.kind, name]

    def list(self, resource: Resource, namespace: str | None = None) -> Listing:
        return Listing([thing for (kind, _name), thing in self._things.items() if kind == resource.kind], "1")


def ref(kind: str, name: str, api_version: str = "apps/v1") -> Object:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": True}


def thing(kind: str, name: str, *owners: Object) -> Object:
    metadata = {"namespace": "shop", "name": name, "uid": f"{kind}-{name}", "ownerReferences": list(owners)}
    return {"kind": kind, "metadata": metadata, "spec": {"replicas": 3}}


def owners(*things: Object) -> tuple[Owners, Api]:
    api = Api(*things)
    return Owners(t.cast("t.Any", api)), api


@pytest.mark.parametrize(
    ("reference", "above", "expected"),
    [
        (ref("ReplicaSet", "web-1"), ref("Deployment", "web"), Owner("shop", "web", "Deployment")),
        (ref("ReplicaSet", "web-1"), ref("Rollout", "web", "argoproj.io/v1alpha1"), Owner("shop", "web", "Rollout")),
        (ref("ReplicaSet", "web-1"), None, Owner("shop", "web-1", "ReplicaSet")),
        (ref("Job", "j-1", "batch/v1"), ref("CronJob", "j", "batch/v1"), Owner("shop", "j", "CronJob")),
        (ref("Job", "j-1", "batch/v1"), None, Owner("shop", "j-1", "Job")),
        (ref("StatefulSet", "db"), None, Owner("shop", "db", "StatefulSet")),
        (ref("DaemonSet", "agent"), None, Owner("shop", "agent", "DaemonSet")),
        (ref("ReplicationController", "rc", "v1"), None, Owner("shop", "rc", "ReplicationController")),
        (ref("Job", "j-1", "batch.example.com/v1"), None, Owner("shop", "j-1", "Job")),
    ],
)
def test_chains(reference: Object, above: Object | None, expected: Owner) -> None:
    between = thing(reference["kind"], reference["name"], *([above] if above else []))
    found, _api = owners(between)
    assert found.of(thing("Pod", "p", reference)) == expected


CLUSTERS = "db.example.com/v1"


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        # A custom controller between the ReplicaSet and the pods, or above it, or two of them.
        ([ref("Rollout", "web", CLUSTERS), ref("ReplicaSet", "web-1")], Owner("shop", "web", "Rollout")),
        ([ref("Member", "db-1", CLUSTERS), ref("Database", "db", CLUSTERS)], Owner("shop", "db", "Database")),
        # What has a rollout of its own is where a person would restart it, whoever made it.
        ([ref("Shard", "db-1", CLUSTERS), ref("StatefulSet", "db"), ref("Database", "db", CLUSTERS)], "StatefulSet"),
        ([ref("ReplicaSet", "web-1"), ref("Deployment", "web"), ref("Shop", "web", CLUSTERS)], "Deployment"),
        # A machine's pod is the machine's.
        (
            [ref("VirtualMachineInstance", "vm", "kubevirt.io/v1"), ref("VirtualMachine", "vm")],
            "VirtualMachineInstance",
        ),
    ],
)
def test_chains_through_custom_controllers(chain: list[Object], expected: Owner | str) -> None:
    if chain[1]["kind"] == "ReplicaSet":
        chain = [chain[1], chain[0]]
    shelf = [thing(each["kind"], each["name"], *chain[index + 1 : index + 2]) for index, each in enumerate(chain)]
    found, api = owners(*shelf)
    for number in range(3):
        owner = found.of(thing("Pod", f"p{number}", chain[0]))
        assert (owner.kind if isinstance(expected, str) and owner else owner) == expected
    assert api.asked <= 2


@pytest.mark.parametrize(
    "error",
    [
        Forbidden("hens is forbidden", 403, "Forbidden"),
        ServerError("conversion webhook for example.com failed: no endpoints available", 500, "InternalError"),
    ],
)
def test_owners_in_a_circle_and_owners_that_may_not_be_read(error: Exception) -> None:
    first, second = ref("Egg", "e", CLUSTERS), ref("Hen", "h", CLUSTERS)
    found, api = owners(thing("Egg", "e", second), thing("Hen", "h", first))
    assert found.of(thing("Pod", "p", first)) is not None
    assert api.asked == 2

    class Forbidding(Api):
        def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
            self.asked += 1
            raise error

    closed = Forbidding()
    for number in range(2):
        pod = thing("Pod", f"p{number}", first)
        assert Owners(t.cast("t.Any", closed)).of(pod) == Owner("shop", "e", "Egg")
    found = Owners(t.cast("t.Any", closed))
    closed.asked = 0
    for number in range(2):
        found.of(thing("Pod", f"p{number}", first))
    assert closed.asked == 1


def test_bare_and_static_pods() -> None:
    found, api = owners()
    assert found.of(thing("Pod", "p")) is None
    assert found.of(thing("Pod", "etcd-n1", ref("Node", "n1", "v1"))) == Owner("shop", "etcd-n1", "Node")
    assert api.asked == 0


def test_each_object_in_between_is_read_once() -> None:
    found, api = owners(thing("ReplicaSet", "web-1", ref("Deployment", "web")))
    for index in range(3):
        found.of(thing("Pod", f"p{index}", ref("ReplicaSet", "web-1")))
    assert api.asked == 1
    learned, api = owners(thing("ReplicaSet", "web-1", ref("Deployment", "web")))
    learned.learn(REPLICA_SETS)
    learned.of(thing("Pod", "p", ref("ReplicaSet", "web-1")))
    assert api.asked == 0


def test_an_object_in_between_that_is_gone() -> None:
    found, _api = owners()
    assert found.of(thing("Pod", "p", ref("ReplicaSet", "web-1"))) == Owner("shop", "web-1", "ReplicaSet")


def test_read_counted() -> None:
    api = t.cast("t.Any", Api(thing("ReplicaSet", "web-1")))
    found = read_counted(api, Owner("shop", "web-1", "ReplicaSet"))
    assert found is not None
    assert found["spec"]["replicas"] == 3
    assert read_counted(api, Owner("shop", "gone", "ReplicaSet")) is None
    assert read_counted(api, Owner("shop", "x", "CloneSet")) is None
