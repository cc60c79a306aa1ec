# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of Calico's records in etcd, as in the table of spec ipam-engine.md §3."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_keys

V4, V6 = parse_network("10.77.4.8/30"), parse_network("fd00::40/122")


def test_keys_of_the_specification() -> None:
    assert etcd_keys.block_key(V4) == "/calico/ipam/v2/assignment/ipv4/block/10.77.4.8-30"
    assert etcd_keys.block_key(V6) == "/calico/ipam/v2/assignment/ipv6/block/fd00::40-122"
    assert etcd_keys.affinity_key("worker-7", "host", V4) == "/calico/ipam/v2/host/worker-7/ipv4/block/10.77.4.8-30"
    assert etcd_keys.affinity_key("load-balancer", "virtual", V6) == (
        "/calico/ipam/v2/virtual/load-balancer/ipv6/block/fd00::40-122"
    )
    assert etcd_keys.handle_key("k8s-pod-network.9D") == "/calico/ipam/v2/handle/k8s-pod-network.9D"
    assert etcd_keys.SETTINGS == "/calico/ipam/v2/config"
    assert etcd_keys.resource_key("ippools", "teal") == "/calico/resources/v3/projectcalico.org/ippools/teal"


def test_keys_are_read_back() -> None:
    for cidr in (V4, V6):
        assert etcd_keys.parse_block_key(etcd_keys.block_key(cidr)) == str(cidr)
        key = etcd_keys.affinity_key("node-1.example-26", "virtual", cidr)
        assert etcd_keys.parse_affinity_key(key) == ("virtual", "node-1.example-26", str(cidr))
    assert etcd_keys.parse_handle_key(etcd_keys.handle_key("Net.A-b")) == "Net.A-b"


@pytest.mark.parametrize(
    "key",
    ["", "/calico/ipam/v2/config", "/calico/ipam/v2/assignment/ipv4/block/", "/calico/ipam/v2/host/worker-7",
     "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-26/x", "/calico/ipam/v2/handle/", "/calico/ipam/v2/handle/a/b",
     "/calico/ipam/v2/node/a/ipv4/block/10.0.0.0-26", "/calico/ipam/v2/assignment/ipv5/block/10.0.0.0-26"],
)  # fmt: skip
def test_other_keys_are_none_of_theirs(key: str) -> None:
    parsers = (etcd_keys.parse_block_key, etcd_keys.parse_affinity_key, etcd_keys.parse_handle_key)
    assert [parse(key) for parse in parsers] == [None, None, None]


def test_prefixes_cover_hosts_and_virtual_owners() -> None:
    assert etcd_keys.affinity_prefixes() == ["/calico/ipam/v2/host/", "/calico/ipam/v2/virtual/"]
    assert etcd_keys.affinity_prefixes("a", "host", 6) == ["/calico/ipam/v2/host/a/ipv6/block/"]
    assert etcd_keys.affinity_prefixes("a") == ["/calico/ipam/v2/host/a/", "/calico/ipam/v2/virtual/a/"]
    assert etcd_keys.affinity_prefixes(affinity_type="virtual", version=4) == ["/calico/ipam/v2/virtual/"]
    assert etcd_keys.block_prefix(4) == "/calico/ipam/v2/assignment/ipv4/block/"
