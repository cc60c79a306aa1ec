# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API server of a twin in this process, for the client that modules have, in virtual time.

What a user may do, errors, discovery and documents are as over HTTPS; only TLS, sockets and real time are not
there. ``VirtualServer.modules`` runs modules with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import typing as t
from collections import deque
from unittest import mock
from urllib.parse import parse_qsl, unquote

from simulation import TICK, SimulatedClock, SimulatedWatches

from ansible_collections.calico_ops.ipam.plugins.module_utils import _module
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import transport
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.answers import error_from_answer
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Change, Notice
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions, parse_endpoint
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import api_with_etcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import MASTERS, Tokens, User, user_with
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.discovery import Discovery
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import (
    Later,
    Reply,
    Request,
    fault_reply,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.openapi import OpenApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import Authorizer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo, parse_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.reviews import register_reviews
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.routes import Routes
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

ADMIN = user_with("kubernetes-admin", [MASTERS])
SERVER = "127.0.0.1:6443"


class VirtualServer:
    """Authorizes and answers requests on a twin; injected faults hit whoever is authorized."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.authorizer = Authorizer(twin.objects, enabled=True)
        self._routes = Routes(twin.server)
        self._discovery = Discovery(twin.server.served, lambda: SERVER)
        self._openapi = OpenApi(twin.server.served, twin.server.definitions.crd_of, twin.scenario.kubernetes_version)
        register_reviews(twin.server, self.authorizer, Tokens())

    def answer(self, user: User, request: Request) -> Reply:
        """The answer to everything but a watch."""
        try:
            self.admit(user, request.info)
            if not request.info.is_resource:
                documents = self._openapi if request.info.path.startswith("/openapi") else self._discovery
                return documents.handle(request)
            outcome = self._routes.handle(request)
            while isinstance(outcome, Later):
                self.twin.clock.advance(outcome.seconds)
                outcome = outcome.resume()
            return t.cast("Reply", outcome)
        except Fault as fault:
            return fault_reply(fault)

    def admit(self, user: User, info: RequestInfo) -> None:
        """Raises ``Fault`` for a request that is not let through."""
        self.authorizer.check(user, info)
        what = (info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)
        injected = self.twin.faults.take(*what)
        if injected is not None and injected.fault is not None:
            raise injected.fault

    def client(self, user: User = ADMIN) -> VirtualApi:
        return VirtualApi(self, user)

    def calico(self, user: User = ADMIN) -> CalicoApi:
        """The interface to Calico's kinds, wherever the twin keeps them."""
        etcd = self.twin.datastore
        if etcd is None:
            return calico_api(self.client(user))
        return api_with_etcd(
            self.client(user), EtcdOptions(tuple(parse_endpoint(each) for each in etcd.endpoints), timeout=10.0)
        )

    @contextlib.contextmanager
    def modules(self, user: User = ADMIN) -> t.Iterator[None]:
        """Let the modules of this process connect as that user, and wait in virtual time."""
        clock = SimulatedClock(self.client())
        etcd = self.twin.datastore
        where = {"DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": ",".join(etcd.endpoints)} if etcd else {}
        with contextlib.ExitStack() as patches:
            patches.enter_context(mock.patch.dict(os.environ, where))
            patches.enter_context(mock.patch.object(_module, "connect", lambda options: self.client(user)))
            for name in ("now", "monotonic", "sleep"):
                call = getattr(clock, name)
                patches.enter_context(mock.patch.object(SystemClock, name, lambda _self, *args, call=call: call(*args)))
            for name, module in list(sys.modules.items()):
                if ".ipam.plugins.module_utils._operations." in name and hasattr(module, "Watches"):
                    patches.enter_context(mock.patch.object(module, "Watches", VirtualWatches))
            yield


class _VirtualTransport:
    """In place of ``Transport``: each request is answered at once."""

    source = "the kubeconfig virtual"
    server = SERVER
    failures: tuple[type[Exception], ...] = ()

    def __init__(self, server: VirtualServer, user: User) -> None:
        self._server = server
        self._user = user

    def close(self) -> None:
        """Nothing is open."""

    def send(self, request: transport.Request) -> bytes:
        path, _mark, text = request.path.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        headers = {"accept": "application/json", "user-agent": transport.USER_AGENT}
        if request.content_type:
            headers["content-type"] = request.content_type
        info = parse_request(request.method, unquote(path), query)
        given = Request(request.method, info, query, headers, request.body or b"", self._user)
        reply = self._server.answer(self._user, given)
        if reply.code < 400:
            return reply.body
        raise self.error(reply, request.resource)

    def error(self, reply: Reply, resource: Resource | None) -> ClusterError:
        retry = reply.headers.get("Retry-After")
        return error_from_answer(reply.code, reply.body, retry, resource, self.server, self.source)


class VirtualApi(HttpApi):
    """The client of one user; what waits lets virtual time pass (``simulation.py``)."""

    def __init__(self, server: VirtualServer, user: User) -> None:
        self._virtual = _VirtualTransport(server, user)
        super().__init__(t.cast("t.Any", self._virtual))
        self.twin = server.twin
        self.user = user
        self.lag = None
        self.ticks: list[t.Callable[[], None]] = []
        self._server = server

    def tick(self, seconds: float = TICK) -> None:
        self.twin.clock.advance(seconds)
        for happen in list(self.ticks):
            happen()

    def watch(self, resource: Resource, namespace: str | None = None, **options: t.Any) -> t.Any:
        """The events that have happened already."""
        self.may_watch(resource, namespace)
        return LocalApi(self.twin.server).watch(resource, namespace, **options)

    def may_watch(self, resource: Resource, namespace: str | None = None) -> None:
        info = RequestInfo("watch", "/", resource.group, resource.version, resource.plural, namespace=namespace or "")
        try:
            self._server.admit(self.user, info)
        except Fault as fault:
            raise self._virtual.error(fault_reply(fault), resource) from None


class VirtualWatches(SimulatedWatches):
    """What may be listed and not watched ends in the same way as with a server: after its list."""

    def __init__(self, api: t.Any) -> None:
        super().__init__(api)
        self._errors: deque[ClusterError] = deque()

    def follow(
        self, source: str, resource: Resource, namespace: str | None = None, *, optional: bool = False, **more: t.Any
    ) -> None:
        super().follow(source, resource, namespace, optional=optional, **more)
        if not self._followed or self._followed[-1].source != source:
            return
        followed = self._followed[-1]
        try:
            for _event in self._events(followed):
                break
        except ClusterError as error:
            self._followed.pop()
            self._absent.extend(notice for _when, notice in followed.waiting)
            if optional:
                self._absent.append(Notice(source, Change("SYNCED")))
            else:
                self._errors.append(error)

    def next(self, timeout: float | None = None) -> Notice | None:
        if self._errors and not self._absent:
            raise self._errors.popleft()
        return super().next(timeout)
