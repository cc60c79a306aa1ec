# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A ``KubeApi`` whose every write first makes sure that it may still be sent."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import (
    KubeApi,
    Listing,
    Object,
    Resource,
    WatchEvent,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, UnknownResource


@t.runtime_checkable
class _Paged(t.Protocol):
    def pages(self, resource: Resource, namespace: str | None = None, **options: t.Any) -> t.Iterator[t.Any]: ...


@t.runtime_checkable
class _Discovering(t.Protocol):
    def api_groups(self) -> frozenset[str]: ...

    def api_resources(self, group: str, version: str) -> frozenset[str]: ...


@t.runtime_checkable
class _Documented(t.Protocol):
    def openapi(self, group: str, version: str) -> Object: ...


class FencedApi:
    """Implements ``KubeApi`` on another one; ``require`` raises when no write may be sent any more."""

    def __init__(self, api: KubeApi, require: t.Callable[[], None]) -> None:
        self.api = api
        self._require = require

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self.api.get(resource, name, namespace)

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Listing:
        return self.api.list(resource, namespace, label_selector=label_selector, field_selector=field_selector)

    def pages(self, resource: Resource, namespace: str | None = None, **options: t.Any) -> t.Iterator[t.Any]:
        """A list page by page, or in one page where the API below cannot do so."""
        if isinstance(self.api, _Paged):
            yield from self.api.pages(resource, namespace, **options)
            return
        options.pop("limit", None)
        yield self.api.list(resource, namespace, **options)

    def api_groups(self) -> frozenset[str]:
        """Every ``group/version`` of the API; NotFound where it cannot tell."""
        if not isinstance(self.api, _Discovering):
            raise NotFound("This API has no list of its groups.", 404, "NotFound")
        return self.api.api_groups()

    def api_resources(self, group: str, version: str) -> frozenset[str]:
        """The plural names in one group and version; NotFound where it cannot tell."""
        if not isinstance(self.api, _Discovering):
            raise NotFound("This API has no list of its resources.", 404, "NotFound")
        return self.api.api_resources(group, version)

    def openapi(self, group: str, version: str) -> Object:
        """The OpenAPI v3 document; UnknownResource when there is none of that group."""
        if not isinstance(self.api, _Documented):
            raise UnknownResource(f"There is no OpenAPI document of {group}/{version}.", 404)
        return self.api.openapi(group, version)

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
        return self.api.watch(
            resource,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            timeout_seconds=timeout_seconds,
        )

    # Writes

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        self._require()
        return self.api.create(resource, body, namespace, dry_run=dry_run)

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        self._require()
        return self.api.replace(resource, body, namespace, subresource=subresource, dry_run=dry_run)

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
        self._require()
        return self.api.patch(
            resource, name, body, namespace, patch_type=patch_type, subresource=subresource, dry_run=dry_run
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
        self._require()
        self.api.delete(
            resource,
            name,
            namespace,
            uid=uid,
            resource_version=resource_version,
            grace_seconds=grace_seconds,
            propagation=propagation,
            dry_run=dry_run,
        )

    def evict(self, name: str, namespace: str, *, uid: str | None = None, dry_run: bool = False) -> None:
        self._require()
        self.api.evict(name, namespace, uid=uid, dry_run=dry_run)
