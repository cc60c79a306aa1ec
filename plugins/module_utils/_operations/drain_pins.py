# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Annotations that tie pods to a pool or to addresses of it (hazards.md B15, B17).

A restarted pod that is tied to a disabled pool gets no address at all, so such workloads are left alone.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

PREFIX = "cni.projectcalico.org/"
POOLS = ("ipv4pools", "ipv6pools")
ADDRESSES = ("ipAddrs", "ipAddrsNoIpam")


def pin(annotations: t.Mapping[str, str], pool: str, network: Network) -> str:
    """The annotation that ties a pod to the pool, as ``name: value``; ``""`` when none does.

    A list of pools ties only when each of its entries, a name or a CIDR, means this pool: Calico uses
    the others otherwise.
    """
    for name in POOLS:
        entries = _entries(annotations, name)
        if entries and all(entry == pool or _inside(entry, network) for entry in entries):
            return f"{PREFIX}{name}: {annotations[PREFIX + name]}"
    for name in ADDRESSES:
        if any(_inside(entry, network) for entry in _entries(annotations, name)):
            return f"{PREFIX}{name}: {annotations[PREFIX + name]}"
    return ""


def _entries(annotations: t.Mapping[str, str], name: str) -> list[str]:
    try:
        value = json.loads(annotations.get(PREFIX + name) or "[]")
    except ValueError:
        return []
    return [str(entry) for entry in value] if isinstance(value, list) else []


def _inside(text: str, network: Network) -> bool:
    try:
        return network.contains(parse_network(text, strict=False) if "/" in text else parse_address(text))
    except InvalidInput:
        return False
