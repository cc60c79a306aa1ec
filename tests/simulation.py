# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on a twin in this process, in virtual time and in one thread: the same seed, the same run.

``SimulatedApi`` is a client as the modules have one, with a hook before each write that may change the
cluster or cut the run. ``SimulatedWatches`` stands in for the threads and sockets of ``_cluster/watch.py``:
waiting lets virtual time pass, and each list is told of changes late by a span of its own, since watches of
several kinds have no common order.
"""

from __future__ import annotations

import random
import typing as t
from collections import deque
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import (
    Listing,
    Object,
    Resource,
    WatchEvent,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import KINDS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    LEASES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Change, Notice
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fencing import FencedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_location import locate_in_etcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import CALICO_NODES, NodesWithEtcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi

if t.TYPE_CHECKING:
    from datetime import datetime

    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

TICK = 0.1
# The parts of etcd's keys that tell IPAM's records apart.
_RECORDS = {"assignment": IPAM_BLOCKS, "host": BLOCK_AFFINITIES, "handle": IPAM_HANDLES, "config": IPAM_CONFIGS}
Hook = t.Callable[["Write"], None]


class Killed(BaseException):
    """The process ended here; a BaseException, so that nothing handles it."""


@dataclass(frozen=True)
class Write:
    """One request that changes something, about to be sent; ``number`` counts from 1."""

    number: int
    verb: str
    resource: Resource
    name: str
    body: t.Any = None

    def __str__(self) -> str:
        return f"{self.number} {self.verb} {self.resource.kind} {self.name}"


class SimulatedApi:
    """``PagedApi`` on a twin; ``before`` and ``after`` are called around each write.

    When one of them raises ``Killed``, so does every request from then on: a process that was killed tidies up nothing.
    """

    def __init__(
        self, twin: Twin, *, before: Hook | None = None, after: Hook | None = None, lag: random.Random | None = None
    ) -> None:
        self.twin = twin
        self.lag = lag
        self.writes: list[Write] = []
        self._local = LocalApi(twin.server, "admin")
        self._before = before
        self._after = after
        self.ticks: list[t.Callable[[], None]] = []
        self._killed: Killed | None = None

    def alive(self) -> None:
        """Raises ``Killed`` when the process that uses this client was killed."""
        if self._killed is not None:
            raise self._killed

    def tick(self, seconds: float = TICK) -> None:
        """Let time pass, and whatever is due to happen."""
        self.alive()
        self.twin.clock.advance(seconds)
        for happen in list(self.ticks):
            happen()

    def written(self, verb: str, resource: Resource, name: str, body: t.Any, call: t.Callable[[], t.Any]) -> t.Any:
        self.alive()
        if resource == LEASES and verb == "replace":
            # When a lock is renewed is a matter of time and not of the procedure, so it has no number.
            return call()
        if resource.group == "authorization.k8s.io":
            # What a user may do is a question, though it is asked by POST; this one may do everything.
            return {"status": {"allowed": True}}
        write = Write(len(self.writes) + 1, verb, resource, name, body)
        self.writes.append(write)
        self._around(self._before, write)
        answer = call()
        self._around(self._after, write)
        return answer

    def _around(self, hook: Hook | None, write: Write) -> None:
        try:
            if hook is not None:
                hook(write)
        except Killed as killed:
            self._killed = killed
            raise

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self.alive()
        return self._local.get(resource, name, namespace)

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> Listing:
        self.alive()
        try:
            return self._local.list(resource, namespace, **selectors)
        except NotFound as error:
            # Of a list, 404 can only be about the type: the HTTP client says so by this class.
            raise UnknownResource(error.message, error.status, error.reason, error.body) from None

    def pages(self, resource: Resource, namespace: str | None = None) -> t.Iterator[Listing]:
        yield self.list(resource, namespace)

    def watch(self, resource: Resource, namespace: str | None = None, **options: t.Any) -> t.Iterator[t.Any]:
        return self._local.watch(resource, namespace, **options)

    def create(self, resource: Resource, body: Object, namespace: str | None = None, **options: t.Any) -> Object:
        name = body["metadata"].get("name", "")
        return t.cast(
            "Object",
            self.written(
                "create", resource, name, body, lambda: self._local.create(resource, body, namespace, **options)
            ),
        )

    def replace(self, resource: Resource, body: Object, namespace: str | None = None, **options: t.Any) -> Object:
        name = body["metadata"]["name"]
        return t.cast(
            "Object",
            self.written(
                "replace", resource, name, body, lambda: self._local.replace(resource, body, namespace, **options)
            ),
        )

    def patch(
        self, resource: Resource, name: str, body: t.Any, namespace: str | None = None, **options: t.Any
    ) -> Object:
        return t.cast(
            "Object",
            self.written(
                "patch", resource, name, body, lambda: self._local.patch(resource, name, body, namespace, **options)
            ),
        )

    def delete(self, resource: Resource, name: str, namespace: str | None = None, **options: t.Any) -> None:
        self.written(
            "delete", resource, name, options, lambda: self._local.delete(resource, name, namespace, **options)
        )

    def evict(self, name: str, namespace: str, **options: t.Any) -> None:
        self.written("evict", PODS, name, options, lambda: self._local.evict(name, namespace, **options))


class SimulatedClock:
    """An operation's clock in the twin's time."""

    def __init__(self, api: SimulatedApi | CalicoApi) -> None:
        self._api = simulated(api)
        self._looks = 0

    def now(self) -> datetime:
        return self._api.twin.clock.now()

    def monotonic(self) -> float:
        # Looking at a clock takes time too; without it, "due now" could be rounded to "not yet" for ever.
        self._looks += 1
        return self._api.twin.clock.monotonic() + self._looks * 1e-7

    def sleep(self, seconds: float) -> None:
        self._api.tick(seconds)


@dataclass
class _Followed:
    source: str
    resource: Resource
    namespace: str | None
    selectors: dict[str, t.Any]
    version: str
    lag: float
    seen: int = -1
    waiting: deque[tuple[float, Notice]] = field(default_factory=deque)
    known: dict[str, Object] = field(default_factory=dict)

    def differences(self, listing: Listing) -> list[WatchEvent]:
        """What has happened since the last list, for an API whose watches last."""
        if listing.resource_version == self.version:
            return []
        before, self.known = self.known, {item["metadata"]["name"]: item for item in listing.items}
        events = [WatchEvent("DELETED", before[name]) for name in before if name not in self.known]
        for name, item in self.known.items():
            old = before.get(name)
            if old is None or old["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                events.append(WatchEvent("MODIFIED" if old else "ADDED", item))
        self.version = listing.resource_version
        return events


class SimulatedWatches:
    """What ``Watches`` does, in virtual time."""

    def __init__(self, api: SimulatedApi | CalicoApi) -> None:
        self._simulated = simulated(api)
        self._api = api
        self._followed: list[_Followed] = []
        self._absent: deque[Notice] = deque()

    def __enter__(self) -> SimulatedWatches:
        return self

    def __exit__(self, *exception: object) -> None:
        self._followed.clear()

    def follow(
        self,
        source: str,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        optional: bool = False,
    ) -> None:
        selectors = {"label_selector": label_selector, "field_selector": field_selector}
        try:
            listing = self._api.list(resource, namespace, **selectors)
        except (Forbidden, UnknownResource):
            if not optional:
                raise
            self._absent.append(Notice(source, Change("SYNCED")))
            return
        lag = self._simulated.lag.choice([0.0, 0.0, 0.1, 0.4, 1.5]) if self._simulated.lag is not None else 0.0
        followed = _Followed(source, resource, namespace, selectors, listing.resource_version, lag)
        followed.known = {item["metadata"]["name"]: item for item in listing.items}
        now = self._simulated.twin.clock.monotonic()
        for item in listing.items:
            followed.waiting.append((now, Notice(source, Change("ADDED", item))))
        followed.waiting.append((now, Notice(source, Change("SYNCED"))))
        self._followed.append(followed)

    def next(self, timeout: float | None = None) -> Notice | None:
        clock = self._simulated.twin.clock
        deadline = clock.monotonic() + (3600.0 if timeout is None else timeout)
        while True:
            notice = self._due()
            if notice is not None:
                return notice
            if clock.monotonic() >= deadline:
                return None
            # Never less than a moment, or rounding would keep time from passing at all.
            self._simulated.tick(max(0.001, min(TICK, deadline - clock.monotonic())))

    def _due(self) -> Notice | None:
        if self._absent:
            return self._absent.popleft()
        now = self._simulated.twin.clock.monotonic()
        revision = self._simulated.twin.objects.revision
        for followed in self._followed:
            if followed.seen == revision:
                continue
            for event in self._events(followed):
                followed.version = str(event.object["metadata"]["resourceVersion"])
                followed.waiting.append((now + followed.lag, Notice(followed.source, Change(event.type, event.object))))
            if not self._is_elsewhere(followed):
                # As a bookmark does: nothing older will be asked for.
                followed.version, followed.seen = str(revision), revision
        for followed in self._followed:
            if followed.waiting and followed.waiting[0][0] <= now + 1e-9:
                return followed.waiting.popleft()[1]
        return None

    def _is_elsewhere(self, followed: _Followed) -> bool:
        kinds = (*KINDS, CALICO_NODES)
        return isinstance(self._api, CalicoApi) and self._api.elsewhere is not None and followed.resource in kinds

    def _events(self, followed: _Followed) -> t.Iterable[WatchEvent]:
        if self._is_elsewhere(followed):
            return followed.differences(self._api.list(followed.resource))
        return self._api.watch(
            followed.resource, followed.namespace, resource_version=followed.version, **followed.selectors
        )


def simulated(api: SimulatedApi | CalicoApi) -> SimulatedApi:
    """The simulated API under the interface to Calico's kinds."""
    raw: t.Any = api.raw if isinstance(api, CalicoApi) else api
    raw = raw.kubernetes if isinstance(raw, NodesWithEtcd) else raw
    return t.cast("SimulatedApi", raw.api if isinstance(raw, FencedApi) else raw)


