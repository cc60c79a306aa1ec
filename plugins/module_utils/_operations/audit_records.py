# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where an audit reads IPAM records: as they are stored, one by one, and single ones once more."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import AFFINITY, BLOCK, HANDLE
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

#: So many single objects are read again by name; for more the whole list is read once more.
SINGLE = 200

# Names that can be asked for; others cannot be the name of an object at all.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class RawStore(t.Protocol):
    """Every store offers its records in the shape of custom resources, damaged ones included."""

    def raw_blocks(self) -> t.Iterator[Object]: ...

    def raw_affinities(self) -> t.Iterator[Object]: ...

    def raw_handles(self) -> t.Iterator[Object]: ...


class Records(RawStore, t.Protocol):
    """What an audit needs of a datastore. It only reads: not even a deletion begun by others is finished."""

    @property
    def kubernetes(self) -> bool:
        """Whether names and labels of the records mean something."""

    def again(self, kind: str, names: t.Collection[str]) -> t.Iterator[tuple[str, Object | None]]:
        """The named records as they are now; None for those that are gone."""

    def settings(self) -> Object | None: ...

    def reservations(self) -> list[Object]: ...


@t.runtime_checkable
class _Paged(t.Protocol):
    def pages(self, resource: Resource) -> t.Iterator[t.Any]: ...


class KubernetesRecords:
    """``Records`` in custom resources of one group."""

    kubernetes = True

    def __init__(self, api: KubeApi, group: str = CALICO_V1) -> None:
        self._api = api
        self._store = KubernetesStore(api, group)
        self._resources = {
            BLOCK: self._store.blocks,
            AFFINITY: self._store.affinities,
            HANDLE: self._store.handles,
        }

    def raw_blocks(self) -> t.Iterator[Object]:
        return self._list(BLOCK)

    def raw_affinities(self) -> t.Iterator[Object]:
        return self._list(AFFINITY)

    def raw_handles(self) -> t.Iterator[Object]:
        return self._list(HANDLE)

    def again(self, kind: str, names: t.Collection[str]) -> t.Iterator[tuple[str, Object | None]]:
        yield from things_again(self._api, self._resources[kind], names)

    def settings(self) -> Object | None:
        try:
            return self._api.get(self._store.config, "default")
        except (NotFound, UnknownResource):
            return None

    def reservations(self) -> list[Object]:
        try:
            return self._api.list(self._store.ip_reservations).items
        except (NotFound, UnknownResource):
            return []

    def _list(self, kind: str) -> t.Iterator[Object]:
        return stream(self._api, self._resources[kind])


def stream(api: KubeApi, resource: Resource) -> t.Iterator[Object]:
    """Every object of a type, page by page where the API can do so."""
    if isinstance(api, _Paged):
        for page in api.pages(resource):
            yield from page.items
    else:
        yield from api.list(resource).items


def things_again(api: KubeApi, resource: Resource, names: t.Collection[str]) -> t.Iterator[tuple[str, Object | None]]:
    """Objects by name (``namespace/name`` where they have one) as they are now; None for those that are gone."""
    if len(names) > SINGLE:
        left = set(names)
        for thing in stream(api, resource):
            name = full_name(thing)
            if name in left:
                left.discard(name)
                yield name, thing
        for name in left:
            yield name, None
        return
    for full in names:
        namespace, _slash, name = full.rpartition("/")
        if not _NAME.fullmatch(name) or (namespace and not _NAME.fullmatch(namespace)):
            continue
        try:
            yield full, api.get(resource, name, namespace or None)
        except NotFound:
            yield full, None


def full_name(thing: Object) -> str:
    """``namespace/name``, or the name alone where there is no namespace."""
    metadata = thing["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def optional(read: t.Callable[[], t.Iterable[Object]]) -> list[Object] | None:
    """What ``read`` lists; None when the cluster does not serve it or we may not see it."""
    try:
        return list(read())
    except (NotFound, UnknownResource, Forbidden):
        return None
