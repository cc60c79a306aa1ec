# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_estimate import in_words
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_progress import Overview


class Wall:
    time = 0.0

    def __call__(self) -> float:
        return self.time


def test_rate_time_left_and_the_budgets_waited_for() -> None:
    wall = Wall()
    overview = Overview(wall)
    overview.start(0)
    assert overview.line(1, 100, 3, []) is None
    wall.time = 10.0
    notes = ["waiting for budget shop/web (needs 2 healthy, has 2)", "waiting for its turn", "done"]
    assert overview.line(20, 100, 3, notes) == (
        "3 workloads on their way · waiting for budget shop/web · 120 pods a minute · about 40 s left"
    )
    assert overview.line(21, 100, 3, notes) is None
    wall.time = 20.0
    assert overview.line(100, 100, 0, []) is None


def test_nothing_moves() -> None:
    wall = Wall()
    overview = Overview(wall)
    overview.start(0)
    wall.time = 10.0
    assert overview.line(0, 5, 1, []) == "1 workload on its way"


def test_words_for_times() -> None:
    assert [in_words(each) for each in (0.2, 89, 91, 3600, 5400)] == ["1 s", "89 s", "2 min", "60 min", "1.5 h"]
