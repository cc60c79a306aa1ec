# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners of a virtual machine's address (spec ipam-engine.md §16)."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore, UpdateConflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.owner import OwnerChange, set_owner_attributes
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import attributes_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

POOL = Pool("teal", parse_network("10.77.4.0/24"), 30)
ADDRESS = parse_address("10.77.4.1")
SOURCE = {"namespace": "shop", "pod": "virt-launcher-1"}
TARGET = {"namespace": "shop", "pod": "virt-launcher-2"}


@pytest.fixture
def store(now: t.Any) -> MemoryStore:
    made = MemoryStore([POOL])
    assign_ip(made, ADDRESS, "a", now=now, handle_id="vm", attributes=SOURCE)
    return made


def test_a_live_migration(store: MemoryStore, now: t.Any) -> None:
    set_owner_attributes(store, ADDRESS, "vm", now=now, alternate=OwnerChange(TARGET, must_be_empty=True))
    found = attributes_of(store, ADDRESS, now=now)
    assert (found.secondary, found.alternate) == (SOURCE, TARGET)
    set_owner_attributes(
        store,
        ADDRESS,
        "vm",
        now=now,
        active=OwnerChange(TARGET, expected=("shop", "virt-launcher-1")),
        alternate=OwnerChange(clear=True),
    )
    found = attributes_of(store, ADDRESS, now=now)
    assert (found.handle_id, found.secondary, found.alternate) == ("vm", TARGET, None)


@pytest.mark.parametrize(
    ("handle", "active"),
    [
        ("other", OwnerChange(TARGET)),
        ("vm", OwnerChange(TARGET, must_be_empty=True)),
        ("vm", OwnerChange(TARGET, expected=("shop", "somebody"))),
    ],
)
def test_preconditions(store: MemoryStore, now: t.Any, handle: str, active: OwnerChange) -> None:
    with pytest.raises(UpdateConflict):
        set_owner_attributes(store, ADDRESS, handle, now=now, active=active, alternate=OwnerChange(TARGET))
    assert attributes_of(store, ADDRESS, now=now).alternate is None


def test_a_precondition_of_an_owner_that_stays_is_not_looked_at(store: MemoryStore, now: t.Any) -> None:
    set_owner_attributes(
        store, ADDRESS, "vm", now=now, active=OwnerChange(must_be_empty=True), alternate=OwnerChange(TARGET)
    )
    assert attributes_of(store, ADDRESS, now=now).alternate == TARGET


@pytest.mark.parametrize(
    "change", [OwnerChange(TARGET, clear=True), OwnerChange(expected=("a", "b"), must_be_empty=True)]
)
def test_contradictions(store: MemoryStore, now: t.Any, change: OwnerChange) -> None:
    with pytest.raises(InvalidInput):
        set_owner_attributes(store, ADDRESS, "vm", now=now, active=change)


def test_free_addresses_and_disabled_pools(store: MemoryStore, now: t.Any) -> None:
    with pytest.raises(NotFoundInStore):
        set_owner_attributes(store, parse_address("10.77.4.2"), "vm", now=now, active=OwnerChange(TARGET))
    store.put_pool(replace(POOL, disabled=True))
    with pytest.raises(NotFoundInStore, match="no enabled pool"):
        set_owner_attributes(store, ADDRESS, "vm", now=now, active=OwnerChange(TARGET))
