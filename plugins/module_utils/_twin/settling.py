# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether the cluster has come to rest: every workload complete, no pod on its way."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import Handle, VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event, ObjectStore

_CONCERNED = (PODS, DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)


def unsettled(objects: ObjectStore) -> list[str]:
    """What is not at rest yet, as ``Deployment shop/web``; empty when the cluster is."""
    waiting: list[str] = []
    for resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS):
        waiting.extend(_name(resource, item) for item in objects.list(resource) if not _complete(resource, item))
    waiting.extend(_name(PODS, pod) for pod in objects.list(PODS) if not _pod_rests(pod))
    return waiting


def _name(resource: Resource, item: Object) -> str:
    return f"{resource.kind} {item['metadata'].get('namespace')}/{item['metadata']['name']}"


def _complete(resource: Resource, item: Object) -> bool:
    status = item.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(item["metadata"].get("generation") or 1):
        return False
    if resource == DAEMON_SETS:
        wanted = int(status.get("desiredNumberScheduled") or 0)
        keys = ["numberReady"]
        if (item["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
            keys.append("updatedNumberScheduled")
        return all(int(status.get(key) or 0) == wanted for key in keys)
    replicas = item["spec"].get("replicas")
    wanted = 1 if replicas is None else int(replicas)
    keys = ["replicas", "readyReplicas"]
    if (item["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
        keys.append("updatedReplicas")
    return all(int(status.get(key) or 0) == wanted for key in keys)


def _pod_rests(pod: Object) -> bool:
    status = pod.get("status") or {}
    finished = status.get("phase") in ("Succeeded", "Failed")
    if "deletionTimestamp" in pod["metadata"]:
        # One that only a finalizer keeps stays for as long as its owner of that name likes.
        return finished and bool(pod["metadata"].get("finalizers"))
    if finished:
        return True
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])
    return status.get("phase") == "Running" and ready


class SettleWait:
    """Calls ``done(settled, waiting)`` once: when the cluster has rested for ``quiet`` seconds, or after ``limit``.

    Both are virtual seconds. ``waiting`` says what was not at rest.
    """

    def __init__(
        self,
        objects: ObjectStore,
        clock: VirtualClock,
        quiet: float,
        limit: float,
        done: t.Callable[[bool, list[str]], None],
        places: CalicoPlaces = CRD_V1,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._quiet = quiet
        self._done: t.Callable[[bool, list[str]], None] | None = done
        self._unsubscribe = [objects.subscribe(self._on_event, resource) for resource in (*_CONCERNED, places.pools)]
        self._timer: Handle = clock.call_later(quiet, self._look)
        self._deadline = clock.call_later(limit, self._end)

    def cancel(self) -> None:
        """Do not call ``done`` any more."""
        self._done = None
        self._timer.cancel()
        self._deadline.cancel()
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    def _on_event(self, _event: Event) -> None:
        self._timer.cancel()
        self._timer = self._clock.call_later(self._quiet, self._look)

    def _look(self) -> None:
        if not unsettled(self._objects):
            self._end()

    def _end(self) -> None:
        done, waiting = self._done, unsettled(self._objects)
        self.cancel()
        if done is not None:
            done(not waiting, waiting)
