# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD, VM, Holder
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import STAYS, Holding
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import (
    DISABLED,
    NO_NODE,
    NODE_SELECTOR,
    is_stopped,
    machines_in,
    stop_way,
    way_of,
)

ADDRESS = parse_address("10.0.0.1")


@pytest.mark.parametrize(
    ("spec", "way"),
    [
        ({}, None),
        ({"disabled": False, "nodeSelector": "all()"}, None),
        ({"disabled": True}, DISABLED),
        ({"disabled": True, "nodeSelector": "!all()"}, DISABLED),
        ({"nodeSelector": "!all()"}, NODE_SELECTOR),
        ({"nodeSelector": " ! all( ) "}, NODE_SELECTOR),
        ({"nodeSelector": "!(all())"}, NODE_SELECTOR),
        ({"nodeSelector": "!global()"}, NODE_SELECTOR),
        ({"nodeSelector": "!!all()"}, None),
        ({"nodeSelector": "!has(rack)"}, None),
        ({"nodeSelector": "!all("}, None),
        ({"nodeSelector": None}, None),
    ],
)
def test_how_a_pool_is_stopped(spec: dict[str, object], way: str | None) -> None:
    assert (is_stopped(spec), way_of(spec)) == (way is not None, way)


@pytest.mark.parametrize(
    ("machines", "persistence", "way"),
    [
        ([], None, DISABLED),
        ([], "Enabled", DISABLED),
        (["shop/mill"], None, NODE_SELECTOR),
        (["shop/mill"], "Enabled", NODE_SELECTOR),
        (["shop/mill"], "Disabled", DISABLED),
    ],
)
def test_the_way_to_stop_it(machines: list[str], persistence: str | None, way: str) -> None:
    found = stop_way(machines, persistence)
    assert found.way == way
    assert is_stopped(found.changes) and way_of(found.changes) == way
    assert found.reason.endswith(".") and all(each.endswith(".") for each in found.consequences)
    assert all(machine in found.reason for machine in machines)


def test_who_asks_is_named_among_the_consequences() -> None:
    many = [f"shop/vm-{number}" for number in range(8)]
    found = stop_way(many, None, ["Namespace shop"])
    assert found.consequences[1] == "These ask for it now: Namespace shop."
    assert found.reason.endswith("shop/vm-4 and 3 more.") and "8 hold addresses" in found.reason


def test_an_operator_of_old_has_no_word_for_disabled() -> None:
    """Spec ippool.md §10.4, also where there is no machine."""
    found = stop_way([], None, ["Namespace shop"], can_disable=False)
    assert found.changes == {"nodeSelector": NO_NODE}
    assert "came with operator v1.36" in found.reason
    assert found.consequences[1] == "These ask for it now: Namespace shop."


def test_machines_by_blocks_and_by_pods() -> None:
    held = [
        Holding(ADDRESS, Holder(VM, "shop", "mill", "virt-launcher-mill-1"), STAYS),
        Holding(ADDRESS, Holder(POD, "shop", "web-1", "web-1"), STAYS),
    ]
    labels = {"kubevirt.io": "virt-launcher", "vm.kubevirt.io/name": "lathe"}
    pods = [
        {"metadata": {"namespace": "shop", "name": "virt-launcher-lathe-1", "labels": labels}},
        {"metadata": {"namespace": "shop", "name": "web-1", "labels": {"app": "web"}}},
    ]
    assert machines_in(held, pods) == ["shop/lathe", "shop/mill"]
