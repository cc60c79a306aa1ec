# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""``KubeApi`` over HTTPS: objects as plain dicts, lists in pages, watches as lines."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Conflict,
    Expired,
    NotFound,
    ServerError,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.libraries import load_libraries
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.transport import Request, Transport
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import WatchStream

PAGE = 500
FIELD_MANAGER = "calico-ops-ipam"
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
# A watch is ended by the server after this many seconds unless the caller says otherwise; silence
# for longer than that and a grace means that the connection is dead.
WATCH_SECONDS = 290
WATCH_GRACE = 15.0
# How often a list is begun again after its continue token expired.
LIST_ATTEMPTS = 3


def connect(options: ConnectionOptions) -> HttpApi:
    """A client for the cluster that the options name; nothing is sent before the first call.

    Raises ``BadConfiguration`` when the options do not lead to a server, and ``MissingLibrary``
    without a usable ``kubernetes`` package.
    """
    return HttpApi(Transport(options, load_libraries()))


@dataclass(frozen=True)
class Page:
    """One page of a list; all pages of a list have the resourceVersion of the first one."""

    items: list[Object]
    resource_version: str


class HttpApi:
    """Implements ``KubeApi``; safe to use from several threads, over one connection pool."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def server(self) -> str:
        """Host and port of the API server, for messages."""
        return self._transport.server

    def close(self) -> None:
        """Drop the connections."""
        self._transport.close()

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self._call("GET", resource, namespace, name)

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Listing:
        for attempt in range(1, LIST_ATTEMPTS + 1):
            # The last attempt asks for everything at once, which cannot expire half-way.
            limit = PAGE if attempt < LIST_ATTEMPTS else 0
            items: list[Object] = []
            version = ""
            try:
                for page in self._pages(resource, namespace, label_selector, field_selector, limit, False):
                    items.extend(page.items)
                    version = page.resource_version
            except Expired:
                if attempt == LIST_ATTEMPTS:
                    raise
                continue
            return Listing(items, version)
        raise ServerError(f"The list of {resource.plural} could not be completed.", 500)

    def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = PAGE,
    ) -> t.Iterator[Page]:
        """The pages of a list one by one, for lists too long to hold.

        When the list expires on the way, the rest comes from a newer state (the token that the
        server offers); objects are never repeated, but the whole is then not one snapshot.
        """
        return self._pages(resource, namespace, label_selector, field_selector, limit, True)

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        return self._call("POST", resource, namespace, body=body, query=_write_query(dry_run))

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        name = str(body["metadata"]["name"])

        def send() -> Object:
            return self._call("PUT", resource, namespace, name, subresource, body, query=_write_query(dry_run))

        try:
            return send()
        except Unreachable as error:
            # With the version that it replaces, it may be said twice.
            if not error.maybe_done or not body["metadata"].get("resourceVersion"):
                raise
            try:
                return send()
            except Conflict:
                live = self.get(resource, name, namespace)
                if not _holds(live, body):
                    raise error from None
                return live

    def patch(
        self,
        resource: Resource,
        name: str,
        body: t.Any,
        namespace: str | None = None,
        *,
        patch_type: str = "merge",
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        return self._call(
            "PATCH", resource, namespace, name, subresource, body, PATCH_TYPES[patch_type], _write_query(dry_run)
        )

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
        dry_run: bool = False,
    ) -> None:
        preconditions = _given(uid=uid, resourceVersion=resource_version)
        body = _given(
            kind="DeleteOptions",
            apiVersion="v1",
            preconditions=preconditions or None,
            gracePeriodSeconds=grace_seconds,
            propagationPolicy=propagation,
            dryRun=["All"] if dry_run else None,
        )
        try:
            self._call("DELETE", resource, namespace, name, body=body)
        except Unreachable as error:
            # What stands for this one object cannot hit another, so it may be said twice.
            if not error.maybe_done or not preconditions:
                raise
            try:
                self._call("DELETE", resource, namespace, name, body=body)
            except NotFound:
                return
            except Conflict:
                raise error from None

    def evict(self, name: str, namespace: str, *, uid: str | None = None, dry_run: bool = False) -> None:
        options = _given(preconditions={"uid": uid} if uid else None, dryRun=["All"] if dry_run else None)
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": options,
        }
        self._call("POST", PODS, namespace, name, "eviction", body)

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_seconds: int | None = None,
    ) -> WatchStream:
        seconds = WATCH_SECONDS if timeout_seconds is None else timeout_seconds
        query = _given(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            timeoutSeconds=seconds,
            labelSelector=label_selector,
            fieldSelector=field_selector,
        )
        request = Request("GET", _path(resource, namespace, query=query), resource=resource)
        return WatchStream(self._transport.stream(request, seconds + WATCH_GRACE), self._transport)

    def openapi(self, group: str, version: str) -> Object:
        """The server's OpenAPI v3 document of one group and version; ``UnknownResource`` when it has none."""
        return self._ask(Request("GET", f"/openapi/v3/apis/{group}/{version}"))

    def api_groups(self) -> frozenset[str]:
        """Every ``group/version`` that the server names in its list of groups; the core group is not among them."""
        found = self._ask(Request("GET", "/apis")).get("groups") or []
        return frozenset(str(entry["groupVersion"]) for group in found for entry in group.get("versions") or [])

    def api_resources(self, group: str, version: str) -> frozenset[str]:
        """The plural names of the resources in one group and version, without subresources."""
        found = self._ask(Request("GET", f"/apis/{group}/{version}")).get("resources") or []
        return frozenset(name for name in (str(entry["name"]) for entry in found) if "/" not in name)

    def _pages(
        self,
        resource: Resource,
        namespace: str | None,
        label_selector: str | None,
        field_selector: str | None,
        limit: int,
        accept_newer: bool,
    ) -> t.Iterator[Page]:
        token: str | None = None
        while True:
            query = _given(
                limit=limit or None, labelSelector=label_selector, fieldSelector=field_selector, **{"continue": token}
            )
            try:
                answer = self._call("GET", resource, namespace, query=query)
            except Expired as error:
                offered = (error.body.get("metadata") or {}).get("continue")
                if not accept_newer or not offered:
                    raise
                token = str(offered)
                continue
            items = answer.get("items") or []
            for item in items:
                item.setdefault("kind", resource.kind)
                item.setdefault("apiVersion", resource.api_version)
            metadata = answer.get("metadata") or {}
            token = metadata.get("continue") or None
            yield Page(items, str(metadata.get("resourceVersion") or ""))
            if token is None:
                return

    def _call(
        self,
        method: str,
        resource: Resource,
        namespace: str | None,
        name: str | None = None,
        subresource: str | None = None,
        body: t.Any = None,
        content_type: str = "application/json",
        query: t.Mapping[str, t.Any] | None = None,
    ) -> Object:
        data = None if body is None else json.dumps(body).encode("utf-8")
        path = _path(resource, namespace, name, subresource, query)
        doing = _doing(
            method, resource, namespace, name or ((body or {}).get("metadata") or {}).get("name"), subresource
        )
        return self._ask(Request(method, path, data, content_type if data else None, resource), doing)

    def _ask(self, request: Request, doing: str = "") -> Object:
        try:
            answer = self._transport.send(request)
        except (ServerError, Unreachable) as error:
            # The server's words do not say which of many requests they are about. A read says nothing new when nobody
            # answers at all.
            if doing and (request.method != "GET" or isinstance(error, ServerError)):
                error.message = f"While {doing}: {error.message}"
                error.args = (error.message,)
            raise
        try:
            decoded = json.loads(answer)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise ServerError(
                f"The server at {self.server} answered {request.method} {request.path.partition('?')[0]} with "
                "something other than a JSON object: it is not a Kubernetes API server, or a proxy answered in its "
                "place.",
                502,
            )
        return decoded


