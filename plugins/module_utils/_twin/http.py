# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The API over HTTPS on loopback: TLS, who asks, may they, injected faults, answers and watches.

The only file that knows aiohttp. Authentication and authorization come before routing (spec
kubernetes-api-behaviour.md 1).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import typing as t
import uuid
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import Tokens, authenticate
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.discovery import Discovery
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import (
    JSON,
    Reply,
    Request,
    fault_reply,
    final_headers,
    json_reply,
    text_reply,
    warning_header,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.faults import FaultInjector, Injected
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pki import Pki
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import Authorizer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import parse_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.routes import Routes, WatchRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Fault,
    internal_error,
    method_not_allowed,
    too_large,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.watching import Watch

with contextlib.suppress(ImportError):  # process.py says what to install before it comes to this
    from aiohttp import web

BODY_LIMIT = 3 * 1024 * 1024
EXTRA_PREFIX = "/twin/"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Real seconds: a server ends a watch after half an hour or more, and sends a bookmark each minute.
_WATCH_SECONDS = 1800.0
_BOOKMARK_SECONDS = 60.0
_BOOKMARK_BEFORE_END = 2.0
# The same uids in every answer, as on a server whose flow schemas nobody touches.
_FLOW = {
    "X-Kubernetes-Pf-Flowschema-Uid": str(uuid.UUID(int=0xF10)),
    "X-Kubernetes-Pf-Prioritylevel-Uid": str(uuid.UUID(int=0xF11)),
}

Extra = t.Callable[[Request], t.Awaitable[Reply]]


class HttpServer:
    """One HTTPS server. ``extra`` answers the paths below ``/twin/``, ``version`` is the cluster's."""

    def __init__(
        self,
        api: ApiServer,
        pki: Pki,
        tokens: Tokens,
        authorizer: Authorizer,
        faults: FaultInjector,
        extra: Extra,
        version: str,
    ) -> None:
        self._objects = api.objects
        self._pki = pki
        self._tokens = tokens
        self._authorizer = authorizer
        self._faults = faults
        self._extra = extra
        self._routes = Routes(api)
        self._discovery = Discovery(api.served, lambda: f"127.0.0.1:{self.port}")
        self._version = version
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self, port: int) -> None:
        """Serve on 127.0.0.1; ``port`` 0 takes a free one, ``self.port`` says which. Raises ``OSError``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pki.server_certificate, self._pki.server_key)
        context.load_verify_locations(self._pki.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.5, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Cut the watches and serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    # -- one request -----------------------------------------------------------------------

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        query = dict(raw.query)
        headers = {key.lower(): value for key, value in raw.headers.items()}
        request = Request(raw.method, parse_request(raw.method, raw.path, query), query, headers)
        try:
            answer = await self._answer(raw, request)
        except Fault as fault:
            answer = fault_reply(fault)
        except Exception as error:  # noqa: BLE001 - a bug of the twin must be an answer, not a hanging client
            context = {"message": f"The twin failed to answer {raw.method} {raw.path_qs}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            answer = fault_reply(internal_error(f"the twin failed: {type(error).__name__}: {error}", bare=False))
        return self._response(request, answer) if isinstance(answer, Reply) else answer

    @staticmethod
    def _response(request: Request, reply: Reply) -> web.Response:
        body, headers = final_headers(request, reply)
        headers = {"Audit-Id": str(uuid.uuid4()), **_FLOW, **headers}
        response = web.Response(status=reply.code, body=body, headers=headers)
        for text in reply.warnings:
            response.headers.add("Warning", warning_header(text))
        return response

    async def _answer(self, raw: web.BaseRequest, request: Request) -> Reply | web.StreamResponse:
        peer = raw.transport.get_extra_info("peercert") if raw.transport is not None else None
        user = authenticate(self._tokens, request.headers.get("authorization"), peer)
        info = request.info
        if request.method not in _METHODS:
            raise method_not_allowed()
        self._authorizer.check(user, info)
        body = await _read(raw)
        request = replace(request, user=user, body=body)
        if info.path.startswith(EXTRA_PREFIX):
            return await self._extra(request)
        if not info.is_resource:
            return self._other(request)
        injected = self._faults.take(info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)
        if injected is None:
            return await self._carry_out(raw, request)
        return await self._with_fault(raw, request, injected)

    def _other(self, request: Request) -> Reply:
        """Paths that are no resource paths."""
        path = request.info.path
        if path in ("/healthz", "/livez", "/readyz"):
            return text_reply(200, "ok")
        if path == "/version":
            major, minor = self._version.lstrip("v").split(".")[:2]
            return json_reply(200, {"major": major, "minor": minor, "gitVersion": self._version})
        return self._discovery.handle(request)

    async def _carry_out(self, raw: web.BaseRequest, request: Request) -> Reply | web.StreamResponse:
        answer = self._routes.handle(request)
        return await self._stream(raw, answer) if isinstance(answer, WatchRequest) else answer

    async def _with_fault(
        self, raw: web.BaseRequest, request: Request, injected: Injected
    ) -> Reply | web.StreamResponse:
        if injected.delay_seconds:
            await asyncio.sleep(injected.delay_seconds)
        if injected.fault is not None:
            raise injected.fault
        if injected.expire:
            request.info.effects["expire"] = True
        if not injected.drop:
            return await self._carry_out(raw, request)
        if injected.drop == "after":
            self._routes.handle(request)
        if raw.transport is not None:
            raw.transport.abort()
        return Reply(500, b"")

    # -- watches ---------------------------------------------------------------------------

    async def _stream(self, raw: web.BaseRequest, request: WatchRequest) -> web.StreamResponse:
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        # Made before the headers go out: a bad selector must be an answer of its own.
        watch = Watch(self._objects, request, lines.put_nowait)
        headers = {"Audit-Id": str(uuid.uuid4()), **_FLOW, "Cache-Control": "no-cache, private", "Content-Type": JSON}
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(raw)
        try:
            following = watch.open()
            with contextlib.suppress(ConnectionError):
                await self._write(response, lines, watch, request.timeout or _WATCH_SECONDS if following else 0.0)
        finally:
            watch.close()
        return response

    @staticmethod
    async def _write(response: web.StreamResponse, lines: asyncio.Queue[bytes], watch: Watch, seconds: float) -> None:
        """Write lines as they come, for so long; several that wait go out together."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        last_bookmark = end - _BOOKMARK_BEFORE_END
        next_bookmark = min(loop.time() + _BOOKMARK_SECONDS, last_bookmark)
        while True:
            now = loop.time()
            if lines.empty() and now >= end:
                return
            if lines.empty():
                pause = (next_bookmark if now < next_bookmark else end) - now
                try:
                    first = await asyncio.wait_for(lines.get(), pause)
                except asyncio.TimeoutError:
                    if next_bookmark <= loop.time() < end:
                        watch.bookmark()
                        next_bookmark = min(loop.time() + _BOOKMARK_SECONDS, last_bookmark)
                        if next_bookmark <= loop.time():
                            next_bookmark = end
                    continue
            else:
                first = lines.get_nowait()
            chunk = [first]
            while not lines.empty():
                chunk.append(lines.get_nowait())
            await response.write(b"".join(chunk))


async def _read(raw: web.BaseRequest) -> bytes:
    """The body. Raises the 413 ``Fault`` beyond the limit."""
    parts: list[bytes] = []
    size = 0
    async for part in raw.content.iter_any():
        size += len(part)
        if size > BODY_LIMIT:
            raise too_large(BODY_LIMIT)
        parts.append(part)
    return b"".join(parts)
