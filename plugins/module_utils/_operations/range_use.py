# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who uses addresses of a range by what the live objects say, whatever IPAM's records say (hazard A01)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import LOAD_BALANCER, POD, TUNNEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import LEAVES, STAYS, Holding
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import tunnels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses


@dataclass(frozen=True)
class Use:
    """One address in use: ``kind`` as of a holder, ``name`` what people call its user; ``state`` as of a holding.

    ``source`` says where it was seen: ``blocks`` (IPAM's records) or ``pods``, ``nodes``, ``services``.
    """

    kind: str
    name: str
    address: Address
    state: str
    source: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def as_result(self) -> dict[str, str]:
        return {
            "kind": self.kind,
            "name": self.name,
            "address": str(self.address),
            "state": self.state,
            "source": self.source,
        }


def recorded(held: t.Iterable[Holding]) -> list[Use]:
    """What IPAM's records say."""
    return [Use(each.holder.kind, _name(each), each.address, each.state, "blocks") for each in held]


def used_by_pod(pod: Object, network: Network) -> list[Use]:
    """The pod's addresses in the range. It gives them up by itself only while it is on its way out."""
    metadata = pod["metadata"]
    state = LEAVES if metadata.get("deletionTimestamp") else STAYS
    node = (pod.get("spec") or {}).get("nodeName")
    name = f"{metadata['namespace']}/{metadata['name']}" + (f" on {node}" if node else "")
    return [Use(POD, name, address, state, "pods") for address in pod_addresses(pod) if network.contains(address)]


def used_by_node(node: Object, network: Network) -> list[Use]:
    """The node's tunnel addresses in the range, which leave a pool that is stopped by themselves."""
    return [
        Use(TUNNEL, f"{tunnel.device.type} on {tunnel.node}", tunnel.address, LEAVES, "nodes")
        for tunnel in tunnels_of(node)
        if network.contains(tunnel.address)
    ]


def used_by_service(service: Object, network: Network) -> list[Use]:
    """The Service's addresses in the range: those of its load balancer, and one that it asks for."""
    metadata, spec = service["metadata"], service.get("spec") or {}
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    name = f"{metadata['namespace']}/{metadata['name']}"
    found = []
    for text in dict.fromkeys([*(entry.get("ip") for entry in ingress), spec.get("loadBalancerIP")]):
        try:
            address = parse_address(text)
        except InvalidInput:
            continue
        if network.contains(address):
            state = LEAVES if metadata.get("deletionTimestamp") else STAYS
            found.append(Use(LOAD_BALANCER, name, address, state, "services"))
    return found


def merged(uses: t.Iterable[Use]) -> list[Use]:
    """Each user of an address once, first as IPAM records it."""
    found: dict[tuple[str, Address], Use] = {}
    for use in uses:
        found.setdefault((use.kind, use.address), use)
    return sorted(found.values(), key=lambda use: (use.kind, use.name, use.address))


def by_kind(uses: t.Iterable[Use], most: int) -> str:
    """Who it is, kind by kind with a count and the first ``most`` names, for a sentence."""
    kinds: dict[str, list[str]] = {}
    for use in uses:
        names = kinds.setdefault(use.kind, [])
        if use.name not in names:
            names.append(use.name)
    parts = []
    for kind, names in kinds.items():
        more = f" and {len(names) - most} more" if len(names) > most else ""
        parts.append(f"{len(names)} {_PLURALS.get(kind, kind)} ({', '.join(names[:most])}{more})")
    return ", ".join(parts)


def _name(holding: Holding) -> str:
    """What people call the holder, or else the address."""
    holder = holding.holder
    named = holder.namespace or holder.name or holder.handle or holder.node
    return str(holder).partition(" ")[2] if named else str(holding.address)


_PLURALS: t.Mapping[str, str] = {
    POD: "pod(s)",
    TUNNEL: "tunnel address(es)",
    LOAD_BALANCER: "LoadBalancer Service(s)",
    "vm": "virtual machine(s)",
    "unknown": "unknown holder(s)",
    "cooling": "cooling address(es)",
}
