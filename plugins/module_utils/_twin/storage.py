# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the API server needs of a place that keeps objects: the object store is one, an aggregated API another.

An aggregated API server is a server of its own behind the same address. What both do alike, such as the rules
of metadata, patches and preconditions, ``api.py`` does for both; what is kept where is told here.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Callback, Entry, Event

R = t.TypeVar("R")

# A request that takes time: it yields how many seconds of the cluster's time pass before it goes on.
Steps = t.Generator[float, None, R]


class Readable(t.Protocol):
    """Lists, objects and events, as ``ObjectStore`` has them."""

    @property
    def revision(self) -> int: ...

    def entry(self, resource: Resource, namespace: str | None, name: str) -> Entry | None: ...

    def entries(self, resource: Resource, namespace: str | None = None, *, at: int | None = None) -> t.List[Entry]: ...

    def since(self, resource: Resource, revision: int) -> t.List[Event]: ...

    def subscribe(self, callback: Callback, resource: Resource | None = None) -> t.Callable[[], None]: ...


class Storage(Readable, t.Protocol):
    """Where objects of a resource are written, too."""

    def create(self, resource: Resource, obj: Object) -> Entry: ...

    def update(self, resource: Resource, obj: Object) -> Entry: ...

    def delete(self, resource: Resource, namespace: str | None, name: str) -> t.Any: ...


class AggregatedApi(Storage, t.Protocol):
    """One group version that a server of its own answers for."""

    @property
    def group_version(self) -> t.Tuple[str, str]: ...

    @property
    def kinds(self) -> t.Sequence[Kind]: ...

    @property
    def definitions(self) -> t.Mapping[str, Object]:
        """By plural, in the form of a CRD: the schema that bodies are decoded by, and the columns of tables."""

    @property
    def watched(self) -> Readable:
        """What watches read; lists and single objects come from the API itself."""

    def prepared(self, resource: Resource, obj: Object, old: Object | None) -> Object:
        """What is written for ``obj``, defaulted and checked. Raises ``Fault``. A dry run never comes here."""

    def deleting(self, resource: Resource, name: str, resource_version: str | None) -> Steps[None]:
        """Delete one object. Raises ``Fault``, and then may have done part of the work."""


def at_once(steps: Steps[R]) -> R:
    """Carry out a request in no time, for callers that cannot wait."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return t.cast(R, done.value)
