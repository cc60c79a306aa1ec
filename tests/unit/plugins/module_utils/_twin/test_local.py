# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verbs' rules (spec kubernetes-api-behaviour.md 3, 4, 5, 7, 9, 10, 13), through the in-process API."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import errors
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event, ObjectStore


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def api(store: ObjectStore, clock: VirtualClock) -> LocalApi:
    local = LocalApi(ApiServer(store, clock))
    local.create(NAMESPACES, {"metadata": {"name": "shop"}, "spec": {"finalizers": ["kubernetes"]}})
    return local


def config_map(name: str, **metadata: t.Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}


def pod(name: str, node: str | None = "n1", **metadata: t.Any) -> Object:
    spec: Object = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 30}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def seen(store: ObjectStore) -> list[tuple[str, str]]:
    events: list[tuple[str, str]] = []

    def note(event: Event) -> None:
        events.append((event.type, event.object["metadata"]["name"]))

    store.subscribe(note)
    return events


def test_create_sets_what_the_server_owns(api: LocalApi) -> None:
    made = api.create(CONFIG_MAPS, config_map("one", uid="mine", creationTimestamp="2000-01-01T00:00:00Z"), "shop")
    assert made["metadata"]["uid"] not in ("mine", "")
    assert made["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert made["metadata"]["namespace"] == "shop"
    assert int(made["metadata"]["resourceVersion"]) > 1
    assert "generation" not in made["metadata"]


def test_generated_names_are_made_of_harmless_letters(api: LocalApi) -> None:
    body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g" * 70 + "-"}}
    name = api.create(CONFIG_MAPS, body, "shop")["metadata"]["name"]
    assert len(name) == 63
    assert set(name[58:]) <= set("bcdfghjklmnpqrstvwxz2456789")


@pytest.mark.parametrize(
    ("body", "namespace", "error", "text"),
    [
        (config_map("one"), "nope", errors.NotFound, 'namespaces "nope" not found'),
        (config_map("Bad_Name"), "shop", errors.Invalid, "lowercase RFC 1123 subdomain"),
        ({"metadata": {}}, "shop", errors.Invalid, "name or generateName is required"),
        (config_map("one", resourceVersion="3"), "shop", errors.ServerError, "should not be set on objects"),
        (config_map("one", namespace="other"), "shop", errors.BadRequest, "does not match the namespace"),
        ({"kind": "Secret", "apiVersion": "v1"}, "shop", errors.BadRequest, "cannot be handled as a ConfigMap"),
        (config_map("one", labels={"a": 1}), "shop", errors.BadRequest, "cannot unmarshal number"),
        (config_map("one", labels={"a": "no spaces"}), "shop", errors.Invalid, "a valid label must be"),
    ],
)
def test_create_refuses(api: LocalApi, body: Object, namespace: str, error: type[errors.ApiError], text: str) -> None:
    with pytest.raises(error, match=text):
        api.create(CONFIG_MAPS, body, namespace)


def test_create_twice_is_already_exists(api: LocalApi) -> None:
    api.create(CONFIG_MAPS, config_map("one", finalizers=["x.io/hold"]), "shop")
    with pytest.raises(errors.AlreadyExists, match=r'^configmaps "one" already exists'):
        api.create(CONFIG_MAPS, config_map("one"), "shop")
    api.delete(CONFIG_MAPS, "one", "shop")
    with pytest.raises(errors.AlreadyExists, match="object is being deleted"):
        api.create(CONFIG_MAPS, config_map("one"), "shop")


def test_a_write_that_changes_nothing_keeps_the_version_and_is_no_event(api: LocalApi, store: ObjectStore) -> None:
    made = api.create(CONFIG_MAPS, config_map("one", labels={"a": "b"}), "shop")
    events = seen(store)
    assert api.replace(CONFIG_MAPS, made, "shop") is made
    assert api.patch(CONFIG_MAPS, "one", {"data": {"a": "1"}}, "shop") is made
    assert api.patch(CONFIG_MAPS, "one", {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}, "shop") is made
    assert events == []


def test_a_stale_replace_conflicts(api: LocalApi) -> None:
    made = api.create(CONFIG_MAPS, config_map("one"), "shop")
    api.patch(CONFIG_MAPS, "one", {"data": {"a": "2"}}, "shop")
    with pytest.raises(errors.Conflict, match="the object has been modified"):
        api.replace(CONFIG_MAPS, made, "shop")
    with pytest.raises(errors.Conflict, match="the object has been modified"):
        stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
        api.patch(CONFIG_MAPS, "one", stale, "shop")
    wrong = {**made, "metadata": {**made["metadata"], "uid": "x", "resourceVersion": ""}}
    with pytest.raises(errors.Conflict, match="UID in precondition: x"):
        api.replace(CONFIG_MAPS, wrong, "shop")
    with pytest.raises(errors.Invalid, match="field is immutable"):
        api.patch(CONFIG_MAPS, "one", {"metadata": {"uid": "x"}}, "shop")
    with pytest.raises(errors.BadRequest, match="does not match the name on the URL"):
        api.patch(CONFIG_MAPS, "one", {"metadata": {"name": "two"}}, "shop")


def test_dry_run_shows_the_result_and_keeps_the_old_version(api: LocalApi, store: ObjectStore) -> None:
    events = seen(store)
    made = api.create(CONFIG_MAPS, config_map("dry"), "shop", dry_run=True)
    assert made["metadata"]["uid"]
    assert "resourceVersion" not in made["metadata"]
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1}}
    real = api.create(DEPLOYMENTS, body, "shop")
    merged = api.patch(DEPLOYMENTS, "d", {"spec": {"replicas": 2}}, "shop", dry_run=True)
    assert merged["spec"]["replicas"] == 2
    assert merged["metadata"]["generation"] == 2
    assert merged["metadata"]["resourceVersion"] == real["metadata"]["resourceVersion"]
    api.delete(DEPLOYMENTS, "d", "shop", dry_run=True)
    assert events == [("ADDED", "d")]


