# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What every controller is given: the API, the store to read from, time, shared indexes, events."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import EventRecorder
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import Index, Informers
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import (
    controller_of,
    controller_uid,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import node_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import LabelSelector, selector_of

Key = t.Tuple[str, str]


def _label_keys(obj: Object) -> t.Iterable[t.Hashable]:
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return [(namespace, key, value) for key, value in (metadata.get("labels") or {}).items()]


def _orphan_key(pod: Object) -> t.Iterable[str]:
    return (pod["metadata"]["namespace"],) if controller_of(pod) is None else ()


def _node_key(pod: Object) -> t.Iterable[str]:
    node = node_of(pod)
    return (node,) if node else ()


class ControllerContext:
    """Shared by all controllers of one twin.

    ``api`` is for writing, ``objects`` and the indexes are for reading: what is read there is the
    newest state, never a copy, and must not be changed. ``server`` is for what only the control
    plane may do.
    """

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.api = LocalApi(server)
        objects = self.objects = server.objects
        clock = self.clock = server.clock
        self.informers = Informers(objects)
        self.events = EventRecorder(self.api, objects, clock)
        self.pods_by_node: Index = self.informers.index(PODS, _node_key)
        self._pods_by_label: Index = self.informers.index(PODS, _label_keys)
        self._orphans: Index = self.informers.index(PODS, _orphan_key)
        self._controlled: dict[Resource, Index] = {}

    def controlled(self, resource: Resource, owner: Object) -> list[Object]:
        """The objects of ``resource`` whose managing owner is ``owner``."""
        index = self._controlled.get(resource)
        if index is None:
            index = self._controlled[resource] = self.informers.index(resource, controller_uid)
        return index.get(owner["metadata"]["uid"])

    def select_pods(self, namespace: str, selector: Object | None) -> list[Object]:
        """The pods of a namespace that a ``LabelSelector`` object matches; a missing selector matches none."""
        parsed = selector_of(selector)
        if parsed is None:
            return []
        smallest: list[t.Hashable] = [
            (namespace, each.key, next(iter(each.values)))
            for each in parsed.requirements
            if each.operator == "in" and len(each.values) == 1
        ]
        if smallest:
            candidates = self._pods_by_label.get(min(smallest, key=self._pods_by_label.count))
        else:
            candidates = self.objects.list(PODS, namespace)
        return [pod for pod in candidates if parsed.matches(pod["metadata"].get("labels") or {})]

    def orphan_pods(self, namespace: str, selector: LabelSelector | None) -> list[Object]:
        """The pods of a namespace that match and have no managing owner."""
        if selector is None:
            return []
        found = self._orphans.get(namespace)
        return [pod for pod in found if selector.matches(pod["metadata"].get("labels") or {})]

    def get(self, resource: Resource, key: Key) -> Object | None:
        """The object under (namespace, name), or None."""
        return self.objects.get(resource, key[0] or None, key[1])

    def update_status(self, resource: Resource, obj: Object, status: Object) -> Object:
        """PUT the status when it differs; the object as it is then."""
        if (obj.get("status") or {}) == status:
            return obj
        metadata = obj["metadata"]
        return self.api.replace(resource, {**obj, "status": status}, metadata.get("namespace"), subresource="status")

    def update(self, resource: Resource, obj: Object) -> Object:
        """PUT the object; its resourceVersion makes that a compare-and-swap."""
        return self.api.replace(resource, obj, obj["metadata"].get("namespace"))

    def delete(self, resource: Resource, obj: Object, **options: t.Any) -> None:
        """DELETE this very object (by uid); fine when it is gone already."""
        metadata = obj["metadata"]
        try:
            self.api.delete(resource, metadata["name"], metadata.get("namespace"), uid=metadata["uid"], **options)
        except NotFound:
            return
