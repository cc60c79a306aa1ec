# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 5: patch."""

from __future__ import annotations

import typing as t

import pytest
from wire import (
    JSON_PATCH,
    MERGE_PATCH,
    POOLS,
    STRATEGIC_PATCH,
    Cluster,
    Object,
    config_map,
    ip_pool,
    removed_afterwards,
    unique,
)


@pytest.fixture
def one(cluster: Cluster, maps: str) -> str:
    name = unique("one")
    cluster.post(maps, config_map(name, labels={"x": "y"})).made()
    return f"{maps}/{name}"


@pytest.fixture
def pool(cluster: Cluster) -> t.Iterator[str]:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        cluster.post(POOLS, ip_pool(name)).made()
        yield f"{POOLS}/{name}"


def test_merge_patch_adds_changes_and_removes(cluster: Cluster, one: str) -> None:
    patched = cluster.patch(one, {"data": {"a": None, "b": "2"}, "metadata": {"labels": None}}).made()
    assert patched["data"] == {"b": "2"}
    assert "labels" not in patched["metadata"]


@pytest.mark.parametrize("body", [b'{"data":', b"[1]", b'"text"'])
def test_a_malformed_merge_patch(cluster: Cluster, one: str, body: bytes) -> None:
    cluster.patch(one, body).refused(400, "BadRequest")


def test_json_patch(cluster: Cluster, one: str) -> None:
    operations = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "2"},
        {"op": "add", "path": "/data/b", "value": "3"},
        {"op": "copy", "from": "/data/b", "path": "/data/c"},
        {"op": "move", "from": "/data/c", "path": "/data/d"},
    ]
    assert cluster.patch(one, operations, JSON_PATCH).made()["data"] == {"a": "2", "b": "3", "d": "3"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/a", "value": "9"},
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/data/none", "value": "1"},
        {"op": "wish", "path": "/data/a"},
    ],
)
def test_a_json_patch_that_cannot_be_carried_out(cluster: Cluster, one: str, operation: Object) -> None:
    status = cluster.patch(one, [{"op": "add", "path": "/data/z", "value": "1"}, operation], JSON_PATCH)
    status = status.refused(422, "Invalid")
    assert status["message"] == "the server rejected our request due to an error in our request"
    assert status["details"] == {}
    assert "z" not in cluster.get(one).json["data"]


def test_strategic_merge_patch_merges_lists_by_key(cluster: Cluster, namespace: str) -> None:
    name, path = unique("deploy"), f"/apis/apps/v1/namespaces/{namespace}/deployments"
    labels = {"app": name}
    containers = [{"name": "a", "image": "i:1"}, {"name": "b", "image": "i:1"}]
    spec = {"replicas": 0, "selector": {"matchLabels": labels}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    cluster.post(path, {"metadata": {"name": name}, "spec": {**spec, "template": template}}).made()
    change = {"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "i:2"}]}}}}
    patched = cluster.patch(f"{path}/{name}", change, STRATEGIC_PATCH).made()
    images = {each["name"]: each["image"] for each in patched["spec"]["template"]["spec"]["containers"]}
    assert images == {"a": "i:1", "b": "i:2"}


def test_custom_resources_take_no_strategic_patch(cluster: Cluster, pool: str) -> None:
    answer = cluster.patch(pool, {"spec": {"natOutgoing": True}}, STRATEGIC_PATCH)
    message = answer.refused(415, "UnsupportedMediaType")["message"]
    assert message.startswith("the body of the request was in an unknown format - accepted media types include: ")
    assert "application/merge-patch+json" in message
    assert "strategic" not in message


def test_plain_json_is_no_patch_type(cluster: Cluster, one: str) -> None:
    cluster.patch(one, {}, "application/json").refused(415, "UnsupportedMediaType")


@pytest.mark.parametrize("custom", [False, True])
def test_a_stale_version_makes_it_a_compare_and_swap(cluster: Cluster, one: str, pool: str, custom: bool) -> None:
    path = pool if custom else one
    stale = cluster.get(path).version
    cluster.patch(path, {"metadata": {"labels": {"n": "1"}}}).made()
    change = {"metadata": {"resourceVersion": stale, "labels": {"n": "2"}}}
    status = cluster.patch(path, change).refused(409, "Conflict")
    assert "the object has been modified" in status["message"]
    change["metadata"]["resourceVersion"] = cluster.get(path).version
    assert cluster.patch(path, change).made()["metadata"]["labels"]["n"] == "2"


def test_the_name_may_not_change(cluster: Cluster, one: str) -> None:
    cluster.patch(one, {"metadata": {"name": "other"}}).refused(400, "BadRequest")


def test_the_creation_time_is_ignored(cluster: Cluster, one: str) -> None:
    before = cluster.get(one).json
    assert cluster.patch(one, {"metadata": {"creationTimestamp": "2000-01-01T00:00:00Z"}}).json == before


def test_force_is_for_apply_only(cluster: Cluster, one: str) -> None:
    status = cluster.request("PATCH", one, {}, media_type=MERGE_PATCH, force="true").refused(422, "Invalid")
    assert status["message"].startswith('PatchOptions.meta.k8s.io "" is invalid: force: Forbidden')


def test_a_patch_may_drop_unknown_fields_or_refuse_them(cluster: Cluster, pool: str) -> None:
    answer = cluster.patch(pool, {"spec": {"bogus": 1}})
    assert r"unknown field \"spec.bogus\"" in answer.headers["Warning"]
    assert "bogus" not in answer.made()["spec"]
    status = cluster.patch(pool, {"spec": {"bogus": 1}}, fieldValidation="Strict").refused(422, "Invalid")
    assert 'strict decoding error: unknown field "spec.bogus"' in status["message"]
