# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The API in process: what the twin's own controllers, kubelets and CNI talk to.

Implements ``KubeApi`` directly on the ``ApiServer``: the same rules and the same errors as over
HTTP, without HTTP, without authorization and without copying. Objects are shared with the store:
never change one in place.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import errors
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import (
    Listing,
    Object,
    Resource,
    WatchEvent,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import filter_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event, HistoryGone
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import (
    STRICT,
    Answer,
    DeleteOptions,
    ListOptions,
    WriteOptions,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.patch import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, too_old, unavailable
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.transitions import visible

_PATCH_TYPES = {"merge": MERGE_PATCH, "json": JSON_PATCH, "strategic": STRATEGIC_PATCH}
_BY_CODE: dict[int, type[errors.ApiError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    410: errors.Expired,
    422: errors.Invalid,
    429: errors.TooManyRequests,
}


def error_of(fault: Fault) -> errors.ApiError:
    """The exception a client makes of that answer."""
    kind = _BY_CODE.get(fault.code)
    if fault.code == 404 and not fault.body.get("details"):
        kind = errors.UnknownResource
    if kind is None and fault.code == 409:
        kind = errors.AlreadyExists if fault.reason == "AlreadyExists" else errors.Conflict
    if kind is None:
        kind = errors.ServerError if fault.code >= 500 else errors.ApiError
    retry = fault.headers.get("Retry-After")
    return kind(fault.message, fault.code, fault.reason, fault.body, float(retry) if retry else None)


R = t.TypeVar("R")


class LocalApi:
    """``KubeApi`` on an ``ApiServer`` in the same process; ``user`` is who the writes are made by."""

    def __init__(self, api: ApiServer, user: str = "system:kube-controller-manager") -> None:
        self.server = api
        self.user = user

    def _call(self, function: t.Callable[[], R]) -> R:
        try:
            return function()
        except Fault as fault:
            raise error_of(fault) from None

    def _options(self, dry_run: bool) -> WriteOptions:
        return WriteOptions(dry_run=dry_run, field_validation=STRICT, user=self.user)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self._call(lambda: self.server.get(resource, name, namespace))

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Listing:
        options = ListOptions(label_selector=label_selector, field_selector=field_selector)
        page = self._call(lambda: self.server.list(resource, namespace, options))
        return Listing([entry.object for entry in page.entries], str(page.resource_version))

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        home = namespace or _namespace_of(resource, body)
        return self._call(lambda: self.server.create(resource, body, home, self._options(dry_run))).object

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        home, name = namespace or _namespace_of(resource, body), body["metadata"]["name"]
        return self._call(
            lambda: self.server.replace(resource, name, body, home, self._options(dry_run), subresource=subresource)
        ).object

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
        media_type = _PATCH_TYPES[patch_type]
        return self._call(
            lambda: self.server.patch(
                resource, name, body, media_type, namespace, self._options(dry_run), subresource=subresource
            )
        ).object

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
        options = DeleteOptions(grace_seconds, uid, resource_version, propagation, dry_run, self.user)
        self._call(lambda: self.server.delete(resource, name, namespace, options))

    def evict(self, name: str, namespace: str, *, uid: str | None = None, dry_run: bool = False) -> None:
        body: Object = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        if uid is not None:
            body["deleteOptions"] = {"preconditions": {"uid": uid}}
        self.create_subresource(PODS, name, "eviction", body, namespace, dry_run=dry_run)

    def create_subresource(
        self,
        resource: Resource,
        name: str,
        subresource: str,
        body: Object,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
    ) -> Answer:
        """POST to a subresource (the scheduler's pods/binding)."""
        return self._call(
            lambda: self.server.create_subresource(resource, name, subresource, body, namespace, self._options(dry_run))
        )

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
        """The events that have happened already; to be called at each, use ``subscribe``."""
        kind = self._call(lambda: self.server.served.kind_of(resource))
        options = ListOptions(label_selector=label_selector, field_selector=field_selector)
        chosen = self._call(lambda: filter_of(kind, options))
        try:
            events = self.server.watched(resource).since(resource, int(resource_version))
        except HistoryGone as gone:
            raise error_of(too_old(gone.wanted, gone.oldest)) from None
        for event in events:
            seen = visible(event, namespace, chosen)
            if seen is not None:
                yield WatchEvent(*seen)

    def api_groups(self) -> frozenset[str]:
        """Every ``group/version`` that is served."""
        return frozenset(f"{group}/{version}" for group, version in self.server.served.group_versions() if group)

    def api_resources(self, group: str, version: str) -> frozenset[str]:
        """The plural names of the resources in one group and version. Raises ``ServerError`` 503 when it is down."""
        if not self.server.served.is_available(group, version):
            raise error_of(unavailable())
        return frozenset(kind.resource.plural for kind in self.server.served.of_version(group, version))

    def subscribe(self, resource: Resource, callback: t.Callable[[Event], None]) -> t.Callable[[], None]:
        """Call ``callback`` with every event of a resource from now on; the answer unsubscribes."""
        return self.server.watched(resource).subscribe(callback, resource)


def _namespace_of(resource: Resource, body: Object) -> str | None:
    if not resource.namespaced:
        return None
    return t.cast("str | None", (body.get("metadata") or {}).get("namespace"))
