# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 15: discovery and OpenAPI."""

from __future__ import annotations

import typing as t

import pytest
from wire import Cluster, Object

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _resources(document: Object) -> dict[str, Object]:
    return {each["name"]: each for each in document["resources"]}


def test_the_roots(cluster: Cluster) -> None:
    api = cluster.get("/api").made()
    assert (api["kind"], api["versions"]) == ("APIVersions", ["v1"])
    groups = cluster.get("/apis").made()
    assert groups["kind"] == "APIGroupList"
    found = {each["name"]: each["preferredVersion"]["groupVersion"] for each in groups["groups"]}
    assert found["apps"] == "apps/v1"
    assert found["policy"] == "policy/v1"
    assert found["crd.projectcalico.org"] == "crd.projectcalico.org/v1"


def test_one_group(cluster: Cluster) -> None:
    group = cluster.get("/apis/apps").made()
    assert (group["kind"], group["apiVersion"], group["name"]) == ("APIGroup", "v1", "apps")
    assert {"groupVersion": "apps/v1", "version": "v1"} in group["versions"]


def test_the_core_resources(cluster: Cluster) -> None:
    document = cluster.get("/api/v1").made()
    assert (document["kind"], document["groupVersion"]) == ("APIResourceList", "v1")
    resources = _resources(document)
    pods = resources["pods"]
    assert (pods["singularName"], pods["namespaced"], pods["kind"]) == ("pod", True, "Pod")
    assert pods["shortNames"] == ["po"]
    assert pods["categories"] == ["all"]
    assert {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"} <= set(pods["verbs"])
    assert resources["nodes"]["namespaced"] is False
    assert resources["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }


def test_custom_resources(cluster: Cluster) -> None:
    resources = _resources(cluster.get("/apis/crd.projectcalico.org/v1").made())
    assert resources["ippools"]["kind"] == "IPPool"
    assert {"ipamblocks", "blockaffinities", "ipamhandles"} <= resources.keys()


def _aggregated(cluster: Cluster, path: str, **headers: str) -> t.Any:
    return cluster.request("GET", path, headers={"Accept": AGGREGATED, **headers})


def test_aggregated_discovery(cluster: Cluster) -> None:
    answer = _aggregated(cluster, "/apis")
    assert answer.media_type == "application/json"
    assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("public", "Accept")
    document = answer.made()
    assert (document["kind"], document["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    group = {each["metadata"]["name"]: each for each in document["items"]}["apps"]
    version = {each["version"]: each for each in group["versions"]}["v1"]
    assert version["freshness"] == "Current"
    deployments = {each["resource"]: each for each in version["resources"]}["deployments"]
    assert deployments["responseKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert (deployments["scope"], deployments["singularResource"]) == ("Namespaced", "deployment")
    assert "scale" in {each["subresource"] for each in deployments["subresources"]}


def test_the_core_group_has_no_name(cluster: Cluster) -> None:
    (group,) = _aggregated(cluster, "/api").made()["items"]
    assert "name" not in group["metadata"]
    scopes = {each["resource"]: each["scope"] for each in group["versions"][0]["resources"]}
    assert (scopes["pods"], scopes["nodes"]) == ("Namespaced", "Cluster")


def test_an_etag_saves_the_body(cluster: Cluster) -> None:
    tag = _aggregated(cluster, "/apis").headers["ETag"]
    again = _aggregated(cluster, "/apis", **{"If-None-Match": tag})
    assert (again.status, again.body) == (304, b"")


def test_an_old_version_alone_is_not_acceptable(cluster: Cluster) -> None:
    accept = AGGREGATED.replace("v=v2", "v=v2beta1")
    assert cluster.request("GET", "/apis", headers={"Accept": accept}).status == 406
    fallback = cluster.request("GET", "/apis", headers={"Accept": f"{accept},application/json"})
    assert fallback.made()["kind"] == "APIGroupList"


@pytest.mark.parametrize("place", ["api/v1", "apis/apps/v1", "apis/crd.projectcalico.org/v1"])
def test_openapi_v3(cluster: Cluster, place: str) -> None:
    url = cluster.get("/openapi/v3").made()["paths"][place]["serverRelativeURL"]
    assert url.startswith(f"/openapi/v3/{place}?hash=")
    answer = cluster.get(url)
    assert answer.headers["Cache-Control"] == "public, immutable"
    assert answer.headers["ETag"]
    assert answer.headers["Expires"]
    document = answer.made()
    assert document["openapi"].startswith("3.0")
    assert document["components"]["schemas"]
    moved = cluster.get(url.split("?")[0] + "?hash=0000")
    assert (moved.status, moved.headers["Location"]) == (301, url)
    assert cluster.get(url.split("?")[0]).status == 200


def test_openapi_v3_describes_a_custom_type(cluster: Cluster) -> None:
    document = cluster.get("/openapi/v3/apis/crd.projectcalico.org/v1").made()
    wanted = {"group": "crd.projectcalico.org", "version": "v1", "kind": "IPPool"}
    (schema,) = [
        each
        for each in document["components"]["schemas"].values()
        if wanted in each.get("x-kubernetes-group-version-kind", ())
    ]
    assert "blockSize" in schema["properties"]["spec"]["properties"]


def test_openapi_v2(cluster: Cluster) -> None:
    document = cluster.get("/openapi/v2").made()
    assert document["swagger"] == "2.0"
    assert document["definitions"]
