# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who asks and what they may: certificates, tokens, roles."""

from __future__ import annotations

import ssl
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import (
    ANONYMOUS,
    MASTERS,
    Tokens,
    User,
    authenticate,
    user_of_certificate,
    user_with,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import Request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pki import open_pki
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Authorizer,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

POOLS = {"group": "crd.projectcalico.org", "version": "v1", "resource": "ippools"}
READER = user_with("reader")


def asks(verb: str, path: str = "", **where: str) -> RequestInfo:
    return RequestInfo(verb, path, **where)


def store_with(*objects: tuple[Resource, Object]) -> ObjectStore:
    store = ObjectStore()
    for resource, obj in objects:
        store.create(resource, obj)
    return store


def role(name: str, *rules: Object, namespace: str | None = None) -> tuple[Resource, Object]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return (ROLES if namespace else CLUSTER_ROLES), {"metadata": metadata, "rules": list(rules)}


def binding(
    name: str, subject: Object, *, kind: str = "ClusterRole", namespace: str | None = None
) -> tuple[Resource, Object]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    body: Object = {"metadata": metadata, "roleRef": {"kind": kind, "name": name}, "subjects": [subject]}
    return (ROLE_BINDINGS if namespace else CLUSTER_ROLE_BINDINGS), body


EVICT = asks("create", resource="pods", subresource="eviction")
READ_POOLS = {"apiGroups": ["crd.projectcalico.org"], "resources": ["ippools"], "verbs": ["get", "list", "watch"]}


@pytest.mark.parametrize(
    ("rule", "request_info", "allowed"),
    [
        (READ_POOLS, asks("get", name="p", **POOLS), True),
        (READ_POOLS, asks("delete", name="p", **POOLS), False),
        (READ_POOLS, asks("get", group="", resource="ippools"), False),
        ({**READ_POOLS, "resourceNames": ["p"]}, asks("get", name="p", **POOLS), True),
        ({**READ_POOLS, "resourceNames": ["p"]}, asks("get", name="q", **POOLS), False),
        (
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            EVICT,
            True,
        ),
        (
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]},
            EVICT,
            False,
        ),
        (
            {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
            EVICT,
            True,
        ),
        (
            {"apiGroups": ["*"], "resources": ["*/status"], "verbs": ["patch"]},
            asks("patch", resource="pods", subresource="status"),
            True,
        ),
        ({"nonResourceURLs": ["/twin/*"], "verbs": ["get"]}, asks("get", "/twin/v1/clock"), True),
        ({"nonResourceURLs": ["/twin/*"], "verbs": ["get"]}, asks("post", "/twin/v1/clock"), False),
    ],
)
def test_rules(rule: Object, request_info: RequestInfo, allowed: bool) -> None:
    store = store_with(role("r", rule), binding("r", {"kind": "User", "name": "reader"}))
    assert Authorizer(store, enabled=True).allows(READER, request_info) is allowed


@pytest.mark.parametrize(
    ("subject", "user", "allowed"),
    [
        ({"kind": "Group", "name": "system:authenticated"}, READER, True),
        ({"kind": "Group", "name": "admins"}, READER, False),
        ({"kind": "Group", "name": "admins"}, user_with("x", ["admins"]), True),
        ({"kind": "ServiceAccount", "name": "sa", "namespace": "a"}, user_with("system:serviceaccount:a:sa"), True),
        ({"kind": "ServiceAccount", "name": "sa", "namespace": "b"}, user_with("system:serviceaccount:a:sa"), False),
        ({"kind": "Group", "name": "system:serviceaccounts:a"}, user_with("system:serviceaccount:a:sa"), True),
        ({"kind": "Group", "name": "system:unauthenticated"}, ANONYMOUS, True),
    ],
)
def test_subjects(subject: Object, user: User, allowed: bool) -> None:
    store = store_with(role("r", READ_POOLS), binding("r", subject))
    assert Authorizer(store, enabled=True).allows(user, asks("list", **POOLS)) is allowed


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_a_role_binding_holds_in_its_namespace(kind: str) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    subject = {"kind": "User", "name": "reader"}
    home = "a" if kind == "Role" else None
    store = store_with(role("r", rule, namespace=home), binding("r", subject, kind=kind, namespace="a"))
    authorizer = Authorizer(store, enabled=True)
    assert authorizer.allows(READER, asks("list", resource="pods", namespace="a"))
    assert not authorizer.allows(READER, asks("list", resource="pods", namespace="b"))
    assert not authorizer.allows(READER, asks("list", resource="pods"))


