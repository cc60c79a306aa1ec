# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The pools calico-node makes when it starts and finds none of a family.

Source: spec ippool.md 5.4 and hazard A03; the environment variables are Calico's.
"""

from __future__ import annotations

import random
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec

_FALLBACK = "192.168.0.0/16"
_NAMES = {4: "default-ipv4-ippool", 6: "default-ipv6-ippool"}
_ENABLED = ("true", "1", "yes", "y", "t")


def default_pools(
    environment: t.Mapping[str, str],
    families_present: t.Collection[int],
    kubeadm_subnets: t.Mapping[int, Network],
    chance: random.Random,
) -> list[Object]:
    """The IPPools to create, as objects without apiVersion and kind. ``chance`` draws the IPv6 range.

    Raises ``InvalidInput`` for an environment variable that makes calico-node refuse to start.
    """
    if environment.get("NO_DEFAULT_POOLS", "").lower() in _ENABLED:
        return []
    families = [4]
    if environment.get("FELIX_IPV6SUPPORT", "true").lower() in _ENABLED and environment.get("IP6"):
        families.append(6)
    return [
        {
            "metadata": {"name": _NAMES[version]},
            "spec": default_spec(_spec(environment, version, kubeadm_subnets, chance)),
        }
        for version in families
        if version not in families_present and environment.get(f"CALICO_IPV{version}POOL_CIDR") != "none"
    ]


def _spec(
    environment: t.Mapping[str, str],
    version: int,
    kubeadm_subnets: t.Mapping[int, Network],
    chance: random.Random,
) -> Object:
    prefix = f"CALICO_IPV{version}POOL_"
    cidr = environment.get(prefix + "CIDR")
    if cidr:
        text = str(parse_network(cidr))
    elif version in kubeadm_subnets:
        text = str(kubeadm_subnets[version])
    elif version == 4:
        text = _FALLBACK
    else:
        text = f"fd{chance.getrandbits(8):02x}:{chance.getrandbits(16):x}:{chance.getrandbits(16):x}::/48"
    vxlan = _mode(environment.get(prefix + "VXLAN"), "Never", prefix + "VXLAN")
    # IP in IP is what Calico's images take when nothing is said, unless VXLAN is asked for.
    ipip_default = "Always" if version == 4 and vxlan == "Never" else "Never"
    spec: Object = {
        "cidr": text,
        "ipipMode": _mode(environment.get(prefix + "IPIP"), ipip_default, prefix + "IPIP") if version == 4 else "Never",
        "vxlanMode": vxlan,
        "natOutgoing": environment.get(prefix + "NAT_OUTGOING", "true" if version == 4 else "false").lower()
        in _ENABLED,
        "nodeSelector": environment.get(prefix + "NODE_SELECTOR") or "all()",
    }
    if environment.get(prefix + "BLOCK_SIZE"):
        spec["blockSize"] = int(environment[prefix + "BLOCK_SIZE"])
    if environment.get(prefix + "DISABLE_BGP_EXPORT", "").lower() in _ENABLED:
        spec["disableBGPExport"] = True
    return spec


def _mode(value: str | None, default: str, name: str) -> str:
    if not value:
        return default
    known = {"never": "Never", "off": "Never", "always": "Always", "crosssubnet": "CrossSubnet"}
    word = value.lower().replace("-", "").replace("_", "")
    if word not in known:
        raise InvalidInput(f"{name} is {value!r}, it must be Always, CrossSubnet or Never.", name, value)
    return known[word]
