# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phases and the names of a journal; writing it is tested with the module, on the twin."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    DONE,
    MIGRATE,
    MOVING_BACK,
    MOVING_OUT,
    NOT_STARTED,
    RECREATE,
    RESIZE,
    UNDOING,
    Journal,
    JournalRequest,
    config_map_name,
    definition_of,
    journal_request,
    phase_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

TARGET = {"name": "new", "cidr": "10.0.0.0/16"}


def stored(name: str = "old", **spec: t.Any) -> StoredPool:
    metadata = {"name": name, "uid": "u", "resourceVersion": "1"}
    return StoredPool(name, {"metadata": metadata, "spec": {"cidr": "192.168.0.0/16", **spec}})


def request(procedure: str = RESIZE, **changes: t.Any) -> JournalRequest:
    size = 28 if procedure == RESIZE else None
    return JournalRequest(**{"procedure": procedure, "pool": "old", "target": TARGET, "block_size": size, **changes})


def journal(procedure: str = RESIZE, direction: str = "forward") -> Journal:
    wanted = request(procedure)
    definition = definition_of(stored(blockSize=26))
    return Journal(procedure, "old", TARGET, wanted.block_size, definition, "2026-08-22T09:30:00Z", "0.1.0", direction)


OLD, RESIZED = stored(blockSize=26), stored(blockSize=28)
NEW = stored("new", cidr="10.0.0.0/16")


@pytest.mark.parametrize(
    ("procedure", "written", "live", "target", "phase"),
    [
        (RESIZE, False, OLD, None, NOT_STARTED),
        (RESIZE, False, stored(), None, NOT_STARTED),  # blockSize absent reads as 26
        (RESIZE, False, RESIZED, None, DONE),
        (RESIZE, False, RESIZED, NEW, DONE),
        (RESIZE, False, None, None, NOT_STARTED),
        (RESIZE, False, None, NEW, NOT_STARTED),
        (RESIZE, True, OLD, None, MOVING_OUT),
        (RESIZE, True, stored(), NEW, MOVING_OUT),
        (RESIZE, True, stored(blockSize=26, disabled=True), NEW, MOVING_OUT),
        (RESIZE, True, None, NEW, RECREATE),
        (RESIZE, True, None, None, RECREATE),
        (RESIZE, True, RESIZED, NEW, MOVING_BACK),
        (RESIZE, True, RESIZED, None, MOVING_BACK),
        (MIGRATE, False, OLD, None, NOT_STARTED),
        (MIGRATE, False, OLD, NEW, NOT_STARTED),
        (MIGRATE, False, None, NEW, DONE),
        (MIGRATE, False, None, None, NOT_STARTED),
        (MIGRATE, False, None, stored("new", cidr="10.9.0.0/16"), NOT_STARTED),
        (MIGRATE, True, OLD, NEW, MOVING_OUT),
        (MIGRATE, True, None, NEW, RECREATE),
    ],
)
def test_phases(procedure: str, written: bool, live: StoredPool | None, target: StoredPool | None, phase: str) -> None:
    found = journal(procedure) if written else None
    assert phase_of(request(procedure), found, live, target) == phase


@pytest.mark.parametrize(
    ("procedure", "live", "target", "phase"),
    [
        (RESIZE, OLD, NEW, UNDOING),
        (RESIZE, OLD, None, UNDOING),
        (RESIZE, stored(blockSize=26, disabled=True), NEW, UNDOING),
        (RESIZE, None, NEW, RECREATE),
        (RESIZE, RESIZED, NEW, MOVING_BACK),
        (MIGRATE, OLD, NEW, UNDOING),
        (MIGRATE, None, NEW, RECREATE),
    ],
)
def test_phases_while_it_is_undone(
    procedure: str, live: StoredPool | None, target: StoredPool | None, phase: str
) -> None:
    assert phase_of(request(procedure), journal(procedure, "rollback"), live, target) == phase


def test_a_pool_that_is_neither_the_old_nor_the_new_one() -> None:
    with pytest.raises(Refused, match="blockSize 27.*recorded 26 and wants 28"):
        phase_of(request(), journal(), stored(blockSize=27), None)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"target": {"name": "new", "cidr": "10.0.0.0/16", "nat_outgoing": True}}, True),
        ({"target": {"name": "new", "cidr": "10.0.0.0/15"}}, False),
        ({"target": {"name": "newer", "cidr": "10.0.0.0/16"}}, False),
        ({"target": {"name": "new", "cidr": "10.0.0.0/16", "block_size": 27}}, False),
        ({"block_size": 27}, False),
        ({"procedure": MIGRATE}, False),
    ],
)
def test_what_makes_two_requests_the_same(changes: dict[str, t.Any], same: bool) -> None:
    assert request(**changes).same_as(journal()) is same


def test_the_definition_is_complete_and_free_of_bookkeeping() -> None:
    thing = {
        "metadata": {
            "name": "old",
            "labels": {"team": "red"},
            "annotations": {
                "note": "x",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "projectcalico.org/metadata": '{"labels": {"tier": "gold"}}',
            },
        },
        "spec": {"cidr": "192.168.0.0/16", "ipipMode": "Always"},
    }
    definition = definition_of(StoredPool("old", thing))
    assert definition["labels"] == {"team": "red", "tier": "gold"}
    assert definition["annotations"] == {"note": "x"}
    assert definition["spec"]["blockSize"] == 26
    assert definition["spec"]["ipipMode"] == "Always"
    assert definition["spec"]["disabled"] is False


def test_names_fit_into_a_config_map_name() -> None:
    assert config_map_name("default-ipv4-ippool") == "calico-ops-ipam-default-ipv4-ippool"
    first, second = config_map_name("a" * 253), config_map_name("a" * 252 + "b")
    assert len(first) <= 253
    assert first != second


def test_a_request_without_a_target_is_about_whatever_was_begun() -> None:
    params = {"procedure": RESIZE, "pool": "old", "target": None, "block_size": None, "namespace": "kube-system"}
    wanted = journal_request(params)
    assert wanted.any and wanted.same_as(journal())
    assert not wanted.same_as(journal(MIGRATE))
