# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Cluster addresses for services: deterministic, so that the same scenario gives the same addresses."""

from __future__ import annotations

import ipaddress
import typing as t
import zlib

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object

# What kubeadm gives by convention: the first address to the API server, the tenth to the DNS service.
_CONVENTION = {"default/kubernetes": 1, "kube-system/kube-dns": 10}
# Addresses below are left to the convention.
_FIRST = 16


class ClusterAddresses:
    """Hands out addresses of the service range.

    The same service always tries the same address first. ``in_use`` tells the addresses
    that services have now.
    """

    def __init__(self, service_range: str = "10.96.0.0/12", in_use: t.Callable[[], t.Iterable[str]] = tuple) -> None:
        self._network = ipaddress.ip_network(service_range)
        self._in_use = in_use

    def allocate(self, service: Object) -> str:
        """The address of a service object."""
        metadata = service["metadata"]
        key = f"{metadata.get('namespace', 'default')}/{metadata.get('name', '')}"
        used = frozenset(self._in_use())
        choices = self._network.num_addresses - 1 - _FIRST
        first = zlib.crc32(key.encode()) % choices
        place = _CONVENTION.get(key, _FIRST + first)
        for step in range(choices):
            address = str(self._network.network_address + place)
            if address not in used:
                break
            place = _FIRST + (first + step + 1) % choices
        return address
