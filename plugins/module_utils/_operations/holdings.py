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
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    POD,
    TUNNEL,
    WINDOWS,
    Holder,
    classify,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import range_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses

STAYS = "stays"
LEAVES = "leaves"
LEAKED = "leaked"

# How many holders a sentence names before it counts the others.
NAMED = 5


@dataclass(frozen=True)
class Holding:
    """One address with its holder; ``state``: ``stays``, ``leaves`` by itself, or ``leaked`` (its pod is gone).

    ``released_at``, RFC 3339, is set for a cooling address.
    """

    address: Address
    holder: Holder
    state: str
    released_at: str = ""

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


def holdings(api: KubeApi, blocks: t.Iterable[Block], network: Network) -> list[Holding]:
    """Every address that is allocated in those ``blocks`` that overlap ``network``, in order of address.

    Addresses outside ``network`` count too: a block goes as a whole or not at all. Addresses
    that a Windows host keeps for itself in each block do not, since they vanish with the
    block. Pods are listed only when a pod holds something.
    """
    return holdings_among(blocks, network, lambda: _pods(api))


def holdings_among(
    blocks: t.Iterable[Block], network: Network, pods_now: t.Callable[[], t.Mapping[tuple[str, str], Object]]
) -> list[Holding]:
    """The same; ``pods_now`` gives the pods by namespace and name, and is asked only when a pod holds something."""
    found: list[tuple[Address, Holder, str]] = []
    for block in blocks:
        if not network.overlaps(block.cidr):
            continue
        known = [(holder_of(attribute), attribute.released_at or "") for attribute in block.attributes]
        for ordinal, index in enumerate(block.allocations):
            if index is not None and known[index][0].kind != WINDOWS:
                found.append((block.cidr.address(ordinal), *known[index]))
    pods = pods_now() if any(holder.kind == POD for _address, holder, _released in found) else {}
    return [
        Holding(address, holder, state_of(address, holder, pods), released)
        for address, holder, released in sorted(found)
    ]


def holder_of(attribute: Attribute) -> Holder:
    """The holder that one attribute of a block describes."""
    return classify(
        {
            "handle_id": attribute.handle_id,
            "secondary": attribute.secondary,
            "alternateOwnerAttrs": attribute.alternate,
            "releasedAt": attribute.released_at,
        }
    )


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


def state_of(address: Address, holder: Holder, pods: t.Mapping[tuple[str, str], Object]) -> str:
    """Whether the holder of an address stays, leaves by itself or is gone; ``pods`` by namespace and name."""
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
