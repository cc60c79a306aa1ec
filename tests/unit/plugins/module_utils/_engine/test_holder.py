# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds an address: spec ipam-engine.md §17."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import Holder, classify
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import load_balancer_handle

LB = load_balancer_handle("web", "shop", "0b1f")


@pytest.mark.parametrize(
    ("attribute", "holder"),
    [
        (
            {
                "handle_id": "k8s-pod-network.9d1e44b0c7",
                "secondary": {"namespace": "shop", "node": "w7", "pod": "cart-5c9", "timestamp": "x"},
            },
            Holder("pod", "shop", "cart-5c9", "cart-5c9", "w7", "k8s-pod-network.9d1e44b0c7"),
        ),
        (
            {"handle_id": "vxlan-tunnel-addr-w7", "secondary": {"node": "w7", "type": "vxlanTunnelAddress"}},
            Holder("tunnel", "", "vxlanTunnelAddress", "", "w7", "vxlan-tunnel-addr-w7"),
        ),
        (
            {"handle_id": "wireguard-v6-tunnel-addr-w7"},
            Holder("tunnel", "", "wireguardV6TunnelAddress", "", "w7", "wireguard-v6-tunnel-addr-w7"),
        ),
        (
            {"handle_id": LB, "secondary": {"service": "web", "namespace": "shop", "type": "LoadBalancer"}},
            Holder("loadbalancer", "shop", "web", "", "", LB),
        ),
        ({"handle_id": LB}, Holder("loadbalancer", handle=LB)),
        (
            {"handle_id": "Windows-Reserved-IPAM-handle", "secondary": {"note": "x"}},
            Holder("windows", handle="Windows-Reserved-IPAM-handle"),
        ),
        (
            {
                "handle_id": "net.vmi.shop.db",
                "secondary": {"namespace": "shop", "pod": "virt-launcher-db", "node": "w7", "vmi-name": "db"},
            },
            Holder("vm", "shop", "db", "virt-launcher-db", "w7", "net.vmi.shop.db"),
        ),
        (
            {"handle_id": "net.vmi.shop.db.internal"},
            Holder("vm", "shop", "db.internal", handle="net.vmi.shop.db.internal"),
        ),
        ({"releasedAt": "2026-08-20T11:02:40Z"}, Holder("cooling")),
        ({}, Holder("unknown")),
        ({"handle_id": None, "secondary": None}, Holder("unknown")),
        ({"handle_id": "other.1\r\n", "secondary": {"node": "w7"}}, Holder("unknown", node="w7", handle="other.1")),
    ],
)
def test_classification(attribute: dict[str, t.Any], holder: Holder) -> None:
    assert classify(attribute) == holder


@pytest.mark.parametrize(
    ("holder", "text"),
    [
        (Holder("pod", "shop", "cart", "cart", "w7", "h"), "pod shop/cart on w7"),
        (Holder("tunnel", "", "vxlanTunnelAddress", "", "w7", "h"), "tunnel vxlanTunnelAddress on w7"),
        (Holder("windows"), "addresses reserved by a Windows node"),
        (Holder("unknown"), "unknown holder"),
        (Holder("cooling"), "cooling holder"),
    ],
)
def test_holders_as_text(holder: Holder, text: str) -> None:
    assert str(holder) == text
