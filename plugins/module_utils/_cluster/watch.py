# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Watches: one stream of events, and a list that is kept up to date over any number of them."""

from __future__ import annotations

import json
import queue
import random
import socket
import threading
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.answers import error_from_event
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource, WatchEvent
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ClusterError,
    Expired,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
CLOSE_SECONDS = 5.0


class Connection(t.Protocol):
    """What a stream needs to know about the server it came from."""

    @property
    def server(self) -> str: ...

    @property
    def failures(self) -> tuple[type[Exception], ...]: ...

    def lost(self, error: Exception, sent: bool = True) -> Unreachable: ...


class WatchStream:
    """The events of one watch request, in order; ends when the server ends it or ``close`` is called.

    Raises ``Expired`` for a version that is too old, ``Unreachable`` when the connection breaks.
    """

    def __init__(self, response: t.Any, connection: Connection) -> None:
        self._response = response
        self._connection = connection
        self._closed = False
        self._events = self._read()

    def __iter__(self) -> t.Iterator[WatchEvent]:
        return self

    def __next__(self) -> WatchEvent:
        return next(self._events)

    def close(self) -> None:
        """End the stream; may be called from another thread than the one that reads."""
        self._closed = True
        connection = getattr(self._response, "connection", None)
        sock = getattr(connection, "sock", None)
        if isinstance(sock, socket.socket):
            try:
                # The plain socket's own shutdown: it wakes the reader, whereas an SSL socket's would
                # pull the TLS state from under it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return

    def _read(self) -> t.Iterator[WatchEvent]:
        try:
            for line in self._lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_from_event(event["object"], self._connection.server)
                yield WatchEvent(event["type"], event["object"])
        except self._connection.failures as error:
            if not self._closed:
                raise self._connection.lost(error) from error
        finally:
            self._response.close()

    def _lines(self) -> t.Iterator[bytes]:
        pending: list[bytes] = []
        for chunk in self._response.stream(65536):
            *whole, rest = chunk.split(b"\n")
            for part in whole:
                pending.append(part)
                line = b"".join(pending)
                pending.clear()
                if line.strip():
                    yield line
            if rest:
                pending.append(rest)
        # A last line without its newline was cut off; the next watch starts before it.


@dataclass(frozen=True)
class Change:
    """One step in the life of a followed list.

    ``type`` is ADDED, MODIFIED or DELETED with its ``object`` (without ``managedFields``); SYNCED
    when a list was taken in completely; INTERRUPTED with the ``error`` that is being waited out.
    The object of a DELETED change may be no more than its name, namespace and uid.
    """

    type: str
    object: Object = field(default_factory=dict)
    error: ClusterError | None = None


