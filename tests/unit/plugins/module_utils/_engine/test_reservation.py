# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reservations: worked cases of spec ipam-engine.md §8.3."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import (
    Reservation,
    checked_reservation,
    parse_reservations,
)


@pytest.mark.parametrize(
    ("entries", "cidr", "count", "whole"),
    [
        ([], "10.0.0.0/30", 0, False),
        (["10.0.0.0/30"], "10.0.0.0/30", 4, True),
        (["10.0.0.0/8"], "10.0.0.0/30", 4, True),
        (["10.0.0.0/31", "10.0.0.2", "10.0.0.3/32"], "10.0.0.0/30", 4, True),
        (["10.0.0.0/31", "10.0.0.0/32", "10.0.0.1/32"], "10.0.0.0/30", 2, False),
        (["10.0.0.1", "10.0.0.9"], "10.0.0.0/29", 1, False),
        (["fd00::/126", "10.0.0.0/8"], "fd00::/122", 4, False),
        ([" fd00::/122 ", "nonsense", None, "10.0.0.0/33"], "fd00::/122", 64, True),
    ],
)
def test_counting(entries: list[str], cidr: str, count: int, whole: bool) -> None:
    reservations = parse_reservations(entries)
    network = parse_network(cidr)
    assert reservations.count(network) == count
    assert reservations.whole(network) is whole
    single = [network.address(i) for i in range(network.size)]
    assert sum(reservations.reserved(a.version, a.value) for a in single) == count


def test_families_do_not_mix() -> None:
    reservations = parse_reservations(["0.0.0.0/0"])
    assert not reservations.any(6)
    address = parse_address("::1")
    assert not reservations.reserved(6, address.value)


@pytest.mark.parametrize(
    ("entries", "cidrs"),
    [
        (["10.77.4.0/32", "10.77.4.252/30"], ("10.77.4.0/32", "10.77.4.252/30")),
        (["10.77.4.252/030", " 10.77.4.0 "], ("10.77.4.252/30", "10.77.4.0/32")),
        (["10.0.0.1", "10.0.0.1/32", "10.0.0.1"], ("10.0.0.1/32",)),
        (["FD77:0:0:0::/64", "fd77::1"], ("fd77::/64", "fd77::1/128")),
    ],
)
def test_canonical(entries: list[str], cidrs: tuple[str, ...]) -> None:
    assert checked_reservation("rack-7.gateways", entries) == Reservation("rack-7.gateways", cidrs)


@pytest.mark.parametrize(
    ("name", "entries", "field"),
    [
        ("x", [], "reserved_cidrs"),
        ("x", ["10.0.0.0/8", "10.0.0.1/30"], "reserved_cidrs[1]"),
        ("x", [None], "reserved_cidrs[0]"),
        ("x", ["10.0.0.1/"], "reserved_cidrs[0]"),
        ("x", ["::ffff:10.0.0.1"], "reserved_cidrs[0]"),
        ("", ["10.0.0.0/8"], "name"),
        ("a_b", ["10.0.0.0/8"], "name"),
        ("-a", ["10.0.0.0/8"], "name"),
        ("a/b", ["10.0.0.0/8"], "name"),
        ("a" * 254, ["10.0.0.0/8"], "name"),
    ],
)
def test_refused(name: str, entries: list[str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_reservation(name, entries)
    assert caught.value.field == field


def test_what_a_stored_reservation_reserves() -> None:
    stored = Reservation("x", ("10.0.0.5/30", "nonsense", "fd00::1"))
    assert [str(network) for network in stored.networks()] == ["10.0.0.4/30", "fd00::1/128"]
    assert stored.malformed() == ("nonsense",)
