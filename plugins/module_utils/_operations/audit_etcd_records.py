# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where an audit reads IPAM records of a cluster whose Calico has an etcd of its own."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import AFFINITY, BLOCK, HANDLE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import (
    KubernetesRecords,
    Records,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import Stores


class EtcdRecords:
    """``Records`` in etcd, in the shape of the custom resources; names and labels there are ours and mean nothing."""

    kubernetes = False

    def __init__(self, store: EtcdStore) -> None:
        self._store = store

    def raw_blocks(self) -> t.Iterator[Object]:
        return self._store.raw_blocks()

    def raw_affinities(self) -> t.Iterator[Object]:
        return self._store.raw_affinities()

    def raw_handles(self) -> t.Iterator[Object]:
        return self._store.raw_handles()

    def again(self, kind: str, names: t.Collection[str]) -> t.Iterator[tuple[str, Object | None]]:
        """All are read once more: a name cannot be turned back into a key."""
        left = set(names)
        if not left:
            return
        read = {BLOCK: self.raw_blocks, AFFINITY: self.raw_affinities, HANDLE: self.raw_handles}[kind]
        for thing in read():
            name = thing["metadata"]["name"]
            if name in left:
                left.discard(name)
                yield name, thing
        for name in left:
            yield name, None

    def settings(self) -> Object | None:
        return self._store.raw_settings()

    def reservations(self) -> list[Object]:
        return list(self._store.resources("ipreservations", "IPReservation"))


def records_of(stores: Stores) -> Records:
    """The records of the datastore that is live."""
    if isinstance(stores.records, EtcdStore):
        return EtcdRecords(stores.records)
    return KubernetesRecords(stores.api, stores.records.group)
