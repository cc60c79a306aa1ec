# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 4: replace, optimistic concurrency, status and generation."""

from __future__ import annotations

import typing as t

import pytest
from wire import POOLS, Cluster, Object, config_map, ip_pool, pod, removed_afterwards, unique


@pytest.fixture
def one(cluster: Cluster, maps: str) -> Object:
    return cluster.post(maps, config_map(unique("one"))).made()


@pytest.fixture
def pool(cluster: Cluster) -> t.Iterator[Object]:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        yield cluster.post(POOLS, ip_pool(name)).made()


def _path(maps: str, obj: Object) -> str:
    return f"{maps}/{obj['metadata']['name']}"


def _with(obj: Object, **metadata: t.Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


def test_a_stale_version_is_a_conflict(cluster: Cluster, maps: str, one: Object) -> None:
    name = one["metadata"]["name"]
    cluster.put(_path(maps, one), {**one, "data": {"a": "2"}}).made()
    status = cluster.put(_path(maps, one), {**one, "data": {"a": "3"}}).refused(409, "Conflict")
    assert status["message"] == (
        f'Operation cannot be fulfilled on configmaps "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert status["details"] == {"name": name, "kind": "configmaps"}


@pytest.mark.parametrize("version", [None, "", "0"])
def test_builtin_types_take_a_replace_without_version(
    cluster: Cluster, maps: str, one: Object, version: str | None
) -> None:
    cluster.patch(_path(maps, one), {"data": {"a": "5"}}).made()
    replaced = cluster.put(_path(maps, one), _with({**one, "data": {"a": "6"}}, resourceVersion=version)).made()
    assert replaced["data"] == {"a": "6"}


def test_custom_resources_do_not(cluster: Cluster, pool: Object) -> None:
    name = pool["metadata"]["name"]
    status = cluster.put(f"{POOLS}/{name}", ip_pool(name)).refused(422, "Invalid")
    assert status["message"] == (
        f'ippools.crd.projectcalico.org "{name}" is invalid: '
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    )


def test_the_uid_is_a_precondition(cluster: Cluster, maps: str, one: Object) -> None:
    status = cluster.put(_path(maps, one), _with(one, uid="another")).refused(409, "Conflict")
    uid = one["metadata"]["uid"]
    assert f"Precondition failed: UID in precondition: another, UID in object meta: {uid}" in status["message"]


def test_in_a_patch_the_uid_is_immutable(cluster: Cluster, maps: str, one: Object) -> None:
    status = cluster.patch(_path(maps, one), {"metadata": {"uid": "another"}}).refused(422, "Invalid")
    assert "metadata.uid: Invalid value" in status["message"]
    assert "field is immutable" in status["message"]


@pytest.mark.parametrize("way", ["put", "merge"])
def test_a_write_that_changes_nothing(cluster: Cluster, maps: str, one: Object, way: str) -> None:
    path = _path(maps, one)
    same = cluster.put(path, one) if way == "put" else cluster.patch(path, {"data": {"a": "1"}})
    assert same.status == 200
    assert same.version == one["metadata"]["resourceVersion"]


def test_another_name_in_the_body(cluster: Cluster, maps: str, one: Object) -> None:
    status = cluster.put(_path(maps, one), _with(one, name="other")).refused(400, "BadRequest")
    name = one["metadata"]["name"]
    assert status["message"] == f"the name of the object (other) does not match the name on the URL ({name})"


def test_a_version_that_is_no_number(cluster: Cluster, maps: str, one: Object) -> None:
    assert cluster.put(_path(maps, one), _with(one, resourceVersion="abc")).status == 500


def _deployment(name: str) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    }


def test_status_and_spec_leave_each_other_alone(cluster: Cluster, namespace: str) -> None:
    name = unique("budget")
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
    cluster.post(path, {"metadata": {"name": name}, "spec": spec}).made()
    written = cluster.patch(f"{path}/{name}/status", {"spec": {"minAvailable": 9}, "status": {"expectedPods": 0}})
    assert written.made()["spec"]["minAvailable"] == 1
    written = cluster.patch(f"{path}/{name}", {"spec": {"minAvailable": 2}, "status": {"expectedPods": 77}})
    assert written.made()["spec"]["minAvailable"] == 2
    assert written.made()["status"].get("expectedPods") != 77


def test_a_pods_status_may_change_labels_and_annotations(cluster: Cluster, pods: str) -> None:
    name = unique("unscheduled")
    cluster.post(pods, pod(name, nodeSelector={"contract.example.com/nowhere": "yes"})).made()
    changed = cluster.patch(
        f"{pods}/{name}/status", {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}
    ).made()["metadata"]
    assert changed["labels"]["a"] == "b"
    assert changed["annotations"]["c"] == "d"
    cluster.delete(f"{pods}/{name}")


def test_generation_counts_spec_changes(cluster: Cluster, pool: Object) -> None:
    path = f"{POOLS}/{pool['metadata']['name']}"
    assert pool["metadata"]["generation"] == 1
    assert cluster.patch(path, {"metadata": {"labels": {"a": "b"}}}).made()["metadata"]["generation"] == 1
    assert cluster.patch(path, {"spec": {"natOutgoing": True}}).made()["metadata"]["generation"] == 2


def test_a_deployments_generation_counts_annotations(cluster: Cluster, namespace: str) -> None:
    name = unique("deploy")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    cluster.post(path, _deployment(name)).made()
    cluster.wait(f"{path}/{name}", lambda found: bool(found and found["status"].get("observedGeneration") == 1))
    before = cluster.get(f"{path}/{name}").made()["metadata"]["generation"]
    labelled = cluster.patch(f"{path}/{name}", {"metadata": {"labels": {"a": "b"}}}).made()
    assert labelled["metadata"]["generation"] == before
    annotated = cluster.patch(f"{path}/{name}", {"metadata": {"annotations": {"a": "b"}}}).made()
    assert annotated["metadata"]["generation"] == before + 1


def test_config_maps_have_no_generation(one: Object) -> None:
    assert "generation" not in one["metadata"]
