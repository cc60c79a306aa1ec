# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import COOLING, POD, Holder
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import LEAVES, STAYS, Holding
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_use import (
    by_kind,
    merged,
    recorded,
    used_by_node,
    used_by_pod,
    used_by_service,
)

RANGE = parse_network("10.50.0.0/24")


def thing(name: str, spec: t.Any = None, status: t.Any = None, **metadata: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"namespace": "shop", "name": name, **metadata}, "spec": spec or {}, "status": status or {}}


ADDRESSES = {"phase": "Running", "podIPs": [{"ip": "10.50.0.4"}, {"ip": "fd00::4"}]}


@pytest.mark.parametrize(
    ("pod", "states"),
    [
        (thing("a", status=ADDRESSES), [STAYS]),
        (thing("a", status=ADDRESSES, deletionTimestamp="2026-08-20T09:00:00Z"), [LEAVES]),
        (thing("a", {"hostNetwork": True}, ADDRESSES), []),
        (thing("a", status={**ADDRESSES, "phase": "Succeeded"}), []),
        (thing("a", status={"phase": "Running", "podIPs": [{"ip": "10.51.0.4"}]}), []),
        (thing("a", status={"phase": "Pending"}), []),
    ],
)
def test_pods(pod: dict[str, t.Any], states: list[str]) -> None:
    assert [use.state for use in used_by_pod(pod, RANGE)] == states


def test_nodes() -> None:
    notes = {
        "projectcalico.org/IPv4IPIPTunnelAddr": "10.50.0.1",
        "projectcalico.org/IPv4VXLANTunnelAddr": "10.51.0.1",
        "projectcalico.org/IPv4WireguardInterfaceAddr": "10.50.0.2/32",
        "projectcalico.org/IPv6VXLANTunnelAddr": "nonsense",
    }
    found = used_by_node({"metadata": {"name": "node-1", "annotations": notes}}, RANGE)
    assert [(use.name, str(use.address), use.state) for use in found] == [
        ("ipipTunnelAddress on node-1", "10.50.0.1", LEAVES),
        ("wireguardTunnelAddress on node-1", "10.50.0.2", LEAVES),
    ]


def test_services() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "10.50.0.9"}, {"hostname": "lb.example"}, {"ip": "10.51.0.9"}]}}
    assert [str(use.address) for use in used_by_service(thing("front", status=status), RANGE)] == ["10.50.0.9"]
    asking = thing("front", {"loadBalancerIP": "10.50.0.8"}, status)
    assert [str(use.address) for use in used_by_service(asking, RANGE)] == ["10.50.0.9", "10.50.0.8"]
    assert used_by_service(thing("front"), RANGE) == []


def test_each_user_once_and_the_sentence() -> None:
    pods = [thing(f"web-{n}", status={"podIPs": [{"ip": f"10.50.0.{n}"}]}) for n in range(1, 4)]
    live = [use for pod in pods for use in used_by_pod(pod, RANGE)]
    held = [Holding(live[0].address, Holder(POD, "shop", "web-1", "web-1", "node-1"), STAYS)]
    held.append(Holding(live[1].address, Holder(COOLING), LEAVES))
    uses = merged([*recorded(held), *live])
    assert [(use.kind, use.name, use.source) for use in uses] == [
        ("cooling", "10.50.0.2", "blocks"),
        ("pod", "shop/web-1 on node-1", "blocks"),
        ("pod", "shop/web-2", "pods"),
        ("pod", "shop/web-3", "pods"),
    ]
    assert by_kind(uses, 2).endswith("3 pod(s) (shop/web-1 on node-1, shop/web-2 and 1 more)")
