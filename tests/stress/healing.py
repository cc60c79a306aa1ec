# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What sets a store right after a crowd of writers, and what leaves nothing of it."""

from __future__ import annotations

import contextlib
import typing as t

from backends import NODES, POOLS, Backend

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    delete_empty_blocks,
    delete_rows_without_block,
    forget_stale_counts,
    prove_clean,
    rows_without_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


def heal(store: t.Any, now: Clock) -> None:
    """Each host asks for everything once, so that it looks at every row of its own; then the range is swept."""
    networks = [parse_network(cidr) for _name, cidr, _size in POOLS]
    for network in networks:
        store.finish_deletes(network)
    for host in NODES:
        result = auto_assign(store, AssignRequest(host, 64, 64, f"heal-{host}"), now=now)
        assert result.error is None
        with contextlib.suppress(NotFoundInStore):
            release_by_handle(store, f"heal-{host}", now=now)
    for network in networks:
        delete_empty_blocks(store, network, now=now)


def clean(backend: Backend, now: Clock) -> None:
    """Nothing the writers left can keep a range from being cleaned."""
    for stored in backend.store.list_handles():
        with contextlib.suppress(NotFoundInStore):
            release_by_handle(backend.store, stored.value.id, now=now)
    for name, cidr, _size in POOLS:
        network = parse_network(cidr)
        backend.disable(name, True)
        release_pool_affinities(backend.store, network, now=now)
        delete_rows_without_block(backend.store, rows_without_block(backend.store, network))
        delete_empty_blocks(backend.store, network, now=now)
        forget_stale_counts(backend.store, network)
        assert prove_clean(backend.store, network).clean
