# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Cluster addresses for services: deterministic, so that the same scenario gives the same addresses."""

from __future__ import annotations

import ipaddress
import zlib

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object

# What kubeadm gives by convention: the first address to the API server, the tenth to the DNS service.
_CONVENTION = {"default/kubernetes": 1, "kube-system/kube-dns": 10}


class ClusterAddresses:
    """Hands out addresses of the service range; the same service always tries the same one first.

    One instance remembers what it gave; what other instances gave it does not know.
    """

    def __init__(self, service_range: str = "10.96.0.0/12") -> None:
        self._network = ipaddress.ip_network(service_range)
        self._taken: dict[int, str] = {}

    def allocate(self, service: Object) -> str:
        """The address of a service object."""
        metadata = service["metadata"]
        key = f"{metadata.get('namespace', 'default')}/{metadata.get('name', '')}"
        size = self._network.num_addresses - 2
        place = _CONVENTION.get(key)
        if place is None:
            # Low addresses are left to the convention, as the API server does.
            place = 16 + zlib.crc32(key.encode()) % (size - 16)
        for _attempt in range(size):
            if self._taken.get(place, key) == key:
                break
            place = 16 + (place - 15) % (size - 16)
        self._taken[place] = key
        return str(self._network.network_address + place)
