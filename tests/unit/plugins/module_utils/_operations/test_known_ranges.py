# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.known_ranges import known_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    BGP_PEERS,
    Surroundings,
)

from .pool_change_objects import VIEW, block, node, stored, view


def service(**parts: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"name": "front", "namespace": "shop"}, **parts}


def peer(address: t.Any) -> Surroundings:
    return Surroundings({BGP_PEERS: ({"metadata": {"name": "rack"}, "spec": {"peerIP": address}},)})


def annotated(key: str, value: str) -> dict[str, t.Any]:
    thing = node("node-1", "host-name")
    return {**thing, "metadata": {**thing["metadata"], "annotations": {f"projectcalico.org/{key}": value}}}


SLICED = {**node("node-1", "host-name"), "spec": {"podCIDR": "10.3.0.0/24", "podCIDRs": ["10.3.0.0/24", "fd00:3::/64"]}}
INGRESS = {"loadBalancer": {"ingress": [{"ip": "10.4.0.1"}, {"hostname": "front.example"}]}}


@pytest.mark.parametrize(
    ("changes", "kind", "ranges"),
    [
        ({"pools": (stored(cidr="10.1.0.7/16"), stored("bad", cidr="x"))}, "pool", ["10.1.0.0/16"]),
        ({"blocks": (block("10.2.0.0/26"),)}, "block", ["10.2.0.0/26"]),
        ({"reserved": (("gateways", parse_network("10.9.0.0/30")),)}, "reservation", ["10.9.0.0/30"]),
        ({}, "service range", ["10.96.0.0/12"]),
        (
            {"nodes": (node("node-1", "172.18.0.5"), node("node-2", "fd00::5"))},
            "node",
            ["172.18.0.5/32", "fd00::5/128"],
        ),
        ({"nodes": (annotated("IPv4Address", "172.19.0.5/24"),)}, "node", ["172.19.0.5/32"]),
        ({"nodes": (annotated("IPv4VXLANTunnelAddr", "192.168.0.1"),)}, "tunnel", ["192.168.0.1/32"]),
        ({"nodes": (SLICED,)}, "node pod range", ["10.3.0.0/24", "fd00:3::/64"]),
        ({"services": (service(spec={"clusterIP": "None"}, status=INGRESS),)}, "service address", ["10.4.0.1/32"]),
        (
            {"services": (service(spec={"clusterIPs": ["10.96.0.1", "fd00::1"]}),)},
            "service address",
            ["10.96.0.1/32", "fd00::1/128"],
        ),
        ({"services": (service(spec={"externalIPs": ["10.5.0.1"]}),)}, "service address", ["10.5.0.1/32"]),
        ({"surroundings": peer("10.6.0.1")}, "BGP peer", ["10.6.0.1/32"]),
        ({"surroundings": peer("10.6.0.1:1790")}, "BGP peer", ["10.6.0.1/32"]),
        ({"surroundings": peer("[fd00::9]:179")}, "BGP peer", ["fd00::9/128"]),
        ({"surroundings": peer("fd00::9")}, "BGP peer", ["fd00::9/128"]),
        ({"surroundings": peer(None)}, "BGP peer", []),
    ],
)
def test_what_is_known(changes: dict[str, t.Any], kind: str, ranges: list[str]) -> None:
    assert [str(each.network) for each in known_ranges(view(**changes)) if each.kind == kind] == ranges


def test_what_the_user_names_is_known_too() -> None:
    (outside,) = [each for each in known_ranges(VIEW, [parse_network("10.7.0.0/24")]) if each.kind == "outside"]
    assert (str(outside.network), "external_ranges" in outside.what) == ("10.7.0.0/24", True)
