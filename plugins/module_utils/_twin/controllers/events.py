# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Event objects: what controllers and kubelets tell the user, and their end after an hour."""

from __future__ import annotations

from collections import deque

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import EVENTS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import parse_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

NORMAL = "Normal"
WARNING = "Warning"

# The API server's default for --event-ttl, in seconds.
_LIFETIME = 3600.0


class EventRecorder:
    """Writes events, counts repeated ones, and deletes them an hour after they were last seen."""

    def __init__(self, api: KubeApi, objects: ObjectStore, clock: VirtualClock) -> None:
        self._api = api
        self._objects = objects
        self._clock = clock
        self._names = clock.random("event names")
        self._known: dict[tuple[str, str, str], str] = {}
        self._expiry: deque[tuple[float, str, str]] = deque()
        self._sweeping = False

    def start(self) -> None:
        """Take over the events that a former process left."""
        now = self._clock.now()
        left: list[tuple[float, str, str]] = []
        for event in self._objects.list(EVENTS):
            metadata = event["metadata"]
            seen = parse_time(event.get("lastTimestamp") or metadata["creationTimestamp"])
            age = (now - seen).total_seconds()
            left.append((self._clock.monotonic() + _LIFETIME - age, metadata["namespace"], metadata["name"]))
        self._expiry.extend(sorted(left))
        self._arm()

    def emit(
        self,
        resource: Resource,
        obj: Object,
        kind: str,
        reason: str,
        message: str,
        component: str,
        host: str = "",
    ) -> None:
        """Record an event about ``obj``; the same sentence about the same object raises the count."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") or "default"
        known = (metadata["uid"], reason, message)
        name = self._known.get(known)
        stored = self._objects.get(EVENTS, namespace, name) if name is not None else None
        now = self._clock.timestamp()
        try:
            if stored is not None:
                self._api.replace(
                    EVENTS, {**stored, "count": int(stored.get("count") or 1) + 1, "lastTimestamp": now}, namespace
                )
                return
            name = f"{metadata['name']}.{self._names.getrandbits(60):016x}"
            source = {"component": component, "host": host} if host else {"component": component}
            self._api.create(
                EVENTS,
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": name, "namespace": namespace},
                    "involvedObject": {
                        "kind": resource.kind,
                        "namespace": metadata.get("namespace", ""),
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                        "apiVersion": resource.api_version,
                        "resourceVersion": metadata.get("resourceVersion", ""),
                    },
                    "reason": reason,
                    "message": message,
                    "source": source,
                    "firstTimestamp": now,
                    "lastTimestamp": now,
                    "count": 1,
                    "type": kind,
                    "reportingComponent": component,
                    "reportingInstance": host,
                },
                namespace,
            )
        except ApiError:
            # A namespace that is going away takes no events; nothing depends on them.
            return
        self._known[known] = name
        self._expiry.append((self._clock.monotonic() + _LIFETIME, namespace, name))
        self._arm()

    def _arm(self) -> None:
        if self._expiry and not self._sweeping:
            self._sweeping = True
            self._clock.call_later(self._expiry[0][0] - self._clock.monotonic(), self._sweep)

    def _sweep(self) -> None:
        self._sweeping = False
        now = self._clock.now()
        while self._expiry and self._expiry[0][0] <= self._clock.monotonic():
            _due, namespace, name = self._expiry.popleft()
            event = self._objects.get(EVENTS, namespace, name)
            if event is None:
                continue
            left = _LIFETIME - (now - parse_time(event.get("lastTimestamp") or self._clock.timestamp())).total_seconds()
            if left > 1:
                self._expiry.append((self._clock.monotonic() + left, namespace, name))
                continue
            about = event.get("involvedObject") or {}
            self._known.pop((about.get("uid", ""), event.get("reason", ""), event.get("message", "")), None)
            try:
                self._api.delete(EVENTS, name, namespace)
            except ApiError:
                continue
        self._arm()
