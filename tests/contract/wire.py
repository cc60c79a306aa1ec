# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bare client for the contract suite: requests and answers as they are on the wire.

Deliberately not the collection's own client: what is tested here is what the server says.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import tempfile
import time
import typing as t
import uuid
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import urllib3
import yaml

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"

POOLS = "/apis/crd.projectcalico.org/v1/ippools"
POOLS_V3 = "/apis/projectcalico.org/v3/ippools"
RESERVATIONS = "/apis/crd.projectcalico.org/v1/ipreservations"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
IMAGE = os.environ.get("CALICO_OPS_CONTRACT_IMAGE", "registry.k8s.io/pause:3.10")

Object = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Answer:
    """Status code, headers and body of one answer."""

    status: int
    headers: t.Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Object:
        return t.cast(Object, json.loads(self.body))

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").split(";")[0]

    @property
    def message(self) -> str:
        return str(self.json.get("message", ""))

    @property
    def version(self) -> str:
        return str(self.json["metadata"]["resourceVersion"])

    def made(self) -> Object:
        """The body of a success; fails with the server's words otherwise."""
        assert self.status in (200, 201), f"{self.status}: {self.text}"
        return self.json

    def refused(self, code: int, reason: str = "") -> Object:
        """The Status of a refusal, its frame checked."""
        assert self.status == code, f"{self.status} instead of {code}: {self.text}"
        status = self.json
        assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
        assert (status["code"], status.get("reason", "")) == (code, reason)
        return status