def test_generation_counts_the_spec_and_a_deployments_annotations(api: LocalApi) -> None:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1}}
    assert api.create(DEPLOYMENTS, body, "shop")["metadata"]["generation"] == 1

    def generation(patch: Object, subresource: str | None = None) -> int:
        changed = api.patch(DEPLOYMENTS, "d", patch, "shop", subresource=subresource)
        return t.cast(int, changed["metadata"]["generation"])

    assert generation({"metadata": {"labels": {"a": "b"}}}) == 1
    assert generation({"spec": {"replicas": 3}}) == 2
    assert generation({"metadata": {"annotations": {"a": "b"}}}) == 3
    assert generation({"status": {"replicas": 3}, "spec": {"replicas": 9}}, "status") == 3
    found = api.get(DEPLOYMENTS, "d", "shop")
    assert (found["spec"]["replicas"], found["status"]) == (3, {"replicas": 3})
    api.patch(DEPLOYMENTS, "d", {"status": {"replicas": 7}}, "shop")
    assert api.get(DEPLOYMENTS, "d", "shop")["status"] == {"replicas": 3}


def test_finalizers_hold_an_object_until_the_last_is_gone(api: LocalApi, store: ObjectStore) -> None:
    api.create(CONFIG_MAPS, config_map("held", finalizers=["x.io/a"]), "shop")
    events = seen(store)
    api.delete(CONFIG_MAPS, "held", "shop")
    held = api.get(CONFIG_MAPS, "held", "shop")
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    api.delete(CONFIG_MAPS, "held", "shop")
    assert api.get(CONFIG_MAPS, "held", "shop") is held
    with pytest.raises(errors.Invalid, match="no new finalizers can be added"):
        api.patch(CONFIG_MAPS, "held", {"metadata": {"finalizers": ["x.io/a", "x.io/b"]}}, "shop")
    last = api.patch(CONFIG_MAPS, "held", {"metadata": {"finalizers": None}}, "shop")
    assert last["metadata"]["name"] == "held"
    assert events == [("MODIFIED", "held"), ("DELETED", "held")]
    with pytest.raises(errors.NotFound, match='configmaps "held" not found'):
        api.delete(CONFIG_MAPS, "held", "shop")


def test_preconditions_of_a_delete(api: LocalApi) -> None:
    made = api.create(CONFIG_MAPS, config_map("d2"), "shop")
    with pytest.raises(errors.Conflict, match=r'on ConfigMap "d2": the UID in the precondition \(A\)'):
        api.delete(CONFIG_MAPS, "d2", "shop", uid="A")
    with pytest.raises(errors.Conflict, match="the ResourceVersion in the precondition"):
        api.delete(CONFIG_MAPS, "d2", "shop", resource_version="1")
    api.delete(CONFIG_MAPS, "d2", "shop", uid=made["metadata"]["uid"])


