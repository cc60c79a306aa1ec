# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Spec ippool.md 6, rule by rule."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.pool_conditions import (
    DISABLED,
    OK,
    TERMINATING,
    Verdict,
    overlap,
    verdicts,
    with_verdict,
)

Object = t.Dict[str, t.Any]
NOW = "2026-08-20T10:00:00Z"


def pool(
    name: str,
    cidr: str = "10.0.0.0/16",
    *,
    made: int = 0,
    told: str = "",
    going: bool = False,
    disabled: bool = False,
) -> Object:
    """``made`` is the minute of its creation, ``told`` the status of its condition."""
    metadata: Object = {"name": name, "creationTimestamp": f"2026-08-20T09:{made:02}:00Z"}
    if going:
        metadata["deletionTimestamp"] = NOW
    spec: Object = {"cidr": cidr, **({"disabled": True} if disabled else {})}
    thing: Object = {"metadata": metadata, "spec": spec}
    if told:
        condition = {"type": "Allocatable", "status": told, "reason": "X", "message": "", "lastTransitionTime": NOW}
        thing["status"] = {"conditions": [condition]}
    return thing


def reasons(*pools: Object) -> list[str]:
    """``name reason`` in the order of judgement."""
    return [f"{thing['metadata']['name']} {verdict.reason}" for thing, verdict in verdicts(pools)]


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ([pool("a")], ["a OK"]),
        ([pool("a", "nonsense"), pool("b")], ["b OK"]),
        ([pool("a", disabled=True)], ["a PoolDisabled"]),
        ([pool("a", going=True)], ["a Terminating"]),
        # Disabled is looked at first, also on a pool that goes.
        ([pool("a", going=True, disabled=True)], ["a PoolDisabled"]),
        # A disabled pool holds nothing, one that goes holds its range.
        ([pool("a", disabled=True), pool("b")], ["a PoolDisabled", "b OK"]),
        ([pool("b"), pool("a", going=True)], ["a Terminating", "b CIDROverlap"]),
        ([pool("b"), pool("a", going=True, disabled=True)], ["a PoolDisabled", "b OK"]),
        # The same, inside and around; each family by itself.
        ([pool("a"), pool("b", "10.0.4.0/24")], ["a OK", "b CIDROverlap"]),
        ([pool("a"), pool("b", "10.0.0.0/8")], ["a OK", "b CIDROverlap"]),
        ([pool("a"), pool("b", "10.1.0.0/16")], ["a OK", "b OK"]),
        ([pool("a", "0.0.0.0/0"), pool("b", "::/0")], ["a OK", "b OK"]),
        # A pool that overlaps holds nothing.
        ([pool("a"), pool("b", "10.0.0.0/15"), pool("c", "10.1.0.0/16")], ["a OK", "b CIDROverlap", "c OK"]),
        # Two disabled pools share a range without a word about it.
        ([pool("a", disabled=True), pool("b", disabled=True)], ["a PoolDisabled", "b PoolDisabled"]),
        # Order: in use, going, waiting, new.
        (
            [
                pool("new"),
                pool("waits", told="False"),
                pool("goes", told="True", going=True),
                pool("used", told="True"),
            ],
            ["used OK", "goes Terminating", "waits CIDROverlap", "new CIDROverlap"],
        ),
        # Inside a class the older first, whatever its name, then by name.
        ([pool("a", made=5), pool("b", made=4)], ["b OK", "a CIDROverlap"]),
        ([pool("b"), pool("a")], ["a OK", "b CIDROverlap"]),
        # What is in use stays so, even when an older pool would like to come back.
        ([pool("old", told="False"), pool("young", made=9, told="True")], ["young OK", "old CIDROverlap"]),
        # When the holder is disabled the oldest that waits gets the ground.
        (
            [
                pool("holder", told="True", disabled=True),
                pool("second", made=2, told="False"),
                pool("first", made=1, told="False"),
            ],
            ["holder PoolDisabled", "first OK", "second CIDROverlap"],
        ),
        # A condition that is Unknown counts as none.
        ([pool("odd", told="Unknown"), pool("waits", made=3, told="False")], ["waits OK", "odd CIDROverlap"]),
    ],
)
def test_who_may_hand_out_addresses(pools: list[Object], expected: list[str]) -> None:
    assert reasons(*pools) == expected
    assert reasons(*reversed(pools)) == expected


def test_an_overlap_names_who_holds_the_ground() -> None:
    (_first, (_pool, verdict)) = verdicts([pool("a"), pool("b", "10.0.4.0/24")])
    assert verdict.message == "The range overlaps 10.0.0.0/16 of pool a."


def condition(thing: Object | None) -> Object:
    assert thing is not None
    (found,) = thing["status"]["conditions"]
    return t.cast(Object, found)


def test_the_condition_as_it_is_written() -> None:
    written = condition(with_verdict(pool("a"), OK, NOW))
    assert (written["type"], written["status"], written["reason"]) == ("Allocatable", "True", "OK")
    assert written["lastTransitionTime"] == NOW
    assert written["message"]


@pytest.mark.parametrize("verdict", [OK, DISABLED, TERMINATING])
def test_nothing_is_written_twice(verdict: Verdict) -> None:
    told = with_verdict(pool("a"), verdict, NOW)
    assert told is not None
    assert with_verdict(told, verdict, "2026-08-20T11:00:00Z") is None


def test_the_time_is_that_of_the_status_not_of_the_reason() -> None:
    told = with_verdict(pool("a"), DISABLED, NOW)
    assert told is not None
    again = with_verdict(told, TERMINATING, "2026-08-20T11:00:00Z")
    assert condition(again)["lastTransitionTime"] == NOW
    assert again is not None
    assert condition(with_verdict(again, OK, "2026-08-20T12:00:00Z"))["lastTransitionTime"] == "2026-08-20T12:00:00Z"


def test_conditions_of_others_are_kept() -> None:
    thing = {**pool("a"), "status": {"conditions": [{"type": "Other", "status": "True"}]}}
    told = with_verdict(thing, overlap("b", parse_network("10.0.0.0/8")), NOW)
    assert told is not None
    assert [each["type"] for each in told["status"]["conditions"]] == ["Other", "Allocatable"]
    assert thing["status"] == {"conditions": [{"type": "Other", "status": "True"}]}
