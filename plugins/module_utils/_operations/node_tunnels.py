# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The tunnel addresses that the nodes of a cluster have, read once or followed as they change."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of, condition
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import BY_TYPE, Device, tunnel_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import CALICO_NODES, with_tunnels


@dataclass(frozen=True)
class Tunnel:
    """The address of one tunnel device of a node."""

    node: str
    device: Device
    address: Address

    def __str__(self) -> str:
        return f"{self.device} of {self.node}"

    def as_result(self) -> dict[str, str]:
        return {"node": self.node, "type": self.device.type, "address": str(self.address)}


def tunnels_of(node: Object) -> list[Tunnel]:
    """The tunnel addresses of a node, in a fixed order."""
    name = str(node["metadata"]["name"])
    return [Tunnel(name, device, address) for device, address in tunnel_addresses(annotations_of(node)).items()]


def tunnels_in(nodes: t.Iterable[Object], network: Network) -> list[Tunnel]:
    """Those of all nodes that lie in a range, by node."""
    found = [tunnel for node in nodes for tunnel in tunnels_of(node) if network.contains(tunnel.address)]
    return sorted(found, key=lambda tunnel: (tunnel.node, tunnel.device.type))


def tunnels_from(given: t.Sequence[t.Mapping[str, t.Any]]) -> list[Tunnel]:
    """The tunnels that an earlier result named; InvalidInput for what does not look like one."""
    found = []
    for entry in given:
        device = BY_TYPE.get(str(entry.get("type")))
        if device is None or not entry.get("node"):
            raise InvalidInput(
                f"tunnels: each needs node, type ({', '.join(BY_TYPE)}) and address; got {dict(entry)!r}.", "tunnels"
            )
        found.append(Tunnel(str(entry["node"]), device, parse_address(entry.get("address"))))
    return found


def node_names_ready(nodes: t.Iterable[Object]) -> dict[str, bool]:
    """Every node by name, and whether its kubelet says that it is ready."""
    return {str(node["metadata"]["name"]): condition(node, "Ready").get("status") == "True" for node in nodes}


def tunnel_source(api: KubeApi) -> Resource:
    """The kind whose changes tell of tunnel addresses: Calico's own nodes where its data is in an etcd."""
    return NODES if not isinstance(api, CalicoApi) or api.elsewhere is None else CALICO_NODES


def shown_with_tunnels(thing: Object) -> Object:
    """A node of ``tunnel_source`` with its tunnel addresses as annotations, whichever kind it is."""
    return with_tunnels(thing, thing) if thing.get("apiVersion") == CALICO_NODES.api_version else thing
