# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One watch: the lines it consists of, without HTTP (spec kubernetes-api-behaviour.md 13)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import filter_of, wanted_version
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import (
    ADDED,
    Entry,
    Event,
    HistoryGone,
    ObjectStore,
    encode,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.routes import WatchRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, too_old
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.transitions import visible

BOOKMARK = "BOOKMARK"
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


class Watch:
    """Calls ``send(line)`` for each event from ``open()`` to ``close()``."""

    def __init__(self, objects: ObjectStore, request: WatchRequest, send: t.Callable[[bytes], None]) -> None:
        self._objects = objects
        self._request = request
        self._send = send
        self._chosen = filter_of(request.kind, request.options)
        # A version of the future is not an error here: events up to it are left out.
        self._after = wanted_version(request.options.resource_version)
        self._unsubscribe: t.Callable[[], None] | None = None
        self._told_columns = False

    def open(self) -> bool:
        """Send what there is already and follow what comes; False when the stream ends at once (too old)."""
        request, resource = self._request, self._request.kind.resource
        from_list = self._after in (None, 0) if request.initial_events is None else request.initial_events
        try:
            if request.expire:
                raise HistoryGone(self._after or 0, self._objects.revision)
            missed = [] if from_list or not self._after else self._objects.since(resource, self._after)
        except HistoryGone as gone:
            self._send(error_line(too_old(gone.wanted, gone.oldest)))
            return False
        if from_list:
            for entry in self._objects.entries(resource, request.namespace):
                if self._chosen.matches(entry.object):
                    self._send(self._line(ADDED, entry.object, entry))
            if request.initial_events and request.bookmarks:
                self.bookmark(_INITIAL_END)
        for event in missed:
            self._on_event(event)
        self._unsubscribe = self._objects.subscribe(self._on_event, resource)
        return True

    def close(self) -> None:
        """Send nothing any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def bookmark(self, annotations: t.Mapping[str, str] | None = None) -> None:
        """Tell the client up to which version it has seen everything, when it asked to be told."""
        if not self._request.bookmarks:
            return
        resource = self._request.kind.resource
        metadata: Object = {"resourceVersion": str(self._objects.revision)}
        if annotations:
            metadata["annotations"] = dict(annotations)
        self._send(_line(BOOKMARK, {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}))

    def _on_event(self, event: Event) -> None:
        if self._after and event.revision <= self._after:
            return
        seen = visible(event, self._request.namespace, self._chosen)
        if seen is not None:
            kind, obj = seen
            self._send(self._line(kind, obj, event.entry if obj is event.entry.object else None))

    def _line(self, kind: str, obj: Object, entry: Entry | None) -> bytes:
        renderer = self._request.renderer
        if renderer.plain and entry is not None:
            return b'{"type":"' + kind.encode() + b'","object":' + entry.encoded + b"}\n"
        if renderer.form.style == "table":
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            table = renderer.table(self._request.kind, [obj], metadata, columns=not self._told_columns)
            self._told_columns = True
            return _line(kind, table)
        return _line(kind, renderer.one(self._request.kind, obj))


def error_line(fault: Fault) -> bytes:
    """The event that ends a stream with a Status."""
    return _line("ERROR", fault.body)


def _line(kind: str, obj: Object) -> bytes:
    return encode({"type": kind, "object": obj}) + b"\n"