class SimulatedEtcd(EtcdApi):
    """Calico's etcd as ``simulated`` has its writes: counted, with the hooks, and seen by the twin."""

    def __init__(self, simulated: SimulatedApi) -> None:
        datastore = simulated.twin.datastore
        if datastore is None:
            raise ValueError("the twin has no etcd")
        client = datastore.client.another()
        super().__init__(client, now=simulated.twin.clock.now)
        self._simulated = simulated
        self._datastore = datastore
        self._swap = client._swap
        self._sending = False
        client._swap = self._swapped  # type: ignore[method-assign]

    def _send(self, verb: str, resource: Resource, name: str, body: t.Any, call: t.Callable[[], t.Any]) -> t.Any:
        def seen() -> t.Any:
            self._sending = True
            try:
                answer = call()
            finally:
                self._sending = False
            self._datastore.refresh()
            return answer

        return self._simulated.written(verb, resource, name, body, seen)

    def _swapped(self, key: str, condition: t.Any, operation: t.Any) -> t.Any:
        """What writes IPAM's records past the interface to Calico's kinds: each is one transaction."""
        if self._sending:
            return self._swap(key, condition, operation)
        verb = "delete" if "request_delete_range" in operation else "create" if "CREATE" in str(condition) else "patch"
        resource, name = _row_of(key)
        return self._send(verb, resource, name, operation, lambda: self._swap(key, condition, operation))

    def create(self, resource: Resource, body: Object, *rest: t.Any, **options: t.Any) -> Object:
        call = super().create
        name = body["metadata"]["name"]
        return t.cast(
            "Object", self._send("create", resource, name, body, lambda: call(resource, body, *rest, **options))
        )

    def patch(self, resource: Resource, name: str, body: t.Any, *rest: t.Any, **options: t.Any) -> Object:
        call = super().patch
        return t.cast(
            "Object", self._send("patch", resource, name, body, lambda: call(resource, name, body, *rest, **options))
        )

    def delete(self, resource: Resource, name: str, *rest: t.Any, **options: t.Any) -> None:
        call = super().delete
        self._send("delete", resource, name, options, lambda: call(resource, name, *rest, **options))