class Follower:
    """A list and everything that happens to it, as one endless iteration of changes.

    Begins with the list (ADDED for each object, then SYNCED) and continues with a watch that is
    resumed where it ended. When the server has forgotten our version the list is taken again, and
    the differences come as changes of their own, so that no deletion is missed. Failures that may
    pass (lost connections, 5xx, 429) are waited out with growing pauses; others are raised.
    """

    def __init__(
        self,
        api: KubeApi,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> None:
        self._api = api
        self._resource = resource
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._stream: t.Any = None
        self._known: dict[tuple[str, str], Object] = {}
        self._version = ""

    def close(self) -> None:
        """End the iteration; may be called from any thread."""
        self._stopped.set()
        with self._lock:
            _close(self._stream)

    def __iter__(self) -> t.Iterator[Change]:
        failures = 0
        while not self._stopped.is_set():
            try:
                if not self._version:
                    yield from self._list()
                for change in self._watch():
                    failures = 0
                    yield change
            except Expired:
                self._version = ""
            except (Unreachable, ServerError, TooManyRequests) as error:
                failures += 1
                if failures % 5 == 0:
                    # A version the server will not accept is not healed by asking for it again.
                    self._version = ""
                yield Change("INTERRUPTED", error=error)
                self._stopped.wait(_pause(failures))

    def _list(self) -> t.Iterator[Change]:
        listing = self._api.list(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        before, self._known = self._known, {}
        for item in listing.items:
            self._known[_key(item)] = _stub(item)
        self._version = listing.resource_version
        for key, old in before.items():
            new = self._known.get(key)
            if new is None or new["metadata"]["uid"] != old["metadata"]["uid"]:
                yield Change("DELETED", old)
        for item in listing.items:
            key = _key(item)
            known = before.get(key)
            new = self._known[key]
            if known is None or known["metadata"]["uid"] != new["metadata"]["uid"]:
                yield Change("ADDED", _slim(item))
            elif known["metadata"]["resourceVersion"] != new["metadata"]["resourceVersion"]:
                yield Change("MODIFIED", _slim(item))
        yield Change("SYNCED")

    def _watch(self) -> t.Iterator[Change]:
        stream = self._api.watch(
            self._resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        with self._lock:
            self._stream = stream
            if self._stopped.is_set():
                _close(stream)
        silent = True
        try:
            for event in stream:
                silent = False
                self._version = str(event.object["metadata"]["resourceVersion"])
                if event.type == "BOOKMARK":
                    continue
                if event.type == "DELETED":
                    self._known.pop(_key(event.object), None)
                else:
                    self._known[_key(event.object)] = _stub(event.object)
                yield Change(event.type, _slim(event.object))
        finally:
            with self._lock:
                self._stream = None
        if silent:
            # A server that ends watches at once must not be asked again at once.
            self._stopped.wait(FIRST_PAUSE)


@dataclass(frozen=True)
class Notice:
    """A change with the name of the followed list it belongs to."""

    source: str
    change: Change


class Watches:
    """Several followed lists, read as one sequence of notices; each list has a thread of its own."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._queue: queue.Queue[Notice | IpamError] = queue.Queue()
        self._followers: list[Follower] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Watches:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

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
        """Begin to follow one more list, under the name ``source``.

        An ``optional`` one that may not be read, or that the server does not have, counts as empty.
        """
        follower = Follower(
            self._api, resource, namespace, label_selector=label_selector, field_selector=field_selector
        )
        thread = threading.Thread(
            target=self._pump, args=(source, follower, optional), name=f"follow-{source}", daemon=True
        )
        self._followers.append(follower)
        self._threads.append(thread)
        thread.start()

    def next(self, timeout: float | None = None) -> Notice | None:
        """The next notice; ``None`` when none came within ``timeout`` seconds.

        Raises what ended one of the lists for good (``Forbidden``, ``UnknownResource``).
        """
        try:
            entry = self._queue.get(timeout=timeout) if timeout is None or timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(entry, IpamError):
            raise entry
        return entry

    def close(self) -> None:
        """End all lists and wait for their threads."""
        for follower in self._followers:
            follower.close()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _pump(self, source: str, follower: Follower, optional: bool) -> None:
        try:
            for change in follower:
                self._queue.put(Notice(source, change))
        except ClusterError as error:
            self._queue.put(Notice(source, Change("SYNCED")) if optional else error)
        except IpamError as error:
            # Such as a record in etcd that cannot be read.
            self._queue.put(error)


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


def _stub(item: Object) -> Object:
    """As much of an object as the next list is compared with; whole objects would be held twice."""
    metadata = item["metadata"]
    return {
        "kind": item.get("kind"),
        "apiVersion": item.get("apiVersion"),
        "metadata": {name: metadata.get(name) for name in ("namespace", "name", "uid", "resourceVersion")},
    }


def _slim(item: Object) -> Object:
    """The object without ``managedFields``, which are half its size and nobody's business here."""
    metadata = item["metadata"]
    if "managedFields" not in metadata:
        return item
    return {**item, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _close(stream: t.Any) -> None:
    close = getattr(stream, "close", None)
    if close is not None:
        close()


def _pause(failures: int) -> float:
    return min(FIRST_PAUSE * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE) * (0.75 + random.random() / 2)