class Cluster:
    """One server and one user."""

    def __init__(self, kubeconfig: str) -> None:
        with open(kubeconfig, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        self.url: str = cluster["server"].rstrip("/")
        self._authority = _content(cluster, "certificate-authority")
        self._tls = ssl.create_default_context(cadata=self._authority.decode() if self._authority else None)
        certificate, key = _content(user, "client-certificate"), _content(user, "client-key")
        if certificate and key:
            _load_pair(self._tls, certificate, key)
        self._headers = {"Accept": "application/json", "User-Agent": "contract/1"}
        if user.get("token"):
            self._headers["Authorization"] = f"Bearer {user['token']}"
        self._pool = urllib3.PoolManager(ssl_context=self._tls, retries=False, maxsize=8)

    def other(self, token: str | None) -> Cluster:
        """The same server with another token, or without any proof."""
        copy = object.__new__(Cluster)
        copy.url, copy._authority = self.url, self._authority
        copy._tls = ssl.create_default_context(cadata=self._authority.decode() if self._authority else None)
        copy._headers = {"Accept": "application/json", "User-Agent": "contract/1"}
        if token is not None:
            copy._headers["Authorization"] = f"Bearer {token}"
        copy._pool = urllib3.PoolManager(ssl_context=copy._tls, retries=False)
        return copy

    def close(self) -> None:
        self._pool.clear()

    def request(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        *,
        media_type: str = "application/json",
        headers: t.Mapping[str, str] | None = None,
        **query: t.Any,
    ) -> Answer:
        """One exchange; ``body`` is encoded as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = dict(self._headers)
        if content is not None:
            sent["Content-Type"] = media_type
        sent.update(headers or {})
        answer = self._pool.request(
            method, self._address(path, query), body=content, headers=sent, redirect=False, timeout=60
        )
        return Answer(answer.status, answer.headers, answer.data)

    def _address(self, path: str, query: t.Mapping[str, t.Any]) -> str:
        text = urlencode({key: value for key, value in query.items() if value is not None})
        return f"{self.url}{path}?{text}" if text else self.url + path

    @contextlib.contextmanager
    def abandoned(self, method: str, path: str) -> t.Iterator[None]:
        """Send a request and hang up in the end, without having looked at the answer."""
        place = urlsplit(self.url)
        connection = http.client.HTTPSConnection(str(place.hostname), place.port, context=self._tls, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, headers=self._headers)
            yield

    def get(self, path: str, **query: t.Any) -> Answer:
        return self.request("GET", path, **query)

    def post(self, path: str, body: t.Any, **query: t.Any) -> Answer:
        return self.request("POST", path, body, **query)

    def put(self, path: str, body: t.Any, **query: t.Any) -> Answer:
        return self.request("PUT", path, body, **query)

    def patch(self, path: str, body: t.Any, media_type: str = MERGE_PATCH, **query: t.Any) -> Answer:
        return self.request("PATCH", path, body, media_type=media_type, **query)

    def delete(self, path: str, body: t.Any = None, **query: t.Any) -> Answer:
        return self.request("DELETE", path, body, **query)

    def watch(self, path: str, seconds: int = 20, **query: t.Any) -> t.Iterator[Object]:
        """The events of a watch, until the server ends it after ``seconds``."""
        answer = self.open_watch(path, seconds, **query)
        try:
            assert answer.status == 200, answer.data
            pending = b""
            for chunk in answer.stream(65536):
                pending += chunk
                *lines, pending = pending.split(b"\n")
                for line in lines:
                    yield json.loads(line)
            assert pending == b""
        finally:
            answer.close()

    def open_watch(self, path: str, seconds: int = 20, **query: t.Any) -> urllib3.BaseHTTPResponse:
        """The raw answer to a watch."""
        wanted = {"watch": "true", "timeoutSeconds": seconds, **query}
        return self._pool.request(
            "GET",
            self._address(path, wanted),
            headers=self._headers,
            preload_content=False,
            timeout=urllib3.Timeout(connect=10, read=seconds + 20),
        )

    def wait(self, path: str, done: t.Callable[[Object | None], bool], seconds: int = 60) -> Object | None:
        """Watch one object until ``done`` (None when it is gone); its last state."""
        collection, _slash, name = path.rpartition("/")
        selector = f"metadata.name={name}"
        listed = self.get(collection, fieldSelector=selector).made()
        found = listed["items"][0] if listed["items"] else None
        if done(found):
            return found
        version = listed["metadata"]["resourceVersion"]
        for event in self.watch(collection, seconds, fieldSelector=selector, resourceVersion=version):
            found = None if event["type"] == "DELETED" else event["object"]
            if done(found):
                return found
        raise AssertionError(f"{path} did not come to the wanted state within {seconds} s: {found}")


def _named(entries: t.Sequence[Object], name: str) -> Object:
    return next(entry for entry in entries if entry["name"] == name)


def _content(entry: Object, key: str) -> bytes:
    if entry.get(key + "-data"):
        return base64.b64decode(entry[key + "-data"])
    if entry.get(key):
        with open(entry[key], "rb") as file:
            return file.read()
    return b""


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    paths = []
    for content in (certificate, key):
        descriptor, path = tempfile.mkstemp()
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        paths.append(path)
    context.load_cert_chain(paths[0], paths[1])
    for path in paths:
        os.unlink(path)


@dataclass(frozen=True)
class Pools:
    """Where a cluster keeps its IPPools."""

    cluster: Cluster
    path: str

    @property
    def group(self) -> str:
        return self.path.split("/")[2]

    def body(self, name: str, **spec: t.Any) -> Object:
        return ip_pool(name, path=self.path, **spec)

    def post(self, body: Object) -> Answer:
        return self.cluster.post(self.path, body)


def unique(prefix: str) -> str:
    """A name no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def config_map(name: str, **metadata: t.Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}


def ip_pool(name: str, cidr: str = "203.0.113.0/24", path: str = POOLS, **spec: t.Any) -> Object:
    """A pool that hands nothing out: disabled, with a documentation address."""
    return {
        "apiVersion": "/".join(path.split("/")[2:4]),
        "kind": "IPPool",
        "metadata": {"name": name},
        "spec": {"cidr": cidr, "disabled": True, **spec},
    }


def pod(name: str, labels: t.Mapping[str, str] | None = None, **spec: t.Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"containers": [{"name": "main", "image": IMAGE}], "terminationGracePeriodSeconds": 3, **spec},
    }


def is_ready(obj: Object | None) -> bool:
    """Whether a pod is Ready."""
    conditions = ((obj or {}).get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@contextlib.contextmanager
def removed_afterwards(cluster: Cluster, *paths: str) -> t.Iterator[None]:
    """Delete these objects in the end, whether they exist or not."""
    try:
        yield
    finally:
        for path in paths:
            cluster.delete(path)


def eventually(done: t.Callable[[], bool], seconds: float = 20.0) -> bool:
    """Ask a few times a second: for what no watch tells (discovery, freshly served types)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.1)
    return done()
