# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A watch as a stream of lines, without an HTTP library (spec kubernetes-api-behaviour.md 13).

``WatchFeed`` collects what happens and hands it out in batches; ``http.py`` writes the batches.
Time here is real time: the timeouts are those of clients.
"""

from __future__ import annotations

import asyncio
import random
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import filter_of, wanted_version
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import (
    ADDED,
    Event,
    HistoryGone,
    encode,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.routes import WatchRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import too_old
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.storage import Readable
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.transitions import visible

BOOKMARK_PERIOD = 60.0
# A bookmark is sent this long before the end, so that the client resumes from a fresh version.
_FAREWELL = 2.0
# The server's own timeout lies between half an hour and an hour.
_SHORTEST, _LONGEST = 1800.0, 3600.0
# A client that is this many events behind is cut off; it lists again.
_MOST_PENDING = 20_000

_PREFIX = {kind: b'{"type":"%s","object":' % kind.encode() for kind in ("ADDED", "MODIFIED", "DELETED")}


class WatchFeed:
    """The lines of one watch. Use ``async for batch in feed`` and ``close()`` in the end."""

    def __init__(self, objects: Readable, wanted: WatchRequest) -> None:
        self._objects = objects
        self._wanted = wanted
        self._filter = filter_of(wanted.kind, wanted.options)
        version = wanted_version(wanted.options.resource_version)
        self._after = version or 0
        self._pending: list[bytes] = []
        self._ended = False
        self._columns_sent = False
        self._wakeup = asyncio.Event()
        self._unsubscribe: t.Callable[[], None] = lambda: None
        try:
            self._begin(version)
        except HistoryGone as gone:
            self._pending = [_line("ERROR", too_old(gone.wanted, gone.oldest).body)]
            self._ended = True

    def _begin(self, version: int | None) -> None:
        wanted, objects, resource = self._wanted, self._objects, self._wanted.kind.resource
        if wanted.expire:
            raise HistoryGone(version or 1, objects.revision)
        initial = wanted.initial_events if wanted.initial_events is not None else not version
        if initial:
            for entry in objects.entries(resource, wanted.namespace):
                if self._filter.matches(entry.object):
                    self._add(ADDED, entry.object, entry.encoded)
            self._after = objects.revision
            if wanted.initial_events and wanted.bookmarks:
                self._pending.append(self._bookmark({"k8s.io/initial-events-end": "true"}))
        elif version:
            for event in objects.since(resource, version):
                self._push(event)
        self._unsubscribe = objects.subscribe(self._push, resource)

    def _push(self, event: Event) -> None:
        if event.revision <= self._after:
            return
        seen = visible(event, self._wanted.namespace, self._filter)
        if seen is None:
            return
        kind, obj = seen
        self._add(kind, obj, event.entry.encoded if obj is event.object else None)
        if len(self._pending) > _MOST_PENDING:
            self.end()
        self._wakeup.set()

    def _add(self, kind: str, obj: Object, encoded: bytes | None) -> None:
        if self._wanted.renderer.plain:
            body = encode(obj) if encoded is None else encoded
        else:
            body = encode(self._rendered(obj))
        self._pending.append(_PREFIX[kind] + body + b"}\n")

    def _rendered(self, obj: Object) -> Object:
        renderer, kind = self._wanted.renderer, self._wanted.kind
        if renderer.form.style != "table":
            return renderer.one(kind, obj)
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        table = renderer.table(kind, [obj], metadata, columns=not self._columns_sent)
        self._columns_sent = True
        return table

    def _bookmark(self, annotations: Object | None = None) -> bytes:
        metadata: Object = {"resourceVersion": str(self._objects.revision)}
        if annotations:
            metadata["annotations"] = annotations
        form, resource = self._wanted.renderer.form, self._wanted.kind.resource
        if form.style == "table":
            body = self._wanted.renderer.table(self._wanted.kind, [], metadata, columns=False)
            return _line("BOOKMARK", body)
        kind, version = resource.kind, resource.api_version
        if form.style == "metadata":
            kind, version = "PartialObjectMetadata", f"meta.k8s.io/{form.version}"
        return _line("BOOKMARK", {"kind": kind, "apiVersion": version, "metadata": metadata})

    @property
    def group_version(self) -> tuple[str, str]:
        """Whose events these are."""
        resource = self._wanted.kind.resource
        return (resource.group, resource.version)

    def end(self) -> None:
        """Let the stream end after what is pending."""
        self._ended = True
        self._wakeup.set()

    def close(self) -> None:
        self._unsubscribe()
        self._pending.clear()

    async def batches(self) -> t.AsyncIterator[bytes]:
        """The stream, as many lines at a time as there are, until the timeout."""
        loop = asyncio.get_running_loop()
        lasts = self._wanted.timeout
        if lasts is None:
            lasts = random.uniform(_SHORTEST, _LONGEST)
        end = loop.time() + lasts
        farewell = end - min(_FAREWELL, lasts / 2)
        bookmark = loop.time() + BOOKMARK_PERIOD
        while True:
            if self._pending:
                batch = b"".join(self._pending)
                self._pending.clear()
                yield batch
                continue
            now = loop.time()
            if self._ended or now >= end:
                return
            if self._wanted.bookmarks and now >= min(bookmark, farewell):
                if now >= farewell:
                    farewell = float("inf")
                bookmark = now + BOOKMARK_PERIOD
                yield self._bookmark()
                continue
            until = min(end, bookmark, farewell) if self._wanted.bookmarks else end
            self._wakeup.clear()
            handle = loop.call_at(until, self._wakeup.set)
            try:
                await self._wakeup.wait()
            finally:
                handle.cancel()


def _line(kind: str, obj: Object) -> bytes:
    return encode({"type": kind, "object": obj}) + b"\n"
