# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Custom controllers: pods that belong to objects of a kind that only its operator understands.

The operators of databases and message queues make pods themselves, without a Deployment or a StatefulSet in
between. The twin stands in for one where the annotation ``ipam.calico-ops.io/twin-controller: pods`` is on the
CustomResourceDefinition: each object of that kind gets ``spec.replicas`` pods of ``spec.template``, named
after it and numbered. A pod that is gone is made again; a change of the template alone replaces nothing.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import is_finished
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.template import pod_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event

MARK = "ipam.calico-ops.io/twin-controller"

# The group and kind that an object's owner names, its namespace and its name.
Key = t.Tuple[str, str, str, str]


class CustomControllers:
    """The operators of all kinds whose definition carries the mark."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "custom", self._reconcile, (0.2, 0.5))
        self._kinds: dict[tuple[str, str], Resource] = {}

    def start(self) -> None:
        self._ctx.informers.on(CUSTOM_RESOURCE_DEFINITIONS, self._on_definition)
        self._ctx.informers.on(PODS, self._on_pod)
        for crd in self._ctx.objects.list(CUSTOM_RESOURCE_DEFINITIONS):
            self._learn(crd)

    def stop(self) -> None:
        self._queue.stop()

    def _on_definition(self, event: Event) -> None:
        if event.type != DELETED:
            self._learn(event.object)

    def _learn(self, crd: Object) -> None:
        spec, names = crd["spec"], crd["spec"]["names"]
        place = (spec["group"], names["kind"])
        if (crd["metadata"].get("annotations") or {}).get(MARK) != "pods" or place in self._kinds:
            return
        version = next(each["name"] for each in spec["versions"] if each.get("storage"))
        resource = Resource(spec["group"], version, names["plural"], names["kind"], spec["scope"] == "Namespaced")
        if not resource.namespaced:
            return
        self._kinds[place] = resource
        self._ctx.informers.on(resource, lambda event: self._add(place, event.object))
        for item in self._ctx.objects.list(resource):
            self._add(place, item)

    def _add(self, place: tuple[str, str], item: Object) -> None:
        self._queue.add((*place, item["metadata"]["namespace"], item["metadata"]["name"]))

    def _on_pod(self, event: Event) -> None:
        owner = controller_of(event.object)
        if owner is None:
            return
        place = (owner["apiVersion"].partition("/")[0], owner["kind"])
        if place in self._kinds:
            self._queue.add((*place, event.object["metadata"]["namespace"], owner["name"]))

    def _reconcile(self, key: Key) -> float | None:
        ctx, resource = self._ctx, self._kinds[key[:2]]
        item = ctx.get(resource, key[2:])
        if item is None or "deletionTimestamp" in item["metadata"]:
            return None
        spec = item.get("spec") or {}
        wanted = [f"{key[3]}-{ordinal}" for ordinal in range(int(spec.get("replicas", 1)))]
        mine = {pod["metadata"]["name"]: pod for pod in ctx.controlled(PODS, item)}
        for name, pod in mine.items():
            if name not in wanted or is_finished(pod):
                ctx.delete(PODS, pod)
        for name in wanted:
            if name not in mine:
                try:
                    ctx.api.create(PODS, pod_of(spec["template"], resource, item, name=name), key[2])
                except AlreadyExists:
                    continue
        return None
