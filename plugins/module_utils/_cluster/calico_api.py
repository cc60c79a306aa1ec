# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One interface to Calico's kinds, wherever this cluster's installation of Calico keeps them.

Whoever asks for pools says ``IP_POOLS``; the request goes to the group that is live, with the
group's names in the body. Nothing else in this collection translates groups.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import (
    KubeApi,
    Listing,
    Object,
    Resource,
    WatchEvent,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import KINDS, places_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Location


class _Page(t.Protocol):
    @property
    def items(self) -> list[Object]: ...

    @property
    def resource_version(self) -> str: ...


@t.runtime_checkable
class _Paged(t.Protocol):
    def pages(self, resource: Resource, namespace: str | None = None, **options: t.Any) -> t.Iterator[_Page]: ...


@t.runtime_checkable
class _Documented(t.Protocol):
    def openapi(self, group: str, version: str) -> Object: ...


@dataclass(frozen=True)
class _OnePage:
    items: list[Object]
    resource_version: str


class CalicoApi:
    """Implements ``KubeApi`` and ``pages`` on another one, ``raw``.

    ``locate`` finds out where Calico's kinds are; it is asked once, at the first request for one of
    them. What is not Calico's goes to ``raw`` as it is. With ``elsewhere``, Calico's kinds are asked
    of that API and never of ``raw``: Calico keeps them in an etcd of its own.

    Answers come back as the server gave them, so an object may say ``projectcalico.org/v3``.
    The resourceVersion of a list belongs to the resource that was listed, as everywhere.
    """

    def __init__(
        self,
        raw: KubeApi,
        locate: t.Callable[[KubeApi], Location],
        elsewhere: KubeApi | None = None,
    ) -> None:
        self.raw = raw
        self.elsewhere = elsewhere
        self._locate = locate
        self._location: Location | None = None

    @property
    def location(self) -> Location:
        """Where Calico's kinds are, as it was when it was first asked for. Raises ``ClusterError``."""
        if self._location is None:
            self._location = self._locate(self.raw)
        return self._location

    def place(self, resource: Resource) -> Resource:
        """What a kind of Calico is called in the group that is live; any other resource as it is."""
        if self.elsewhere is not None or resource not in KINDS:
            return resource
        return places_of(self.location.mode.value)[resource]

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self._at(resource).get(self.place(resource), name, namespace)

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Listing:
        return self._at(resource).list(
            self.place(resource), namespace, label_selector=label_selector, field_selector=field_selector
        )

    def pages(self, resource: Resource, namespace: str | None = None, **options: t.Any) -> t.Iterator[_Page]:
        """A list page by page, or in one page where the API below cannot do so."""
        api, place = self._at(resource), self.place(resource)
        if isinstance(api, _Paged):
            yield from api.pages(place, namespace, **options)
            return
        options.pop("limit", None)
        found = api.list(place, namespace, **options)
        yield _OnePage(found.items, found.resource_version)

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        place = self.place(resource)
        return self._at(resource).create(place, _named(body, resource, place), namespace, dry_run=dry_run)

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        place = self.place(resource)
        return self._at(resource).replace(
            place, _named(body, resource, place), namespace, subresource=subresource, dry_run=dry_run
        )

    def patch(
        self,
        resource: Resource,
        name: str,
        body: t.Any,
        namespace: str | None = None,
        *,
        patch_type: str = "merge",
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        place = self.place(resource)
        if isinstance(body, dict) and ("apiVersion" in body or "kind" in body):
            body = _named(body, resource, place)
        return self._at(resource).patch(
            place, name, body, namespace, patch_type=patch_type, subresource=subresource, dry_run=dry_run
        )

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
        dry_run: bool = False,
    ) -> None:
        self._at(resource).delete(
            self.place(resource),
            name,
            namespace,
            uid=uid,
            resource_version=resource_version,
            grace_seconds=grace_seconds,
            propagation=propagation,
            dry_run=dry_run,
        )

    def evict(self, name: str, namespace: str, *, uid: str | None = None, dry_run: bool = False) -> None:
        self.raw.evict(name, namespace, uid=uid, dry_run=dry_run)

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_seconds: int | None = None,
    ) -> t.Iterator[WatchEvent]:
        return self._at(resource).watch(
            self.place(resource),
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            timeout_seconds=timeout_seconds,
        )

    def openapi(self, group: str, version: str) -> Object:
        """The server's OpenAPI v3 document; ``UnknownResource`` when it has none of that group."""
        if not isinstance(self.raw, _Documented):
            raise UnknownResource(f"There is no OpenAPI document of {group}/{version}.", 404)
        return self.raw.openapi(group, version)

    def _at(self, resource: Resource) -> KubeApi:
        return self.elsewhere if self.elsewhere is not None and resource in KINDS else self.raw


def _named(body: Object, resource: Resource, place: Resource) -> Object:
    """The body with the names that its kind has in its place."""
    return body if place == resource else {**body, "apiVersion": place.api_version, "kind": place.kind}
