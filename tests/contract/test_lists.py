# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 12: lists, pages, versions and selectors."""

from __future__ import annotations

import time
import typing as t

import pytest
from wire import POOLS, RESERVATIONS, Cluster, Object, config_map, ip_pool, pod, removed_afterwards, unique


@pytest.fixture(scope="module")
def seven(cluster: Cluster, namespace: str) -> str:
    """The path of a namespace's ConfigMaps with seven more in it, labelled n=0..6."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in range(7):
        cluster.post(path, config_map(f"seven-{number}", labels={"seven": "yes", "n": str(number)})).made()
    return path


def _names(answer: Object) -> list[str]:
    return [each["metadata"]["name"] for each in answer["items"]]


def test_items_of_builtin_lists_have_no_kind(cluster: Cluster, seven: str) -> None:
    answer = cluster.get(seven).made()
    assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
    assert not [each for each in answer["items"] if "kind" in each or "apiVersion" in each]
    assert "continue" not in answer["metadata"]


def test_items_of_custom_lists_have_one(cluster: Cluster) -> None:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        cluster.post(POOLS, ip_pool(name)).made()
        answer = cluster.get(POOLS).made()
    assert (answer["kind"], answer["apiVersion"]) == ("IPPoolList", "crd.projectcalico.org/v1")
    assert {(each["kind"], each["apiVersion"]) for each in answer["items"]} == {("IPPool", "crd.projectcalico.org/v1")}
    assert answer["metadata"]["continue"] == ""


def test_an_empty_list_is_no_null(cluster: Cluster) -> None:
    assert cluster.get(RESERVATIONS, labelSelector="contract=none").made()["items"] == []


def test_order_is_by_namespace_and_name(cluster: Cluster, seven: str) -> None:
    items = cluster.get("/api/v1/configmaps").made()["items"]
    keys = [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in items]
    assert keys == sorted(keys)


def test_pages(cluster: Cluster, seven: str) -> None:
    everything = _names(cluster.get(seven).made())
    first = cluster.get(seven, limit=3)
    metadata = first.json["metadata"]
    assert metadata["remainingItemCount"] == len(everything) - 3
    cluster.post(seven, config_map("seven-0-later")).made()
    try:
        second = cluster.get(seven, limit=3, **{"continue": metadata["continue"]})
        rest = cluster.get(seven, **{"continue": second.json["metadata"]["continue"]})
    finally:
        cluster.delete(f"{seven}/seven-0-later").made()
    assert [*_names(first.json), *_names(second.json), *_names(rest.json)] == everything
    assert first.version == second.version == rest.version
    assert "continue" not in rest.json["metadata"]
    assert "remainingItemCount" not in rest.json["metadata"]


def test_no_remaining_count_with_a_selector(cluster: Cluster, seven: str) -> None:
    metadata = cluster.get(seven, limit=2, labelSelector="seven=yes").json["metadata"]
    assert metadata["continue"]
    assert "remainingItemCount" not in metadata


def test_continue_with_a_version(cluster: Cluster, seven: str) -> None:
    first = cluster.get(seven, limit=2)
    token = first.json["metadata"]["continue"]
    cluster.get(seven, limit=2, resourceVersion=first.version, **{"continue": token}).refused(400, "BadRequest")


def test_a_garbled_token(cluster: Cluster, seven: str) -> None:
    status = cluster.get(seven, limit=2, **{"continue": "garbled"}).refused(400, "BadRequest")
    assert "continue" in status["message"]


def test_versions(cluster: Cluster, seven: str) -> None:
    version = cluster.get(seven).version
    for query in (
        {"resourceVersion": "0"},
        {"resourceVersion": version},
        {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersion": version, "resourceVersionMatch": "Exact"},
    ):
        assert len(cluster.get(seven, **query).made()["items"]) >= 7


def test_exactly_an_older_version(cluster: Cluster, seven: str) -> None:
    before = cluster.get(seven)
    cluster.post(seven, config_map("seven-new")).made()
    cluster.delete(f"{seven}/seven-3").made()
    try:
        exact = cluster.get(seven, resourceVersion=before.version, resourceVersionMatch="Exact")
        assert exact.json == before.json
    finally:
        cluster.delete(f"{seven}/seven-new").made()
        cluster.post(seven, config_map("seven-3", labels={"seven": "yes", "n": "3"})).made()


@pytest.mark.parametrize("single", [False, True])
def test_a_version_of_the_future(cluster: Cluster, seven: str, single: bool) -> None:
    future = str(int(cluster.get(seven).version) + 10_000_000)
    begin = time.monotonic()
    answer = cluster.get(f"{seven}/seven-1" if single else seven, resourceVersion=future)
    status = answer.refused(504, "Timeout")
    assert status["message"].startswith(f"Timeout: Too large resource version: {future}, current: ")
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert answer.headers["Retry-After"] == "1"
    assert time.monotonic() - begin > 1


def test_a_match_without_a_version(cluster: Cluster, seven: str) -> None:
    status = cluster.get(seven, resourceVersionMatch="Exact").refused(422, "Invalid")
    assert status["message"].startswith('ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden')


@pytest.mark.parametrize(
    ("selector", "numbers"),
    [
        ("n=3", "3"),
        ("n==3", "3"),
        ("n!=3,seven", "012456"),
        ("n in (1,2),seven=yes", "12"),
        ("n notin (1, 2),seven", "03456"),
        ("!n,seven", ""),
        ("n>4", "56"),
        ("n<2", "01"),
        ("seven", "0123456"),
    ],
)
def test_label_selectors(cluster: Cluster, seven: str, selector: str, numbers: str) -> None:
    found = cluster.get(seven, labelSelector=selector).made()
    assert _names(found) == [f"seven-{number}" for number in numbers]


def test_inequality_matches_objects_without_the_label(cluster: Cluster, seven: str) -> None:
    cluster.post(seven, config_map("plain")).made()
    assert "plain" in _names(cluster.get(seven, labelSelector="n!=3").made())
    cluster.delete(f"{seven}/plain").made()


@pytest.mark.parametrize("selector", ["a=b=c", "n in 1", "=x", "a b", "n in (1", "a=b,,"])
def test_bad_label_selectors(cluster: Cluster, seven: str, selector: str) -> None:
    status = cluster.get(seven, labelSelector=selector).refused(400, "BadRequest")
    assert "unable to parse requirement: " in status["message"]


@pytest.fixture(scope="module")
def two_pods(cluster: Cluster, namespace: str) -> t.Iterator[str]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    for name in ("lonely-1", "lonely-2"):
        body = pod(name, restartPolicy="Never" if name.endswith("2") else "Always")
        body["spec"]["nodeSelector"] = {"contract.example.com/nowhere": "yes"}
        cluster.post(path, body).made()
    yield path
    for name in ("lonely-1", "lonely-2"):
        cluster.delete(f"{path}/{name}")


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=lonely-1", ["lonely-1"]),
        ("metadata.name!=lonely-1", ["lonely-2"]),
        ("spec.nodeName=", ["lonely-1", "lonely-2"]),
        ("spec.nodeName=n,status.phase!=Failed", []),
        ("spec.restartPolicy==Never,status.phase=Pending", ["lonely-2"]),
        ("spec.schedulerName=default-scheduler,spec.hostNetwork=false", ["lonely-1", "lonely-2"]),
        ("spec.serviceAccountName=default,status.podIP=,status.nominatedNodeName=", ["lonely-1", "lonely-2"]),
    ],
)
def test_field_selectors_of_pods(cluster: Cluster, two_pods: str, selector: str, names: list[str]) -> None:
    assert _names(cluster.get(two_pods, fieldSelector=selector).made()) == names


def test_field_labels_that_are_not_supported(cluster: Cluster, two_pods: str) -> None:
    status = cluster.get(two_pods, fieldSelector="spec.containers=x").refused(400, "BadRequest")
    assert "field label not supported: spec.containers" in status["message"]


def test_an_expired_token_comes_with_a_new_one(twin: Cluster, seven: str) -> None:
    first = twin.get(seven, limit=3)
    token = first.json["metadata"]["continue"]
    twin.post("/twin/v1/compact", {}).made()
    twin.patch(f"{seven}/seven-6", {"data": {"new": "yes"}}).made()
    twin.post("/twin/v1/compact", {}).made()
    expired = twin.get(seven, limit=3, **{"continue": token}).refused(410, "Expired")
    assert expired["message"].startswith("The provided continue parameter is too old")
    rest = twin.get(seven, **{"continue": expired["metadata"]["continue"]})
    assert [*_names(first.json), *_names(rest.json)] == _names(twin.get(seven).json)
    assert int(rest.version) > int(first.version)
    old = {"resourceVersion": first.version, "resourceVersionMatch": "Exact"}
    twin.get(seven, **old).refused(410, "Expired")
