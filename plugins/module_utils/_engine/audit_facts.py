# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What must be known of a cluster to tell whether an address is in use (spec ipam-engine.md §18, §19).

Read after the blocks: a pod that is seen later cannot have lost its address earlier.
Addresses are (version, integer value), so that those of 150,000 pods stay small.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import BITS, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool

Key = t.Tuple[int, int]
Name = t.Tuple[str, str]

FINISHED = ("Succeeded", "Failed")
#: Tunnel device by ``type`` attribute -> Node annotation that says which address it has (§17.2).
TUNNEL_ANNOTATIONS: t.Dict[str, str] = {
    "ipipTunnelAddress": "projectcalico.org/IPv4IPIPTunnelAddr",
    "vxlanTunnelAddress": "projectcalico.org/IPv4VXLANTunnelAddr",
    "vxlanV6TunnelAddress": "projectcalico.org/IPv6VXLANTunnelAddr",
    "wireguardTunnelAddress": "projectcalico.org/IPv4WireguardInterfaceAddr",
    "wireguardV6TunnelAddress": "projectcalico.org/IPv6WireguardInterfaceAddr",
}
#: Those that ``calicoctl ipam check`` knows (§19).
CALICOCTL_TUNNELS = ("ipipTunnelAddress", "vxlanTunnelAddress", "wireguardTunnelAddress")

#: kube-controllers' default, seconds (§18).
LEAK_GRACE = 900.0


class PodFacts(t.NamedTuple):
    """``addresses`` from its status, ``others`` from annotations (the CNI plugin's own, secondary networks)."""

    addresses: t.Tuple[Key, ...] = ()
    others: t.Tuple[Key, ...] = ()
    node: str = ""
    phase: str = ""
    reason: str = ""
    terminating: bool = False
    host_network: bool = False
    without_ipam: bool = False


class NodeFacts(t.NamedTuple):
    """``tunnels``: address by the ``type`` attribute of the device; ``ready``: what its condition says."""

    tunnels: t.Mapping[str, Key] = {}
    ready: bool = True


class ServiceFacts(t.NamedTuple):
    """A Service of type LoadBalancer: the handle Calico takes its addresses under, and those in its status."""

    handle: str
    addresses: t.Tuple[Key, ...] = ()


@dataclass(frozen=True)
class ClusterFacts:
    """``services`` and ``machines`` (VMs and VMIs) are None when they could not be read: then nothing can be told.

    ``pools`` are in name order. ``leak_grace`` and ``cooldown`` are seconds; ``load_balancers``:
    kube-controllers looks after Services.
    """

    now: datetime
    pools: t.Tuple[Pool, ...] = ()
    nodes: t.Mapping[str, NodeFacts] = field(default_factory=dict)
    pods: t.Mapping[Name, PodFacts] = field(default_factory=dict)
    services: t.Optional[t.Mapping[Name, ServiceFacts]] = None
    machines: t.Optional[t.AbstractSet[Name]] = None
    leak_grace: float = LEAK_GRACE
    cooldown: int = 0
    load_balancers: bool = True

    def pool_of(self, key: Key) -> t.Optional[Pool]:
        """The first pool that has the address."""
        version, value = key
        for pool in self.pools:
            cidr = pool.cidr
            if (
                cidr.version == version
                and value >> (BITS[version] - cidr.prefix) << (BITS[version] - cidr.prefix) == cidr.value
            ):
                return pool
        return None

    def pool_over(self, cidr: Network) -> t.Optional[Pool]:
        """The first pool that overlaps a block."""
        return next((pool for pool in self.pools if pool.cidr.overlaps(cidr)), None)