_DOING = {"GET": "reading", "POST": "creating", "PUT": "changing", "PATCH": "changing", "DELETE": "deleting"}


def _doing(method: str, resource: Resource, namespace: str | None, name: t.Any, subresource: str | None) -> str:
    """What a request does, for a sentence: ``changing Deployment shop/web``."""
    if not name:
        where = f" of namespace {namespace}" if namespace else ""
        return f"reading {resource.plural}{where}" if method == "GET" else f"creating {resource.kind}{where}"
    verb = "evicting" if subresource == "eviction" else _DOING[method]
    return f"{verb} {resource.kind} {namespace}/{name}" if namespace else f"{verb} {resource.kind} {name}"


def _holds(live: Object, sent: Object) -> bool:
    """Whether the object is as it was sent, but for what the server keeps."""
    kept = ("metadata", "status")
    return all(live.get(key) == value for key, value in sent.items() if key not in kept) and all(
        (live["metadata"].get(key) or None) == (sent["metadata"].get(key) or None)
        for key in ("uid", "labels", "annotations", "finalizers", "ownerReferences")
    )


def _given(**values: t.Any) -> dict[str, t.Any]:
    return {name: value for name, value in values.items() if value is not None}


def _write_query(dry_run: bool) -> dict[str, t.Any]:
    return _given(fieldManager=FIELD_MANAGER, fieldValidation="Strict", dryRun="All" if dry_run else None)


def _path(
    resource: Resource,
    namespace: str | None,
    name: str | None = None,
    subresource: str | None = None,
    query: t.Mapping[str, t.Any] | None = None,
) -> str:
    parts = ["/apis", resource.group, resource.version] if resource.group else ["/api", resource.version]
    if resource.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    if subresource is not None:
        parts.append(subresource)
    path = "/".join(parts)
    return f"{path}?{urlencode(query)}" if query else path
