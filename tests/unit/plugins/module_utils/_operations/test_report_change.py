# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from report_sample import pool, sample

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_change import (
    MOST_BARS,
    activity,
    compare,
    parse_report,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import (
    ADDRESS_COLUMNS,
    namespaces_of,
)

AT = "2026-08-20T09:20:00Z"


def small(**rows: t.Any) -> dict[str, t.Any]:
    """One block of each of two pools; two pods and a tunnel address."""
    found = sample(2, 0, pools=[pool("new", "10.8.0.0/24", 26), pool("old", "10.0.0.0/24", 26)])
    found["blocks"]["rows"] = [
        ["10.0.0.0/26", "old", "node-1", "host:node-1", 64, 3, 0, 61, 0, 0],
        ["10.8.0.0/26", "new", "node-1", "host:node-1", 64, 0, 0, 64, 0, 0],
    ]
    found["addresses"]["rows"] = rows.get("addresses") or [
        [0, 0, "tunnel", None, "ipipTunnelAddress", "node-1", False, None, None],
        [0, 1, "pod", "shop", "db-0", "node-1", False, None, "2026-08-01T00:00:00Z"],
        [0, 2, "pod", "shop", "cart-1", "node-1", False, None, "2026-08-01T00:00:00Z"],
    ]
    found["namespaces"] = namespaces_of(found["blocks"]["rows"], found["addresses"]["rows"])
    return found


def moved() -> dict[str, t.Any]:
    return small(
        addresses=[
            [0, 0, "tunnel", None, "ipipTunnelAddress", "node-1", False, None, None],
            [1, 4, "pod", "shop", "db-0", "node-1", False, None, AT],
            [1, 5, "pod", "shop", "cart-2", "node-1", False, None, AT],
        ]
    )


def test_the_same_twice_is_no_change() -> None:
    found = compare(sample(), sample())
    assert found["moves"] == []
    assert (found["blocks"]["gone"], found["blocks"]["new"]) == (0, 0)
    assert found["addresses"]["kept"] == len(sample()["addresses"]["rows"])


def test_moves_name_the_pool_of_before_where_the_name_stayed() -> None:
    found = compare(small(), moved())
    assert found["addresses"] == {"gone": 2, "kept": 1, "new": 2}
    assert [(each["name"], each["from"], each["pool"], each["at"]) for each in found["moves"]] == [
        ("cart-2", None, "new", AT),
        ("db-0", "old", "new", AT),
    ]
    assert found["namespaces"] == [
        {"namespace": None, "pool": "old", "before": 1, "after": 1},
        {"namespace": "shop", "pool": "new", "before": 0, "after": 2},
        {"namespace": "shop", "pool": "old", "before": 2, "after": 0},
    ]


def test_pools_that_came_and_went() -> None:
    before, after = small(), moved()
    del after["pools"][1], before["pools"][0]
    rows = compare(before, after)["pools"]
    assert [(row["name"], row["before"] is None, row["after"] is None) for row in rows] == [
        ("new", True, False),
        ("old", False, True),
    ]


def test_two_clusters_are_not_compared() -> None:
    other = {**small(), "cluster": "another"}
    with pytest.raises(InvalidInput, match="is of cluster another"):
        compare(other, small())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a report in JSON"),
        ("[1]", "is not a report in JSON"),
        ('{"format": "1"}', "is not a report in JSON"),
        ('{"format": 9, "release": "3.0.0"}', "format 9 of release 3.0.0"),
        ('{"format": 1}', "parts are missing"),
        (json.dumps({**small(), "addresses": {"columns": ["a"], "rows": []}}), "parts are missing"),
        (json.dumps({**small(), "blocks": {**small()["blocks"], "rows": [[1]]}}), "parts are missing"),
        (json.dumps({**small(), "pools": [{}]}), "parts are missing"),
        (json.dumps({**small(), "taken": None}), "parts are missing"),
        (json.dumps({**small(), "namespaces": None}), "parts are missing"),
        (json.dumps({**small(), "taken": "yesterday"}), "parts are missing"),
        (
            json.dumps({**small(), "addresses": {"columns": list(ADDRESS_COLUMNS), "rows": [[7, *"abcdefgh"]]}}),
            "parts are missing",
        ),
    ],
)
def test_a_file_that_is_no_report(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        parse_report(text, "old.json")


def test_a_report_is_read_as_it_was_written() -> None:
    assert parse_report(json.dumps(small()), "old.json") == small()


def test_activity_counts_every_address_once() -> None:
    found = sample(300, 12)
    shown = activity(found)
    counted = sum(sum(each["counts"]) for each in shown["pools"]) + shown["older"] + shown["unknown"]
    assert counted == len(found["addresses"]["rows"])
    assert all(len(each["counts"]) <= MOST_BARS + 1 for each in shown["pools"])
    assert (shown["start"], shown["seconds"]) == ("2026-08-19T09:30:00Z", 1800)


def test_activity_begins_with_the_earlier_report_or_the_procedure() -> None:
    before = {**small(), "taken": "2026-08-20T09:00:00Z"}
    assert activity(moved(), before)["start"] == "2026-08-20T09:00:00Z"
    running = {**moved(), "procedures": [{"started": "2026-08-20T09:15:00Z"}]}
    shown = activity(running)
    assert (shown["start"], shown["older"], shown["unknown"]) == ("2026-08-20T09:15:00Z", 0, 1)
    assert [(each["name"], sum(each["counts"])) for each in shown["pools"]] == [("new", 2)]


def test_a_clock_that_is_ahead_makes_no_bar_of_its_own() -> None:
    found = copy.deepcopy(moved())
    for row in found["addresses"]["rows"]:
        row[-1] = "2027-01-01T00:00:00Z"
    shown = activity(found)
    assert [each["counts"][-1] for each in shown["pools"]] == [2, 1]
