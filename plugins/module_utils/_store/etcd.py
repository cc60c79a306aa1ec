# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's IPAM state in its own etcd (spec ipam-engine.md §1, §3)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    CorruptRecord,
    NotFoundInStore,
    Stored,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, pool_from_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import (
    Reservations,
    parse_reservations,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_keys, etcd_wire, wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_records import (
    create_row,
    delete_row,
    get_row,
    update_row,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_wire import AFFINITY, BLOCK, HANDLE, Form

T = t.TypeVar("T")
OnCorrupt = t.Callable[[CorruptRecord], object]


@dataclass(frozen=True)
class _Origin:
    """Where and as what a record was read: the bytes, and the custom resource made of them."""

    key: str
    value: bytes
    thing: Object


class EtcdStore:
    """Implements ``Datastore`` on etcd.

    Lists are in the byte order of the keys and show one moment each, however long they are.
    A record that cannot be read raises CorruptRecord from a list, unless ``on_corrupt`` takes
    it, and then it is left out. Keys of a form that Calico does not use are passed over, as
    Calico does. Errors of the client pass through.
    """

    def __init__(self, client: EtcdClient, *, on_corrupt: t.Optional[OnCorrupt] = None) -> None:
        self._client = client
        self._on_corrupt = on_corrupt

    # Blocks

    def get_block(self, cidr: Network) -> Stored[Block]:
        return _stored(BLOCK, get_row(self._client, etcd_keys.block_key(cidr), f"Block {cidr}"))

    def list_blocks(self, version: t.Optional[int] = None) -> t.List[Stored[Block]]:
        return list(self._blocks(version))

    def blocks_in(self, network: Network) -> t.List[Stored[Block]]:
        """A block elsewhere is not decoded: it may be damaged."""
        inside = (row for row in self._rows([etcd_keys.block_prefix(network.version)]) if _inside(row, network))
        return list(self._decoded(BLOCK, inside))

    def block_index(self) -> t.Mapping[Network, Stored[Block]]:
        return {stored.value.cidr: stored for stored in self._blocks()}

    def raw_blocks(self) -> t.Iterator[Object]:
        """Every block as the custom resource it would be, also those that cannot be decoded."""
        return self._raw(BLOCK, [etcd_keys.BLOCKS])

    def create_block(self, block: Block) -> Stored[Block]:
        return self._create(BLOCK, etcd_keys.block_key(block.cidr), block, f"Block {block.cidr}")

    def update_block(self, stored: Stored[Block], block: Block) -> Stored[Block]:
        return self._update(BLOCK, stored, block, f"Block {stored.value.cidr}")

    def delete_block(self, stored: Stored[Block]) -> None:
        self._delete(stored, f"Block {stored.value.cidr}")

    # Affinity rows

    def get_affinity(self, host: str, affinity_type: str, cidr: Network) -> Stored[Affinity]:
        key = etcd_keys.affinity_key(host, affinity_type, cidr)
        return _stored(AFFINITY, get_row(self._client, key, f"Affinity of {affinity_type} {host} to {cidr}"))

    def list_affinities(
        self,
        host: t.Optional[str] = None,
        affinity_type: t.Optional[str] = None,
        version: t.Optional[int] = None,
    ) -> t.List[Stored[Affinity]]:
        """Rows of hosts and of virtual owners alike, where Calico's own list without a type misses the latter."""
        prefixes = etcd_keys.affinity_prefixes(host, affinity_type, version)
        return [
            stored
            for stored in self._decoded(AFFINITY, self._rows(prefixes))
            if not stored.value.deleted and (version is None or stored.value.cidr.version == version)
        ]

    def raw_affinities(self) -> t.Iterator[Object]:
        """Every affinity row as the custom resource it would be, also those that cannot be decoded."""
        return self._raw(AFFINITY, etcd_keys.affinity_prefixes())

    def create_affinity(self, affinity: Affinity) -> Stored[Affinity]:
        key = etcd_keys.affinity_key(affinity.host, affinity.type, affinity.cidr)
        return self._create(AFFINITY, key, affinity, _row_text(affinity))

    def update_affinity(self, stored: Stored[Affinity], affinity: Affinity) -> Stored[Affinity]:
        return self._update(AFFINITY, stored, affinity, _row_text(stored.value))

    def delete_affinity(self, stored: Stored[Affinity]) -> None:
        self._delete(stored, _row_text(stored.value))

    # Handles

    def get_handle(self, handle_id: str) -> Stored[Handle]:
        """Ids that differ only in case are two handles here."""
        return _stored(HANDLE, get_row(self._client, etcd_keys.handle_key(handle_id), f"Handle {handle_id}"))

    def list_handles(self) -> t.List[Stored[Handle]]:
        return list(self._handles())

    def handles_in(self, network: Network) -> t.List[Stored[Handle]]:
        return [stored for stored in self._handles() if any(network.overlaps(cidr) for cidr in stored.value.blocks)]

    def raw_handles(self) -> t.Iterator[Object]:
        """Every handle as the custom resource it would be, also those that cannot be decoded."""
        return self._raw(HANDLE, [etcd_keys.HANDLES])

    def create_handle(self, handle: Handle) -> Stored[Handle]:
        key = etcd_keys.handle_key(handle.id)
        return self._create(HANDLE, key, handle, f"Handle {handle.id}")

    def update_handle(self, stored: Stored[Handle], handle: Handle) -> Stored[Handle]:
        return self._update(HANDLE, stored, handle, f"Handle {stored.value.id}")

    def delete_handle(self, stored: Stored[Handle]) -> None:
        self._delete(stored, f"Handle {stored.value.id}")

    def finish_deletes(self, network: Network) -> None:
        """Nothing to do: a delete is one step here."""

    # What is only read

    def pools(self) -> t.Sequence[Pool]:
        found: t.List[Pool] = []
        for thing in self.resources("ippools", "IPPool"):
            try:
                found.append(pool_from_object(thing))
            except InvalidInput:
                continue  # a pool whose CIDR does not parse takes part in nothing
        return sorted(found, key=lambda pool: pool.name)

    def reservations(self) -> Reservations:
        return parse_reservations(
            entry for thing in self.resources("ipreservations", "IPReservation") for entry in wire.reserved_cidrs(thing)
        )

    def settings(self) -> Settings:
        row = self._client.get(etcd_keys.SETTINGS)
        return Settings() if row is None else etcd_wire.decode_settings(row)

    def raw_settings(self) -> t.Optional[Object]:
        """The settings as the custom resource they would be; None when there are none."""
        row = self._client.get(etcd_keys.SETTINGS)
        return None if row is None else etcd_wire.settings_object(row)

    def node_labels(self, node: str) -> t.Mapping[str, str]:
        """The labels of Calico's own Node resource."""
        thing = self.resource("nodes", "Node", node)
        return dict(thing["metadata"].get("labels") or {})

    def cluster_information(self) -> Object:
        """Calico's record of the cluster; NotFoundInStore when there is none."""
        return self.resource("clusterinformations", "ClusterInformation", "default")

    # Rows

    def _blocks(self, version: t.Optional[int] = None) -> t.Iterator[Stored[Block]]:
        return self._decoded(BLOCK, self._rows([etcd_keys.block_prefix(version)]))

    def _handles(self) -> t.Iterator[Stored[Handle]]:
        return self._decoded(HANDLE, self._rows([etcd_keys.HANDLES]))

    def _rows(self, prefixes: t.Iterable[str]) -> t.Iterator[Row]:
        for prefix in prefixes:
            yield from self._client.rows(prefix)

    def _decoded(self, form: Form, rows: t.Iterable[Row]) -> t.Iterator[Stored[t.Any]]:
        for row in rows:
            if form.is_key(row.key) is None:
                continue
            try:
                stored = _stored(form, row)
            except CorruptRecord as error:
                self._report(error)
            else:
                yield stored

    def _raw(self, form: Form, prefixes: t.Iterable[str]) -> t.Iterator[Object]:
        for row in self._rows(prefixes):
            thing = form.to_object(row, etcd_wire.members_or_none(row))
            if thing is not None:
                yield thing

    def _report(self, error: CorruptRecord) -> None:
        if self._on_corrupt is None:
            raise error
        self._on_corrupt(error)

    def resources(self, plural: str, kind: str) -> t.Iterator[Object]:
        """The resources of a kind that look in etcd as in the public API."""
        for row in self._client.rows(etcd_keys.resource_prefix(plural)):
            try:
                thing = etcd_wire.resource_object(row, kind)
            except CorruptRecord as error:
                self._report(error)
            else:
                yield thing

    def resource(self, plural: str, kind: str, name: str) -> Object:
        """One such resource; NotFoundInStore without it."""
        try:
            row = get_row(self._client, etcd_keys.resource_key(plural, name), f"{kind} {name}")
        except NotFoundInStore:
            raise NotFoundInStore(f"{kind} {name} does not exist.", **{kind.lower(): name}) from None
        return etcd_wire.resource_object(row, kind)

    def _create(self, form: Form, key: str, value: T, what: str) -> Stored[T]:
        body = form.to_members(form.encode(value, form.resource, None), None)
        data = etcd_wire.to_bytes(body)
        return _written(form, value, Row(key, data, create_row(self._client, key, data, what)), body)

    def _update(self, form: Form, stored: Stored[T], value: T, what: str) -> Stored[T]:
        """What did not change at all is written with the very bytes that were read."""
        origin: _Origin = stored.origin
        thing = form.encode(value, form.resource, origin.thing)
        if thing is origin.thing:
            revision = update_row(self._client, origin.key, origin.value, stored.revision, what)
            return Stored(value, revision, origin)
        body = form.to_members(thing, origin.thing)
        data = etcd_wire.to_bytes(body)
        revision = update_row(self._client, origin.key, data, stored.revision, what)
        return _written(form, value, Row(origin.key, data, revision), body)

    def _delete(self, stored: Stored[t.Any], what: str) -> None:
        delete_row(self._client, stored.origin.key, stored.revision, what)


def _stored(form: Form, row: Row) -> Stored[t.Any]:
    thing = form.to_object(row, etcd_wire.members(row, form.kind)) or {}
    value = form.decode(thing)
    if form is BLOCK:
        etcd_wire.check_key(row, value.cidr)
    return Stored(value, row.revision, _Origin(row.key, row.value, thing))


def _inside(row: Row, network: Network) -> bool:
    """Whether the block of a key overlaps a range; where a key without a CIDR lies nobody can tell, so it may."""
    try:
        return network.overlaps(parse_network(etcd_keys.parse_block_key(row.key)))
    except InvalidInput:
        return True


def _written(form: Form, value: T, row: Row, body: etcd_wire.Members) -> Stored[T]:
    return Stored(value, row.revision, _Origin(row.key, row.value, form.to_object(row, body) or {}))


def _row_text(affinity: Affinity) -> str:
    return f"Affinity of {affinity.type} {affinity.host} to {affinity.cidr}"
