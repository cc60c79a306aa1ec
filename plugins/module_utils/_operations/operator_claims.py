# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whose a pool is where the Tigera operator manages pools (spec ippool.md §10.2): its own, or somebody else's."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import (
    Entry,
    adopts,
    index_of,
    network_of,
    same_pool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool, find

WHERE = "Installation default spec.calicoNetwork.ipPools"
IGNORE = "unsupported.operator.tigera.io/ignore"


def place_in(entries: t.Sequence[Entry], name: str, pools: t.Sequence[StoredPool]) -> int | None:
    """Where the pool stands in the operator's list; None when it does not."""
    live = find(pools, name)
    return index_of(entries, name, None if live is None else live.pool_cidr)


def is_operators(name: str, entries: t.Sequence[Entry], pools: t.Sequence[StoredPool]) -> bool:
    """Whether the operator has this pool, or will have it: who makes a new pool here makes it in its list.

    Refused for pools that the operator and somebody else both lay claim to.
    """
    live, index = find(pools, name), place_in(entries, name, pools)
    if live is None:
        return True
    labelled = live.labels.get(OWNER_LABEL) == OPERATOR
    if labelled and index is None:
        raise Refused(
            f"IPPool {name!r} carries the label {OWNER_LABEL}={OPERATOR} and is not in {WHERE}: the Tigera "
            "operator deletes such a pool; add its entry there, or take the label off, then run this again.",
            pool=name,
        )
    if index is not None:
        entry = entries[index]
        _refuse_another_range(name, live.pool_cidr, entry)
        if labelled or adopts(entry, live.spec):
            return True
        if same_pool(entry, live.spec):
            raise Refused(
                f"IPPool {name!r} is as its entry in {WHERE} says and does not carry the operator's label: the "
                "Tigera operator never adopts a pool without encapsulation, blockSize or allowedUses by itself "
                f"and stays Degraded; label it (kubectl label ippools.projectcalico.org {name} "
                f"{OWNER_LABEL}={OPERATOR}), then run this again.",
                pool=name,
                entry=entry,
            )
    for entry in entries if not labelled else ():
        if network_of(entry) is not None and network_of(entry) == live.pool_cidr:
            raise Refused(
                f"IPPool {name!r} ({live.pool_cidr}) does not carry the operator's label, and the entry "
                f"{entry.get('name') or entry.get('cidr')!r} of {WHERE} has its range but other settings: the "
                "operator makes no pool of that entry and its TigeraStatus ippools is Degraded. Make the entry "
                "like the pool, or take one of the two away, then run this again.",
                pool=name,
                entry=entry,
            )
    return labelled


def refuse_ignored(name: str, pools: t.Sequence[StoredPool]) -> None:
    """Refused when the operator would not carry a change of the pool's entry out (§10.3)."""
    live = find(pools, name)
    if live is not None and live.annotations.get(IGNORE) == "true":
        raise Refused(
            f"IPPool {name!r} has the annotation {IGNORE}, so the Tigera operator does not carry changes of its "
            "entry out; take the annotation off, then run this again.",
            pool=name,
        )


def _refuse_another_range(name: str, cidr: Network | None, entry: Entry) -> None:
    wanted = network_of(entry)
    if wanted is not None and cidr is not None and wanted != cidr:
        raise Refused(
            f"The entry {name!r} of {WHERE} has the CIDR {wanted} and IPPool {name!r} has {cidr}: the operator "
            "cannot change the CIDR of a pool and is Degraded until they are the same; put the entry back.",
            pool=name,
            entry=entry,
        )
