# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole procedures over a bad connection, in virtual time, with the patience that the client really has.

Requests go through the client's own ``Transport``, but for the socket: what it repeats, how long it waits and when it
reads credentials again is as over HTTPS. Each task of a role begins with a client of its own. ``Weather`` says what
becomes of a request, of the lock's renewals as of any other.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import typing as t
from dataclasses import dataclass, field
from unittest import mock
from urllib.parse import parse_qsl, unquote

from runbook import Runbook
from simulation import simulated
from virtual_server import ADMIN, SERVER, VirtualApi, VirtualServer, VirtualWatches

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import transport
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    BadConfiguration,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import Reply, Request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo, parse_request

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

REFUSAL = b'{"kind":"Status","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}'
OVERLOAD = b"Too many requests, please try again later."


@dataclass
class Weather:
    """What becomes of requests from the one of that number on, for so many seconds; numbers count from 1.

    ``locked_at`` is the number of the one that takes the lock.
    """

    number: int
    seconds: float = 0.0
    begun: float | None = None
    asked: int = 0
    locked_at: int = 0
    hits: list[str] = field(default_factory=list)

    def look(self, now: float) -> bool:
        """Whether a request that is sent now has bad weather."""
        self.asked += 1
        if self.begun is None and self.asked >= self.number:
            self.begun = now
            self.begins()
        return self.begun is not None and now - self.begun < self.seconds

    def begins(self) -> None:
        """What happens once."""

    def request(self, sender: WeatherTransport, info: RequestInfo) -> Reply | None:
        """The answer in place of the server's own; may raise what the client makes of a lost connection."""
        raise NotImplementedError

    def credentials(self) -> int:
        """The number of the token that the kubeconfig leads to now."""
        return 0

    def accepts(self, token: int) -> bool:
        """Whether the server knows that token."""
        del token
        return True

    def cuts_watches(self, now: float) -> bool:
        """Whether nothing is heard of what happens."""
        del now
        return False


@dataclass
class Restart(Weather):
    """The API server goes away under the requests that are open, and refuses connections until it is back."""

    cut: bool = False

    def request(self, sender: WeatherTransport, info: RequestInfo) -> Reply | None:
        if self.cut:
            raise sender.gone(maybe_done=False)
        # The first one had been carried out already.
        self.cut = True
        sender.carried_out = True
        return None

    def cuts_watches(self, now: float) -> bool:
        return self.begun is not None and now - self.begun < self.seconds


@dataclass
class Overload(Weather):
    """The server asks everybody to come back later."""

    def request(self, sender: WeatherTransport, info: RequestInfo) -> Reply | None:
        return Reply(429, OVERLOAD, headers={"Retry-After": "1"})


@dataclass
class GroupDown(Weather):
    """The server behind an aggregated API does not answer; everything else does."""

    group: str = "projectcalico.org"

    def request(self, sender: WeatherTransport, info: RequestInfo) -> Reply | None:
        down = info.group == self.group or f"/apis/{self.group}/" in info.path
        return Reply(503, b"service unavailable", "text/plain") if down else None


@dataclass
class NewToken(Weather):
    """The token expires. ``failures`` times whatever gives a new one fails; None: it gives none any more."""

    failures: int | None = 0
    expired: bool = False

    def begins(self) -> None:
        self.expired = True

    def request(self, sender: WeatherTransport, info: RequestInfo) -> Reply | None:
        return None

    def credentials(self) -> int:
        if not self.expired:
            return 0
        if self.failures is None or self.failures > 0:
            self.failures = None if self.failures is None else self.failures - 1
            raise BadConfiguration("The kubeconfig: the credential plugin gave no credentials: exit code 1.")
        return 1

    def accepts(self, token: int) -> bool:
        return token == int(self.expired)


class _Answer:
    """As much of urllib3's response as the client looks at."""

    def __init__(self, reply: Reply) -> None:
        self.status = reply.code
        self.headers = reply.headers
        self.data = reply.body

    def drain_conn(self) -> None:
        """There is no connection."""


