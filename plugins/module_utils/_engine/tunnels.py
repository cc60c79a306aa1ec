# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The tunnel devices of a node and the pools that each may take its address from (spec ipam-engine.md §17.2)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import TUNNEL_ANNOTATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node

Labels = t.Mapping[str, str]


class Device(t.NamedTuple):
    """One kind of tunnel: ``type`` as in the attributes of its address, and what people call it.

    ``key`` is the node annotation that must be set for it, "" when none must.
    """

    type: str
    version: int
    name: str
    key: str = ""

    @property
    def annotation(self) -> str:
        """Where a node has the address."""
        return TUNNEL_ANNOTATIONS[self.type]

    def __str__(self) -> str:
        return self.name


IPIP = Device("ipipTunnelAddress", 4, "IPIP")
VXLAN = Device("vxlanTunnelAddress", 4, "VXLAN")
VXLAN_V6 = Device("vxlanV6TunnelAddress", 6, "IPv6 VXLAN")
WIREGUARD = Device("wireguardTunnelAddress", 4, "WireGuard", "projectcalico.org/WireguardPublicKey")
WIREGUARD_V6 = Device("wireguardV6TunnelAddress", 6, "IPv6 WireGuard", "projectcalico.org/WireguardPublicKeyV6")
DEVICES = (IPIP, VXLAN, VXLAN_V6, WIREGUARD, WIREGUARD_V6)
BY_TYPE: t.Mapping[str, Device] = {device.type: device for device in DEVICES}


def carries(pool: Pool, device: Device) -> bool:
    """Whether the pool is of the encapsulation and the IP version that the device is there for."""
    if pool.version != device.version:
        return False
    if device is IPIP:
        return pool.ipip_mode != "Never"
    return pool.vxlan_mode != "Never" if device in (VXLAN, VXLAN_V6) else True


def serves(pool: Pool, device: Device, labels: Labels) -> bool:
    """Whether a node with these labels may take the device's address from the pool now."""
    if not (pool.enabled and carries(pool, device) and "Tunnel" in pool.allowed_uses):
        return False
    try:
        return selects_node(pool, labels)
    except SelectorError:
        return False


def why_no_tunnel(pool: Pool, device: Device, labels: Labels) -> str | None:
    """The first reason, a clause about the pool, why a node's device gets no address of it; None when it may."""
    if serves(pool, device, labels):
        return None
    if pool.version != device.version:
        return f"is IPv{pool.version}"
    if pool.terminating:
        return "is being deleted"
    if pool.disabled:
        return "is disabled"
    if not pool.allocatable:
        return "is not allocatable"
    if not carries(pool, device):
        return f"has no {'IPIP' if device is IPIP else 'VXLAN'}"
    if "Tunnel" not in pool.allowed_uses:
        return "does not allow the use Tunnel"
    return f"does not select it by its nodeSelector {pool.node_selector!r}"


def tunnel_addresses(annotations: t.Mapping[str, str]) -> dict[Device, Address]:
    """The addresses of a node's tunnel devices, from its annotations; what is not an address is left out."""
    found: dict[Device, Address] = {}
    for device in DEVICES:
        text = annotations.get(device.annotation)
        if text:
            try:
                found[device] = parse_address(text.partition("/")[0])
            except InvalidInput:
                continue
    return found