def test_a_pod_is_marked_shortened_confirmed_and_gone(api: LocalApi, store: ObjectStore, clock: VirtualClock) -> None:
    api.create(PODS, pod("p"), "shop")
    states: list[tuple[str, t.Any, t.Any, t.Any]] = []

    def note(event: Event) -> None:
        metadata = event.object["metadata"]
        states.append(
            (
                event.type,
                metadata["generation"],
                metadata.get("deletionTimestamp"),
                metadata.get("deletionGracePeriodSeconds"),
            )
        )

    store.subscribe(note, PODS)
    api.delete(PODS, "p", "shop")
    clock.advance(10)
    api.delete(PODS, "p", "shop")
    api.delete(PODS, "p", "shop", grace_seconds=60)
    api.delete(PODS, "p", "shop", grace_seconds=20)
    api.delete(PODS, "p", "shop", grace_seconds=0)
    assert states == [
        ("MODIFIED", 2, "2026-01-01T00:00:30Z", 30),
        ("MODIFIED", 2, "2026-01-01T00:00:20Z", 20),
        ("MODIFIED", 2, "2026-01-01T00:00:00Z", 0),
        ("DELETED", 2, "2026-01-01T00:00:00Z", 0),
    ]


def test_a_pod_without_a_node_goes_at_once(api: LocalApi, store: ObjectStore) -> None:
    api.create(PODS, pod("p", node=None), "shop")
    events = seen(store)
    api.delete(PODS, "p", "shop")
    assert events == [("MODIFIED", "p"), ("DELETED", "p")]


def test_a_pods_finalizer_outlives_the_kubelets_confirmation(api: LocalApi) -> None:
    api.create(PODS, pod("p", finalizers=["x.io/a"]), "shop")
    api.delete(PODS, "p", "shop")
    api.delete(PODS, "p", "shop", grace_seconds=0)
    assert api.get(PODS, "p", "shop")["metadata"]["deletionGracePeriodSeconds"] == 0
    api.patch(PODS, "p", {"metadata": {"finalizers": []}}, "shop")
    with pytest.raises(errors.NotFound):
        api.get(PODS, "p", "shop")


def test_a_namespace_goes_when_its_finalizers_do(api: LocalApi) -> None:
    api.delete(NAMESPACES, "shop")
    home = api.get(NAMESPACES, "shop")
    assert home["status"]["phase"] == "Terminating"
    with pytest.raises(errors.Forbidden, match="because it is being terminated") as caught:
        api.create(CONFIG_MAPS, config_map("late"), "shop")
    assert caught.value.causes[0]["reason"] == "NamespaceTerminating"
    api.replace(NAMESPACES, {**home, "spec": {"finalizers": []}}, subresource="finalize")
    with pytest.raises(errors.NotFound):
        api.get(NAMESPACES, "shop")


def test_watch_with_a_selector_makes_transitions(api: LocalApi) -> None:
    start = api.list(CONFIG_MAPS, "shop").resource_version
    api.create(CONFIG_MAPS, config_map("one", labels={"app": "web"}), "shop")
    api.patch(CONFIG_MAPS, "one", {"data": {"a": "2"}}, "shop")
    api.patch(CONFIG_MAPS, "one", {"metadata": {"labels": {"app": "api"}}}, "shop")
    api.patch(CONFIG_MAPS, "one", {"data": {"a": "3"}}, "shop")
    back = api.patch(CONFIG_MAPS, "one", {"metadata": {"labels": {"app": "web"}}}, "shop")
    api.delete(CONFIG_MAPS, "one", "shop")
    events = list(api.watch(CONFIG_MAPS, "shop", resource_version=start, label_selector="app=web"))
    assert [(each.type, each.object["data"]["a"]) for each in events] == [
        ("ADDED", "1"),
        ("MODIFIED", "2"),
        ("DELETED", "2"),
        ("ADDED", "3"),
        ("DELETED", "3"),
    ]
    versions = [int(each.object["metadata"]["resourceVersion"]) for each in events]
    assert versions == sorted(set(versions))
    assert versions[-1] > int(back["metadata"]["resourceVersion"])


def test_a_watch_from_before_the_compaction_is_expired(api: LocalApi, store: ObjectStore) -> None:
    start = api.list(CONFIG_MAPS).resource_version
    api.create(CONFIG_MAPS, config_map("one"), "shop")
    store.compact()
    with pytest.raises(errors.Expired, match="too old resource version"):
        list(api.watch(CONFIG_MAPS, resource_version=start))
