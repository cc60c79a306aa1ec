# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A datastore in memory, with the compare-and-swap of the real ones.

For tests, simulations and benchmarks. Values are immutable and shared, never copied;
several threads may use one store.
"""

from __future__ import annotations

import threading
import types
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    affinity_name,
    block_name,
    handle_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import (
    Reservations,
    parse_reservations,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

T = t.TypeVar("T")
AffinityKey = t.Tuple[str, Network]


class MemoryStore:
    """Implements ``Datastore``. Seed it with ``put_pool``, ``put_node``, ``set_settings`` and ``set_reservations``."""

    def __init__(
        self,
        pools: t.Iterable[Pool] = (),
        nodes: t.Optional[t.Mapping[str, t.Mapping[str, str]]] = None,
        settings: t.Optional[Settings] = None,
    ) -> None:
        self._lock = threading.Lock()
        self._revision = 0
        self._blocks: t.Dict[Network, Stored[Block]] = {}
        self._affinities: t.Dict[str, t.Dict[Network, Stored[Affinity]]] = {}
        #: Rows of a host in name order, made when they are first listed and dropped by the next write.
        self._sorted_rows: t.Dict[str, t.Tuple[Stored[Affinity], ...]] = {}
        self._handles: t.Dict[str, Stored[Handle]] = {}
        self._pools: t.Dict[str, Pool] = {pool.name: pool for pool in pools}
        self._pools_by_name: t.Tuple[Pool, ...] = ()
        self._sort_pools()
        self._nodes: t.Dict[str, t.Mapping[str, str]] = dict(nodes or {})
        self._settings = settings or Settings()
        self._reservations = Reservations()

    # What is only read

    def put_pool(self, pool: Pool) -> None:
        """Add a pool, or replace the one of that name."""
        with self._lock:
            self._pools[pool.name] = pool
            self._sort_pools()

    def remove_pool(self, name: str) -> None:
        """Take a pool away; its blocks and rows stay, as with a bare DELETE."""
        with self._lock:
            del self._pools[name]
            self._sort_pools()

    def put_node(self, name: str, labels: t.Optional[t.Mapping[str, str]] = None) -> None:
        """Add a node, or replace its labels."""
        self._nodes[name] = dict(labels or {})

    def remove_node(self, name: str) -> None:
        del self._nodes[name]

    def set_settings(self, settings: Settings) -> None:
        self._settings = settings

    def set_reservations(self, entries: t.Iterable[str]) -> None:
        """Replace all reservations by these CIDR or address texts."""
        self._reservations = parse_reservations(entries)

    def put_reservations(self, reservations: Reservations) -> None:
        """Replace all reservations by those of another store."""
        self._reservations = reservations

    def pools(self) -> t.Sequence[Pool]:
        return self._pools_by_name

    def reservations(self) -> Reservations:
        return self._reservations

    def settings(self) -> Settings:
        return self._settings

    def node_labels(self, node: str) -> t.Mapping[str, str]:
        labels = self._nodes.get(node)
        if labels is None:
            raise NotFoundInStore(f"Node {node} does not exist.", node=node)
        return labels

    # Blocks

    def get_block(self, cidr: Network) -> Stored[Block]:
        stored = self._blocks.get(cidr)
        if stored is None:
            raise NotFoundInStore(f"Block {cidr} does not exist.", block=str(cidr))
        return stored

    def list_blocks(self, version: t.Optional[int] = None) -> t.List[Stored[Block]]:
        with self._lock:
            found = [s for s in self._blocks.values() if version is None or s.value.cidr.version == version]
        return sorted(found, key=lambda stored: block_name(stored.value.cidr))

    def blocks_in(self, network: Network) -> t.List[Stored[Block]]:
        return [stored for stored in self.list_blocks(network.version) if network.overlaps(stored.value.cidr)]

    def block_index(self) -> t.Mapping[Network, Stored[Block]]:
        return types.MappingProxyType(self._blocks)

    def create_block(self, block: Block) -> Stored[Block]:
        return self._create(self._blocks, block.cidr, block, "Block")

    def update_block(self, stored: Stored[Block], block: Block) -> Stored[Block]:
        return self._update(self._blocks, stored.value.cidr, stored, block, "Block")

    def delete_block(self, stored: Stored[Block]) -> None:
        self._delete(self._blocks, stored.value.cidr, stored, "Block")

    # Affinity rows

    def get_affinity(self, host: str, affinity_type: str, cidr: Network) -> Stored[Affinity]:
        stored = self._affinities.get(host, {}).get(cidr)
        if stored is None or stored.value.type != affinity_type:
            raise NotFoundInStore(f"Host {host} has no affinity to {cidr}.", host=host, block=str(cidr))
        return stored

    def list_affinities(
        self,
        host: t.Optional[str] = None,
        affinity_type: t.Optional[str] = None,
        version: t.Optional[int] = None,
    ) -> t.List[Stored[Affinity]]:
        if host is None:
            with self._lock:
                found: t.Sequence[Stored[Affinity]] = [s for rows in self._affinities.values() for s in rows.values()]
            found = sorted(found, key=_row_name)
        else:
            found = self._rows_of(host)
        return [
            stored
            for stored in found
            if (affinity_type is None or stored.value.type == affinity_type)
            and (version is None or stored.value.cidr.version == version)
        ]

    def create_affinity(self, affinity: Affinity) -> Stored[Affinity]:
        with self._lock:
            rows = self._affinities.setdefault(affinity.host, {})
        stored = self._create(rows, affinity.cidr, affinity, "Affinity")
        self._sorted_rows.pop(affinity.host, None)
        return stored

    def update_affinity(self, stored: Stored[Affinity], affinity: Affinity) -> Stored[Affinity]:
        rows = self._affinities.get(stored.value.host, {})
        written = self._update(rows, stored.value.cidr, stored, affinity, "Affinity")
        self._sorted_rows.pop(affinity.host, None)
        return written

    def delete_affinity(self, stored: Stored[Affinity]) -> None:
        self._delete(self._affinities.get(stored.value.host, {}), stored.value.cidr, stored, "Affinity")
        self._sorted_rows.pop(stored.value.host, None)

    def _rows_of(self, host: str) -> t.Sequence[Stored[Affinity]]:
        found = self._sorted_rows.get(host)
        if found is None:
            with self._lock:
                found = tuple(sorted(self._affinities.get(host, {}).values(), key=_row_name))
                self._sorted_rows[host] = found
        return found

    # Handles

    def get_handle(self, handle_id: str) -> Stored[Handle]:
        stored = self._handles.get(handle_name(handle_id))
        if stored is None:
            raise NotFoundInStore(f"Handle {handle_id} does not exist.", handle=handle_id)
        return stored

    def list_handles(self) -> t.List[Stored[Handle]]:
        with self._lock:
            return [self._handles[name] for name in sorted(self._handles)]

    def handles_in(self, network: Network) -> t.List[Stored[Handle]]:
        return [stored for stored in self.list_handles() if any(network.overlaps(c) for c in stored.value.blocks)]

    def create_handle(self, handle: Handle) -> Stored[Handle]:
        return self._create(self._handles, handle_name(handle.id), handle, "Handle")

    def update_handle(self, stored: Stored[Handle], handle: Handle) -> Stored[Handle]:
        return self._update(self._handles, handle_name(stored.value.id), stored, handle, "Handle")

    def delete_handle(self, stored: Stored[Handle]) -> None:
        self._delete(self._handles, handle_name(stored.value.id), stored, "Handle")

    def finish_deletes(self, network: Network) -> None:
        """Nothing to do: a delete is one step here."""

    # Compare and swap

    def _sort_pools(self) -> None:
        self._pools_by_name = tuple(self._pools[name] for name in sorted(self._pools))

    def _create(self, records: t.Dict[t.Any, Stored[T]], key: t.Any, value: T, kind: str) -> Stored[T]:
        with self._lock:
            if key in records:
                raise AlreadyInStore(f"{kind} {key} exists already.")
            self._revision += 1
            records[key] = stored = Stored(value, self._revision)
            return stored

    def _update(
        self, records: t.Dict[t.Any, Stored[T]], key: t.Any, stored: Stored[T], value: T, kind: str
    ) -> Stored[T]:
        with self._lock:
            self._check(records, key, stored, kind)
            self._revision += 1
            records[key] = written = Stored(value, self._revision)
            return written

    def _delete(self, records: t.Dict[t.Any, Stored[T]], key: t.Any, stored: Stored[T], kind: str) -> None:
        with self._lock:
            self._check(records, key, stored, kind)
            del records[key]

    def _check(self, records: t.Mapping[t.Any, Stored[T]], key: t.Any, stored: Stored[T], kind: str) -> None:
        current = records.get(key)
        if current is None:
            raise NotFoundInStore(f"{kind} {key} does not exist.")
        if current.revision != stored.revision:
            raise UpdateConflict(f"{kind} {key} changed since it was read.")


def _row_name(stored: Stored[Affinity]) -> str:
    return affinity_name(stored.value.host, stored.value.cidr)
