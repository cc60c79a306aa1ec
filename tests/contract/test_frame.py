# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 1: the frame of every exchange, who may ask, and warnings."""

from __future__ import annotations

import gzip
import http.client
import json
import typing as t

import pytest
from wire import POOLS, Cluster, config_map, ip_pool, removed_afterwards, unique


def test_headers_of_an_answer(cluster: Cluster, maps: str) -> None:
    answer = cluster.get(maps)
    assert answer.headers["Cache-Control"] == "no-cache, private"
    assert answer.media_type == "application/json"
    for name in ("Audit-Id", "Date", "X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid"):
        assert answer.headers.get(name), name
    assert "ETag" not in answer.headers
    assert answer.body.endswith(b"}\n")
    assert answer.body.count(b"\n") == 1


@pytest.mark.parametrize(("query", "agent"), [("?pretty=true", "contract/1"), ("?pretty=1", "x"), ("", "curl/8.5")])
def test_indented_for_people(cluster: Cluster, maps: str, query: str, agent: str) -> None:
    answer = cluster.request("GET", maps + query, headers={"User-Agent": agent})
    assert b'\n  "kind"' in answer.body


def test_gzip_for_large_bodies_only(cluster: Cluster, maps: str) -> None:
    names = [unique("large") for _attempt in range(2)]
    with removed_afterwards(cluster, *[f"{maps}/{name}" for name in names]):
        for name in names:
            cluster.post(maps, {**config_map(name), "data": {"a": "x" * 100_000}}).made()
        accepting = {"Accept-Encoding": "gzip"}
        small = cluster.request("GET", f"{maps}/{names[0]}", headers=accepting)
        assert "Content-Encoding" not in small.headers
        large = cluster.request("GET", maps, headers=accepting)
        assert (large.headers["Content-Encoding"], large.headers["Vary"]) == ("gzip", "Accept-Encoding")
        body = large.body if large.body.startswith(b"{") else gzip.decompress(large.body)
        assert len(json.loads(body)["items"]) >= 2


def test_unknown_query_parameters_are_ignored(cluster: Cluster, maps: str) -> None:
    assert cluster.get(maps, unheard="of").status == 200


@pytest.mark.parametrize("query", [{"limit": "x"}, {"timeout": "abc"}])
def test_malformed_parameters_are_400(cluster: Cluster, maps: str, query: dict[str, str]) -> None:
    cluster.get(maps, **query).refused(400, "BadRequest")


def test_invalid_option_values_are_422_about_the_options(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, config_map("x"), fieldValidation="Loose").refused(422, "Invalid")
    assert status["message"].startswith('CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value')
    assert status["details"]["causes"][0]["field"] == "fieldValidation"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_other_methods_are_405(cluster: Cluster, maps: str, method: str) -> None:
    assert cluster.request(method, maps).status == http.client.METHOD_NOT_ALLOWED


def test_a_body_beyond_three_mebibytes_is_413(cluster: Cluster, maps: str) -> None:
    body = json.dumps({**config_map("big"), "data": {"a": "x" * (3 * 1024 * 1024)}}).encode()
    status = cluster.post(maps, body).refused(413, "RequestEntityTooLarge")
    assert status["message"] == "Request entity too large: limit is 3145728"


def test_config_map_data_beyond_one_mebibyte_is_422(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, {**config_map("big"), "data": {"a": "x" * (1024 * 1024 + 1)}}).refused(422, "Invalid")
    assert status["details"]["causes"][0]["reason"] == "FieldValueTooLong"


def test_warnings_arrive_as_headers(cluster: Cluster) -> None:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        answer = cluster.post(POOLS, ip_pool(name, bogus=1))
        assert answer.headers["Warning"] == r'299 - "unknown field \"spec.bogus\""'
        assert "bogus" not in answer.made()["spec"]


