# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Annotations that tie something to a pool or to addresses of it (spec ippool.md §9.2, hazards.md B15, B17).

The one reading of them: preflight, the drain and ``ippool_binding_info`` share it.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import PREFIX
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import POOL_ANNOTATIONS

POOLS = tuple(POOL_ANNOTATIONS.values())
#: Annotations of pods with addresses that come out of a pool's range.
ADDRESSES = (f"{PREFIX}ipAddrs", f"{PREFIX}ipAddrsNoIpam")
#: Like those, but translated to the pod's own address, which may come from elsewhere.
FLOATING = f"{PREFIX}floatingIPs"
SERVICE_POOLS = ("projectcalico.org/ipv4pools", "projectcalico.org/ipv6pools")
SERVICE_ADDRESSES = "projectcalico.org/loadBalancerIPs"


def entries(text: str | None) -> list[str]:
    """The entries of an annotation that holds a JSON list of texts; nothing for anything else."""
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    return [entry for entry in found if isinstance(entry, str)] if isinstance(found, list) else []


def means_pool(entry: str, name: str, network: Network | None) -> bool:
    """Whether an entry means the pool: by its name, or by its CIDR or a part of it in any spelling."""
    if entry == name:
        return True
    try:
        return network is not None and network.contains(parse_network(entry, strict=False))
    except InvalidInput:
        return False


def names_pool(text: str | None, name: str, network: Network | None) -> bool:
    """Whether a list of pools has the pool among its entries.

    One of several is enough: once it is disabled the whole request fails (spec ippool.md §9.1 step 2).
    """
    return any(means_pool(entry, name, network) for entry in entries(text))


def addresses_in(text: str | None, network: Network | None) -> list[str]:
    """The entries of a list of addresses that lie in the pool's range."""
    return [entry for entry in entries(text) if network is not None and _lies_in(entry, network)]


def pin(annotations: t.Mapping[str, str], pool: str, network: Network) -> str:
    """The annotation that ties a pod to the pool, as ``name: value``; ``""`` when none does.

    A restarted pod that is tied to a disabled pool gets no address at all.
    """
    for key in POOLS:
        if names_pool(annotations.get(key), pool, network):
            return f"{key}: {annotations[key]}"
    for key in ADDRESSES:
        if addresses_in(annotations.get(key), network):
            return f"{key}: {annotations[key]}"
    return ""


def _lies_in(text: str, network: Network) -> bool:
    try:
        return network.contains(parse_network(text, strict=False) if "/" in text else parse_address(text))
    except InvalidInput:
        return False
