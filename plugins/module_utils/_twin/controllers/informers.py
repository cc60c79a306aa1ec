# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What controllers know about the cluster without asking: indexes kept up to date by events.

The object store already holds every object in memory; what it cannot answer in constant time is
"which pods belong to this ReplicaSet", "which run on this node", "which carry this label". Each
``Index`` answers one such question.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore

KeysOf = t.Callable[[Object], t.Iterable[t.Hashable]]
Handler = t.Callable[[Event], None]

_NOTHING: t.Mapping[str, Object] = {}


def object_key(obj: Object) -> tuple[str, str]:
    """Namespace (``""`` for cluster scoped objects) and name."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _row_key(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace') or ''}/{metadata['name']}"


class Index:
    """Objects by any number of keys each."""

    def __init__(self, keys_of: KeysOf) -> None:
        self._keys_of = keys_of
        self._rows: dict[t.Hashable, dict[str, Object]] = {}

    def get(self, key: t.Hashable) -> list[Object]:
        """The objects under ``key``, oldest entry first."""
        return list(self._rows.get(key, _NOTHING).values())

    def count(self, key: t.Hashable) -> int:
        return len(self._rows.get(key, _NOTHING))

    def keys(self) -> t.Iterable[t.Hashable]:
        return self._rows.keys()

    def apply(self, old: Object | None, new: Object | None) -> None:
        """Replace ``old`` by ``new``; None for "was not there" and "is gone"."""
        before = list(self._keys_of(old)) if old is not None else []
        after = list(self._keys_of(new)) if new is not None else []
        if old is not None and before != after:
            place = _row_key(old)
            for key in before:
                if key in after:
                    continue
                row = self._rows.get(key)
                if row is not None:
                    row.pop(place, None)
                    if not row:
                        del self._rows[key]
        if new is not None:
            place = _row_key(new)
            for key in after:
                self._rows.setdefault(key, {})[place] = new


class Informers:
    """Subscribes to the store once and hands events to indexes first, then to handlers."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._indexes: dict[tuple[str, str], list[Index]] = {}
        self._handlers: dict[tuple[str, str], list[Handler]] = {}
        self._any: list[Handler] = []
        self._unsubscribe: t.Callable[[], None] | None = objects.subscribe(self._deliver)

    def index(self, resource: Resource, keys_of: KeysOf) -> Index:
        """A new index over the objects of ``resource``, filled with those there are."""
        index = Index(keys_of)
        for obj in self._objects.list(resource):
            index.apply(None, obj)
        self._indexes.setdefault((resource.group, resource.plural), []).append(index)
        return index

    def on(self, resource: Resource, handler: Handler) -> None:
        """Call ``handler`` for every later change of the resource's objects."""
        self._handlers.setdefault((resource.group, resource.plural), []).append(handler)

    def on_any(self, handler: Handler) -> None:
        """Call ``handler`` for every later change of any object."""
        self._any.append(handler)

    def stop(self) -> None:
        """Hear nothing any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _deliver(self, event: Event) -> None:
        place = (event.resource.group, event.resource.plural)
        new = None if event.type == DELETED else event.object
        for index in self._indexes.get(place, ()):
            index.apply(event.previous, new)
        for handler in self._handlers.get(place, ()):
            handler(event)
        for handler in self._any:
            handler(event)
