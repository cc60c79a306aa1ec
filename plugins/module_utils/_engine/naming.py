# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Names of the objects in Calico's datastore, and the handles Calico requests addresses under.

Sources: spec ipam-engine.md §2.1 (object names), §2.3 (labels), §17 (handles).
"""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network

HOSTNAME_HASH_LABEL = "projectcalico.org/hostname-hash"
AFFINITY_TYPE_LABEL = "projectcalico.org/affinity-type"
IP_VERSION_LABEL = "projectcalico.org/ip-version"
METADATA_ANNOTATION = "projectcalico.org/metadata"

#: The pod network's name in every CNI configuration Calico ships.
POD_NETWORK = "k8s-pod-network"
WINDOWS_RESERVED_HANDLE = "windows-reserved-ipam-handle"
#: The virtual host that holds the blocks of LoadBalancer pools.
LOAD_BALANCER_HOST = "load-balancer"

#: Handle prefix -> the ``type`` attribute of the tunnel address (spec ipam-engine.md §17.2).
TUNNEL_HANDLES: t.Dict[str, str] = {
    "ipip-tunnel-addr-": "ipipTunnelAddress",
    "vxlan-tunnel-addr-": "vxlanTunnelAddress",
    "vxlan-v6-tunnel-addr-": "vxlanV6TunnelAddress",
    "wireguard-tunnel-addr-": "wireguardTunnelAddress",
    "wireguard-v6-tunnel-addr-": "wireguardV6TunnelAddress",
}

_NAME_LIMIT = 253
_HASH_DIGITS = 11
_TO_DASH = str.maketrans({".": "-", ":": "-", "/": "-"})


def block_name(block: Network) -> str:
    """Name of an IPAMBlock: ``10.77.4.8/30`` -> ``10-77-4-8-30``. It cannot be turned back reliably."""
    return str(block).translate(_TO_DASH)


def affinity_name(host: str, block: Network) -> str:
    """Name of a BlockAffinity; cut and hashed when it would reach 253 characters."""
    cidr_name = block_name(block)
    name = f"{host}-{cidr_name}"
    if len(name) < _NAME_LIMIT:
        return name
    digest = hashlib.sha256(f"{host}+{cidr_name}".encode()).hexdigest()[:_HASH_DIGITS]
    # 13 = the hash and the two dashes around the CIDR.
    return f"{host[: _NAME_LIMIT - 1 - len(cidr_name) - _HASH_DIGITS - 2]}-{cidr_name}-{digest}"


def handle_name(handle_id: str) -> str:
    """Name of an IPAMHandle. Two handle ids that differ only in case share it."""
    return handle_id.lower()


def host_hash(host: str) -> str:
    """Value of the hostname-hash label: base32, no padding, of SHA3-256 over the host name."""
    return base64.b32encode(hashlib.sha3_256(host.encode()).digest()).decode().rstrip("=")


def affinity_labels(host: str, affinity_type: str, version: int) -> t.Dict[str, str]:
    """The three labels of a BlockAffinity, written on every create and update since v3.31."""
    return {
        AFFINITY_TYPE_LABEL: affinity_type,
        HOSTNAME_HASH_LABEL: host_hash(host),
        IP_VERSION_LABEL: str(version),
    }


def pod_handle(container_id: str, network: str = POD_NETWORK) -> str:
    """Handle of one pod sandbox, by the id the container runtime gave it."""
    return f"{network}.{container_id}"


def old_pod_handle(namespace: str, pod: str) -> str:
    """Handle style of very old releases; the CNI plugin still releases it on DEL."""
    return f"{namespace}.{pod}"


def vm_handle(namespace: str, vm: str, network: str = POD_NETWORK) -> str:
    """Handle of a KubeVirt machine. Beyond 128 characters Calico fails, so this is never cut."""
    return f"{network}.vmi.{namespace}.{vm}"


def tunnel_handle(attribute_type: str, node: str) -> str:
    """Handle of a node's tunnel address by its ``type`` attribute; KeyError for an unknown type."""
    for prefix, kind in TUNNEL_HANDLES.items():
        if kind == attribute_type:
            return prefix + node
    raise KeyError(attribute_type)


def tunnel_of_handle(handle_id: str) -> t.Optional[t.Tuple[str, str]]:
    """(``type`` attribute, node) when the handle is one of a tunnel address, else None."""
    for prefix, kind in TUNNEL_HANDLES.items():
        if handle_id.startswith(prefix):
            return kind, handle_id[len(prefix) :]
    return None


def load_balancer_handle(service: str, namespace: str, uid: str) -> str:
    """Handle of a Service of type LoadBalancer (spec ipam-engine.md §17.3)."""
    digest = hashlib.sha256(f"{service}-{namespace}-{uid}".lower().encode()).digest()
    text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return "lb-" + text.translate(str.maketrans("", "", "-_."))
