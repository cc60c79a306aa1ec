# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import naming
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network


@pytest.mark.parametrize(
    ("cidr", "name"),
    [("10.77.4.8/30", "10-77-4-8-30"), ("fd00::/122", "fd00---122"), ("172.22.8.64/26", "172-22-8-64-26")],
)
def test_block_name(cidr, name):
    assert naming.block_name(parse_network(cidr)) == name


def test_affinity_name():
    block = parse_network("10.77.4.8/30")
    assert naming.affinity_name("worker-7", block) == "worker-7-10-77-4-8-30"


@pytest.mark.parametrize("length", [239, 240, 241, 253])
def test_a_long_affinity_name_is_cut_and_hashed(length):
    host, cidr = "n" * length, "10-77-4-8-30"
    name = naming.affinity_name(host, parse_network("10.77.4.8/30"))
    if length + 1 + len(cidr) < 253:
        assert name == f"{host}-{cidr}"
    else:
        digest = hashlib.sha256(f"{host}+{cidr}".encode()).hexdigest()[:11]
        assert name == f"{host[: 252 - len(cidr) - 13]}-{cidr}-{digest}"
        assert len(name) == 252


@pytest.mark.parametrize(
    ("host", "value"),
    [
        ("node-a", "PY3TQE2E3XMTETLM2MJO3UITKPFB27YUJ4T4E5XGPEJON3SM4QAA"),
        ("worker-7", "64JFLL4AKLJBI3NJKBCDVPX2G4766YG64IE4CA4H7LRIFPPPQYVQ"),
    ],
)
def test_host_hash_as_calico_computes_it(host, value):
    assert naming.host_hash(host) == value
    assert naming.affinity_labels(host, "host", 4) == {
        "projectcalico.org/affinity-type": "host",
        "projectcalico.org/hostname-hash": value,
        "projectcalico.org/ip-version": "4",
    }


@pytest.mark.parametrize(
    ("kind", "handle"),
    [
        ("ipipTunnelAddress", "ipip-tunnel-addr-worker-7"),
        ("vxlanTunnelAddress", "vxlan-tunnel-addr-worker-7"),
        ("vxlanV6TunnelAddress", "vxlan-v6-tunnel-addr-worker-7"),
        ("wireguardTunnelAddress", "wireguard-tunnel-addr-worker-7"),
        ("wireguardV6TunnelAddress", "wireguard-v6-tunnel-addr-worker-7"),
    ],
)
def test_tunnel_handles_there_and_back(kind, handle):
    assert naming.tunnel_handle(kind, "worker-7") == handle
    assert naming.tunnel_of_handle(handle) == (kind, "worker-7")


def test_handles():
    assert naming.pod_handle("9d1e44b0c7") == "k8s-pod-network.9d1e44b0c7"
    assert naming.old_pod_handle("shop", "cart-5c9") == "shop.cart-5c9"
    assert naming.vm_handle("shop", "vm1") == "k8s-pod-network.vmi.shop.vm1"
    assert naming.handle_name("k8s-pod-network.AbC") == "k8s-pod-network.abc"
    assert naming.tunnel_of_handle("k8s-pod-network.9d1e44b0c7") is None
    with pytest.raises(KeyError):
        naming.tunnel_handle("noTunnel", "worker-7")


def test_load_balancer_handle_is_stable_and_a_plain_name():
    handle = naming.load_balancer_handle("Web", "shop", "UID-1")
    assert handle == naming.load_balancer_handle("web", "shop", "uid-1")
    assert handle.startswith("lb-")
    assert handle[3:].isalnum()
    assert handle != naming.load_balancer_handle("web", "shop", "uid-2")
