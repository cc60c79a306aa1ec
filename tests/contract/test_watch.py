# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 13: watch."""

from __future__ import annotations

import time
import typing as t

import pytest
from wire import POOLS, Cluster, Object, config_map, ip_pool, removed_afterwards, unique


def _seen(events: t.Iterable[Object]) -> list[tuple[str, str]]:
    return [(each["type"], each["object"]["metadata"].get("name", "")) for each in events]


def _until(events: t.Iterator[Object], kind: str, name: str) -> list[Object]:
    """The events up to and with that one."""
    found = []
    for event in events:
        found.append(event)
        if (event["type"], event["object"]["metadata"].get("name")) == (kind, name):
            return found
    raise AssertionError(f"the watch ended without {kind} {name}: {found}")


def test_it_starts_after_the_version(cluster: Cluster, maps: str) -> None:
    name, other = unique("w"), unique("w")
    cluster.post(maps, config_map(other)).made()
    version = cluster.get(maps).version
    made = cluster.post(maps, config_map(name)).made()
    changed = cluster.patch(f"{maps}/{name}", {"data": {"b": "2"}}).made()
    cluster.delete(f"{maps}/{name}").made()
    events = _until(cluster.watch(maps, resourceVersion=version), "DELETED", name)
    assert _seen(events) == [("ADDED", name), ("MODIFIED", name), ("DELETED", name)]
    assert [events[0]["object"], events[1]["object"]] == [made, changed]
    last = events[2]["object"]
    assert (last["kind"], last["apiVersion"], last["data"]) == ("ConfigMap", "v1", {"a": "1", "b": "2"})
    assert int(last["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])


@pytest.mark.parametrize("version", [None, "0"])
def test_without_a_version_existing_objects_come_first(cluster: Cluster, maps: str, version: str | None) -> None:
    name = unique("w")
    cluster.post(maps, config_map(name)).made()
    events = _until(cluster.watch(maps, resourceVersion=version), "ADDED", name)
    assert {each["type"] for each in events} == {"ADDED"}


def test_it_ends_cleanly_after_the_timeout(cluster: Cluster, maps: str) -> None:
    begin = time.monotonic()
    version = cluster.get(maps).version
    assert list(cluster.watch(maps, 1, resourceVersion=version)) == []
    assert 0.8 < time.monotonic() - begin < 10


def test_headers_of_a_watch(cluster: Cluster, maps: str) -> None:
    answer = cluster.open_watch(maps, 1)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    answer.drain_conn()
    answer.close()


def test_changes_arrive_while_it_is_open(cluster: Cluster, maps: str) -> None:
    name = unique("live")
    events = cluster.watch(maps, 20, resourceVersion=cluster.get(maps).version)
    cluster.post(maps, config_map(unique("first"))).made()
    next(events)
    begin = time.monotonic()
    cluster.post(maps, config_map(name)).made()
    assert _seen([next(events)]) == [("ADDED", name)]
    assert time.monotonic() - begin < 2
    events.close()


def test_a_selector_makes_transitions(cluster: Cluster, maps: str) -> None:
    name, label = unique("t"), unique("l")
    version = cluster.get(maps).version
    path = f"{maps}/{name}"
    cluster.post(maps, config_map(name, labels={"app": label})).made()
    left = cluster.patch(path, {"metadata": {"labels": {"app": "other"}}, "data": {"a": "2"}}).made()
    cluster.patch(path, {"data": {"a": "3"}}).made()
    back = cluster.patch(path, {"metadata": {"labels": {"app": label}}}).made()
    cluster.patch(path, {"data": {"a": "4"}}).made()
    cluster.delete(path).made()
    story = list(cluster.watch(maps, 2, resourceVersion=version, labelSelector=f"app={label}"))
    seen = [(each["type"], each["object"]["data"]["a"]) for each in story]
    assert seen == [("ADDED", "1"), ("DELETED", "1"), ("ADDED", "3"), ("MODIFIED", "4"), ("DELETED", "4")]
    versions = [each["object"]["metadata"]["resourceVersion"] for each in story]
    assert versions[1:3] == [left["metadata"]["resourceVersion"], back["metadata"]["resourceVersion"]]


def test_one_object_by_field_selector(cluster: Cluster, maps: str) -> None:
    name = unique("only")
    version = cluster.get(maps).version
    cluster.post(maps, config_map(unique("noise"))).made()
    cluster.post(maps, config_map(name)).made()
    events = cluster.watch(maps, 1, resourceVersion=version, fieldSelector=f"metadata.name={name}")
    assert _seen(events) == [("ADDED", name)]


def test_watch_on_a_single_objects_url_is_ignored(cluster: Cluster, maps: str) -> None:
    name = unique("single")
    cluster.post(maps, config_map(name)).made()
    answer = cluster.get(f"{maps}/{name}", watch="true", timeoutSeconds=1)
    assert answer.made()["kind"] == "ConfigMap"


def test_a_write_that_changes_nothing_is_no_event(cluster: Cluster, maps: str) -> None:
    name = unique("calm")
    cluster.post(maps, config_map(name)).made()
    version = cluster.get(maps).version
    cluster.patch(f"{maps}/{name}", {"data": {"a": "1"}}).made()
    assert list(cluster.watch(maps, 1, resourceVersion=version, fieldSelector=f"metadata.name={name}")) == []


def test_bookmarks(cluster: Cluster) -> None:
    version = cluster.get(POOLS).version
    events = list(cluster.watch(POOLS, 4, resourceVersion=version, allowWatchBookmarks="true"))
    bookmarks = [each["object"] for each in events if each["type"] == "BOOKMARK"]
    assert bookmarks, events
    last = bookmarks[-1]
    assert (last["kind"], last["apiVersion"]) == ("IPPool", "crd.projectcalico.org/v1")
    assert int(last["metadata"]["resourceVersion"]) >= int(version)
    assert not last.get("spec")


def test_initial_events_as_a_stream(cluster: Cluster) -> None:
    name = unique("contract")
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        cluster.post(POOLS, ip_pool(name)).made()
        events = []
        for event in cluster.watch(POOLS, 20, **query):
            events.append(event)
            if event["type"] == "BOOKMARK":
                break
    assert {each["type"] for each in events[:-1]} == {"ADDED"}
    assert ("ADDED", name) in _seen(events)
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_initial_events_need_a_match(cluster: Cluster) -> None:
    status = cluster.get(POOLS, watch="true", sendInitialEvents="true").refused(422, "Invalid")
    assert status["message"].startswith('ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden')


def test_a_version_of_the_future_is_silence(cluster: Cluster, maps: str) -> None:
    future = str(int(cluster.get(maps).version) + 10_000_000)
    assert list(cluster.watch(maps, 1, resourceVersion=future)) == []


def test_a_version_that_is_no_number(cluster: Cluster, maps: str) -> None:
    assert cluster.get(maps, watch="true", resourceVersion="abc").status == 500


def test_a_bad_selector(cluster: Cluster, maps: str) -> None:
    cluster.get(maps, watch="true", labelSelector="=x").refused(400, "BadRequest")


def test_too_old_is_an_event(cluster: Cluster, maps: str, on_twin: bool) -> None:
    if on_twin:
        cluster.post("/twin/v1/compact", {}).made()
    events = list(cluster.watch(maps, 5, resourceVersion="1"))
    assert len(events) == 1
    assert events[0]["type"] == "ERROR"
    status = events[0]["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


def test_the_old_watch_paths(cluster: Cluster, maps: str, namespace: str) -> None:
    version = cluster.get(maps).version
    name = unique("old")
    cluster.post(maps, config_map(name)).made()
    path = f"/api/v1/watch/namespaces/{namespace}/configmaps"
    answer = cluster.get(path, resourceVersion=version, timeoutSeconds=1)
    assert b'"ADDED"' in answer.body
