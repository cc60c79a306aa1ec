# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""From a path and a method to a verb of the API server and back to bytes, without an HTTP library.

``handle`` answers every request but watches: for those it returns what to stream.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.accept import form_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.bodies import body_of, decode_json
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import (
    JSON,
    Later,
    Reply,
    Request,
    json_reply,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import Page, limit_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import encode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import (
    Answer,
    ListOptions,
    WriteOptions,
    delete_options_of,
    dry_run_of,
    field_validation_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.patch import APPLY_PATCH, accepted_patch_types
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.render import Renderer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo, truth
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Cause,
    bad_request,
    invalid_options,
    method_not_allowed,
    unsupported_media_type,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.storage import Steps
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.table import Tables

_MANAGER_LIMIT = 128


@dataclass(frozen=True)
class WatchRequest:
    """A watch to stream: what, filtered how, in which form; ``timeout`` in seconds, None for the server's own."""

    kind: Kind
    namespace: t.Optional[str]
    options: ListOptions
    renderer: Renderer
    bookmarks: bool
    initial_events: t.Optional[bool]
    timeout: t.Optional[float]
    expire: bool = False


class Routes:
    """The resource paths of one API server."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.tables = Tables(api.clock.now, api.definitions.crd_of)

    def handle(self, request: Request) -> Reply | WatchRequest | Later:
        """The answer to a request on a resource path. Raises ``Fault``."""
        info = request.info
        kind = self._kind(info)
        if info.subresource:
            return self._subresource(request, kind)
        if info.name:
            return self._item(request, kind)
        return self._collection(request, kind)

    def _kind(self, info: RequestInfo) -> Kind:
        served = self.api.served
        kind = served.find(info.group, info.version, info.resource)
        if kind is None:
            raise served.missing(info.group, info.version)
        own_namespace = info.resource == "namespaces" and not info.group
        misplaced = bool(info.namespace) and not kind.resource.namespaced and not own_namespace
        homeless = kind.resource.namespaced and bool(info.name) and not info.namespace
        if misplaced or homeless:
            raise served.missing(info.group, info.version)
        return kind

    # ---- collections

    def _collection(self, request: Request, kind: Kind) -> Reply | WatchRequest:
        info, namespace = request.info, _namespace(request, kind)
        if request.method == "GET":
            self._allow(kind, info.verb)
            if info.verb == "watch":
                return self._watch(request, kind, namespace)
            renderer = self._renderer(request, lists=True)
            page = self.api.list(kind.resource, namespace, _list_options(request))
            return Reply(200, renderer.page(page))
        if request.method == "POST":
            options = _write_options(request, "CreateOptions")
            if kind.resource.namespaced and not namespace:
                raise method_not_allowed()
            body, warnings = body_of(request, options.field_validation)
            answer = self.api.create(kind.resource, body, namespace, options)
            return self._reply(request, kind, answer, warnings)
        if request.method == "DELETE":
            return self._delete_collection(request, kind, namespace)
        raise method_not_allowed()

    def _watch(self, request: Request, kind: Kind, namespace: str | None) -> WatchRequest:
        query = request.query
        initial = truth(query["sendInitialEvents"]) if query.get("sendInitialEvents") else None
        options = _list_options(request)
        _check_initial_events(initial, options)
        return WatchRequest(
            kind,
            namespace,
            options,
            self._renderer(request, lists=False),
            # Calico's API server sends none.
            truth(query.get("allowWatchBookmarks")) and not kind.aggregated,
            initial,
            _timeout(query.get("timeoutSeconds")),
            bool(request.info.effects.get("expire")),
        )

    def _delete_collection(self, request: Request, kind: Kind, namespace: str | None) -> Reply:
        options = delete_options_of(_optional_body(request), request.query, request.user.name)
        deleted = self.api.delete_collection(kind.resource, namespace, _list_options(request), options)
        page = Page(kind, deleted, self.api.objects.revision)
        return Reply(200, self._renderer(request, lists=True).page(page))

    # ---- single objects

    def _item(self, request: Request, kind: Kind) -> Reply | Later:
        info, namespace = request.info, _namespace(request, kind)
        resource = kind.resource
        if request.method == "GET":
            self._allow(kind, "get")
            renderer = self._renderer(request, lists=False)
            self.api.get(resource, info.name, namespace, version=request.query.get("resourceVersion", ""))
            return Reply(200, renderer.entry(kind, self.api.entry(resource, info.name, namespace)))
        if request.method == "PUT":
            self._allow(kind, "update")
            options = _write_options(request, "UpdateOptions")
            body, warnings = body_of(request, options.field_validation)
            return self._reply(request, kind, self.api.replace(resource, info.name, body, namespace, options), warnings)
        if request.method == "PATCH":
            self._allow(kind, "patch")
            return self._patch(request, kind, namespace, None)
        if request.method == "DELETE":
            self._allow(kind, "delete")
            deleting = delete_options_of(_optional_body(request), request.query, request.user.name)
            return self._deleting(request, kind, self.api.deleting(resource, info.name, namespace, deleting))
        raise method_not_allowed()

    def _deleting(self, request: Request, kind: Kind, steps: Steps[Answer]) -> Reply | Later:
        try:
            return Later(next(steps), lambda: self._deleting(request, kind, steps))
        except StopIteration as done:
            answer: Answer = done.value
        if answer.object.get("kind") == "Status":
            return json_reply(answer.code, answer.object)
        return self._reply(request, kind, answer, [])

    def _patch(self, request: Request, kind: Kind, namespace: str | None, subresource: str | None) -> Reply:
        info, media_type = request.info, request.media_type
        options = _write_options(request, "PatchOptions")
        accepted = [each for each in accepted_patch_types(kind) if each != APPLY_PATCH]
        if media_type not in accepted:
            raise unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: "
                + ", ".join(accepted)
            )
        if "force" in request.query and truth(request.query["force"]):
            cause = Cause("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force")
            raise invalid_options("PatchOptions", [cause])
        try:
            body = decode_json(request.body)
        except (ValueError, RecursionError) as error:
            raise bad_request(f"error decoding patch: {error}") from None
        answer = self.api.patch(kind.resource, info.name, body, media_type, namespace, options, subresource=subresource)
        return self._reply(request, kind, answer, [])

    # ---- subresources

    def _subresource(self, request: Request, kind: Kind) -> Reply:
        info, namespace, resource = request.info, _namespace(request, kind), kind.resource
        name, subresource = info.name, info.subresource
        if request.method == "GET":
            described = kind.subresource(subresource)
            if described is not None and "get" not in described.verbs:
                raise method_not_allowed()
            obj = self.api.subresource(resource, name, subresource, namespace)
            return json_reply(200, obj)
        if request.method == "POST":
            options = _write_options(request, "CreateOptions")
            body, warnings = body_of(request, options.field_validation)
            answer = self.api.create_subresource(resource, name, subresource, body, namespace, options)
            return json_reply(answer.code, answer.object, warnings=(*warnings, *answer.warnings))
        if request.method == "PUT":
            options = _write_options(request, "UpdateOptions")
            body, warnings = body_of(request, options.field_validation)
            answer = self.api.replace(resource, name, body, namespace, options, subresource=subresource)
            return json_reply(answer.code, answer.object, warnings=(*warnings, *answer.warnings))
        if request.method == "PATCH":
            return self._patch(request, kind, namespace, subresource)
        raise method_not_allowed()

    # ---- shared

    def _allow(self, kind: Kind, verb: str) -> None:
        if verb not in kind.verbs:
            raise method_not_allowed()

    def _renderer(self, request: Request, *, lists: bool) -> Renderer:
        form = form_of(request.accept, lists=lists)
        return Renderer(form, self.tables, request.query.get("includeObject", ""))

    def _reply(self, request: Request, kind: Kind, answer: Answer, warnings: t.Sequence[str]) -> Reply:
        renderer = self._renderer(request, lists=False)
        same_kind = answer.object.get("kind") == kind.resource.kind
        document: Object = renderer.one(kind, answer.object) if same_kind else answer.object
        return Reply(answer.code, encode(document) + b"\n", JSON, {}, (*warnings, *answer.warnings))


def _namespace(request: Request, kind: Kind) -> str | None:
    return request.info.namespace or None if kind.resource.namespaced else None


def _write_options(request: Request, kind: str) -> WriteOptions:
    query = request.query
    manager = query.get("fieldManager", "")
    if len(manager.encode()) > _MANAGER_LIMIT:
        message = f"Too long: may not be more than {_MANAGER_LIMIT} bytes"
        raise invalid_options(kind, [Cause("FieldValueTooLong", message, "fieldManager")])
    return WriteOptions(
        dry_run=dry_run_of([query["dryRun"]] if query.get("dryRun") else [], kind),
        field_validation=field_validation_of(query.get("fieldValidation", ""), kind),
        user=request.user.name,
        groups=request.user.groups,
        manager=manager or request.headers.get("user-agent", "").partition("/")[0],
    )


def _list_options(request: Request) -> ListOptions:
    query = request.query
    return ListOptions(
        label_selector=query.get("labelSelector"),
        field_selector=query.get("fieldSelector"),
        limit=limit_of(query.get("limit", "")),
        continue_token=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
    )


def _timeout(text: str | None) -> float | None:
    if not text:
        return None
    try:
        seconds = int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    return float(seconds) if seconds > 0 else None


def _optional_body(request: Request) -> t.Any:
    if not request.body.strip():
        return None
    return body_of(request, "Ignore")[0]


def _check_initial_events(initial: bool | None, options: ListOptions) -> None:
    if initial is None:
        if options.match:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            cause = Cause("FieldValueForbidden", f"Forbidden: {why}", "resourceVersionMatch")
            raise invalid_options("ListOptions", [cause])
        return
    if options.match != "NotOlderThan":
        why = (
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            if options.match
            else "resourceVersionMatch is required when sendInitialEvents is set"
        )
        cause = Cause("FieldValueForbidden", f"Forbidden: {why}", "resourceVersionMatch")
        raise invalid_options("ListOptions", [cause])