class WeatherTransport(transport.Transport):
    """The client's own, but for its sockets and its kubeconfig."""

    source = "the kubeconfig weather"
    server = SERVER
    failures = ()

    def __init__(self, server: VirtualServer, weather: Weather) -> None:
        self._server = server
        self._weather = weather
        self._lock = threading.Lock()
        self._configuration = mock.sentinel.configuration
        self.carried_out = False
        self.new_module(None)

    def new_module(self, run: str | None) -> None:
        """What each process begins with."""
        self._answered = self._accepted = run is not None
        self._lost_at = -transport.SETTLING
        with contextlib.suppress(BadConfiguration):
            self._token = self._weather.credentials()

    def gone(self, maybe_done: bool) -> Unreachable:
        self._lost_at = transport.time.monotonic()
        return Unreachable(f"No Kubernetes API server answers at {self.server}.", maybe_done=maybe_done)

    def close(self) -> None:
        """Nothing is open."""

    def _once(self, request: transport.Request, read_timeout: float | None) -> t.Any:
        path, _mark, text = request.path.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        headers = {"accept": "application/json", "user-agent": transport.USER_AGENT}
        if request.content_type:
            headers["content-type"] = request.content_type
        info = parse_request(request.method, unquote(path), query)
        if info.resource == "leases" and info.verb in ("create", "update") and not self._weather.locked_at:
            self._weather.locked_at = self._weather.asked + 1
        if self._weather.look(transport.time.monotonic()):
            self._weather.hits.append(f"{info.verb} {info.resource} {info.name}")
            given = self._weather.request(self, info)
            if given is not None:
                return _Answer(given)
        if not self._weather.accepts(self._token):
            return _Answer(Reply(401, REFUSAL))
        reply = self._server.answer(ADMIN, Request(request.method, info, query, headers, request.body or b"", ADMIN))
        if self.carried_out:
            self.carried_out = False
            raise self.gone(maybe_done=True)
        return _Answer(reply)

    def _reload(self, used: t.Any) -> bool:
        fresh = self._weather.credentials()
        if fresh == self._token:
            return False
        self._token = fresh
        return True


class WeatherApi(VirtualApi):
    """The client of a procedure in that weather."""

    def __init__(self, server: VirtualServer, weather: Weather) -> None:
        super().__init__(server, ADMIN)
        self.weather = weather
        self._transport = t.cast("t.Any", WeatherTransport(server, weather))
        self._ticking = False

    def new_module(self, run: str | None) -> None:
        t.cast("WeatherTransport", self._transport).new_module(run)

    def tick(self, seconds: float = 0.1) -> None:
        """While something waits in what is done with each tick, such as the renewal of a lock, time passes only."""
        self.twin.clock.advance(seconds)
        if self._ticking:
            return
        self._ticking = True
        try:
            for happen in list(self.ticks):
                happen()
        finally:
            self._ticking = False


class WeatherWatches(VirtualWatches):
    """Watches as ``Follower`` has them: while they are cut nothing is heard, and then everything that has happened."""

    def _due(self) -> t.Any:
        api = t.cast("WeatherApi", self._simulated)
        if not api.weather.cuts_watches(api.twin.clock.monotonic()):
            return super()._due()
        waiting = [followed.waiting for followed in self._followed if followed.waiting]
        return waiting[0].popleft()[1] if waiting else None


class _Time:
    """In place of the module ``time``."""

    def __init__(self, api: t.Callable[[], t.Any], twin: Twin) -> None:
        self._api = api
        self._twin = twin

    def monotonic(self) -> float:
        return self._twin.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._api().tick(seconds)


@contextlib.contextmanager
def bad_weather(twin: Twin, weather: Weather) -> t.Iterator[WeatherApi]:
    """A client in that weather; whatever waits does so in virtual time."""
    server = VirtualServer(twin)
    api = None
    operated = Runbook._operated

    def begun(runbook: Runbook, operate: t.Any, params: dict[str, t.Any]) -> dict[str, t.Any]:
        raw = simulated(runbook.api)
        if isinstance(raw, WeatherApi):
            raw.new_module(params.get("run"))
        return operated(runbook, operate, params)

    with contextlib.ExitStack() as patches:
        patches.enter_context(server.modules())
        patches.enter_context(mock.patch.object(transport, "time", _Time(lambda: api, twin)))
        patches.enter_context(mock.patch.object(Runbook, "_operated", begun))
        for name, module in list(sys.modules.items()):
            if ".ipam.plugins.module_utils._operations." in name and hasattr(module, "Watches"):
                patches.enter_context(mock.patch.object(module, "Watches", WeatherWatches))
        api = WeatherApi(server, weather)
        yield api
