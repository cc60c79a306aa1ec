# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's view of pools: the tables of spec ippool.md 10.1 to 10.3, without a cluster."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator_pools import (
    ENCAPSULATIONS,
    IGNORE,
    OWNER,
    OWNER_LABEL,
    Entry,
    OwnPool,
    Settings,
    adoptable,
    entry_of,
    first_entries,
    outside,
    problems,
    same,
    wanted_spec,
    with_defaults,
    work,
)

CALICO = Settings()
V4 = "172.22.0.0/16"
V6 = "fd77:5::/48"


def complete(cidr: str = V4, **fields: t.Any) -> Entry:
    (entry,) = with_defaults([{"cidr": cidr, **fields}], [], CALICO)
    return entry


def pool(
    entry: Entry, *, owned: bool = True, ignored: bool = False, terminating: bool = False, **spec: t.Any
) -> OwnPool:
    labels = {OWNER_LABEL: OWNER} if owned else {}
    annotations = {IGNORE: "true"} if ignored else {}
    return OwnPool(entry["name"], {**wanted_spec(entry), **spec}, labels, annotations, terminating)


# 10.1


def test_the_defaults_of_both_families() -> None:
    assert complete(V4) == {
        "name": "default-ipv4-ippool",
        "cidr": V4,
        "encapsulation": "IPIP",
        "natOutgoing": "Enabled",
        "nodeSelector": "all()",
        "blockSize": 26,
        "disableBGPExport": False,
        "disableNewAllocations": False,
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    }
    six = complete(V6)
    assert (six["name"], six["encapsulation"], six["natOutgoing"]) == ("default-ipv6-ippool", "None", "Disabled")
    assert six["blockSize"] == 122


def test_another_cni_has_no_encapsulation_by_default() -> None:
    (entry,) = with_defaults([{"cidr": V4}], [], Settings(cni="AmazonVPC"))
    assert entry["encapsulation"] == "None"


def test_what_is_given_stays() -> None:
    given = {
        "name": "teal",
        "cidr": V4,
        "encapsulation": "VXLANCrossSubnet",
        "natOutgoing": "Disabled",
        "nodeSelector": "has(gpu)",
        "blockSize": 28,
        "disableBGPExport": True,
        "disableNewAllocations": True,
        "allowedUses": ["Workload"],
        "assignmentMode": "Manual",
    }
    assert with_defaults([given], [], CALICO) == [given]
    assert wanted_spec(given) == {
        "cidr": V4,
        "blockSize": 28,
        "ipipMode": "Never",
        "vxlanMode": "CrossSubnet",
        "natOutgoing": False,
        "nodeSelector": "has(gpu)",
        "disableBGPExport": True,
        "disabled": True,
        "allowedUses": ["Workload"],
        "assignmentMode": "Manual",
    }


@pytest.mark.parametrize(
    ("cidrs", "names"),
    [
        ([V4], ["default-ipv4-ippool"]),
        ([V6], ["default-ipv6-ippool"]),
        ([V4, V6], ["default-ipv4-ippool", "default-ipv6-ippool"]),
        ([V4, "172.23.0.0/16"], ["172.22.0.0-16", "172.23.0.0-16"]),
        (
            [V4, V6, "172.23.0.0/16"],
            ["172.22.0.0-16", "fd77.0005.0000.0000.0000.0000.0000.0000-48", "172.23.0.0-16"],
        ),
    ],
)
def test_names_that_are_not_given(cidrs: list[str], names: list[str]) -> None:
    found = with_defaults([{"cidr": cidr} for cidr in cidrs], [], CALICO)
    assert [entry["name"] for entry in found] == names


def test_a_pool_that_is_there_gives_its_name() -> None:
    (entry,) = with_defaults([{"cidr": V4}], [pool(complete(name="mine"))], CALICO)
    assert entry["name"] == "mine"


@pytest.mark.parametrize(("word", "modes"), ENCAPSULATIONS.items())
def test_encapsulation_is_two_modes(word: str, modes: tuple[str, str]) -> None:
    entry = complete(encapsulation=word)
    spec = wanted_spec(entry)
    assert (spec["ipipMode"], spec["vxlanMode"]) == modes
    assert entry_of(entry["name"], spec) == entry


def test_the_range_becomes_canonical() -> None:
    assert wanted_spec(complete("FD77:5:0::/48"))["cidr"] == V6


def test_the_first_list() -> None:
    assert first_entries([]) == [{"cidr": "192.168.0.0/16"}]
    assert first_entries([parse_network("10.0.0.0/8")]) == [{"cidr": "10.0.0.0/8"}]
    subnets = [parse_network("10.0.0.0/8")]
    assert not outside([complete("10.4.0.0/16"), complete(V6)], subnets)
    assert "10.0.0.0/7 is not within" in outside([complete("10.0.0.0/7")], subnets)[0]
    assert "172.22.0.0/16 is not within" in outside([complete(V4)], subnets)[0]


LOAD_BALANCER = {"allowedUses": ["LoadBalancer"], "encapsulation": "None"}


