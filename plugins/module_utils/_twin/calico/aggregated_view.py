# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The objects of the v1 CRDs read as ``projectcalico.org/v3``: lists, single objects and events."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_form import (
    shown,
    with_read_defaults,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Callback, Entry, Event, ObjectStore

# Each resource of the view with the one that keeps it.
Kept = t.Mapping[Resource, Resource]


class AggregatedView:
    """Implements ``Readable``; ``defaults`` says whether what Calico fills in on read is there.

    A resource that nothing keeps is empty. Versions are those of the custom resources.
    """

    def __init__(self, objects: ObjectStore, kept: Kept, *, defaults: bool) -> None:
        self._objects = objects
        self._kept = kept
        self._defaults = defaults

    @property
    def revision(self) -> int:
        return self._objects.revision

    def entry(self, resource: Resource, namespace: str | None, name: str) -> Entry | None:
        below = self._kept.get(resource)
        found = self._objects.entry(below, None, name) if below is not None else None
        return None if found is None else self._entry(found, resource)

    def entries(self, resource: Resource, namespace: str | None = None, *, at: int | None = None) -> t.List[Entry]:
        below = self._kept.get(resource)
        if below is None:
            return []
        return [self._entry(entry, resource) for entry in self._objects.entries(below, None, at=at)]

    def since(self, resource: Resource, revision: int) -> t.List[Event]:
        below = self._kept.get(resource)
        if below is None:
            return []
        return [self._event(event, resource) for event in self._objects.since(below, revision)]

    def subscribe(self, callback: Callback, resource: Resource | None = None) -> t.Callable[[], None]:
        """Events of one resource; without one, of all that the view has."""
        wanted = [each for each in self._kept if resource in (None, each)]
        ends = [self._objects.subscribe(self._translating(callback, each), self._kept[each]) for each in wanted]

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe

    def _translating(self, callback: Callback, resource: Resource) -> Callback:
        return lambda event: callback(self._event(event, resource))

    def _event(self, event: Event, resource: Resource) -> Event:
        old = None if event.old is None else self._entry(event.old, resource)
        return Event(event.type, resource, self._entry(event.entry, resource), old)

    def _entry(self, entry: Entry, resource: Resource) -> Entry:
        return Entry(entry.key, self._shown(entry.object, resource), entry.revision)

    def _shown(self, stored: Object, resource: Resource) -> Object:
        view = shown(stored, resource)
        return with_read_defaults(view) if self._defaults else view