def _row_of(key: str) -> tuple[Resource, str]:
    """What a key of Calico's etcd holds, and its name."""
    *rest, name = key.split("/")
    for kind in KINDS:
        if kind.plural in rest:
            return kind, name
    kind = next(kind for part, kind in _RECORDS.items() if part in rest)
    return kind, f"{rest[rest.index('host') + 1]}-{name}" if kind == BLOCK_AFFINITIES else name


def with_calico(api: SimulatedApi) -> CalicoApi:
    """The interface to Calico's kinds, wherever the twin keeps them."""
    if api.twin.datastore is None:
        return calico_api(api)
    etcd = SimulatedEtcd(api)
    raw = NodesWithEtcd(api, etcd)
    return CalicoApi(raw, lambda _raw: locate_in_etcd(raw, etcd), etcd)


def with_fence(api: SimulatedApi | CalicoApi, require: t.Callable[[], None]) -> CalicoApi:
    """The interface to the same cluster, for writes that ``require`` lets pass."""
    fenced = FencedApi(simulated(api), require)
    if not isinstance(api, CalicoApi) or not isinstance(api.elsewhere, EtcdApi):
        return calico_api(fenced)
    etcd = api.elsewhere
    etcd.client.before_write = require
    raw = NodesWithEtcd(fenced, etcd)
    return CalicoApi(raw, lambda _raw: locate_in_etcd(raw, etcd), etcd)


def simulate(monkeypatch: t.Any) -> None:
    """Let the operations that wait do so in virtual time."""
    from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import (
        drain_loop,
        gate_after_disable,
        gate_before_delete,
        pool_wait,
        probe,
        probe_wait,
        range_wait,
    )

    for module in (drain_loop, gate_after_disable, gate_before_delete, pool_wait, probe, probe_wait, range_wait):
        monkeypatch.setattr(module, "Watches", SimulatedWatches)
