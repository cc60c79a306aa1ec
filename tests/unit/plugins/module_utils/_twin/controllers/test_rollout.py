# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arithmetic of rollouts, alone: worked cases and a property over whole rollouts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.amount import quantity, scaled
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.rollout import (
    Set,
    bounds,
    grow,
    proportional,
    shrink,
)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (3, 0, "25%", (0, 1)),  # both would be 0, so one may be missing
        (3, 0, 9, (0, 3)),
        (0, "25%", "25%", (0, 0)),
        (5, 2, 0, (2, 0)),
    ],
)
def test_bounds(replicas, surge, unavailable, expected):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    assert bounds({"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}) == expected


def test_recreate_has_no_bounds():
    assert bounds({"replicas": 5, "strategy": {"type": "Recreate"}}) == (0, 0)


@pytest.mark.parametrize(
    ("old", "new", "unavailable", "expected"),
    [
        # (name, replicas, available)
        ([("a", 10, 10)], (3, 0), 2, {"a": 8}),
        ([("a", 8, 8)], (5, 0), 2, {}),
        ([("a", 8, 8)], (5, 3), 2, {"a": 5}),
        # Pods that do not work go first.
        ([("a", 8, 4), ("b", 2, 2)], (3, 0), 2, {"a": 6}),
        ([("a", 0, 0)], (10, 10), 2, {}),
    ],
)
def test_shrink(old, new, unavailable, expected):
    sets = [Set(name, replicas, available, name) for name, replicas, available in old]
    assert shrink(sets, Set("new", *new), 10, unavailable) == expected


def test_proportional_shares_like_the_sizes():
    sets = [Set("old", 8, 8, "1", 13), Set("new", 5, 0, "2", 13)]
    assert proportional(sets, 20, 5, 13) == {"old": 15, "new": 10}
    assert proportional(sets, 0, 0, 13) == {"old": 0, "new": 0}
    assert sum(proportional(sets, 5, 2, 13).values()) == 7


@given(st.integers(1, 30), st.integers(0, 10), st.integers(0, 10), st.integers(0, 30), st.integers(0, 60))
def test_no_step_breaks_the_bounds(wanted, surge, unavailable, moved, luck):
    """From any reachable state: growing stays under the ceiling, shrinking over the floor."""
    spec = {
        "replicas": wanted,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
    }
    surge, unavailable = bounds(spec)
    new = min(moved, wanted)
    old = min(wanted, max(0, wanted + surge - new))
    available = luck % (new + 1)
    assert grow(new, old + new, wanted, surge) + old <= wanted + surge or old + new > wanted + surge
    sizes = shrink([Set("old", old, old)], Set("new", new, available), wanted, unavailable)
    left = sizes.get("old", old)
    assert left + available >= min(wanted - unavailable, old + available)


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [("25%", 10, True, 3), ("25%", 10, False, 2), (4, 10, True, 4), (None, 10, True, 0), ("100%", 7, False, 7)],
)
def test_scaled(value, total, up, expected):
    assert scaled(value, total, up=up) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("500m", 0.5), ("2Gi", 2 * 2**30), ("1e3", 1000), ("0.1", 0.1), ("4k", 4000), ("rubbish", 0), ("", 0)],
)
def test_quantity(text, number):
    assert float(quantity(text)) == number
