# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's IPAM state in custom resources, with its compare-and-swap and its soft delete.

Every update carries the resourceVersion read before; a delete marks the record first, so
that it loses against any update in between (spec ipam-engine.md §2.4).
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    NODES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    CorruptRecord,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    AFFINITY_TYPE_LABEL,
    HOSTNAME_HASH_LABEL,
    IP_VERSION_LABEL,
    METADATA_ANNOTATION,
    affinity_name,
    block_name,
    handle_name,
    host_hash,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, pool_from_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import (
    Reservations,
    parse_reservations,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.schema_guard import SchemaGuard

T = t.TypeVar("T")


class _Page(t.Protocol):
    @property
    def items(self) -> t.List[Object]: ...


@t.runtime_checkable
class _Paged(t.Protocol):
    """A KubeApi that can hand out a list page by page."""

    def pages(self, resource: Resource) -> t.Iterator[_Page]: ...


class KubernetesStore:
    """Implements ``Datastore`` on a Kubernetes API; ``group`` is the one that is live (§1).

    A list with a record that cannot be understood raises CorruptRecord, or, with
    ``on_corrupt``, hands it the error and leaves the record out. To read one such record is
    an error always: "does not exist" would be a lie that a claim acts on.

    Errors of the API other than the answers named in ``Datastore`` pass through.
    """

    def __init__(
        self,
        api: KubeApi,
        group: str = CALICO_V1,
        on_corrupt: t.Optional[t.Callable[[CorruptRecord], object]] = None,
    ) -> None:
        self._api = api
        self._on_corrupt = on_corrupt
        self._guard = SchemaGuard(api)
        self.group = group
        v3 = group != CALICO_V1
        self.blocks = _in_group(IPAM_BLOCKS, group)
        self.affinities = _in_group(BLOCK_AFFINITIES, group)
        self.handles = _in_group(IPAM_HANDLES, group)
        self.ip_pools = _in_group(IP_POOLS, group)
        self.ip_reservations = _in_group(IP_RESERVATIONS, group)
        config = _in_group(IPAM_CONFIGS, group)
        self.config = replace(config, plural="ipamconfigurations", kind="IPAMConfiguration") if v3 else config

    # Blocks

    def get_block(self, cidr: Network) -> Stored[Block]:
        return _stored(self._get(self.blocks, block_name(cidr)), wire.decode_block)

    def list_blocks(self, version: t.Optional[int] = None) -> t.List[Stored[Block]]:
        found = self._decoded(self._list(self.blocks), wire.decode_block)
        return [stored for stored in found if version is None or stored.value.cidr.version == version]

    def blocks_in(self, network: Network) -> t.List[Stored[Block]]:
        inside = self._inside(self.raw_blocks(), network)
        return list(self._decoded(inside, wire.decode_block))

    def block_index(self) -> t.Mapping[Network, Stored[Block]]:
        return {stored.value.cidr: stored for stored in self.list_blocks()}

    def raw_blocks(self) -> t.Iterator[Object]:
        """Every block as it is stored, page by page: for clusters whose blocks are too many to hold."""
        return self._stream(self.blocks)

    def create_block(self, block: Block) -> Stored[Block]:
        return self._create(self.blocks, wire.encode_block(block, self.blocks), wire.decode_block)

    def update_block(self, stored: Stored[Block], block: Block) -> Stored[Block]:
        body = wire.encode_block(block, self.blocks, stored.origin)
        return self._update(self.blocks, body, stored.origin, wire.decode_block)

    def delete_block(self, stored: Stored[Block]) -> None:
        self._delete(self.blocks, stored.origin)

    # Affinity rows

    def get_affinity(self, host: str, affinity_type: str, cidr: Network) -> Stored[Affinity]:
        stored = _stored(self._get(self.affinities, affinity_name(host, cidr)), wire.decode_affinity)
        if stored.value.type != affinity_type:
            raise NotFoundInStore(f"{affinity_type} {host} has no affinity to {cidr}.", host=host, block=str(cidr))
        return stored

    def list_affinities(
        self,
        host: t.Optional[str] = None,
        affinity_type: t.Optional[str] = None,
        version: t.Optional[int] = None,
    ) -> t.List[Stored[Affinity]]:
        """With a host by label, as Calico does, so rows without labels are not seen (§2.3); without one, all rows."""
        labels: t.List[str] = []
        if host is not None:
            labels.append(f"{HOSTNAME_HASH_LABEL}={host_hash(host)}")
            if affinity_type is not None:
                labels.append(f"{AFFINITY_TYPE_LABEL}={affinity_type}")
            if version is not None:
                labels.append(f"{IP_VERSION_LABEL}={version}")
        rows = self._list(self.affinities, ",".join(labels) or None)
        return [
            stored
            for stored in self._decoded((row for row in rows if not wire.is_deleted(row)), wire.decode_affinity)
            if (host is None or stored.value.host == host)
            and (affinity_type is None or stored.value.type == affinity_type)
            and (version is None or stored.value.cidr.version == version)
        ]

    def raw_affinities(self) -> t.Iterator[Object]:
        """Every affinity row as it is stored, also those without labels and those being deleted, page by page."""
        return self._stream(self.affinities)

    def create_affinity(self, affinity: Affinity) -> Stored[Affinity]:
        return self._create(self.affinities, wire.encode_affinity(affinity, self.affinities), wire.decode_affinity)

    def update_affinity(self, stored: Stored[Affinity], affinity: Affinity) -> Stored[Affinity]:
        body = wire.encode_affinity(affinity, self.affinities, stored.origin)
        return self._update(self.affinities, body, stored.origin, wire.decode_affinity)

    def delete_affinity(self, stored: Stored[Affinity]) -> None:
        self._delete(self.affinities, stored.origin)

    # Handles

    def get_handle(self, handle_id: str) -> Stored[Handle]:
        return _stored(self._get(self.handles, handle_name(handle_id)), wire.decode_handle)

    def list_handles(self) -> t.List[Stored[Handle]]:
        return list(self._decoded(self._list(self.handles), wire.decode_handle))

    def handles_in(self, network: Network) -> t.List[Stored[Handle]]:
        found = self._decoded(self._stream(self.handles), wire.decode_handle)
        return [stored for stored in found if any(network.overlaps(cidr) for cidr in stored.value.blocks)]

    def raw_handles(self) -> t.Iterator[Object]:
        """Every handle as it is stored, page by page."""
        return self._stream(self.handles)

    def create_handle(self, handle: Handle) -> Stored[Handle]:
        return self._create(self.handles, wire.encode_handle(handle, self.handles), wire.decode_handle)

    def update_handle(self, stored: Stored[Handle], handle: Handle) -> Stored[Handle]:
        body = wire.encode_handle(handle, self.handles, stored.origin)
        return self._update(self.handles, body, stored.origin, wire.decode_handle)

    def delete_handle(self, stored: Stored[Handle]) -> None:
        self._delete(self.handles, stored.origin)

    def finish_deletes(self, network: Network) -> None:
        """Rows marked as deleted are seen by nobody who lists, and so would stay for ever."""
        for resource in (self.blocks, self.affinities):
            marked = filter(wire.is_deleted, self._stream(resource))
            for thing in list(self._inside(marked, network)):
                self._finish_delete(resource, thing)
        marked = filter(wire.is_deleted, self._stream(self.handles))
        for stored in list(self._decoded(marked, wire.decode_handle)):
            if any(network.overlaps(cidr) for cidr in stored.value.blocks):
                self._finish_delete(self.handles, stored.origin)

    # What is only read

    def pools(self) -> t.Sequence[Pool]:
        found: t.List[Pool] = []
        for thing in self._list(self.ip_pools):
            try:
                pool = pool_from_object(thing)
            except InvalidInput:
                continue  # a pool whose CIDR does not parse takes part in nothing
            if pool.terminating and self.group == CALICO_V1 and _packed(thing):
                # The packed metadata hides a deletionTimestamp of the custom resource (spec ippool.md §1.1).
                pool = replace(pool, terminating=False)
            found.append(pool)
        return sorted(found, key=lambda pool: pool.name)

    def reservations(self) -> Reservations:
        try:
            things = self._list(self.ip_reservations)
        except (NotFound, UnknownResource):
            return Reservations()  # Calico before v3.22 does not have the kind
        return parse_reservations(entry for thing in things for entry in wire.reserved_cidrs(thing))

    def settings(self) -> Settings:
        """The stored settings; a cooldown only where the server keeps what it needs (see ``schema_guard``)."""
        try:
            settings = wire.decode_settings(self._api.get(self.config, "default"), self.group)
        except (NotFound, UnknownResource):
            return Settings()
        if settings.cooldown_seconds and not self._guard.cools(self.blocks):
            return replace(settings, cooldown_seconds=0)
        return settings

    def node_labels(self, node: str) -> t.Mapping[str, str]:
        try:
            return calico_labels(self._api.get(NODES, node))
        except NotFound:
            raise NotFoundInStore(f"Node {node} does not exist.", node=node) from None

    # The protocol of the store (§2.4)

    def _get(self, resource: Resource, name: str) -> Object:
        try:
            thing = self._api.get(resource, name)
        except NotFound:
            raise _missing(resource, name) from None
        if wire.is_deleted(thing):
            self._finish_delete(resource, thing)
            raise _missing(resource, name)
        return thing

    def _list(self, resource: Resource, label_selector: t.Optional[str] = None) -> t.List[Object]:
        return self._api.list(resource, label_selector=label_selector).items

    def _stream(self, resource: Resource) -> t.Iterator[Object]:
        if isinstance(self._api, _Paged):
            for page in self._api.pages(resource):
                yield from page.items
        else:
            yield from self._list(resource)

    def _decoded(self, things: t.Iterable[Object], decode: t.Callable[[Object], T]) -> t.Iterator[Stored[T]]:
        for thing in things:
            try:
                stored = _stored(thing, decode)
            except CorruptRecord as error:
                self._report(error)
            else:
                yield stored

    def _inside(self, things: t.Iterable[Object], network: Network) -> t.Iterator[Object]:
        """Those blocks or rows that overlap a range; where a record without a CIDR lies nobody can tell."""
        for thing in things:
            try:
                inside = network.overlaps(wire.block_cidr(thing))
            except CorruptRecord as error:
                self._report(error)
            else:
                if inside:
                    yield thing

    def _report(self, error: CorruptRecord) -> None:
        if self._on_corrupt is None:
            raise error
        self._on_corrupt(error)

    def _create(self, resource: Resource, body: Object, decode: t.Callable[[Object], T]) -> Stored[T]:
        try:
            return _stored(self._api.create(resource, self._guard.fit(resource, body)), decode)
        except AlreadyExists:
            name = body["metadata"]["name"]
            raise AlreadyInStore(f"{resource.kind} {name} exists already.", name=name) from None

    def _update(self, resource: Resource, body: Object, origin: Object, decode: t.Callable[[Object], T]) -> Stored[T]:
        return _stored(self._replace(resource, self._guard.fit(resource, body, origin)), decode)

    def _replace(self, resource: Resource, body: Object) -> Object:
        name = body["metadata"]["name"]
        try:
            return self._api.replace(resource, body)
        except Conflict:
            raise UpdateConflict(f"{resource.kind} {name} changed since it was read.", name=name) from None
        except NotFound:
            raise _missing(resource, name) from None

    def _delete(self, resource: Resource, origin: Object) -> None:
        self._replace(resource, wire.mark_deleted(origin, resource))
        self._finish_delete(resource, origin)

    def _finish_delete(self, resource: Resource, thing: Object) -> None:
        """Remove a record marked as deleted; that somebody else did so, or made a new one, is fine."""
        metadata = thing["metadata"]
        with contextlib.suppress(NotFound, Conflict):
            self._api.delete(resource, metadata["name"], uid=metadata.get("uid"))


def _in_group(resource: Resource, group: str) -> Resource:
    return resource if group == CALICO_V1 else replace(resource, group=group, version="v3")


def _stored(thing: Object, decode: t.Callable[[Object], T]) -> Stored[T]:
    return Stored(decode(thing), thing["metadata"].get("resourceVersion"), thing)


def _packed(thing: Object) -> bool:
    return METADATA_ANNOTATION in (thing["metadata"].get("annotations") or {})


def _missing(resource: Resource, name: str) -> NotFoundInStore:
    return NotFoundInStore(f"{resource.kind} {name} does not exist.", name=name)
