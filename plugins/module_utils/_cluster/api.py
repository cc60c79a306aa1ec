# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The one interface through which everything talks to a Kubernetes API.

``client.py`` implements it over HTTPS with the configuration of the ``kubernetes``
package; the embedded cluster implements it in process, so that its controllers and its
CNI run the same code as the modules do. Objects are plain dicts, as on the wire.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Object = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Resource:
    """One resource type of the API: where its objects live and what they are called."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Listing:
    """All items of a list (every page), with the resourceVersion to watch from.

    Items always carry ``kind`` and ``apiVersion``, also where the server leaves them out.
    """

    items: list[Object]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent:
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


class KubeApi(t.Protocol):
    """Every call raises a subclass of ``ClusterError`` when it does not succeed."""

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object: ...

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Listing: ...

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """POST with strict field validation."""

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """PUT with strict field validation; ``metadata.resourceVersion`` makes it a compare-and-swap."""

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
        """PATCH; ``patch_type`` is ``merge``, ``json`` or ``strategic``."""

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
    ) -> None: ...

    def evict(self, name: str, namespace: str, *, uid: str | None = None, dry_run: bool = False) -> None:
        """POST to the pod's eviction subresource; raises ``TooManyRequests`` when a budget refuses."""

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
        """Events after ``resource_version``; ends when the server ends the stream.

        Raises ``Expired`` when the version is too old: list again and watch from there.
        """
