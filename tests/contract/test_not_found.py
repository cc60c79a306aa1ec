# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 2: not found comes in five shapes."""

from __future__ import annotations

import pytest
from wire import POOLS, Cluster, config_map, ip_pool


@pytest.mark.parametrize("home", ["/api/v1/namespaces/default", "/api/v1/namespaces/no-such-namespace"])
def test_a_missing_object(cluster: Cluster, home: str) -> None:
    status = cluster.get(f"{home}/pods/x").refused(404, "NotFound")
    assert status["message"] == 'pods "x" not found'
    assert status["details"] == {"name": "x", "kind": "pods"}


def test_a_missing_custom_resource_names_its_group(cluster: Cluster) -> None:
    status = cluster.get(f"{POOLS}/no-such-pool").refused(404, "NotFound")
    assert status["message"] == 'ippools.crd.projectcalico.org "no-such-pool" not found'
    assert status["details"] == {"name": "no-such-pool", "group": "crd.projectcalico.org", "kind": "ippools"}


def test_a_list_in_a_missing_namespace_is_empty(cluster: Cluster) -> None:
    answer = cluster.get("/api/v1/namespaces/no-such-namespace/pods")
    assert answer.status == 200
    assert answer.json["items"] == []


def test_create_in_a_missing_namespace_is_about_the_namespace(cluster: Cluster) -> None:
    status = cluster.post("/api/v1/namespaces/nope/configmaps", config_map("c")).refused(404, "NotFound")
    assert status["message"] == 'namespaces "nope" not found'
    assert status["details"] == {"name": "nope", "kind": "namespaces"}


@pytest.mark.parametrize(
    "path", ["/api/v1/nosuchthings", "/apis/apps/v1/nosuchthings", "/api/v1/namespaces/default/pods/x/nosuch"]
)
def test_an_unknown_resource_of_a_builtin_group(cluster: Cluster, path: str) -> None:
    status = cluster.get(path).refused(404, "NotFound")
    assert status["message"] == "the server could not find the requested resource"
    assert status["details"] == {}


@pytest.mark.parametrize(
    "path",
    [
        "/apis/no.such.group/v1/things",
        "/apis/apps/v9/deployments",
        "/apis/crd.projectcalico.org/v1/nosuchthings",
        "/apis/crd.projectcalico.org/v1/namespaces/default/ippools",
        "/no/such/path",
    ],
)
def test_text_for_everything_unknown_elsewhere(cluster: Cluster, path: str) -> None:
    answer = cluster.get(path)
    assert (answer.status, answer.media_type) == (404, "text/plain")
    assert answer.text.strip() == "404 page not found"


def test_only_apply_creates(cluster: Cluster) -> None:
    cluster.delete(f"{POOLS}/no-such-pool").refused(404, "NotFound")
    cluster.patch(f"{POOLS}/no-such-pool", {"spec": {"disabled": True}}).refused(404, "NotFound")
    body = ip_pool("no-such-pool")
    body["metadata"]["resourceVersion"] = "1"
    cluster.put(f"{POOLS}/no-such-pool", body).refused(404, "NotFound")


def test_a_subresource_a_custom_type_does_not_have(cluster: Cluster) -> None:
    status = cluster.get("/apis/crd.projectcalico.org/v1/ipamblocks/x/status").refused(404, "NotFound")
    assert status["message"] == 'ipamblocks.crd.projectcalico.org "x" not found'


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/pods"), ("POST", f"{POOLS}/x"), ("PUT", POOLS)])
def test_wrong_verbs(cluster: Cluster, method: str, path: str) -> None:
    status = cluster.request(method, path, {}).refused(405, "MethodNotAllowed")
    assert status["message"] == "the server does not allow this method on the requested resource"
