# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Labels for affinity rows from before v3.31, which no list by host finds (spec ipam-engine.md §2.3, §13 upgrade host).

calico-node does this for its own node at start, with a flaw: to a row from before v3.30, which has no ``type``, it
gives an empty type label, and then neither lists nor the next start find it. Here such a row becomes one of a host
in both places, as it is read everywhere.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Conflict, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord, UpdateConflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import affinity_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

#: Seconds between attempts at one row: doubling from 100 ms, then given up.
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


def label_rows(
    api: KubeApi, group: str, host: str, *, pause: t.Callable[[float], object] = time.sleep
) -> t.Tuple[str, ...]:
    """Complete the labels and the type of every row of a host, each in one compare-and-swap; their names.

    Rows that are complete, corrupt, or being deleted are left alone. Raises UpdateConflict when a row keeps
    changing. For clusters of v3.30 and later: older definitions of the kind do not know the type.
    """
    store = KubernetesStore(api, group)
    written: t.List[str] = []
    for row in store.raw_affinities():
        name = row["metadata"]["name"]
        current: t.Optional[Object] = row
        for wait in (*PAUSES, None):
            body = _completed(current, host) if current is not None else None
            if body is None:
                break
            try:
                api.replace(store.affinities, body)
            except NotFound:
                break
            except Conflict:
                if wait is None:
                    raise UpdateConflict(f"BlockAffinity {name} kept changing while it was labelled.") from None
                pause(wait)
                current = _read(api, store, name)
                continue
            written.append(name)
            break
    return tuple(written)


def _read(api: KubeApi, store: KubernetesStore, name: str) -> t.Optional[Object]:
    try:
        return api.get(store.affinities, name)
    except NotFound:
        return None


def _completed(row: Object, host: str) -> t.Optional[Object]:
    """The row as it should be, None when it is so or not ours to touch."""
    try:
        affinity = wire.decode_affinity(row)
    except CorruptRecord:
        return None
    if affinity.host != host or affinity.deleted:
        return None
    wanted = affinity_labels(host, affinity.type, affinity.cidr.version)
    labels = row["metadata"].get("labels") or {}
    if wanted.items() <= labels.items() and row["spec"].get("type"):
        return None
    return {
        **row,
        "metadata": wire.labelled(row["metadata"], wanted),
        "spec": {**row["spec"], "type": affinity.type},
    }