@pytest.mark.parametrize(
    ("entries", "settings", "complaint"),
    [
        ([complete(name="a"), complete(name="b")], CALICO, "172.22.0.0/16 is specified more than once"),
        ([complete(name="a"), complete(V6, name="a")], CALICO, "a is specified more than once"),
        ([complete("172.22.0.0")], CALICO, "is invalid"),
        ([complete(blockSize=19)], CALICO, "blockSize 19 is not from 20 to 32"),
        ([complete(V6, blockSize=64)], CALICO, "blockSize 64 is not from 116 to 128"),
        ([complete("172.22.0.0/28", disableNewAllocations=True)], CALICO, "smaller than one block"),
        ([complete(V6, encapsulation="IPIP")], CALICO, "not supported for IPv6"),
        ([complete()], Settings(bgp=False), "needs BGP"),
        ([complete(encapsulation="None", nodeSelector="has(a)")], Settings(cni="GKE"), "must be all()"),
        ([complete(**{**LOAD_BALANCER, "allowedUses": ["LoadBalancer", "Tunnel"]})], CALICO, "combined"),
        ([complete(allowedUses=["LoadBalancer"])], CALICO, "cannot have an encapsulation"),
        ([complete(**LOAD_BALANCER, disableBGPExport=True)], CALICO, "disable BGP export"),
        ([complete(**LOAD_BALANCER, nodeSelector="has(a)")], CALICO, "nodeSelector all()"),
    ],
)
def test_what_the_operator_does_not_take(entries: list[Entry], settings: Settings, complaint: str) -> None:
    assert complaint in "; ".join(problems(entries, settings))


def test_what_it_takes() -> None:
    fine = [complete(name="a"), complete(V6, name="b"), complete("10.0.0.0/16", name="lb", **LOAD_BALANCER)]
    assert problems(fine, CALICO) == []


# 10.2


def test_a_pool_is_adopted_when_every_field_is_equal() -> None:
    entry = complete()
    assert adoptable(entry, pool(entry, owned=False))
    for field, value in (
        ("natOutgoing", False),
        ("nodeSelector", "has(a)"),
        ("disabled", True),
        ("disableBGPExport", True),
        ("allowedUses", ["Workload"]),
        ("assignmentMode", "Manual"),
        ("blockSize", 28),
        ("ipipMode", "CrossSubnet"),
    ):
        assert not adoptable(entry, pool(entry, owned=False, **{field: value})), field
    assert not adoptable({**entry, "name": "other"}, pool(entry, owned=False))


@pytest.mark.parametrize(
    ("fields", "spec"),
    [({"encapsulation": "None"}, {}), ({}, {"blockSize": None}), ({}, {"allowedUses": None})],
)
def test_pools_that_never_are(fields: dict[str, t.Any], spec: dict[str, t.Any]) -> None:
    entry = complete(**fields)
    assert not adoptable(entry, pool(entry, owned=False, **spec))


def test_adoption_is_an_update_and_a_difference_a_complaint() -> None:
    entry, second = complete(name="a"), complete(V6, name="b")
    assert work([entry], [pool(entry, owned=False)]).update == (("a", wanted_spec(entry)),)
    odd = work([entry, second], [pool(entry, owned=False, natOutgoing=False)])
    assert odd.update == () and "not owned by the operator" in odd.complaints[0]
    # The entry is skipped, the others are not.
    assert odd.create == (("b", wanted_spec(second)),)


def test_pools_of_others_are_left_alone() -> None:
    mine, theirs = complete(name="a"), complete(V6, name="b")
    assert work([mine], [pool(mine), pool(theirs, owned=False)]).idle


# 10.3


@pytest.mark.parametrize(
    "spec",
    [
        {"natOutgoing": False},
        {"ipipMode": "Never"},
        {"vxlanMode": "Always"},
        {"nodeSelector": "has(a)"},
        {"disabled": True},
        {"allowedUses": ["Workload"]},
        {"disableBGPExport": True},
        {"assignmentMode": "Manual"},
        {"namespaceSelector": "has(a)"},
        {"blockSize": 28},
    ],
)
def test_direct_edits_are_taken_back(spec: dict[str, t.Any]) -> None:
    entry = complete()
    assert work([entry], [pool(entry, **spec)]).update == ((entry["name"], wanted_spec(entry)),)
    assert work([entry], [pool(entry, ignored=True, **spec)]).idle


def test_other_spellings_are_no_edits() -> None:
    entry = complete()
    spec = {**wanted_spec(entry), "allowedUses": ["Tunnel", "Workload"], "disabled": False, "namespaceSelector": ""}
    assert same(wanted_spec(entry), spec)


def test_what_is_listed_is_made_and_what_is_not_is_deleted() -> None:
    first, second = complete(name="a"), complete(V6, name="b")
    assert work([first], []).create == (("a", wanted_spec(first)),)
    assert work([first], [pool(first), pool(second)]).delete == ("b",)
    # The annotation that stops changes does not stop this.
    assert work([], [pool(first, ignored=True)]).delete == ("a",)
    assert work([], [pool(first, owned=False)]).idle


def test_a_terminating_pool_is_waited_for() -> None:
    entry = complete()
    assert work([entry], [pool(entry, terminating=True, disabled=True)]).idle
    assert work([], [pool(entry, terminating=True)]).idle


def test_a_renamed_entry_is_a_new_pool_and_the_old_one_stays() -> None:
    entry = complete(name="a")
    todo = work([{**entry, "name": "b"}], [pool(entry)])
    assert (todo.create, todo.delete) == ((("b", wanted_spec(entry)),), ())


def test_an_ignored_pool_without_the_label_gets_it_not_back() -> None:
    entry = complete()
    todo = work([entry], [pool(entry, owned=False, ignored=True)])
    assert todo.idle and not todo.complaints
