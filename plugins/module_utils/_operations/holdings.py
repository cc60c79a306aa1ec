# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who holds addresses in a range right now, and which of them will let go by themselves.

A tunnel address leaves a disabled pool on its own, a cooling address in a while, and an
address of a pod that is gone or going as soon as the CNI plugin or Calico's garbage
collection gives it back. Everybody else stays until somebody moves them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    POD,
    TUNNEL,
    WINDOWS,
    Holder,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import holders
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import range_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses

STAYS = "stays"
LEAVES = "leaves"
LEAKED = "leaked"

# How many holders a sentence names before it counts the others.
NAMED = 5


@dataclass(frozen=True)
class Holding:
    """One address with its holder; ``state``: ``stays``, ``leaves`` by itself, or ``leaked`` (its pod is gone)."""

    address: Address
    holder: Holder
    state: str

    def as_result(self) -> dict[str, t.Any]:
        holder = self.holder
        return {
            "address": str(self.address),
            "kind": holder.kind,
            "namespace": holder.namespace,
            "name": holder.name,
            "node": holder.node,
            "state": self.state,
        }


def holdings(api: KubeApi, blocks: t.Iterable[Object], network: Network) -> list[Holding]:
    """Every address of ``network`` that is allocated in the stored ``blocks``, in order of address.

    Addresses that a Windows host keeps for itself in each block are not counted: they vanish
    with the block. Pods are listed only when a pod holds something.
    """
    found = [
        (entry.address, entry.holder)
        for block in blocks
        if in_range(block, network)
        for entry in holders(block["spec"])
        if entry.holder.kind != WINDOWS and network.contains(entry.address)
    ]
    pods = _pods(api) if any(holder.kind == POD for _address, holder in found) else {}
    return [Holding(address, holder, _state(address, holder, pods)) for address, holder in sorted(found)]


def in_range(block: Object, network: Network) -> bool:
    """Whether a stored block overlaps ``network``."""
    return range_of(block).overlaps(network)


def name_them(found: t.Sequence[Holding]) -> str:
    """The holders in a sentence: the first few by name, the others counted, each named once."""
    names = list(dict.fromkeys(str(holding.holder) for holding in found))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _pods(api: KubeApi) -> dict[tuple[str, str], Object]:
    return {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in api.list(PODS).items}


def _state(address: Address, holder: Holder, pods: t.Mapping[tuple[str, str], Object]) -> str:
    if holder.kind in (TUNNEL, COOLING):
        return LEAVES
    if holder.kind != POD:
        return STAYS
    pod = pods.get((holder.namespace, holder.pod))
    if pod is None:
        return LEAKED
    if pod["metadata"].get("deletionTimestamp"):
        return LEAVES
    addresses = pod_addresses(pod)
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") or (addresses and address not in addresses):
        return LEAKED
    # Also a pod that has no address in its status yet: it is just starting.
    return STAYS
