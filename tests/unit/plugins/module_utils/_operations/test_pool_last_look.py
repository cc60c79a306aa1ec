# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold when a pool is deleted: that another one serves, and that nobody has changed it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import definition_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_last_look import (
    CANNOT,
    Wanted,
    changed_members,
    given_by_others,
    why_not_serving,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool


def stored(name: str = "old", cidr: str = "10.0.0.0/16", **more: t.Any) -> StoredPool:
    metadata = {"name": name, **more.pop("metadata", {})}
    return StoredPool(name, {"metadata": metadata, "spec": {"cidr": cidr, **more}})


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (stored("new"), ""),
        (stored("new", disabled=True), "is disabled"),
        (stored("new", nodeSelector="! all()"), "selects no node"),
        (stored("new", metadata={"deletionTimestamp": "2026-08-20T09:14:05Z"}), "is being deleted"),
        (stored("else"), "does not exist"),
        (stored("new", cidr="nonsense"), "is not in use by Calico"),
    ],
)
def test_whether_a_pool_serves(other: StoredPool, why: str) -> None:
    assert why_not_serving("new", [other]) == why
    wanted = Wanted(successor="new")
    if why:
        with pytest.raises(Refused, match=f"IPPool 'old' cannot be deleted: IPPool 'new', .* {why}; find out"):
            wanted.require(stored(), [other], CANNOT)
    else:
        wanted.require(stored(), [other], CANNOT)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({}, []),
        ({"disabled": True}, []),
        ({"nodeSelector": "!all()"}, []),
        ({"nodeSelector": "rack == '1'"}, ["nodeSelector"]),
        ({"natOutgoing": True, "metadata": {"labels": {"a": "b"}}}, ["natOutgoing", "labels"]),
        ({"metadata": {"annotations": {"note": "x"}}}, ["annotations"]),
    ],
)
def test_what_was_changed_since_it_was_noted(change: dict[str, t.Any], changed: list[str]) -> None:
    live = stored(**{key: dict(value) if isinstance(value, dict) else value for key, value in change.items()})
    assert changed_members(live, definition_of(stored())) == changed


def test_who_else_gives_addresses() -> None:
    pool = stored().pool()
    assert pool is not None
    for other, uses in (
        (stored("new"), {"Workload", "Tunnel"}),
        (stored("new", allowedUses=["Tunnel"]), {"Tunnel"}),
        (stored("new", assignmentMode="Manual"), set()),
        (stored("new", disabled=True), set()),
        (stored("new", nodeSelector="!all()"), set()),
        (stored("six", cidr="fd00::/64"), set()),
        (stored("old"), set()),
    ):
        found = other.pool()
        assert found is not None
        assert given_by_others(pool, [found]) == uses