@pytest.mark.parametrize("enabled", [False, True])
def test_what_needs_no_role(enabled: bool) -> None:
    authorizer = Authorizer(ObjectStore(), enabled=enabled)
    assert authorizer.allows(ANONYMOUS, asks("get", "/readyz"))
    assert not authorizer.allows(ANONYMOUS, asks("get", "/api"))
    assert authorizer.allows(READER, asks("get", "/apis/apps/v1"))
    review = asks("create", group="authorization.k8s.io", resource="selfsubjectaccessreviews")
    assert authorizer.allows(READER, review)
    assert authorizer.allows(user_with("root", [MASTERS]), asks("delete", **POOLS))
    assert authorizer.allows(READER, asks("delete", **POOLS)) is not enabled


def impersonating(**headers: str) -> Request:
    named = {f"impersonate-{key}": value for key, value in headers.items()}
    return Request("GET", asks("get", "/x"), {}, named)


def test_impersonation() -> None:
    rule = {"apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"]}
    store = store_with(role("r", rule), binding("r", {"kind": "User", "name": "reader"}))
    authorizer = Authorizer(store, enabled=True)
    assert authorizer.impersonated(READER, impersonating()) is READER
    other = authorizer.impersonated(READER, impersonating(user="jane", group="ops, dev"))
    assert (other.name, other.groups) == ("jane", ("ops", "dev", "system:authenticated"))
    with pytest.raises(Fault, match='cannot impersonate resource "users"'):
        authorizer.impersonated(user_with("nobody"), impersonating(user="jane"))


def test_tokens() -> None:
    tokens = Tokens()
    token = tokens.issue("system:serviceaccount:a:sa")
    user = authenticate(tokens, f"Bearer {token}", None)
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated")
    assert authenticate(tokens, None, None) == ANONYMOUS
    for wrong in ("Bearer nonsense", f"Basic {token}", "Bearer "):
        with pytest.raises(Fault) as caught:
            authenticate(tokens, wrong, None)
        assert caught.value.code == 401


def test_certificates(tmp_path: Path) -> None:
    pki = open_pki(tmp_path / "pki")
    assert open_pki(tmp_path / "pki") == pki
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "pki").iterdir()} == {0}
    pair = pki.client("jane", ["ops", MASTERS])
    for name, content in (("c.crt", pair.certificate), ("c.key", pair.key)):
        (tmp_path / name).write_bytes(content)
    peer = _handshake(tmp_path, pki.ca_file, pki.server_certificate, pki.server_key)
    user = user_of_certificate(peer)
    assert user == User("jane", ("ops", MASTERS, "system:authenticated"))
    assert user_of_certificate(None) is None


def _handshake(folder: Path, authority: Path, certificate: Path, key: Path) -> t.Any:
    """Both ends of a TLS connection in memory; the client's certificate as the server sees it."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    serving.load_verify_locations(authority)
    serving.verify_mode = ssl.CERT_OPTIONAL
    asking = ssl.create_default_context(cafile=str(authority))
    asking.load_cert_chain(folder / "c.crt", folder / "c.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = asking.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    done: set[str] = set()
    for _turn in range(10):
        for name, end in (("client", client), ("server", server)):
            try:
                end.do_handshake()
                done.add(name)
            except ssl.SSLWantReadError:
                continue
    assert done == {"client", "server"}
    return server.getpeercert()


def test_what_was_asked_for_is_counted() -> None:
    authorizer = Authorizer(
        store_with(role("r", READ_POOLS), binding("r", {"kind": "User", "name": "reader"})), enabled=True
    )
    for _time in range(2):
        authorizer.check(READER, asks("list", **POOLS))
    with pytest.raises(Fault):
        authorizer.check(READER, EVICT)
    counted = [(one["verb"], one["resource"], one["allowed"], one["count"]) for one in authorizer.asked()]
    assert counted == [("create", "pods/eviction", False, 1), ("list", "ippools", True, 2)]
    authorizer.forget()
    assert authorizer.asked() == []
