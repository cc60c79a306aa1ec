# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Namespaces: what each gets when it is made, and its slow end when it is deleted.

A terminating namespace is emptied, pods with their grace, and goes some seconds after its last
object (spec kubernetes-api-behaviour.md §9: five seconds when empty, nine with content).
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_terminating,
    parse_time,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import SERVICE_ACCOUNTS

_EMPTY_AFTER = 5.0
_LAST_LOOK_AFTER = 4.0
_ROOT_CA = "kube-root-ca.crt"


class NamespaceController:
    """Furnishes new namespaces and clears out terminating ones."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[str] = WorkQueue(ctx.clock, "namespace", self._reconcile, (0.1, 0.3))
        self._terminating: set[str] = set()
        self._had_content: dict[str, float] = {}

    def start(self) -> None:
        self._ctx.informers.on(NAMESPACES, self._on_namespace)
        self._ctx.informers.on_any(self._on_any)
        for obj in self._ctx.objects.list(NAMESPACES):
            self._note(obj)
            self._queue.add(obj["metadata"]["name"])

    def stop(self) -> None:
        self._queue.stop()

    def _note(self, obj: Object) -> None:
        if is_terminating(obj):
            self._terminating.add(obj["metadata"]["name"])

    def _on_namespace(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        if event.type == DELETED:
            self._terminating.discard(name)
            self._had_content.pop(name, None)
            return
        self._note(event.object)
        self._queue.add(name)

    def _on_any(self, event: Event) -> None:
        if event.type == DELETED and self._terminating:
            namespace = event.object["metadata"].get("namespace")
            if namespace in self._terminating:
                self._queue.add(namespace)

    def _reconcile(self, name: str) -> float | None:
        ctx = self._ctx
        obj = ctx.objects.get(NAMESPACES, None, name)
        if obj is None:
            return None
        if not is_terminating(obj):
            self._furnish(name)
            return None
        content = self._content(name)
        now = ctx.clock.monotonic()
        if content:
            self._had_content[name] = now
            for resource, each in content:
                if not is_terminating(each):
                    ctx.delete(resource, each, propagation="Background")
            return None
        deleted = parse_time(obj["metadata"]["deletionTimestamp"])
        left = _EMPTY_AFTER - (ctx.clock.now() - deleted).total_seconds()
        if name in self._had_content:
            left = self._had_content[name] + _LAST_LOOK_AFTER - now
        if left > 0:
            return left
        finalizers = [each for each in (obj.get("spec") or {}).get("finalizers") or () if each != "kubernetes"]
        try:
            ctx.api.replace(
                NAMESPACES,
                {**obj, "spec": {**(obj.get("spec") or {}), "finalizers": finalizers}},
                subresource="finalize",
            )
        except NotFound:
            return None
        return None

    def _content(self, name: str) -> list[tuple[Resource, Object]]:
        found: list[tuple[Resource, Object]] = []
        seen: set[tuple[str, str]] = set()
        for kind in self._ctx.server.served.all():
            resource = kind.resource
            place = (resource.group, resource.plural)
            if place in seen or not resource.namespaced or "delete" not in kind.verbs:
                continue
            seen.add(place)
            found += [(resource, obj) for obj in self._ctx.objects.list(resource, name)]
        return found

    def _furnish(self, name: str) -> None:
        ctx = self._ctx
        wanted: list[tuple[Resource, Object]] = [
            (SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
        ]
        certificate = self._root_certificate()
        if certificate:
            wanted.append(
                (
                    CONFIG_MAPS,
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"name": _ROOT_CA},
                        "data": {"ca.crt": certificate},
                    },
                )
            )
        for resource, body in wanted:
            if ctx.objects.get(resource, name, body["metadata"]["name"]) is None:
                try:
                    ctx.api.create(resource, body, name)
                except AlreadyExists:
                    continue

    def _root_certificate(self) -> str:
        """The cluster's CA, from where it was published first."""
        known = self._ctx.objects.get(CONFIG_MAPS, "kube-system", _ROOT_CA)
        return str(((known or {}).get("data") or {}).get("ca.crt") or "")
