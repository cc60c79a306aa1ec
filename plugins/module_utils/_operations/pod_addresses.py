# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The addresses a pod has on the pod network."""

from __future__ import annotations

import functools

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput


def pod_addresses(pod: Object) -> list[Address]:
    """None for pods of the host network, for finished pods, and before the address is reported."""
    status = pod.get("status") or {}
    if pod["spec"].get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return []
    texts = [entry.get("ip") for entry in status.get("podIPs") or []] or [status.get("podIP")]
    addresses = []
    for text in texts:
        try:
            addresses.append(_parsed(str(text or "")))
        except InvalidInput:
            continue
    return addresses


@functools.lru_cache(maxsize=1 << 16)
def _parsed(text: str) -> Address:
    """Whoever looks at all pods does so again and again."""
    return parse_address(text)
