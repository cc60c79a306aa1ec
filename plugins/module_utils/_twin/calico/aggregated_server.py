# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's aggregated API server: ``projectcalico.org/v3`` kept in the v1 CRDs (spec ippool.md §3.2, §4, §5.1).

Every write goes through the API server again, as a write of the custom resource by Calico's service account, so
that the rules of the schema (K) run there. What they refuse reaches the client as a 500 with their text in it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_form import (
    shown,
    stored_form,
    with_read_defaults,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_kinds import (
    KEPT,
    definitions,
    kinds,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_rules import (
    check_reservation,
    prepared_pool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_view import AggregatedView
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Callback, Entry, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import DeleteOptions, WriteOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Fault,
    conflict,
    internal_error,
    not_found,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.storage import Readable, Steps, at_once

USER = "system:serviceaccount:calico-apiserver:calico-apiserver"
# Between switching a pool off and taking its blocks away, so that assignments in flight can finish.
_PAUSE = 0.5


class AggregatedServer:
    """Implements ``AggregatedApi`` on the ``ApiServer`` that it is behind of."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._store = KubernetesStore(LocalApi(server, USER))
        self._view = AggregatedView(server.objects, KEPT, defaults=True)
        self._watched = AggregatedView(server.objects, KEPT, defaults=False)

    @property
    def group_version(self) -> tuple[str, str]:
        return (CRD_V3.pools.group, CRD_V3.pools.version)

    @property
    def kinds(self) -> t.Sequence[Kind]:
        return kinds()

    @property
    def definitions(self) -> t.Mapping[str, Object]:
        return definitions()

    # ---- reading

    @property
    def watched(self) -> Readable:
        return self._watched

    @property
    def revision(self) -> int:
        return self._view.revision

    def entry(self, resource: Resource, namespace: str | None, name: str) -> Entry | None:
        return self._view.entry(resource, namespace, name)

    def entries(self, resource: Resource, namespace: str | None = None, *, at: int | None = None) -> t.List[Entry]:
        return self._view.entries(resource, namespace, at=at)

    def since(self, resource: Resource, revision: int) -> t.List[Event]:
        return self._watched.since(resource, revision)

    def subscribe(self, callback: Callback, resource: Resource | None = None) -> t.Callable[[], None]:
        return self._watched.subscribe(callback, resource)

    # ---- writing

    def prepared(self, resource: Resource, obj: Object, old: Object | None) -> Object:
        """Defaults, then the rules marked C. Raises the 422 ``Fault``, or a 500 for what Calico has no words for."""
        if resource == CRD_V3.pools:
            # The status of a pool is nothing that those rules look at.
            if old is not None and obj.get("spec") == old.get("spec") and obj["metadata"] == old["metadata"]:
                return obj
            return prepared_pool(obj, old, self._pools, self._blocks)
        if resource == CRD_V3.reservations:
            check_reservation(obj)
        elif resource == CRD_V3.affinities:
            raise _read_only("create" if old is None else "update")
        elif resource == CRD_V3.config and old is None and obj["metadata"]["name"] != "default":
            raise internal_error("IPAM config resource name has to be default")
        return obj

    def _pools(self) -> t.Iterable[Pool]:
        return self._store.pools()

    def _blocks(self) -> t.Iterable[Network]:
        return self._store.block_index()

    def create(self, resource: Resource, obj: Object) -> Entry:
        metadata = {key: value for key, value in obj["metadata"].items() if key != "uid"}
        return self._written(resource, self._create, {**obj, "metadata": metadata})

    def _create(self, below: Resource, body: Object) -> Object:
        return self._server.create(below, body, options=_options()).object

    def update(self, resource: Resource, obj: Object) -> Entry:
        """The main resource and the status are never changed by the same request."""
        present = self._view.entry(resource, None, obj["metadata"]["name"])
        status_only = present is not None and {**present.object, "status": obj.get("status")} == obj
        return self._written(resource, self._replace_status if status_only else self._replace, obj)

    def _replace(self, below: Resource, body: Object) -> Object:
        return self._server.replace(below, body["metadata"]["name"], body, options=_options()).object

    def _replace_status(self, below: Resource, body: Object) -> Object:
        name = body["metadata"]["name"]
        return self._server.replace(below, name, body, options=_options(), subresource="status").object

    def _written(self, resource: Resource, write: t.Callable[[Resource, Object], Object], obj: Object) -> Entry:
        try:
            stored = write(KEPT[resource], stored_form(obj, KEPT[resource]))
        except Fault as fault:
            if fault.code == 404:
                raise not_found(resource, obj["metadata"]["name"]) from None
            if fault.code == 409:
                raise conflict(resource, obj["metadata"]["name"]) from None
            raise internal_error(fault.message) from None
        view = with_read_defaults(shown(stored, resource))
        return Entry(view["metadata"]["name"], view, int(view["metadata"]["resourceVersion"]))

    # ---- deleting

    def delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        at_once(self.deleting(resource, name, None))

    def deleting(self, resource: Resource, name: str, resource_version: str | None) -> Steps[None]:
        """Spec ippool.md §5.1. A pool that cannot be let go of completely is left disabled."""
        if resource == CRD_V3.affinities:
            raise _read_only("delete")
        if resource == CRD_V3.pools:
            yield from self._let_go(name, resource_version)
        try:
            self._server.delete(KEPT[resource], name, options=DeleteOptions(user=USER))
        except Fault as fault:
            raise not_found(resource, name) if fault.code == 404 else internal_error(fault.message) from None

    def _let_go(self, name: str, resource_version: str | None) -> Steps[None]:
        present = self._view.entry(CRD_V3.pools, None, name)
        if present is None:
            raise not_found(CRD_V3.pools, name)
        spec = present.object.get("spec") or {}
        if not spec.get("disabled"):
            self._disable(present.object, resource_version)
        yield _PAUSE
        try:
            release_pool_affinities(
                self._store, parse_network(spec.get("cidr"), strict=False), now=self._server.clock.now
            )
        except (IpamError, ApiError) as error:
            raise internal_error(str(error)) from None

    def _disable(self, pool: Object, resource_version: str | None) -> None:
        """A full update; whatever refuses it shows as a 500 during DELETE."""
        metadata = dict(pool["metadata"])
        if resource_version:
            metadata["resourceVersion"] = resource_version
        disabled = {**pool, "metadata": metadata, "spec": {**(pool.get("spec") or {}), "disabled": True}}
        try:
            self.update(CRD_V3.pools, self.prepared(CRD_V3.pools, disabled, pool))
        except Fault as fault:
            if fault.code == 422:
                raise internal_error(fault.message) from None
            raise


def _read_only(verb: str) -> Fault:
    """Every verb is announced for affinities; only a dry run of a write passes."""
    return internal_error(f"Unable to {verb} block affinity. Block affinity resources are read-only.")


def _options() -> WriteOptions:
    return WriteOptions(user=USER, field_validation="Ignore")
