# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Spec ippool.md §4.4, row by row, and the canonical CIDRs of §3.4, as a module decides them.

One thing differs on purpose: what a request leaves out stays as it is (§4.3 lists the dangerous omissions), so the rows
that update by leaving a field out are refused only where that field is given.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_decision import PoolWrite, decide
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import PoolRequest

Spec = t.Dict[str, t.Any]
V4 = "172.22.0.0/16"


def decided(request: Spec, stored: t.Mapping[str, Spec], blocks: t.Sequence[str] = (), name: str = "p") -> PoolWrite:
    pools = [
        StoredPool(each, {"metadata": {"name": each, "uid": "u1", "resourceVersion": "7"}, "spec": spec})
        for each, spec in stored.items()
    ]
    return decide(PoolRequest(name, request), pools, lambda: [parse_network(block) for block in blocks])


DEFAULTS = {
    "ipipMode": "Never",
    "vxlanMode": "Never",
    "nodeSelector": "all()",
    "allowedUses": ["Workload", "Tunnel"],
    "assignmentMode": "Automatic",
}


@pytest.mark.parametrize(
    ("request_spec", "stored"),
    [
        ({"cidr": V4}, {"cidr": V4, "blockSize": 26}),
        (
            {"cidr": "fd77:5::/48", "vxlanMode": "Always"},
            {"cidr": "fd77:5::/48", "blockSize": 122, "vxlanMode": "Always"},
        ),
        ({"cidr": "172.22.9.0/28", "blockSize": 28}, {"cidr": "172.22.9.0/28", "blockSize": 28}),
        ({"cidr": "172.22.9.0/28", "disabled": True}, {"cidr": "172.22.9.0/28", "blockSize": 26, "disabled": True}),
        (
            {"cidr": V4, "namespaceSelector": "has(tenant)", "allowedUses": ["Workload"]},
            {"cidr": V4, "blockSize": 26, "namespaceSelector": "has(tenant)", "allowedUses": ["Workload"]},
        ),
        # §3.4
        ({"cidr": "172.22.0.0/15"}, {"cidr": "172.22.0.0/15", "blockSize": 26}),
        ({"cidr": "172.16.0.0/012"}, {"cidr": "172.16.0.0/12", "blockSize": 26}),
        ({"cidr": "FD77:0:0:0::/64"}, {"cidr": "fd77::/64", "blockSize": 122}),
        ({"cidr": "2001:0DB8:0:0:8::/80"}, {"cidr": "2001:db8:0:0:8::/80", "blockSize": 122}),
    ],
)
def test_created(request_spec: Spec, stored: Spec) -> None:
    created = decided(request_spec, {}).create
    assert created is not None
    assert created["spec"] == {**DEFAULTS, **stored}


@pytest.mark.parametrize(
    ("rule", "request_spec", "stored", "blocks", "name"),
    [
        ("V8", {"cidr": "172.22.9.0/28"}, {}, [], "p"),
        ("V17", {"cidr": V4, "namespaceSelector": "has(tenant)"}, {}, [], "p"),
        ("V24", {"cidr": "172.22.4.0/22"}, {"p": {"cidr": V4, "disabled": True}}, [], "q"),
        ("V25", {"cidr": V4, "blockSize": 27}, {}, ["172.22.4.64/26"], "p"),
        ("V22", {"blockSize": 26, "disabled": True}, {"p": {"cidr": V4, "blockSize": 28}}, [], "p"),
        ("V23", {"allowedUses": []}, {"p": {"cidr": V4, "allowedUses": ["LoadBalancer"]}}, [], "p"),
        ("V8", {"disabled": False}, {"p": {"cidr": "172.22.9.0/28", "blockSize": 26, "disabled": True}}, [], "p"),
        # §3.4
        ("V4", {"cidr": "172.22.0.0/07"}, {}, [], "p"),
        ("V2", {"cidr": "::ffff:172.22.0.0/112"}, {}, [], "p"),
        ("V4", {"cidr": "172.22.0.9/16"}, {}, [], "p"),
    ],
)
def test_refused(rule: str, request_spec: Spec, stored: t.Mapping[str, Spec], blocks: list[str], name: str) -> None:
    with pytest.raises(IpamError) as caught:
        decided(request_spec, stored, blocks, name)
    rules = [error["rule"] for error in caught.value.details.get("errors", ())]
    assert rules == [rule], caught.value.message


@pytest.mark.parametrize(
    ("request_spec", "stored", "patch"),
    [
        ({"disabled": True}, {"cidr": V4, "blockSize": 28}, {"disabled": True}),
        (
            {"allowedUses": ["LoadBalancer"]},
            {"cidr": V4, "allowedUses": ["Workload", "Tunnel"]},
            {"allowedUses": ["LoadBalancer"]},
        ),
        # An update does not look for overlaps again: of two that are stored, either can be changed.
        ({"natOutgoing": True}, {"cidr": V4}, {"natOutgoing": True}),
        # §4.2: what is the same after read defaults is not written.
        ({"blockSize": 26, "nodeSelector": "all()", "natOutgoing": False}, {"cidr": V4}, None),
        ({"allowedUses": ["Tunnel", "Workload"]}, {"cidr": V4, "allowedUses": ["Workload", "Tunnel"]}, None),
        ({"cidr": "fd77::/64"}, {"cidr": "FD77:0::/64"}, None),
    ],
)
def test_updated(request_spec: Spec, stored: Spec, patch: Spec | None) -> None:
    write = decided(request_spec, {"p": stored, "q": {"cidr": "172.22.4.0/22"}})
    assert write.create is None
    assert (write.patch or {}).get("spec") == patch