def test_what_the_server_owns_is_ignored_on_create(cluster: Cluster, maps: str) -> None:
    body = config_map(unique("own"), uid="mine", creationTimestamp="2000-01-01T00:00:00Z", selfLink="/x", generation=7)
    made = cluster.post(maps, body).made()["metadata"]
    assert made["uid"] != "mine"
    assert not made["creationTimestamp"].startswith("2000")
    assert made["creationTimestamp"].endswith("Z")
    assert len(made["creationTimestamp"]) == len("2026-11-20T23:33:46Z")
    assert "selfLink" not in made
    assert "generation" not in made


def test_a_version_on_create_is_refused(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, config_map("v", resourceVersion="5")).refused(500)
    assert status["message"] == "resourceVersion should not be set on objects to be created"


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_is_open_to_all(cluster: Cluster, path: str) -> None:
    answer = cluster.other(None).get(path)
    assert (answer.status, answer.media_type, answer.text) == (200, "text/plain", "ok")


def test_version_is_open_to_all(cluster: Cluster) -> None:
    version = cluster.other(None).get("/version").made()
    assert version["gitVersion"].startswith(f"v{version['major']}.")


def test_a_bad_token_is_401(cluster: Cluster, maps: str) -> None:
    status = cluster.other("no-such-token").get(maps).refused(401, "Unauthorized")
    assert status["message"] == "Unauthorized"


def test_no_token_is_the_anonymous_user(cluster: Cluster) -> None:
    status = cluster.other(None).get(f"{POOLS}/p").refused(403, "Forbidden")
    assert status["message"] == (
        'ippools.crd.projectcalico.org "p" is forbidden: User "system:anonymous" cannot get resource "ippools" '
        'in API group "crd.projectcalico.org" at the cluster scope'
    )
    assert status["details"] == {"name": "p", "group": "crd.projectcalico.org", "kind": "ippools"}


def test_authorization_comes_before_routing(cluster: Cluster) -> None:
    nobody = cluster.other(None)
    nobody.get("/apis/no.such.group/v1/things").refused(403, "Forbidden")
    status = nobody.get("/no/such/path").refused(403, "Forbidden")
    assert status["message"] == 'forbidden: User "system:anonymous" cannot get path "/no/such/path"'


@pytest.fixture(scope="module")
def reader(cluster: Cluster, namespace: str) -> t.Iterator[Cluster]:
    """A service account that may read pods of its namespace, and nothing else."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    home = f"/api/v1/namespaces/{namespace}"
    cluster.post(f"{home}/serviceaccounts", {"metadata": {"name": "reader"}}).made()
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    cluster.post(f"{rbac}/namespaces/{namespace}/roles", {"metadata": {"name": "reader"}, "rules": rules}).made()
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
    }
    cluster.post(f"{rbac}/namespaces/{namespace}/rolebindings", binding).made()
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = cluster.post(f"{home}/serviceaccounts/reader/token", request).made()["status"]["token"]
    user = cluster.other(token)
    yield user
    user.close()


def test_a_reader_reads_and_nothing_more(cluster: Cluster, reader: Cluster, namespace: str, pods: str) -> None:
    user = f"system:serviceaccount:{namespace}:reader"
    assert reader.get(pods).status == 200
    status = reader.delete(f"{pods}/p").refused(403, "Forbidden")
    assert status["message"] == (
        f'pods "p" is forbidden: User "{user}" cannot delete resource "pods" in API group "" '
        f'in the namespace "{namespace}"'
    )
    assert status["details"] == {"name": "p", "kind": "pods"}
    reader.get("/api/v1/pods").refused(403, "Forbidden")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": namespace}}
    status = reader.post(f"{pods}/p/eviction", eviction).refused(403, "Forbidden")
    assert 'cannot create resource "pods/eviction"' in status["message"]


def test_a_self_subject_access_review_tells(reader: Cluster, namespace: str) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    def allowed(verb: str) -> bool:
        attributes = {"namespace": namespace, "verb": verb, "resource": "pods"}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = reader.post(path, body)
        assert answer.status == 201
        return bool(answer.json["status"]["allowed"])

    assert allowed("list")
    assert not allowed("delete")
