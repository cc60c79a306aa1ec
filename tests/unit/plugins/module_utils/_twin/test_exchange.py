# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a path means, what an Accept header asks for, and what a body holds."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.accept import Form, form_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.bodies import body_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import (
    Reply,
    Request,
    final_headers,
    warning_header,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo, parse_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault


@pytest.mark.parametrize(
    ("method", "path", "query", "wanted"),
    [
        ("GET", "/api/v1/pods", {}, ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods", {"watch": "1"}, ("watch", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods", {"watch": "false"}, ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/watch/namespaces/a/pods", {}, ("watch", "", "pods", "", "a", "")),
        ("GET", "/api/v1/namespaces/a/pods/p", {"watch": "true"}, ("get", "", "pods", "", "a", "p")),
        ("POST", "/api/v1/namespaces/a/pods/p/eviction", {}, ("create", "", "pods", "eviction", "a", "p")),
        ("DELETE", "/api/v1/namespaces/a/pods", {}, ("deletecollection", "", "pods", "", "a", "")),
        ("GET", "/api/v1/namespaces", {}, ("list", "", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/a", {}, ("get", "", "namespaces", "", "a", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", {}, ("update", "", "namespaces", "finalize", "a", "a")),
        ("PATCH", "/api/v1/namespaces/a/status", {}, ("patch", "", "namespaces", "status", "a", "a")),
        (
            "DELETE",
            "/apis/crd.projectcalico.org/v1/ippools/p",
            {},
            ("delete", "crd.projectcalico.org", "ippools", "", "", "p"),
        ),
        ("GET", "/apis/apps/v1", {}, ("get", "", "", "", "", "")),
        ("GET", "/healthz", {}, ("get", "", "", "", "", "")),
    ],
)
def test_request_info(method: str, path: str, query: dict[str, str], wanted: tuple[str, ...]) -> None:
    info = parse_request(method, path, query)
    assert (info.verb, info.group, info.resource, info.subresource, info.namespace, info.name) == wanted


@pytest.mark.parametrize(
    ("method", "selector", "wanted"),
    [
        ("GET", "metadata.name=a", "a"),
        ("GET", "metadata.namespace=b,metadata.name==a", "a"),
        ("GET", "metadata.name!=a", ""),
        ("GET", "spec.nodeName=a", ""),
        ("DELETE", "metadata.name=a", ""),
    ],
)
def test_a_list_that_asks_for_one_name(method: str, selector: str, wanted: str) -> None:
    info = parse_request(method, "/api/v1/configmaps", {"fieldSelector": selector})
    assert (info.name, info.selected) == ("", wanted)


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "lists", "wanted"),
    [
        ("", False, Form()),
        ("*/*", False, Form()),
        ("application/json", True, Form()),
        (f"{TABLE},application/json", True, Form("table")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", True, Form("table", "v1beta1")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", True, Form()),
        (f"application/json,{TABLE};q=0.5", True, Form()),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", False, Form("metadata")),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", True, Form("metadata")),
        ("application/vnd.kubernetes.protobuf,application/json", False, Form()),
    ],
)
def test_forms(accept: str, lists: bool, wanted: Form) -> None:
    assert form_of(accept, lists=lists) == wanted


@pytest.mark.parametrize("accept", ["image/png", "application/json;as=Table;g=meta.k8s.io;v=v9"])
def test_forms_there_are_not(accept: str) -> None:
    with pytest.raises(Fault) as caught:
        form_of(accept, lists=False)
    assert caught.value.code == 406


def request(body: bytes = b"", **headers: str) -> Request:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Request("POST", RequestInfo("create", "/x"), {}, named, body)


@pytest.mark.parametrize(
    ("body", "media_type", "wanted"),
    [
        (b'{"a": 1}', "", {"a": 1}),
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b"a: 2026-01-01\n", "application/yaml", {"a": "2026-01-01"}),
    ],
)
def test_bodies(body: bytes, media_type: str, wanted: t.Any) -> None:
    assert body_of(request(body, content_type=media_type), "Warn") == (wanted, [])


def test_duplicates_are_found_where_they_are() -> None:
    body = b'{"a":{"b":[{"c":1,"c":2}]},"d":1,"d":2}'
    _document, warnings = body_of(request(body), "Warn")
    assert warnings == ['duplicate field "d"', 'duplicate field "a.b[0].c"']
    assert body_of(request(body), "Ignore")[1] == []
    with pytest.raises(Fault, match="strict decoding error"):
        body_of(request(body), "Strict")


@pytest.mark.parametrize(
    ("body", "media_type", "code"),
    [
        (b"{", "", 400),
        (b'{"a": NaN}', "", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "", 400),
        (b"a: [", "application/yaml", 400),
        (b"a: !!python/name:os.system", "application/yaml", 400),
        (b"x", "text/plain", 415),
    ],
)
def test_bodies_that_cannot_be_read(body: bytes, media_type: str, code: int) -> None:
    with pytest.raises(Fault) as caught:
        body_of(request(body, content_type=media_type), "Warn")
    assert caught.value.code == code


def test_compression_begins_at_128_kib() -> None:
    accepting = request(accept_encoding="gzip, deflate")
    assert "Content-Encoding" not in final_headers(accepting, Reply(200, b"x" * 131072))[1]
    body, headers = final_headers(accepting, Reply(200, b"x" * 131073))
    assert (headers["Content-Encoding"], headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert len(body) < 1000
    assert "Content-Encoding" not in final_headers(request(), Reply(200, b"x" * 131073))[1]


def test_a_warning_is_quoted() -> None:
    assert warning_header('unknown field "a\\b"') == r'299 - "unknown field \"a\\b\""'
