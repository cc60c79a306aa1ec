# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of the operator's Installation and specs of pools (spec ippool.md §10.1)."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import (
    ENCAPSULATIONS,
    edited,
    entry_of,
    index_of,
    same_pool,
    spec_of,
)

ENTRY: dict[str, t.Any] = {
    "name": "teal",
    "cidr": "10.7.0.0/16",
    "blockSize": 26,
    "encapsulation": "VXLANCrossSubnet",
    "natOutgoing": "Enabled",
    "nodeSelector": "all()",
    "disableBGPExport": False,
    "allowedUses": ["Workload", "Tunnel"],
}


def test_a_new_entry_is_complete() -> None:
    spec = {"cidr": "10.7.0.0/16", "vxlanMode": "CrossSubnet", "natOutgoing": True}
    assert entry_of("teal", spec) == ENTRY


def test_members_of_younger_operators_only_where_they_say_something() -> None:
    entry = entry_of("teal", {"cidr": "10.7.0.0/16", "disabled": True, "assignmentMode": "Manual"})
    assert (entry["disableNewAllocations"], entry["assignmentMode"]) == (True, "Manual")


@pytest.mark.parametrize(
    ("word", "ipip", "vxlan"),
    [
        ("IPIP", "Always", "Never"),
        ("IPIPCrossSubnet", "CrossSubnet", "Never"),
        ("VXLAN", "Never", "Always"),
        ("VXLANCrossSubnet", "Never", "CrossSubnet"),
        ("None", "Never", "Never"),
    ],
)
def test_encapsulation(word: str, ipip: str, vxlan: str) -> None:
    spec = {"cidr": "10.7.0.0/16", "ipipMode": ipip, "vxlanMode": vxlan}
    assert entry_of("teal", spec)["encapsulation"] == word
    read = spec_of({**ENTRY, "encapsulation": word}, {})
    assert (read["ipipMode"], read["vxlanMode"]) == (ipip, vxlan)


def test_a_change_keeps_what_it_does_not_know() -> None:
    old = {**ENTRY, "member": "of a younger operator", "cidr": "10.7.0.0/16"}
    live = spec_of(old, {})
    new = edited(old, "teal", {"natOutgoing": False}, {**live, "natOutgoing": False})
    assert new == {**old, "natOutgoing": "Disabled"}
    new = edited(old, "teal", {"disabled": True}, {**live, "disabled": True})
    assert new == {**old, "disableNewAllocations": True}
    new = edited(old, "teal", {"vxlanMode": "Never"}, {**live, "vxlanMode": "Never"})
    assert new == {**old, "encapsulation": "None"}


def test_flags_that_an_entry_does_not_name_are_off() -> None:
    spec = spec_of(ENTRY, {"cidr": "10.7.0.0/16", "disabled": True, "disableBGPExport": True})
    assert (spec["disabled"], spec["disableBGPExport"]) == (False, False)


def test_what_an_entry_leaves_out_is_as_the_pool_has_it() -> None:
    live = {"cidr": "10.7.0.0/16", "blockSize": 28, "ipipMode": "Always", "natOutgoing": True}
    assert default_spec(spec_of({"cidr": "10.7.0.0/16"}, live)) == default_spec(live)


def test_a_namespace_selector_cannot_be_said() -> None:
    spec = {"cidr": "10.7.0.0/16", "allowedUses": ["Workload"], "namespaceSelector": "has(tenant)"}
    with pytest.raises(Refused, match="its Installation has no such member"):
        entry_of("teal", spec)
    with pytest.raises(Refused, match="ipv4pools"):
        edited(ENTRY, "teal", {"namespaceSelector": "has(tenant)"}, spec)


@pytest.mark.parametrize(
    ("entries", "index"),
    [
        ([], None),
        ([{"name": "teal", "cidr": "10.9.0.0/16"}], 0),
        ([{"cidr": "10.9.0.0/16"}, {"cidr": "10.7.0.0/16"}], 1),
        ([{"name": "blue", "cidr": "10.7.0.0/16"}], None),
        ([{"cidr": "nonsense"}], None),
    ],
)
def test_the_entry_of_a_pool(entries: list[dict[str, str]], index: int | None) -> None:
    assert index_of(entries, "teal", parse_network("10.7.0.0/16")) == index


SPECS = st.fixed_dictionaries(
    {
        "cidr": st.sampled_from(["10.7.0.0/16", "fd77::/64"]),
        "modes": st.sampled_from(sorted(ENCAPSULATIONS.values())),
        "natOutgoing": st.booleans(),
        "disabled": st.booleans(),
        "disableBGPExport": st.booleans(),
        "nodeSelector": st.sampled_from(["all()", 'zone == "a"']),
        "allowedUses": st.sampled_from([["Workload"], ["Tunnel", "Workload"]]),
        "assignmentMode": st.sampled_from(["Automatic", "Manual"]),
    }
)


@given(SPECS)
def test_there_and_back(drawn: dict[str, t.Any]) -> None:
    ipip, vxlan = drawn.pop("modes")
    spec = {**drawn, "ipipMode": ipip, "vxlanMode": vxlan}
    entry = entry_of("teal", spec)
    assert default_spec(spec_of(entry, {})) == default_spec(spec)
    assert same_pool(entry, spec)
    assert not same_pool(entry, {**spec, "natOutgoing": not spec["natOutgoing"]})


@given(SPECS, SPECS)
def test_an_edited_entry_is_the_new_spec(one: dict[str, t.Any], other: dict[str, t.Any]) -> None:
    old, new = ({**each, **dict(zip(("ipipMode", "vxlanMode"), each["modes"]))} for each in (one, other))
    for spec in (old, new):
        del spec["modes"]
        spec["cidr"] = "10.7.0.0/16"
    changed = {key: value for key, value in new.items() if old[key] != value}
    assert default_spec(spec_of(edited(entry_of("teal", old), "teal", changed, new), {})) == default_spec(new)
