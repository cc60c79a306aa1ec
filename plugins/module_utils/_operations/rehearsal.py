# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What Calico would do next, tried on a copy of its records in memory: nothing is written anywhere.

The copy is made of a few lists; whatever is asked of it afterwards costs no request.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import AlreadyInStore, Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.prediction import next_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import Device, serves
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_windows
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore


class Rehearsal:
    """A copy of the IPAM records with the pools given; assignments stay in the copy and use up its room."""

    def __init__(self, store: Datastore, pools: t.Iterable[Pool], nodes: t.Iterable[Object], now: Clock) -> None:
        self._nodes = {str(node["metadata"]["name"]): node for node in nodes}
        self._now = now
        self._pools = tuple(pools)
        copy = MemoryStore(
            self._pools, {name: calico_labels(node) for name, node in self._nodes.items()}, store.settings()
        )
        copy.put_reservations(store.reservations())
        # In the order in which they are written, so that no block lacks its row.
        for row in store.list_affinities():
            # A second row of a host for one block, of another type, changes nothing for its assignments.
            with contextlib.suppress(AlreadyInStore):
                copy.create_affinity(row.value)
        for block in store.list_blocks():
            if not block.value.deleted:
                copy.create_block(block.value)
        self._copy = copy

    def tunnel(self, node: str, device: Device) -> str | None:
        """Give a node an address for a tunnel device; None when that went well, else why it does not, a clause."""
        pools = [pool for pool in self._pools if serves(pool, device, self._labels(node))]
        if not pools:
            return "no pool that gives such addresses selects it"
        return self._assign(node, device.version, "Tunnel", tuple(pool.cidr for pool in pools), None)

    def pod(
        self, node: str, version: int, requested: t.Sequence[Network], namespace_labels: t.Mapping[str, str] | None
    ) -> str | None:
        """Give a pod on a node an address; None when that went well, else why it does not, a clause."""
        return self._assign(node, version, "Workload", requested, namespace_labels)

    def next_block(self, node: str, pool: Pool) -> Network:
        """The block of ``pool`` that a node would claim next; raises what ``_engine/prediction.py`` does."""
        return next_block(
            self._copy,
            self._request(node, pool.version, "Workload", (pool.cidr,), None),
            now=self._now,
            version=pool.version,
        )

    def _labels(self, node: str) -> t.Mapping[str, str]:
        return calico_labels(self._nodes[node]) if node in self._nodes else {}

    def _assign(
        self,
        node: str,
        version: int,
        use: str,
        requested: t.Sequence[Network],
        namespace_labels: t.Mapping[str, str] | None,
    ) -> str | None:
        request = self._request(node, version, use, requested, namespace_labels)
        try:
            given = auto_assign(self._copy, request, now=self._now)
        except IpamError as error:
            return error.message.rstrip(".")
        return None if given.problem is None else given.problem.rstrip(".")

    def _request(
        self,
        node: str,
        version: int,
        use: str,
        requested: t.Sequence[Network],
        namespace_labels: t.Mapping[str, str] | None,
    ) -> AssignRequest:
        return AssignRequest(
            host=node,
            num_v4=1 if version == 4 else 0,
            num_v6=1 if version == 6 else 0,
            handle_id=f"rehearsal-{use}-{version}-{node}",
            attributes={"node": node},
            use=use,
            requested_v4=requested if version == 4 else (),
            requested_v6=requested if version == 6 else (),
            namespace_labels=namespace_labels,
            windows=node in self._nodes and is_windows(self._nodes[node]),
        )


def stopped(pools: t.Iterable[Pool], name: str, selector: str | None) -> list[Pool]:
    """The pools once ``name`` is stopped: disabled, or with the nodeSelector given."""
    return [
        pool
        if pool.name != name
        else replace(pool, disabled=True)
        if selector is None
        else replace(pool, node_selector=selector)
        for pool in pools
    ]


def pool_of(address: Address, pools: t.Iterable[Pool]) -> str | None:
    """The pool whose range has the address."""
    return next((pool.name for pool in pools if pool.cidr.contains(address)), None)
