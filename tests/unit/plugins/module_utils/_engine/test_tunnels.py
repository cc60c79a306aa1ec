# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import (
    DEVICES,
    IPIP,
    VXLAN,
    VXLAN_V6,
    WIREGUARD,
    WIREGUARD_V6,
    Device,
    serves,
    tunnel_addresses,
    why_no_tunnel,
)

PLAIN = Pool("plain", parse_network("10.0.0.0/16"), 26)
OVER_IPIP = replace(PLAIN, ipip_mode="CrossSubnet")
OVER_VXLAN = replace(PLAIN, vxlan_mode="Always")
SIX = Pool("six", parse_network("fd00::/64"), 122, vxlan_mode="Always")


@pytest.mark.parametrize(
    ("pool", "devices"),
    [
        (PLAIN, {WIREGUARD}),
        (OVER_IPIP, {IPIP, WIREGUARD}),
        (OVER_VXLAN, {VXLAN, WIREGUARD}),
        (SIX, {VXLAN_V6, WIREGUARD_V6}),
        (replace(OVER_IPIP, allowed_uses=frozenset({"Workload"})), set()),
        (replace(OVER_IPIP, disabled=True), set()),
        (replace(OVER_IPIP, terminating=True), set()),
        (replace(OVER_IPIP, allocatable=False), set()),
        (replace(OVER_IPIP, node_selector="rack == 'b'"), set()),
        (replace(OVER_IPIP, node_selector="rack == 'a'"), {IPIP, WIREGUARD}),
        (replace(OVER_IPIP, node_selector="rack =="), set()),
        # Namespaces and assignmentMode do not count for tunnels (spec ipam-engine.md §17.2).
        (replace(OVER_IPIP, namespace_selector="x == 'y'", assignment_mode="Manual"), {IPIP, WIREGUARD}),
    ],
)
def test_which_devices_a_pool_serves(pool: Pool, devices: set[Device]) -> None:
    labels = {"rack": "a"}
    assert {device for device in DEVICES if serves(pool, device, labels)} == devices
    assert {device for device in DEVICES if why_no_tunnel(pool, device, labels) is None} == devices


def test_the_addresses_of_a_node() -> None:
    notes = {IPIP.annotation: "10.0.0.1", WIREGUARD.annotation: "10.0.0.2/32", VXLAN.annotation: "x", "other": "1"}
    assert tunnel_addresses(notes) == {IPIP: parse_address("10.0.0.1"), WIREGUARD: parse_address("10.0.0.2")}
