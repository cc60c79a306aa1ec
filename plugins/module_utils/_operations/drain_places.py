# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where new pods get their addresses, and how many there are left (hazards.md B01-B04, B14, D04, D14).

Counted again with every block that changes, so that what others take on the way, nodes that come, and pools that are
changed or filled are known before the next workload is begun.

What a node can get follows spec ipam-engine.md §9: an address of a block of its own, of a block that nobody has, or,
without strict affinity, of anybody's block. At its limit of blocks, it gets none at all.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import NodeFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import DEFAULT_BLOCKS_PER_HOST
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, pool_from_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import (
    selects_namespace,
    selects_node,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire import block_cidr, is_deleted

_KEEPS_AWAY = ("NoSchedule", "NoExecute")
Labels = t.Mapping[str, str]
Names = t.FrozenSet[str]


@dataclass(frozen=True)
class BlockPlaces:
    """One block: the host it belongs to, its addresses that are not reserved, and those that are free, too."""

    cidr: Network
    host: str
    usable: int
    free: int


@dataclass
class Places:
    """The pools that serve a family of addresses, and their blocks.

    ``pool`` is the one that is drained, which gives none. ``pools_revision`` grows when the pools change, ``revision``
    whenever the answer of ``full`` may be another one, for which an address more or less is mostly not enough.
    """

    pool: str
    version: int
    settings: Settings = Settings()
    reservations: Reservations = field(default_factory=Reservations)
    pools: dict[str, Pool] = field(default_factory=dict)
    """Those that give addresses to whoever asks for no pool by name."""
    enabled_again: bool = False
    """The pool that is drained gives out addresses."""
    pools_revision: int = 0
    revision: int = 0
    _blocks: dict[str, BlockPlaces] = field(default_factory=dict)
    _free: Counter[str] = field(default_factory=Counter)
    _usable: Counter[str] = field(default_factory=Counter)
    _own_free: Counter[tuple[str, str]] = field(default_factory=Counter)
    _own: Counter[tuple[str, str]] = field(default_factory=Counter)

    def apply_pool(self, thing: Object, gone: bool) -> None:
        """Take in one change of an IPPool."""
        name = str(thing["metadata"]["name"])
        if name == self.pool:
            self.enabled_again = not (gone or is_stopped(thing.get("spec") or {}) or _is_leaving(thing))
            return
        try:
            found = None if gone else pool_from_object(thing)
        except InvalidInput:
            found = None
        serves = found is not None and self._gives(found)
        if (found if serves else None) == self.pools.get(name):
            return
        self.pools.pop(name, None)
        if found is not None and serves:
            self.pools[name] = found
        blocks, self._blocks = self._blocks, {}
        for counter in (self._free, self._usable, self._own_free, self._own):
            counter.clear()
        for key, block in blocks.items():
            self._put(key, block)
        self.pools_revision += 1
        self.revision += 1

    def apply_block(self, thing: Object, gone: bool) -> None:
        """Take in one change of an IPAMBlock."""
        name = str(thing["metadata"]["name"])
        old = self._blocks.get(name)
        new = None if gone else self._read(thing)
        if old == new:
            return
        if old is not None:
            self._take_out(name, old)
        if new is not None:
            self._put(name, new)
        if old is None or new is None or old.host != new.host or (old.free == 0) != (new.free == 0):
            self.revision += 1

    def serving(self, node: NodeFacts | None, namespace_labels: Labels) -> Names:
        """The names of the pools that give addresses to pods of a namespace on a node, full or not."""
        labels = node.pool_labels if node is not None else {}
        return frozenset(pool.name for pool in self.pools.values() if _serves(pool, labels, namespace_labels))

    def full(self, names: Names, nodes: t.Iterable[NodeFacts]) -> frozenset[str]:
        """Those of the nodes on which no pod would get an address of these pools.

        Under strict affinity, nodes without a block with a free address compete for those that nobody has. Where
        these are too few for all, nobody knows who will go without, so all of them count.
        """
        limit = self.settings.max_blocks_per_host or DEFAULT_BLOCKS_PER_HOST
        unclaimed = sum(self._unclaimed(name) for name in names)
        borrowable = not self.settings.strict_affinity and any(self._free[name] for name in names)
        found, competing = set(), set()
        for node in nodes:
            if any(self._own_free[name, node.name] for name in names):
                continue
            owned = sum(self._own[name, node.name] for name in names)
            if owned >= limit or not self.settings.auto_allocate_blocks:
                found.add(node.name)
            elif not borrowable:
                competing.add(node.name)
        wanting = [node for node in nodes if node.name in competing and node.usable and not _keeps_away(node)]
        if unclaimed == 0 or (self.settings.strict_affinity and len(wanting) > unclaimed):
            found |= competing
        return frozenset(found)

    def left(self, names: Names, nodes: t.Iterable[NodeFacts]) -> int:
        """How many more pods on any of these nodes can get an address of these pools."""
        outside = sum(self._outside(name) for name in names)
        if not self.settings.strict_affinity:
            return outside + sum(self._free[name] for name in names)
        return outside + sum(self._own_free[name, node.name] for node in nodes for name in names)

    def words(self, names: Names) -> str:
        """The pools with a verb, as the middle of a sentence."""
        if not names:
            return "no enabled pool is there that has"
        listed = sorted(names)
        shown = ", ".join(f"{name!r}" for name in listed[:3]) + (" and others" if len(listed) > 3 else "")
        return f"IPPool {shown} has" if len(listed) == 1 else f"IPPools {shown} have"

    def _gives(self, pool: Pool) -> bool:
        automatic = pool.assignment_mode == "Automatic" and "Workload" in pool.allowed_uses
        return pool.enabled and pool.version == self.version and automatic

    def _read(self, thing: Object) -> BlockPlaces | None:
        spec = thing.get("spec") or {}
        try:
            cidr = block_cidr(thing)
        except CorruptRecord:
            return None
        if cidr.version != self.version or is_deleted(thing):
            return None
        kind, _colon, host = str(spec.get("affinity") or "").partition(":")
        free = spec.get("unallocated") or ()
        number = len(free)
        if self.reservations.any(self.version):
            number = sum(1 for each in free if not self.reservations.reserved(self.version, cidr.value + each))
        return BlockPlaces(cidr, host if kind == HOST else "", cidr.size - self.reservations.count(cidr), number)

    def _put(self, name: str, block: BlockPlaces) -> None:
        self._blocks[name] = block
        self._count(block, 1)

    def _take_out(self, name: str, block: BlockPlaces) -> None:
        del self._blocks[name]
        self._count(block, -1)

    def _count(self, block: BlockPlaces, sign: int) -> None:
        for pool in self.pools.values():
            if pool.cidr.contains(block.cidr):
                self._free[pool.name] += sign * block.free
                self._usable[pool.name] += sign * block.usable
                if block.host:
                    self._own_free[pool.name, block.host] += sign * block.free
                    self._own[pool.name, block.host] += sign

    def _outside(self, name: str) -> int:
        """Addresses of blocks that do not exist yet."""
        pool = self.pools.get(name)
        if pool is None:
            return 0
        whole = pool.cidr.size if pool.block_count else 0
        return max(0, whole - self.reservations.count(pool.cidr) - self._usable[name])

    def _unclaimed(self, name: str) -> int:
        outside = self._outside(name)
        return -(-outside // self.pools[name].addresses_per_block) if outside else 0


def read_places(api: KubeApi, pool: str, network: Network, pools: t.Iterable[Pool]) -> Places:
    """The pools as they are now, and what may be read of the settings and reservations; blocks come by their watch."""
    places = Places(pool, network.version)
    store = open_store(api)
    try:
        places.settings = store.settings()
        places.reservations = store.reservations()
    except (Forbidden, UnknownResource, CorruptRecord):
        # Then what is free is counted as if nothing were reserved, and every address within everybody's reach.
        places.settings = Settings()
    places.pools = {each.name: each for each in pools if places._gives(each)}
    return places


def _serves(pool: Pool, node_labels: Labels, namespace_labels: Labels) -> bool:
    try:
        return selects_node(pool, node_labels) and selects_namespace(pool, namespace_labels)
    except SelectorError:
        return False


def _is_leaving(thing: Object) -> bool:
    return bool(thing["metadata"].get("deletionTimestamp"))


def _keeps_away(node: NodeFacts) -> bool:
    return any(effect in _KEEPS_AWAY for _key, _value, effect in node.taints)
