# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster_ip import ClusterAddresses


def service(name, namespace="default"):
    return {"metadata": {"name": name, "namespace": namespace}}


def test_the_same_service_the_same_address():
    assert ClusterAddresses().allocate(service("a")) == ClusterAddresses().allocate(service("a"))
    assert ClusterAddresses().allocate(service("kubernetes")) == "10.96.0.1"
    assert ClusterAddresses("10.233.0.0/18").allocate(service("kube-dns", "kube-system")) == "10.233.0.10"


def test_no_address_twice_until_the_range_is_full():
    used: list[str] = []
    addresses = ClusterAddresses("10.0.0.0/26", lambda: used)
    for number in range(47):
        used.append(addresses.allocate(service(f"s{number}")))
    assert len(set(used)) == 47
    low, high = min(map(ipaddress.ip_address, used)), max(map(ipaddress.ip_address, used))
    assert (str(low), str(high)) == ("10.0.0.16", "10.0.0.62")
