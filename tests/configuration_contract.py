# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every ``ConfigurationStore`` must do, whatever keeps the records (spec ipam-engine.md §2.5, §3, §14).

Import all of it into a test file that has a fixture ``configuration``: a pair of the
``ConfigurationStore`` and the ``Datastore`` that reads the same records::

    from configuration_contract import *  # noqa: F403
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

__all__ = [
    "test_a_reservation_comes_back_as_it_was_written",
    "test_every_setting_comes_back_as_it_was_written",
    "test_missing_settings_read_as_calicos_defaults",
    "test_reservations_are_created_once_and_listed_by_name",
    "test_settings_are_created_once",
    "test_writing_a_reservation_needs_the_revision_read_last",
    "test_writing_settings_needs_the_revision_read_last",
]

RACK = Reservation("rack-gateways", ("10.77.4.0/32", "10.77.4.252/30", "fd00::/126"))
ALL_DIFFERENT = Settings(True, False, 4, "Disabled", 30)

Pair = t.Tuple[t.Any, t.Any]


def test_missing_settings_read_as_calicos_defaults(configuration: Pair) -> None:
    records, store = configuration
    with pytest.raises(NotFoundInStore):
        records.get_settings()
    assert store.settings() == Settings(False, True, 0, "Enabled", 0)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        ALL_DIFFERENT,
        Settings(strict_affinity=True),
        Settings(strict_affinity=True, auto_allocate_blocks=False),
        Settings(cooldown_seconds=1200),
        Settings(False, False, 3),  # breaks §14, but what a raw write stored is read as it is
    ],
)
def test_every_setting_comes_back_as_it_was_written(configuration: Pair, settings: Settings) -> None:
    records, store = configuration
    created = records.create_settings(settings)
    assert created.value == settings == store.settings() == records.get_settings().value
    written = records.update_settings(created, ALL_DIFFERENT)
    assert written.value == ALL_DIFFERENT == store.settings()
    back = records.update_settings(written, Settings())
    assert back.value == Settings() == store.settings()
    assert records.get_settings() == back


def test_settings_are_created_once(configuration: Pair) -> None:
    records, store = configuration
    records.create_settings(ALL_DIFFERENT)
    with pytest.raises(AlreadyInStore):
        records.create_settings(Settings())
    assert store.settings() == ALL_DIFFERENT


def test_writing_settings_needs_the_revision_read_last(configuration: Pair) -> None:
    records, store = configuration
    first = records.create_settings(Settings())
    records.update_settings(records.get_settings(), ALL_DIFFERENT)
    with pytest.raises(UpdateConflict):
        records.update_settings(first, Settings(cooldown_seconds=7))
    assert store.settings() == ALL_DIFFERENT


def test_a_reservation_comes_back_as_it_was_written(configuration: Pair) -> None:
    records, store = configuration
    gateway = parse_network("10.77.4.0/32")
    assert not store.reservations().any(4)
    with pytest.raises(NotFoundInStore):
        records.get_reservation(RACK.name)
    created = records.create_reservation(RACK)
    assert created.value == RACK == records.get_reservation(RACK.name).value
    assert store.reservations().whole(gateway)
    assert store.reservations().count(parse_network("fd00::/122")) == 4
    written = records.update_reservation(created, replace(RACK, cidrs=("10.77.4.252/30",)))
    assert records.get_reservation(RACK.name) == written
    assert not store.reservations().whole(gateway)
    assert not store.reservations().any(6)
    records.delete_reservation(written)
    assert not store.reservations().any(4)
    with pytest.raises(NotFoundInStore):
        records.get_reservation(RACK.name)


def test_reservations_are_created_once_and_listed_by_name(configuration: Pair) -> None:
    records, store = configuration
    assert records.list_reservations() == []
    for name in ("b", "a", "c"):
        records.create_reservation(replace(RACK, name=name))
    with pytest.raises(AlreadyInStore):
        records.create_reservation(Reservation("b", ("10.0.0.0/8",)))
    listed = records.list_reservations()
    assert [stored.value.name for stored in listed] == ["a", "b", "c"]
    assert listed[1] == records.get_reservation("b")
    for stored in listed[:2]:
        records.delete_reservation(stored)
    assert store.reservations().count(parse_network("10.77.4.0/24")) == 5


def test_writing_a_reservation_needs_the_revision_read_last(configuration: Pair) -> None:
    records, _store = configuration
    first = records.create_reservation(RACK)
    second = records.update_reservation(first, replace(RACK, cidrs=("10.77.4.1/32",)))
    with pytest.raises(UpdateConflict):
        records.update_reservation(first, RACK)
    with pytest.raises(UpdateConflict):
        records.delete_reservation(first)
    records.delete_reservation(second)
    for stale in (lambda: records.delete_reservation(second), lambda: records.update_reservation(second, RACK)):
        with pytest.raises(NotFoundInStore):
            stale()
    records.create_reservation(RACK)
    with pytest.raises((UpdateConflict, NotFoundInStore)):
        records.update_reservation(second, Reservation(RACK.name, ("10.0.0.0/8",)))
    assert records.get_reservation(RACK.name).value == RACK
