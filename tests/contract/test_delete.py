# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 9: delete, finalizers, propagation, namespaces."""

from __future__ import annotations

import pytest
from wire import POOLS, Cluster, Object, config_map, ip_pool, unique

HOLD = "contract.example.com/hold"


@pytest.fixture
def held(cluster: Cluster, maps: str) -> str:
    name = unique("held")
    cluster.post(maps, config_map(name, finalizers=[HOLD])).made()
    return f"{maps}/{name}"


def _release(cluster: Cluster, path: str) -> Object:
    return cluster.patch(path, {"metadata": {"finalizers": None}}).made()


def test_gone_at_once(cluster: Cluster, maps: str) -> None:
    made = cluster.post(maps, config_map(unique("d"))).made()["metadata"]
    answer = cluster.delete(f"{maps}/{made['name']}")
    assert answer.status == 200
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": made["name"], "kind": "configmaps", "uid": made["uid"]},
    }
    cluster.delete(f"{maps}/{made['name']}").refused(404, "NotFound")


def test_a_custom_resource_gone_at_once(cluster: Cluster) -> None:
    name = unique("contract")
    cluster.post(POOLS, ip_pool(name)).made()
    details = cluster.delete(f"{POOLS}/{name}").made()["details"]
    assert (details["group"], details["kind"]) == ("crd.projectcalico.org", "ippools")


def test_finalizers_hold_the_object(cluster: Cluster, held: str) -> None:
    answer = cluster.delete(held)
    assert answer.status == 200
    assert answer.json["kind"] == "ConfigMap"
    assert answer.json["metadata"]["deletionTimestamp"]
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 0
    assert cluster.delete(held).json == answer.json
    _release(cluster, held)


def test_the_last_finalizer_removed_deletes(cluster: Cluster, held: str) -> None:
    cluster.delete(held).made()
    assert cluster.patch(held, {"data": {"late": "yes"}}).made()["data"]["late"] == "yes"
    status = cluster.patch(held, {"metadata": {"finalizers": [HOLD, "contract.example.com/more"]}})
    assert "no new finalizers can be added if the object is being deleted" in status.refused(422, "Invalid")["message"]
    assert _release(cluster, held)["data"]["late"] == "yes"
    cluster.get(held).refused(404, "NotFound")


@pytest.mark.parametrize(("key", "what"), [("uid", "UID"), ("resourceVersion", "ResourceVersion")])
def test_preconditions(cluster: Cluster, maps: str, key: str, what: str) -> None:
    made = cluster.post(maps, config_map(unique("d2"))).made()["metadata"]
    path = f"{maps}/{made['name']}"
    status = cluster.delete(path, {"preconditions": {key: "A"}}).refused(409, "Conflict")
    assert status["details"]["kind"] == "ConfigMap"
    assert status["message"] == (
        f'Operation cannot be fulfilled on ConfigMap "{made["name"]}": the {what} in the precondition (A) does not '
        f"match the {what} in record ({made[key]}). The object might have been deleted and then recreated"
    )
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {key: made[key]}}
    assert cluster.delete(path, options).status == 200


@pytest.mark.parametrize("where", ["query", "body"])
def test_orphaning_goes_through_a_finalizer(cluster: Cluster, held: str, where: str) -> None:
    policy = {"propagationPolicy": "Orphan"}
    answer = cluster.delete(held, **policy) if where == "query" else cluster.delete(held, policy)
    assert "orphan" in answer.made()["metadata"]["finalizers"]
    _release(cluster, held)


def test_the_deprecated_option_answers_202(cluster: Cluster, held: str) -> None:
    assert cluster.delete(held, {"orphanDependents": False}).status == 202
    _release(cluster, held)


def test_an_unknown_propagation(cluster: Cluster, held: str) -> None:
    status = cluster.delete(held, {"propagationPolicy": "Sideways"}).refused(422, "Invalid")
    assert status["message"].startswith("DeleteOptions.meta.k8s.io")


def _owned(owner: Object, name: str, block: bool = True) -> Object:
    metadata = owner["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "blockOwnerDeletion": block,
    }
    return config_map(name, ownerReferences=[reference])


def test_background_deletes_dependents_later(cluster: Cluster, maps: str) -> None:
    owner = cluster.post(maps, config_map(unique("owner"))).made()
    child = unique("child")
    cluster.post(maps, _owned(owner, child)).made()
    answer = cluster.delete(f"{maps}/{owner['metadata']['name']}", {"propagationPolicy": "Background"})
    assert answer.made()["status"] == "Success"
    cluster.wait(f"{maps}/{child}", lambda found: found is None)


def test_foreground_deletes_dependents_first(cluster: Cluster, maps: str) -> None:
    owner = cluster.post(maps, config_map(unique("owner"))).made()
    child, path = unique("child"), f"{maps}/{owner['metadata']['name']}"
    cluster.post(maps, _owned(owner, child)).made()
    answer = cluster.delete(path, {"propagationPolicy": "Foreground"}).made()
    assert "foregroundDeletion" in answer["metadata"]["finalizers"]
    cluster.wait(path, lambda found: found is None)
    cluster.get(f"{maps}/{child}").refused(404, "NotFound")


def test_orphans_stay(cluster: Cluster, maps: str) -> None:
    owner = cluster.post(maps, config_map(unique("owner"))).made()
    child, path = unique("child"), f"{maps}/{owner['metadata']['name']}"
    cluster.post(maps, _owned(owner, child)).made()
    cluster.delete(path, {"propagationPolicy": "Orphan"}).made()
    cluster.wait(path, lambda found: found is None)
    left = cluster.wait(
        f"{maps}/{child}", lambda found: not (found or {"metadata": {}})["metadata"].get("ownerReferences")
    )
    assert left is not None
    cluster.delete(f"{maps}/{child}").made()


def test_a_collection(cluster: Cluster, maps: str) -> None:
    names = sorted(unique("many") for _turn in range(3))
    for name in names:
        cluster.post(maps, config_map(name, labels={"set": names[0]})).made()
    answer = cluster.delete(maps, labelSelector=f"set={names[0]}").made()
    assert answer["kind"] == "ConfigMapList"
    assert [each["metadata"]["name"] for each in answer["items"]] == names
    assert "kind" not in answer["items"][0]
    assert cluster.get(maps, labelSelector=f"set={names[0]}").made()["items"] == []


def test_a_namespace_empties_and_goes(cluster: Cluster) -> None:
    name = unique("contract")
    path = f"/api/v1/namespaces/{name}"
    made = cluster.post("/api/v1/namespaces", {"metadata": {"name": name}}).made()
    assert made["metadata"]["labels"]["kubernetes.io/metadata.name"] == name
    assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    cluster.post(f"{path}/configmaps", config_map("inside", finalizers=[HOLD])).made()
    answer = cluster.delete(path)
    assert (answer.status, answer.json["status"]["phase"]) == (200, "Terminating")
    status = cluster.post(f"{path}/configmaps", config_map("late")).refused(403, "Forbidden")
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    _release(cluster, f"{path}/configmaps/inside")
    cluster.wait(path, lambda found: found is None)


def test_the_default_namespace_stays(cluster: Cluster) -> None:
    cluster.delete("/api/v1/namespaces/default").refused(403, "Forbidden")
