# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The garbage collector: dependents follow their owners.

Background: dependents go after the owner is gone. Foreground: the owner stays, with the finalizer
``foregroundDeletion``, until its dependents are gone. Orphan: dependents lose the reference first
(spec kubernetes-api-behaviour.md §9).
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import owner_uids
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import is_terminating
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.deletion import FOREGROUND, ORPHAN
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ADDED, DELETED, Event

Place = t.Tuple[Resource, str, str]


class GarbageCollector:
    """Watches owner references of all objects, custom resources too."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Place] = WorkQueue(ctx.clock, "garbage", self._reconcile, (0.05, 0.2))
        self._dependents: dict[str, dict[Place, None]] = {}

    def start(self) -> None:
        self._ctx.informers.on_any(self._on_event)
        seen: set[tuple[str, str]] = set()
        for kind in self._ctx.server.served.all():
            resource = kind.resource
            if (resource.group, resource.plural) in seen:
                continue
            seen.add((resource.group, resource.plural))
            for obj in self._ctx.objects.list(resource):
                if obj["metadata"].get("ownerReferences"):
                    self._index(resource, None, obj)
                    self._queue.add(_place(resource, obj))
                elif _waits(obj):
                    self._queue.add(_place(resource, obj))

    def stop(self) -> None:
        self._queue.stop()

    def dependents(self, uid: str) -> list[tuple[Resource, Object]]:
        """The objects that name ``uid`` as an owner."""
        found: list[tuple[Resource, Object]] = []
        for resource, namespace, name in self._dependents.get(uid, ()):
            obj = self._ctx.objects.get(resource, namespace or None, name)
            if obj is not None:
                found.append((resource, obj))
        return found

    # -- events ----------------------------------------------------------------------------

    def _index(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        before = set(owner_uids(old)) if old is not None else set()
        after = set(owner_uids(new)) if new is not None else set()
        if before == after:
            return
        obj = new if new is not None else old
        if obj is None:
            return
        place = _place(resource, obj)
        for uid in before - after:
            row = self._dependents.get(uid)
            if row is not None:
                row.pop(place, None)
                if not row:
                    del self._dependents[uid]
        for uid in after - before:
            self._dependents.setdefault(uid, {})[place] = None

    def _on_event(self, event: Event) -> None:
        resource, obj = event.resource, event.object
        gone = event.type == DELETED
        self._index(resource, event.previous, None if gone else obj)
        if gone:
            for place in self._dependents.get(obj["metadata"]["uid"], ()):
                self._queue.add(place)
            for reference in obj["metadata"].get("ownerReferences") or ():
                owner = self._owner(reference, obj["metadata"].get("namespace"))
                if owner is not None and _waits(owner[1]):
                    self._queue.add(_place(*owner))
            return
        if _waits(obj) or (event.type == ADDED and obj["metadata"].get("ownerReferences")):
            self._queue.add(_place(resource, obj))

    def _owner(self, reference: Object, namespace: str | None) -> tuple[Resource, Object] | None:
        """The owner that a reference names, when it exists with that very uid."""
        resource = self._resource(reference)
        if resource is None:
            return None
        storage = self._ctx.server.storage(resource)
        owner = storage.entry(resource, namespace if resource.namespaced else None, reference["name"])
        if owner is None or owner.object["metadata"]["uid"] != reference["uid"]:
            return None
        return resource, owner.object

    def _resource(self, reference: Object) -> Resource | None:
        group, _slash, version = str(reference["apiVersion"]).rpartition("/")
        for each in self._ctx.server.served.of_version(group, version):
            if each.resource.kind == reference["kind"]:
                return each.resource
        return None

    # -- one reconciliation ----------------------------------------------------------------

    def _reconcile(self, place: Place) -> float | None:
        resource, namespace, name = place
        obj = self._ctx.objects.get(resource, namespace or None, name)
        if obj is None:
            return None
        if _waits(obj):
            self._finish_owner(resource, obj)
            return None
        references = obj["metadata"].get("ownerReferences") or ()
        if not references or is_terminating(obj):
            return None
        solid, gone, waiting = [], [], []
        for reference in references:
            # An owner of a type that is not served cannot be judged: as good as there.
            if self._resource(reference) is None:
                solid.append(reference)
                continue
            owner = self._owner(reference, namespace or None)
            if owner is None:
                gone.append(reference)
            elif FOREGROUND in (owner[1]["metadata"].get("finalizers") or ()) and is_terminating(owner[1]):
                waiting.append(reference)
            else:
                solid.append(reference)
        if solid:
            if gone or waiting:
                self._ctx.update(resource, {**obj, "metadata": {**obj["metadata"], "ownerReferences": solid}})
            return None
        below = bool(self._dependents.get(obj["metadata"]["uid"]))
        self._ctx.delete(resource, obj, propagation="Foreground" if waiting and below else "Background")
        return None

    def _finish_owner(self, resource: Resource, obj: Object) -> None:
        finalizers = obj["metadata"].get("finalizers") or ()
        uid = obj["metadata"]["uid"]
        dependents = self.dependents(uid)
        if ORPHAN in finalizers:
            for child_resource, child in dependents:
                self._cut(child_resource, child, uid)
            self._drop_finalizer(resource, obj, ORPHAN)
            return
        blocking = [child for _resource, child in dependents if _blocks(child, uid)]
        if not blocking:
            self._drop_finalizer(resource, obj, FOREGROUND)
            return
        for child_resource, child in dependents:
            if not is_terminating(child):
                self._queue.add(_place(child_resource, child))

    def _cut(self, resource: Resource, obj: Object, uid: str) -> None:
        kept = [each for each in obj["metadata"].get("ownerReferences") or () if each["uid"] != uid]
        self._ctx.update(resource, {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}})

    def _drop_finalizer(self, resource: Resource, obj: Object, finalizer: str) -> None:
        kept = [each for each in obj["metadata"].get("finalizers") or () if each != finalizer]
        try:
            self._ctx.update(resource, {**obj, "metadata": {**obj["metadata"], "finalizers": kept}})
        except NotFound:
            return


def _waits(obj: Object) -> bool:
    """Whether the object waits for the collector to deal with its dependents."""
    finalizers = obj["metadata"].get("finalizers") or ()
    return is_terminating(obj) and (FOREGROUND in finalizers or ORPHAN in finalizers)


def _blocks(obj: Object, uid: str) -> bool:
    return any(
        each["uid"] == uid and each.get("blockOwnerDeletion") for each in obj["metadata"].get("ownerReferences") or ()
    )


def _place(resource: Resource, obj: Object) -> Place:
    metadata = obj["metadata"]
    return resource, metadata.get("namespace") or "", metadata["name"]
