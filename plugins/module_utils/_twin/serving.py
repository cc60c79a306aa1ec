# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Interim: the API over HTTPS with the least there must be, until http.py does it right."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import typing as t

with contextlib.suppress(ImportError):  # process.py says what to install before it comes to this
    from aiohttp import web

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import Tokens, authenticate
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import (
    Reply,
    Request,
    fault_reply,
    final_headers,
    json_reply,
    text_reply,
    warning_header,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.faults import FaultInjector
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import filter_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event, HistoryGone, encode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pki import Pki
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import Authorizer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import parse_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.routes import Routes, WatchRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, too_old, unknown_path
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.transitions import visible


class Serving:
    """One HTTPS server on loopback."""

    def __init__(
        self,
        api: ApiServer,
        pki: Pki,
        tokens: Tokens,
        authorizer: Authorizer,
        faults: FaultInjector,
        control: t.Any,
        version: str,
    ) -> None:
        self.api, self.pki, self.tokens, self.authorizer = api, pki, tokens, authorizer
        self.faults, self.control, self.version = faults, control, version
        self.routes = Routes(api)
        self.port = 0
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.5)

    async def start(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki.server_certificate, self.pki.server_key)
        context.load_verify_locations(self.pki.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        query = dict(raw.query)
        headers = {k.lower(): v for k, v in raw.headers.items()}
        request = Request(raw.method, parse_request(raw.method, raw.path, query), query, headers, await raw.read())
        try:
            reply: Reply | web.StreamResponse = await self._answer(raw, request)
        except Fault as fault:
            reply = fault_reply(fault)
        if isinstance(reply, web.StreamResponse):
            return reply
        return self._send(request, reply)

    @staticmethod
    def _send(request: Request, reply: Reply) -> web.Response:
        body, headers = final_headers(request, reply)
        response = web.Response(status=reply.code, body=body, headers=headers)
        for text in reply.warnings:
            response.headers.add("Warning", warning_header(text))
        return response

    async def _answer(self, raw: web.BaseRequest, request: Request) -> Reply | web.StreamResponse:
        peer = raw.transport.get_extra_info("peercert") if raw.transport else None
        user = authenticate(self.tokens, request.headers.get("authorization"), peer)
        info = request.info
        request = Request(request.method, info, request.query, request.headers, request.body, user)
        self.authorizer.check(user, info)
        path = info.path
        if path.startswith("/twin/v1/"):
            return t.cast(Reply, await self.control.handle(request))
        injected = self.faults.take(info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)
        if injected:
            if injected.delay_seconds:
                await asyncio.sleep(injected.delay_seconds)
            if injected.fault is not None:
                raise injected.fault
            if injected.drop == "before":
                _cut(raw)
                return text_reply(500, "")
            if injected.expire:
                info.effects["expire"] = True
        if path in ("/healthz", "/livez", "/readyz"):
            return text_reply(200, "ok")
        if path == "/version":
            return json_reply(
                200, {"major": "1", "minor": self.version.split(".")[1], "gitVersion": self.version, "platform": "x"}
            )
        if not info.is_resource:
            return self._discovery(path)
        answer = self.routes.handle(request)
        if isinstance(answer, WatchRequest):
            return await self._watch(raw, answer)
        if injected and injected.drop == "after":
            _cut(raw)
        return answer

    def _discovery(self, path: str) -> Reply:
        served = self.api.served
        parts = [p for p in path.split("/") if p]
        groups: dict[str, list[str]] = {}
        for group, version in served.group_versions():
            groups.setdefault(group, []).append(version)

        def group_doc(group: str) -> Object:
            versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in groups[group]]
            return {"name": group, "versions": versions, "preferredVersion": versions[0]}

        if parts == ["api"]:
            return json_reply(200, {"kind": "APIVersions", "versions": ["v1"]})
        if parts == ["apis"]:
            return json_reply(
                200,
                {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_doc(g) for g in groups if g]},
            )
        if len(parts) == 2 and parts[0] == "apis" and parts[1] in groups:
            return json_reply(200, {"kind": "APIGroup", "apiVersion": "v1", **group_doc(parts[1])})
        group, version = ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else ("", "")
        if parts[0] == "apis" and len(parts) == 3:
            group, version = parts[1], parts[2]
        if version and version in groups.get(group, []):
            resources: list[Object] = []
            for kind in served.of_version(group, version):
                entry: Object = {
                    "name": kind.resource.plural,
                    "singularName": kind.singular,
                    "namespaced": kind.resource.namespaced,
                    "kind": kind.resource.kind,
                    "verbs": list(kind.verbs),
                }
                resources.append(entry)
                for sub in kind.subresources:
                    resources.append(
                        {
                            "name": f"{kind.resource.plural}/{sub.name}",
                            "singularName": "",
                            "namespaced": kind.resource.namespaced,
                            "kind": sub.kind,
                            "verbs": list(sub.verbs),
                        }
                    )
            gv = f"{group}/{version}" if group else version
            return json_reply(
                200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv, "resources": resources}
            )
        raise unknown_path()

    async def _watch(self, raw: web.BaseRequest, wanted: WatchRequest) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        response.enable_chunked_encoding()
        await response.prepare(raw)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        chosen = filter_of(wanted.kind, wanted.options)
        resource = wanted.kind.resource

        def line(kind: str, obj: Object) -> bytes:
            return encode({"type": kind, "object": wanted.renderer.one(wanted.kind, obj)}) + b"\n"

        def push(event: Event) -> None:
            seen = visible(event, wanted.namespace, chosen)
            if seen is not None:
                queue.put_nowait(line(*seen))

        version = wanted.options.resource_version
        lines = []
        try:
            if wanted.expire:
                raise HistoryGone(int(version or 0), self.api.objects.revision)
            if version in ("", "0"):
                for obj in self.api.objects.list(resource, wanted.namespace):
                    if chosen.matches(obj):
                        lines.append(line("ADDED", obj))
            else:
                for event in self.api.objects.since(resource, int(version)):
                    push(event)
        except HistoryGone as gone:
            await response.write(encode({"type": "ERROR", "object": too_old(gone.wanted, gone.oldest).body}) + b"\n")
            return response
        unsubscribe = self.api.objects.subscribe(push, resource)
        loop = asyncio.get_running_loop()
        end = loop.time() + (wanted.timeout or 1800.0)
        try:
            with contextlib.suppress(ConnectionError):
                for each in lines:
                    await response.write(each)
                while loop.time() < end:
                    try:
                        await response.write(await asyncio.wait_for(queue.get(), end - loop.time()))
                    except asyncio.TimeoutError:
                        break
        finally:
            unsubscribe()
        return response


def _cut(raw: web.BaseRequest) -> None:
    if raw.transport is not None:
        raw.transport.abort()
