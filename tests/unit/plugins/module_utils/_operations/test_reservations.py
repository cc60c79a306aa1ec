# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reservations through a ``ConfigurationStore``, whatever it keeps them in."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import (
    Reservation,
    checked_reservation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.reservations import (
    delete_reservation,
    ensure_reservation,
    reservations_info,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory_configuration import MemoryConfiguration

POOL = Pool("teal", parse_network("10.77.4.0/24"), 30)
RACK = checked_reservation("rack", ["10.77.4.0/30", "10.77.4.9"])


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore([POOL])


@pytest.fixture
def configuration(store: MemoryStore) -> MemoryConfiguration:
    return MemoryConfiguration(store)


def test_exactly_what_is_listed(store: MemoryStore, configuration: MemoryConfiguration) -> None:
    planned = ensure_reservation(configuration, store, RACK, check_mode=True)
    assert configuration.list_reservations() == []
    assert ensure_reservation(configuration, store, RACK, check_mode=False) == planned
    assert store.reservations().count(POOL.cidr) == 5
    fewer = checked_reservation("rack", ["10.77.4.9/32"])
    assert ensure_reservation(configuration, store, fewer, check_mode=False).plan.changed
    assert store.reservations().count(POOL.cidr) == 1
    assert not ensure_reservation(configuration, store, fewer, check_mode=False).plan.changed
    assert delete_reservation(configuration, "rack", check_mode=True).plan.changed
    assert store.reservations().count(POOL.cidr) == 1
    assert delete_reservation(configuration, "rack", check_mode=False).plan.changed
    assert not delete_reservation(configuration, "rack", check_mode=False).plan.changed
    assert store.reservations().count(POOL.cidr) == 0


@pytest.mark.parametrize(
    ("cidrs", "changed"),
    [
        (("10.77.4.9", "10.77.4.3/30"), False),
        (("10.77.4.9/32", "10.77.4.0/30", "nonsense"), True),
        (("10.77.4.0/30",), True),
    ],
)
def test_the_same_in_another_spelling(
    store: MemoryStore, configuration: MemoryConfiguration, cidrs: tuple[str, ...], changed: bool
) -> None:
    configuration.create_reservation(Reservation("rack", cidrs))
    write = ensure_reservation(configuration, store, RACK, check_mode=False)
    assert write.plan.changed is changed
    assert configuration.get_reservation("rack").value.cidrs == (RACK.cidrs if changed else cidrs)


def test_all_reservations_together_empty_a_pool(store: MemoryStore, configuration: MemoryConfiguration) -> None:
    half = checked_reservation("lower", ["10.77.4.0/25"])
    assert ensure_reservation(configuration, store, half, check_mode=False).plan.warnings == ()
    other = checked_reservation("upper", ["10.77.4.128/25"])
    (warning,) = ensure_reservation(configuration, store, other, check_mode=False).plan.warnings
    assert "Every address of pool teal" in warning


def test_what_is_shown(store: MemoryStore, configuration: MemoryConfiguration) -> None:
    assert reservations_info(configuration, store) == []
    configuration.create_reservation(Reservation("b", ("10.77.4.0/30", "10.77.4.1", "oops", "fd00::/8")))
    configuration.create_reservation(Reservation("a", ("10.77.4.0/30",)))
    first, second = reservations_info(configuration, store)
    assert (first["name"], first["addresses"], first["pools"]) == ("a", 4, ["teal"])
    assert (second["addresses"], second["ignored"]) == (4 + (1 << 120), ["oops"])
    assert [found["name"] for found in reservations_info(configuration, store, "b")] == ["b"]
