# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The API server on the network: HTTPS on loopback with aiohttp.

Every handler calls the synchronous core in the event loop, so one request is one step and none
sees half of another. Order of things: read, authenticate, authorize, middlewares (injected faults),
route (spec kubernetes-api-behaviour.md 1).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
import typing as t
import uuid

try:
    from aiohttp import web
except ImportError:  # process.py tells the user what to install
    web = None  # type: ignore[assignment]

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import Tokens, User, authenticate
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.discovery import Discovery
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import (
    Later,
    Reply,
    Request,
    fault_reply,
    final_headers,
    json_reply,
    text_reply,
    warning_header,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.openapi import OpenApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pki import Pki
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import Authorizer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import parse_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.reviews import register_reviews
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.routes import Routes, WatchRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Fault,
    bad_request,
    method_not_allowed,
    too_large,
    unknown_path,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.watchfeed import WatchFeed

BODY_LIMIT = 3 * 1024 * 1024
_HEALTH = ("healthz", "livez", "readyz")
# Real seconds a read waits for a version that is not there yet.
_VERSION_WAIT = 3.0
_FLOW_HEADERS = ("X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid")

Outcome = t.Union[Reply, WatchRequest]
Proceed = t.Callable[[], t.Awaitable[Outcome]]
Mounted = t.Callable[[Request], t.Awaitable[Reply]]


class Connection:
    """What a middleware may do to the connection of a request."""

    def __init__(self, raw: web.BaseRequest) -> None:
        self._raw = raw

    def cut(self) -> None:
        """Close it without an answer."""
        if self._raw.transport is not None:
            self._raw.transport.abort()


# Called with every request to the API, in order: may refuse (raise a Fault), wait, cut, or proceed.
Middleware = t.Callable[[Request, Connection, Proceed], t.Awaitable[Outcome]]


class HttpServer:
    """One HTTPS server for one ``ApiServer``.

    ``mounts`` are more paths by prefix (``/twin/v1/``), authorized like all others but out of
    reach of the middlewares. ``version`` is the Kubernetes version to report, with its ``v``.
    """

    def __init__(
        self,
        api: ApiServer,
        *,
        pki: Pki,
        tokens: Tokens,
        authorizer: Authorizer,
        version: str = "v1.36.2",
        middlewares: t.Sequence[Middleware] = (),
        mounts: t.Mapping[str, Mounted] | None = None,
    ) -> None:
        self.api = api
        self.routes = Routes(api)
        self.host, self.port = "127.0.0.1", 0
        self._pki, self._tokens, self._authorizer = pki, tokens, authorizer
        self._version = version
        self._middlewares = list(middlewares)
        self._mounts = dict(mounts or {})
        self._discovery = Discovery(api.served, lambda: f"{self.host}:{self.port}")
        self._openapi = OpenApi(api.served, api.definitions.crd_of, version)
        self._feeds: set[WatchFeed] = set()
        self._closing = False
        self._flow = {header: str(uuid.uuid4()) for header in _FLOW_HEADERS}
        register_reviews(api, authorizer, tokens)
        api.served.when_down(self._end_watches)
        # A client that goes away ends its watch at once: the handler is cancelled.
        server = web.Server(self._handle, request_factory=_request, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen; ``port`` 0 takes a free one, which ``port`` tells afterwards. Raises ``OSError``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pki.server_certificate, self._pki.server_key)
        context.load_verify_locations(self._pki.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=context)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.host, self.port = host, int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    async def stop(self) -> None:
        """End the watches and close the connections."""
        self._closing = True
        for feed in list(self._feeds):
            feed.end()
        await self._runner.cleanup()

    def _end_watches(self, group_version: tuple[str, str]) -> None:
        """A watch of an aggregated API ends with the server behind it."""
        for feed in list(self._feeds):
            if feed.group_version == group_version:
                feed.end()

    # ---- one request

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        query = dict(raw.query)
        headers: dict[str, str] = {}
        for key, value in raw.headers.items():
            name = key.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = Request(raw.method, parse_request(raw.method, raw.path, query), query, headers)
        try:
            request = dataclasses.replace(request, user=self._authenticated(raw, request))
            request = dataclasses.replace(request, body=await _body(raw))
            outcome = await self._answer(raw, request)
        except Fault as fault:
            outcome = fault_reply(fault)
        if isinstance(outcome, WatchRequest):
            try:
                feed = WatchFeed(self.api.watched(outcome.kind.resource), outcome)
            except Fault as fault:
                return self._response(request, fault_reply(fault))
            return await self._stream(raw, feed)
        return self._response(request, outcome)

    def _authenticated(self, raw: web.BaseRequest, request: Request) -> User:
        peer = raw.transport.get_extra_info("peercert") if raw.transport is not None else None
        user = authenticate(self._tokens, request.headers.get("authorization"), peer)
        user = self._authorizer.impersonated(user, request)
        self._authorizer.check(user, request.info)
        return user

    async def _answer(self, raw: web.BaseRequest, request: Request) -> Outcome:
        path = request.info.path
        for prefix, mounted in self._mounts.items():
            if path.startswith(prefix):
                return await mounted(request)
        connection = Connection(raw)

        async def proceed() -> Outcome:
            return await self._route(request)

        chain: Proceed = proceed
        for middleware in reversed(self._middlewares):
            chain = _bound(middleware, request, connection, chain)
        return await chain()

    async def _route(self, request: Request) -> Outcome:
        if request.method in ("HEAD", "OPTIONS", "TRACE", "CONNECT"):
            raise method_not_allowed()
        _check_timeout(request)
        if not request.info.is_resource:
            return self._plain_path(request)
        try:
            outcome = self.routes.handle(request)
        except Fault as fault:
            if fault.code != 504 or request.method != "GET":
                raise
            await self._wait_for(int(request.query.get("resourceVersion", "0")))
            outcome = self.routes.handle(request)
        while isinstance(outcome, Later):
            await self._let_pass(outcome.seconds)
            outcome = outcome.resume()
        return outcome

    async def _let_pass(self, seconds: float) -> None:
        """Until so much of the cluster's time has passed."""
        passed = asyncio.Event()
        timer = self.api.clock.call_later(seconds, passed.set)
        try:
            await passed.wait()
        finally:
            timer.cancel()

    async def _wait_for(self, revision: int) -> None:
        """Until that revision is written, for at most three seconds."""
        reached = asyncio.Event()

        def look(event: Event) -> None:
            if event.revision >= revision:
                reached.set()

        unsubscribe = self.api.objects.subscribe(look)
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reached.wait(), _VERSION_WAIT)
        finally:
            unsubscribe()

    def _plain_path(self, request: Request) -> Reply:
        parts = [part for part in request.info.path.split("/") if part]
        root = parts[0] if parts else ""
        if root in ("api", "apis"):
            return self._discovery.handle(request)
        if root == "openapi" and len(parts) > 1:
            return self._openapi.handle(request)
        if request.method != "GET":
            raise method_not_allowed()
        if root in _HEALTH:
            return self._health(root, request)
        if parts == ["version"]:
            return json_reply(200, self._version_document())
        if not parts:
            paths = ["/api", "/apis", *(f"/{each}" for each in _HEALTH), "/openapi/v2", "/openapi/v3", "/version"]
            return json_reply(200, {"paths": paths})
        raise unknown_path()

    def _health(self, which: str, request: Request) -> Reply:
        if self._closing and which == "readyz":
            return text_reply(500, "[-]shutdown failed: reason withheld\nreadyz check failed\n")
        if "verbose" in request.query:
            return text_reply(200, f"[+]ping ok\n[+]etcd ok\n{which} check passed\n")
        return text_reply(200, "ok")

    def _version_document(self) -> t.Dict[str, str]:
        major, minor = self._version.lstrip("v").split(".")[:2]
        return {
            "major": major,
            "minor": minor,
            "gitVersion": self._version,
            "gitCommit": "0" * 40,
            "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z",
            "goVersion": "none",
            "compiler": "none",
            "platform": "linux/amd64",
        }

    # ---- answers

    def _common_headers(self) -> t.Dict[str, str]:
        return {"Audit-Id": str(uuid.uuid4()), "Server": "", **self._flow}

    def _response(self, request: Request, reply: Reply) -> web.Response:
        body, headers = final_headers(request, reply)
        response = web.Response(status=reply.code, body=body, headers={**self._common_headers(), **headers})
        for text in reply.warnings:
            response.headers.add("Warning", warning_header(text))
        return response

    async def _stream(self, raw: web.BaseRequest, feed: WatchFeed) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        response = web.StreamResponse(headers={**self._common_headers(), **headers})
        response.enable_chunked_encoding()
        self._feeds.add(feed)
        try:
            if self._closing:
                feed.end()
            # A client that is gone needs no more lines.
            with contextlib.suppress(ConnectionError):
                await response.prepare(raw)
                async for batch in feed.batches():
                    await response.write(batch)
                await response.write_eof()
        finally:
            self._feeds.discard(feed)
            feed.close()
        return response


