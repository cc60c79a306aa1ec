# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import transport
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    UnknownResource,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    IP_POOLS,
    NAMESPACES,
    PODS,
)

from .conftest import Answer, ScriptedServer

POOLS = "/apis/crd.projectcalico.org/v1/ippools"
PODS_PATH = "/api/v1/pods"
SECRET = "s3cr3t-t0k3n"


@pytest.fixture
def api(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[HttpApi]:
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(transport, "LONGEST_PAUSE", 0.002)
    client = connect(ConnectionOptions(host=server.url, api_key=SECRET))
    yield client
    client.close()


def status(code: int, message: str, reason: str = "", **rest: t.Any) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, **rest}
    if reason:
        body["reason"] = reason
    return Answer(code, {**body, "code": code})


class TestCalls:
    def test_get_sends_the_token_and_returns_the_dict(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", f"{POOLS}/p", Answer(200, {"kind": "IPPool", "metadata": {"name": "p"}}))
        assert api.get(IP_POOLS, "p") == {"kind": "IPPool", "metadata": {"name": "p"}}
        assert server.asked[0].headers["authorization"] == f"Bearer {SECRET}"

    def test_writes_are_strict_and_say_who_writes(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("POST", POOLS, Answer(201, {"metadata": {"name": "p"}}))
        server.on("PUT", f"{POOLS}/p", Answer(200, {"metadata": {"name": "p"}}))
        server.on("PATCH", f"{POOLS}/p", Answer(200, {"metadata": {"name": "p"}}))
        api.create(IP_POOLS, {"metadata": {"name": "p"}}, dry_run=True)
        api.replace(IP_POOLS, {"metadata": {"name": "p"}})
        api.patch(IP_POOLS, "p", [{"op": "test", "path": "/a", "value": 1}], patch_type="json")
        create, replace, patch = server.asked
        assert create.query == {"fieldManager": "calico-ops-ipam", "fieldValidation": "Strict", "dryRun": "All"}
        assert replace.query == {"fieldManager": "calico-ops-ipam", "fieldValidation": "Strict"}
        assert patch.headers["Content-Type"] == "application/json-patch+json"
        assert patch.body == [{"op": "test", "path": "/a", "value": 1}]

    def test_delete_and_evict_send_their_preconditions(self, server: ScriptedServer, api: HttpApi) -> None:
        base = "/api/v1/namespaces/shop"
        server.on("DELETE", f"{base}/configmaps/c", Answer(200, {"status": "Success"}))
        server.on("POST", f"{base}/pods/web-1/eviction", Answer(201, {"status": "Success"}))
        api.delete(CONFIG_MAPS, "c", "shop", uid="u1", resource_version="7", grace_seconds=0)
        api.evict("web-1", "shop", uid="u2", dry_run=True)
        deleted, evicted = (asked.body for asked in server.asked)
        assert deleted["preconditions"] == {"uid": "u1", "resourceVersion": "7"}
        assert deleted["gracePeriodSeconds"] == 0
        assert evicted["metadata"] == {"name": "web-1", "namespace": "shop"}
        assert evicted["deleteOptions"] == {"preconditions": {"uid": "u2"}, "dryRun": ["All"]}

    def test_one_connection_serves_sequential_calls(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", f"{POOLS}/p", Answer(200, {"metadata": {"name": "p"}}))
        for _repeat in range(5):
            api.get(IP_POOLS, "p")
        assert len(server.connections) == 1

    def test_impersonation(self, server: ScriptedServer) -> None:
        server.on("GET", f"{POOLS}/p", Answer(200, {"metadata": {"name": "p"}}))
        client = connect(ConnectionOptions(host=server.url, username="ann", password="pw", impersonate_user="bob"))
        client.get(IP_POOLS, "p")
        client.close()
        assert server.asked[0].headers["Impersonate-User"] == "bob"
        assert server.asked[0].headers["authorization"] == "Basic YW5uOnB3"


class TestLists:
    def test_pages_are_joined_and_items_completed(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on(
            "GET",
            PODS_PATH,
            Answer(
                200, {"metadata": {"resourceVersion": "9", "continue": "t"}, "items": [{"metadata": {"name": "a"}}]}
            ),
            Answer(200, {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "b"}}]}),
        )
        listing = api.list(PODS, label_selector="app=web", field_selector="status.phase=Running")
        assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
        assert {(item["kind"], item["apiVersion"]) for item in listing.items} == {("Pod", "v1")}
        assert listing.resource_version == "9"
        first, second = (asked.query for asked in server.asked)
        assert first == {"limit": "500", "labelSelector": "app=web", "fieldSelector": "status.phase=Running"}
        assert second["continue"] == "t"

    def test_an_expired_list_is_begun_again(self, server: ScriptedServer, api: HttpApi) -> None:
        page = Answer(
            200, {"metadata": {"resourceVersion": "9", "continue": "t"}, "items": [{"metadata": {"name": "a"}}]}
        )
        gone = status(410, "too old", "Expired", metadata={"continue": "newer"})
        rest = Answer(200, {"metadata": {"resourceVersion": "12"}, "items": [{"metadata": {"name": "a"}}]})
        server.on("GET", PODS_PATH, page, gone, rest)
        listing = api.list(PODS)
        assert [item["metadata"]["name"] for item in listing.items] == ["a"]
        assert listing.resource_version == "12"

    def test_pages_go_on_with_the_offered_token(self, server: ScriptedServer, api: HttpApi) -> None:
        page = Answer(
            200, {"metadata": {"resourceVersion": "9", "continue": "t"}, "items": [{"metadata": {"name": "a"}}]}
        )
        gone = status(410, "too old", "Expired", metadata={"continue": "newer"})
        rest = Answer(200, {"metadata": {"resourceVersion": "12"}, "items": [{"metadata": {"name": "b"}}]})
        server.on("GET", PODS_PATH, page, gone, rest)
        names = [item["metadata"]["name"] for page in api.pages(PODS) for item in page.items]
        assert names == ["a", "b"]
        assert server.asked[2].query["continue"] == "newer"


class TestErrors:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (status(404, 'ippools.crd.projectcalico.org "p" not found', "NotFound"), NotFound),
            (status(409, "the object has been modified", "Conflict"), Conflict),
            (status(409, 'ippools "p" already exists', "AlreadyExists"), AlreadyExists),
            (status(410, "gone", "Expired"), Expired),
            (status(422, "IPPool p is invalid: spec.cidr: bad", "Invalid"), Invalid),
            (status(403, 'namespaces "p" is forbidden: it is being terminated', "Forbidden"), Forbidden),
        ],
    )
    def test_the_servers_message_is_kept(
        self, server: ScriptedServer, api: HttpApi, answer: Answer, kind: type[ApiError]
    ) -> None:
        server.on("GET", f"{POOLS}/p", answer)
        with pytest.raises(kind) as caught:
            api.get(IP_POOLS, "p")
        assert caught.value.message == answer.body["message"]
        assert caught.value.__class__ is kind

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(404, b"404 page not found"),
            status(404, "the server could not find the requested resource", "NotFound"),
        ],
    )
    def test_missing_crds_are_not_a_missing_pool(self, server: ScriptedServer, api: HttpApi, answer: Answer) -> None:
        server.on("GET", f"{POOLS}/p", answer)
        with pytest.raises(UnknownResource) as caught:
            api.get(IP_POOLS, "p")
        assert caught.value.message == (
            "The server has no ippools.crd.projectcalico.org: "
            "Calico's CRDs are not installed or this is not a Calico cluster."
        )
        assert not isinstance(caught.value, NotFound)

    def test_wrong_token(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", f"{POOLS}/p", status(401, "Unauthorized", "Unauthorized"))
        with pytest.raises(Unauthorized, match="does not accept the credentials from the option host") as caught:
            api.get(IP_POOLS, "p")
        assert SECRET not in caught.value.message
        assert len(server.asked) == 1

    def test_forbidden_says_who_may_not_do_what(self, server: ScriptedServer, api: HttpApi) -> None:
        text = 'ippools.crd.projectcalico.org "p" is forbidden: User "u" cannot get resource "ippools"'
        server.on("GET", f"{POOLS}/p", status(403, text, "Forbidden"))
        with pytest.raises(Forbidden) as caught:
            api.get(IP_POOLS, "p")
        assert caught.value.message.startswith(text + ": grant that right")

    def test_something_else_than_an_api_server(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", f"{POOLS}/p", Answer(200, b"<html>hello</html>"))
        with pytest.raises(ServerError, match="not a Kubernetes API server"):
            api.get(IP_POOLS, "p")


class TestRetries:
    def test_reads_survive_5xx_429_and_cut_connections(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on(
            "GET",
            f"{POOLS}/p",
            Answer(200, {"metadata": {"name": "p"}}),
            status(500, "etcd"),
            Answer(503, b"service unavailable"),
            Answer(429, b"Too many requests, please try again later.", {"Retry-After": "0"}),
            Answer(cut=True),
            Answer(200, {"metadata": {"name": "p2"}}),
        )
        api.get(IP_POOLS, "p")
        assert api.get(IP_POOLS, "p")["metadata"]["name"] == "p2"

    def test_writes_are_repeated_only_after_overload(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on(
            "POST",
            POOLS,
            status(429, "storage is (re)initializing", "TooManyRequests", details={"retryAfterSeconds": 0}),
            Answer(201, {"metadata": {"name": "p"}}),
        )
        assert api.create(IP_POOLS, {"metadata": {"name": "p"}})["metadata"]["name"] == "p"
        server.on("POST", POOLS, Answer(503, b"service unavailable"))
        with pytest.raises(ServerError):
            api.create(IP_POOLS, {"metadata": {"name": "p"}})
        assert len(server.asked) == 3

    def test_a_write_whose_answer_is_lost_may_have_been_done(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("POST", POOLS, Answer(cut=True))
        with pytest.raises(Unreachable) as caught:
            api.create(IP_POOLS, {"metadata": {"name": "p"}})
        assert caught.value.maybe_done
        assert len(server.asked) == 1

    def test_a_deletion_of_one_object_whose_answer_is_lost(self, server: ScriptedServer, api: HttpApi) -> None:
        """It is said again when it names the object and not only its name; then there may be nothing left to delete."""
        gone = status(404, 'ippools.crd.projectcalico.org "p" not found', "NotFound", details={"name": "p"})
        server.on("DELETE", f"{POOLS}/p", Answer(cut=True), gone)
        api.delete(IP_POOLS, "p", uid="u1")
        assert [asked.body["preconditions"] for asked in server.asked] == [{"uid": "u1"}] * 2
        server.on("DELETE", f"{POOLS}/p", Answer(cut=True), status(409, "modified", "Conflict"))
        with pytest.raises(Unreachable):
            api.delete(IP_POOLS, "p", resource_version="5")
        server.on("DELETE", f"{POOLS}/p", Answer(cut=True))
        with pytest.raises(Unreachable):
            api.delete(IP_POOLS, "p")
        assert len(server.asked) == 5

    def test_a_replacement_whose_answer_is_lost(self, server: ScriptedServer, api: HttpApi) -> None:
        """It is said again when it names what it replaces; a conflict then means that it was done, or too late."""
        path = f"{POOLS}/p"
        metadata = {"name": "p", "uid": "u1", "resourceVersion": "5", "labels": {"a": "b"}}
        body = {"kind": "IPPool", "metadata": metadata, "spec": {"cidr": "10.0.0.0/16"}}
        done = {**body, "metadata": {**metadata, "resourceVersion": "6"}}
        modified = status(409, "modified", "Conflict")
        server.on("PUT", path, Answer(cut=True), Answer(200, done))
        assert api.replace(IP_POOLS, body) == done
        server.on("PUT", path, Answer(cut=True), modified)
        server.on("GET", path, Answer(200, done))
        assert api.replace(IP_POOLS, body) == done
        for other in ({**done, "spec": {}}, {**done, "metadata": {**done["metadata"], "labels": {}}}):
            server.on("PUT", path, Answer(cut=True), modified)
            server.on("GET", path, Answer(200, other))
            with pytest.raises(Unreachable):
                api.replace(IP_POOLS, body)
        server.on("PUT", path, Answer(cut=True))
        with pytest.raises(Unreachable):
            api.replace(IP_POOLS, {"metadata": {"name": "p"}})

    def test_a_refused_eviction_is_an_answer(self, server: ScriptedServer, api: HttpApi) -> None:
        causes = [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 8 healthy pods and has 8"}]
        path = "/api/v1/namespaces/shop/pods/w/eviction"
        server.on("POST", path, status(429, "Cannot evict pod", "TooManyRequests", details={"causes": causes}))
        with pytest.raises(TooManyRequests) as caught:
            api.evict("w", "shop")
        assert caught.value.causes == causes
        assert caught.value.retry_after is None
        processing = status(
            429, "Cannot evict pod", "TooManyRequests", details={"causes": causes, "retryAfterSeconds": 10}
        )
        server.on("POST", path, processing)
        with pytest.raises(TooManyRequests) as caught:
            api.evict("w", "shop")
        assert caught.value.retry_after == 10
        assert len(server.asked) == 2

    def test_an_overloaded_server_is_asked_again_for_an_eviction(self, server: ScriptedServer, api: HttpApi) -> None:
        path = "/api/v1/namespaces/shop/pods/w/eviction"
        overload = Answer(429, b"Too many requests, please try again later.", {"Retry-After": "0"})
        server.on("POST", path, overload, Answer(201, {"status": "Success"}))
        api.evict("w", "shop")
        assert len(server.asked) == 2


class TestUnreachable:
    def test_connection_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "FIRST_PAUSE", 0.001)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        client = connect(ConnectionOptions(host=f"https://127.0.0.1:{port}", api_key=SECRET))
        with pytest.raises(Unreachable) as caught:
            client.get(IP_POOLS, "p")
        client.close()
        assert caught.value.message == (
            f"No Kubernetes API server answers at 127.0.0.1:{port} (connection refused): "
            "check that the cluster runs and that host, or the server in the kubeconfig, is right."
        )
        assert not caught.value.maybe_done

    def test_name_that_does_not_resolve(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "FIRST_PAUSE", 0.001)
        client = connect(ConnectionOptions(host="https://no-such-host.invalid:6443", api_key=SECRET))
        with pytest.raises(Unreachable, match=r"no-such-host\.invalid:6443 cannot be resolved"):
            client.get(IP_POOLS, "p")
        client.close()

    def test_plain_http_where_tls_is_wanted(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "FIRST_PAUSE", 0.001)
        client = connect(ConnectionOptions(host=server.url.replace("http:", "https:"), api_key=SECRET))
        with pytest.raises(Unreachable, match="No TLS connection to 127.*\\(wrong version number\\)"):
            client.get(IP_POOLS, "p")
        client.close()


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda api: api.patch(IP_POOLS, "new", {}), "While changing IPPool new: The server at "),
        (lambda api: api.delete(NAMESPACES, "probe"), "While deleting Namespace probe: The server at "),
        (lambda api: api.evict("web-1", "shop"), "While evicting Pod shop/web-1: The server at "),
        (lambda api: api.create(PODS, {"metadata": {"name": "a"}}, "shop"), "While creating Pod shop/a: The server "),
        (lambda api: api.list(IP_POOLS), "While reading ippools: The server at "),
    ],
)
def test_a_server_error_says_what_was_being_done(
    server: ScriptedServer, api: HttpApi, work: t.Callable[[HttpApi], object], words: str
) -> None:
    for method, path in (
        ("PATCH", f"{POOLS}/new"),
        ("DELETE", "/api/v1/namespaces/probe"),
        ("POST", "/api/v1/namespaces/shop/pods/web-1/eviction"),
        ("POST", "/api/v1/namespaces/shop/pods"),
        ("GET", POOLS),
    ):
        server.on(method, path, *[status(500, "etcdserver: request timed out") for _again in range(9)])
    with pytest.raises(ServerError) as caught:
        work(api)
    assert caught.value.message.startswith(words)
    assert caught.value.message.endswith(" answered 500: etcdserver: request timed out.")
    assert str(caught.value) == caught.value.message
