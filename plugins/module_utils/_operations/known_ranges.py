# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Every range and address that a cluster is known to use, so that a new pool overlaps none of them (hazard B09)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import TUNNEL_ANNOTATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import service_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import BGP_PEERS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView

POOL, BLOCK, RESERVATION = "pool", "block", "reservation"
NODE, TUNNEL, NODE_POD_CIDR = "node", "tunnel", "node pod range"
SERVICE, SERVICE_ADDRESS = "service range", "service address"
PEER, OUTSIDE, ANNOUNCED = "BGP peer", "outside", "announced service range"
# Ranges of Services that nodes announce, by the member of BGPConfiguration default.
_ANNOUNCED = ("serviceClusterIPs", "serviceExternalIPs", "serviceLoadBalancerIPs")


class Known(t.NamedTuple):
    """A range in use: of which kind, and who has it, in words."""

    network: Network
    kind: str
    what: str


def known_ranges(view: ClusterView, outside: t.Iterable[Network] = ()) -> t.Iterator[Known]:
    """Each of them; ``outside`` are ranges that the user has named. Texts that are no range are left out."""
    for pool in view.pools:
        if pool.pool_cidr is not None:
            yield Known(pool.pool_cidr, POOL, f"IPPool {pool.name}")
    for block in view.blocks:
        yield Known(block.cidr, BLOCK, f"IPAMBlock {block.cidr}")
    for name, network in view.reserved:
        yield Known(network, RESERVATION, f"IPReservation {name}")
    for ranges in service_ranges(view):
        for network in ranges.networks:
            yield Known(network, SERVICE, ranges.source)
    for service in view.services:
        for network in _service_addresses(service):
            metadata = service["metadata"]
            yield Known(network, SERVICE_ADDRESS, f"Service {metadata.get('namespace')}/{metadata['name']}")
    for node in view.nodes:
        name = f"Node {node['metadata']['name']}"
        for network in _node_addresses(node):
            yield Known(network, NODE, name)
        annotations = node["metadata"].get("annotations") or {}
        for network in _addresses(annotations.get(key) for key in TUNNEL_ANNOTATIONS.values()):
            yield Known(network, TUNNEL, name)
        for network in _networks((node.get("spec") or {}).get("podCIDRs") or [(node.get("spec") or {}).get("podCIDR")]):
            yield Known(network, NODE_POD_CIDR, name)
    for peer in view.surroundings.of(BGP_PEERS):
        for network in _addresses([_host((peer.get("spec") or {}).get("peerIP"))]):
            yield Known(network, PEER, f"BGPPeer {peer['metadata']['name']}")
    for member in _ANNOUNCED:
        entries = view.calico.bgp.get(member)
        for network in _networks(entry.get("cidr") for entry in entries or () if isinstance(entry, dict)):
            yield Known(network, ANNOUNCED, f"{network}, which {member} of BGPConfiguration default announces")
    for network in outside:
        yield Known(network, OUTSIDE, f"the range {network}, which external_ranges names")


def node_networks(view: ClusterView) -> t.Iterator[Known]:
    """The networks that nodes are in, by what Calico has noted of them; not those of point-to-point links."""
    for node in view.nodes:
        annotations = node["metadata"].get("annotations") or {}
        for key in ("projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address"):
            for network in _networks([annotations.get(key)]):
                if network.prefix < network.bits:
                    yield Known(network, NODE, f"Node {node['metadata']['name']}")


def _node_addresses(node: Object) -> t.Iterator[Network]:
    # Host names stand among the addresses.
    yield from _addresses(entry.get("address") for entry in (node.get("status") or {}).get("addresses") or [])
    annotations = node["metadata"].get("annotations") or {}
    for key in ("projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address"):
        yield from _addresses([str(annotations.get(key) or "").partition("/")[0]])


def _service_addresses(service: Object) -> t.Iterator[Network]:
    spec, status = service.get("spec") or {}, service.get("status") or {}
    yield from _addresses(spec.get("clusterIPs") or [spec.get("clusterIP")])
    yield from _addresses([*(spec.get("externalIPs") or ()), spec.get("loadBalancerIP")])
    yield from _addresses(entry.get("ip") for entry in (status.get("loadBalancer") or {}).get("ingress") or ())


def _host(peer: t.Any) -> str:
    """The address of ``192.0.2.1``, ``192.0.2.1:179``, ``fd00::1`` or ``[fd00::1]:179``."""
    text = str(peer or "")
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _addresses(texts: t.Iterable[t.Any]) -> t.Iterator[Network]:
    for text in texts:
        try:
            address = parse_address(text)
        except InvalidInput:
            continue
        yield address.network(address.bits)


def _networks(texts: t.Iterable[t.Any]) -> t.Iterator[Network]:
    for text in texts:
        try:
            yield parse_network(text, strict=False)
        except InvalidInput:
            continue
