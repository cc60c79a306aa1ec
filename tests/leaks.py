# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaks in a twin: what is left when a node is switched off in the middle of its work, or a pool deleted by force."""

from __future__ import annotations

import typing as t
from contextlib import closing, contextmanager
from datetime import datetime, timezone

from twin_fixture import TwinHandle

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import Records, open_store


@contextmanager
def opened(twin: TwinHandle | KubeApi) -> t.Iterator[Records]:
    """The IPAM records of a twin, or of the cluster behind an API."""
    if not isinstance(twin, TwinHandle):
        yield open_store(twin)
        return
    with closing(connect(ConnectionOptions(kubeconfig=twin.kubeconfig))) as api:
        yield open_store(api)


def leak(
    twin: TwinHandle | KubeApi,
    address: str,
    pod: str,
    node: str = "node-1",
    *,
    handle: str | None = None,
    attributes: dict[str, str] | None = None,
) -> None:
    """An address for a pod that never was, or for whoever ``attributes`` say."""
    given = {
        "namespace": "shop",
        "pod": pod,
        "node": node,
        "timestamp": "2026-08-19 09:00:00.000000001 +0000 UTC",
    }
    with opened(twin) as store:
        assign_ip(
            store,
            parse_address(address),
            node,
            handle_id=handle or f"k8s-pod-network.{pod}",
            attributes=attributes or given,
            now=lambda: datetime.now(timezone.utc),
        )


def leave_behind(twin: TwinHandle | KubeApi, nodes: t.Sequence[str] = ("node-1", "node-2")) -> None:
    """What a pool 10.9.0.0/24 leaves that was deleted past Calico's client, on a cluster that crashed a few times."""
    first, second = nodes
    owned, ownerless, missing, half = (parse_network(f"10.9.0.{start}/28") for start in (0, 16, 32, 48))
    with opened(twin) as store:
        store.create_block(new_block(owned, 7, f"host:{first}"))
        store.create_affinity(Affinity(first, HOST, owned, "confirmed"))
        store.create_block(new_block(ownerless, 7))
        store.create_affinity(Affinity(second, HOST, missing, "pending"))
        # In etcd, nothing is ever marked as deleted.
        store.create_affinity(Affinity(second, HOST, half, "pendingDeletion", deleted=not isinstance(store, EtcdStore)))
        store.create_handle(Handle("k8s-pod-network.lost", {missing: 2}))
