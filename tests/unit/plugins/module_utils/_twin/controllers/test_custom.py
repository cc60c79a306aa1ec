# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods of a kind that only its operator understands."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.custom import MARK
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load

DATABASES = Resource("db.example.com", "v1", "databases", "Database", namespaced=True)


def crd(**annotations: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "databases.db.example.com", "annotations": annotations},
        "spec": {
            "group": "db.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Database", "listKind": "DatabaseList", "plural": "databases", "singular": "database"},
            "versions": [version],
        },
    }


def cluster(definition: Object) -> tuple[Twin, LocalApi]:
    twin = Twin(None, load("small"), speed=None)
    twin.boot()
    api = LocalApi(twin.server, "admin")
    api.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
    template = {"metadata": {"labels": {"app": "orders"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}}
    body = {
        "apiVersion": "db.example.com/v1",
        "kind": "Database",
        "metadata": {"name": "orders"},
        "spec": {"replicas": 2, "template": template},
    }
    api.create(DATABASES, body, "default")
    twin.settle()
    return twin, api


def running(api: LocalApi) -> dict[str, t.Any]:
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in api.list(PODS, "default").items
        if pod["status"]["phase"] == "Running"
    }


def test_pods_that_are_gone_are_made_again() -> None:
    twin, api = cluster(crd(**{MARK: "pods"}))
    before = running(api)
    assert set(before) == {"orders-0", "orders-1"}
    (owner,) = api.get(PODS, "orders-0", "default")["metadata"]["ownerReferences"]
    assert (owner["apiVersion"], owner["kind"], owner["controller"]) == ("db.example.com/v1", "Database", True)
    api.delete(PODS, "orders-1", "default")
    twin.settle()
    after = running(api)
    assert set(after) == set(before)
    assert after["orders-0"] == before["orders-0"]
    assert after["orders-1"] != before["orders-1"]


def test_it_is_scaled_and_goes_with_its_object() -> None:
    twin, api = cluster(crd(**{MARK: "pods"}))
    api.patch(DATABASES, "orders", {"spec": {"replicas": 1}}, "default")
    twin.settle()
    assert set(running(api)) == {"orders-0"}
    api.delete(DATABASES, "orders", "default")
    twin.clock.advance(120)
    assert running(api) == {}


def test_kinds_without_the_mark_have_no_pods() -> None:
    _twin, api = cluster(crd())
    assert running(api) == {}