def _bound(middleware: Middleware, request: Request, connection: Connection, inner: Proceed) -> Proceed:
    async def call() -> Outcome:
        return await middleware(request, connection, inner)

    return call


def _request(*args: t.Any) -> web.BaseRequest:
    """aiohttp's request object with this server's limit of the body."""
    message, payload, protocol, writer, task = args
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)


async def _body(raw: web.BaseRequest) -> bytes:
    try:
        return await raw.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(BODY_LIMIT) from None


def _check_timeout(request: Request) -> None:
    """``timeout`` is a duration such as 30s; the twin answers at once, but minds the syntax."""
    text = request.query.get("timeout", "")
    if not text:
        return
    units = ("ns", "us", "ms", "s", "m", "h")
    number = text.rstrip("nusmh")
    try:
        float(number)
    except ValueError:
        raise bad_request(f'invalid timeout specified in the request URL: time: invalid duration "{text}"') from None
    if text[len(number) :] not in units and text != "0":
        raise bad_request(f'invalid timeout specified in the request URL: time: missing unit in duration "{text}"')


async def serve(
    api: ApiServer,
    *,
    pki: Pki,
    tokens: Tokens,
    authorizer: Authorizer,
    host: str = "127.0.0.1",
    port: int = 0,
    **more: t.Any,
) -> HttpServer:
    """A server that listens already; ``more`` is what ``HttpServer`` takes besides."""
    server = HttpServer(api, pki=pki, tokens=tokens, authorizer=authorizer, **more)
    await server.start(port, host)
    return server
