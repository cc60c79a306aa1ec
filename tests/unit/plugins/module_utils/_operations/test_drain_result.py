# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_progress import (
    Progress,
    ProgressLines,
    column_width,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    DrainOptions,
    DrainResult,
    Left,
)

WEB, DB = Owner("shop", "web", "Deployment"), Owner("shop", "db", "StatefulSet")


class Wall:
    """A clock and a screen."""

    def __init__(self) -> None:
        self.time = 100.0
        self.shown: list[str] = []
        self.moved = 0
        self.lines = ProgressLines(
            lambda line: self.shown.append(str(line)), lambda: self.time, lambda: (self.moved, 9)
        )

    def say(self, owner: Owner | None, text: str, done: int = 0) -> None:
        self.lines.say(Progress(text, owner, done, 3))


class TestProgress:
    def test_a_line(self) -> None:
        wall = Wall()
        wall.say(WEB, "waiting for budget shop/web (needs 5 healthy, has 5)", 1)
        wall.say(None, "the connection was interrupted")
        assert wall.shown == [
            "moved 0/9 · shop/web 1/3 · waiting for budget shop/web (needs 5 healthy, has 5)",
            "moved 0/9 · the connection was interrupted",
        ]

    def test_one_line_a_second_for_each_object_and_the_newest_wins(self) -> None:
        wall = Wall()
        wall.say(WEB, "one")
        wall.say(DB, "one")
        wall.say(WEB, "two")
        wall.say(WEB, "three")
        assert len(wall.shown) == 2
        assert wall.lines.next_due() == 1.0
        wall.time += 0.5
        wall.lines.flush()
        assert len(wall.shown) == 2
        wall.time += 0.5
        wall.moved = 4
        wall.lines.flush()
        assert wall.shown[2:] == ["moved 4/9 · shop/web 0/3 · three"]
        assert wall.lines.next_due() is None

    def test_lines_of_one_drain_stand_in_columns(self) -> None:
        width = column_width([(WEB, 3), (None, 7), (replace(WEB, name="checkout"), 12)])
        lines = [Progress("done", WEB, 1, 3, 9, 10, width), Progress("pausing", moved=10, total=10, width=width)]
        assert [str(line) for line in lines] == [
            "moved 9/10  · shop/web 1/3        · done",
            "moved 10/10 · pausing",
        ]
        assert column_width([(replace(WEB, name="x" * 300), 1)]) == 48

    def test_the_same_words_are_not_repeated(self) -> None:
        wall = Wall()
        for _again in range(3):
            wall.say(WEB, "waiting", 1)
            wall.time += 2
        wall.say(WEB, "waiting", 2)
        assert [line.split(" · ", 1)[1] for line in wall.shown] == ["shop/web 1/3 · waiting", "shop/web 2/3 · waiting"]

    def test_going_back_to_what_was_shown_cancels_what_waits(self) -> None:
        wall = Wall()
        wall.say(WEB, "one")
        wall.say(WEB, "two")
        wall.say(WEB, "one")
        wall.lines.flush(everything=True)
        assert len(wall.shown) == 1


class TestResult:
    LEFT = tuple(Left("shop", f"web-{index}", "Deployment shop/web", "stuck") for index in range(7))

    def test_what_is_left_is_named_in_one_sentence(self) -> None:
        result = DrainResult(True, 3, 10, self.LEFT, seconds=12.3)
        with pytest.raises(Refused) as caught:
            result.require_complete(DrainOptions("p"))
        assert caught.value.message == (
            "IPPool 'p' is not drained after 12 s, 3 of 10 pods moved: 7 pods of Deployment shop/web: stuck."
        )
        assert len(caught.value.details["left"]) == 7

    def test_no_more_than_some_reasons_are_said(self) -> None:
        left = tuple(Left("shop", f"bare-{index}", "", f"alone {index}") for index in range(7))
        with pytest.raises(Refused, match=r"shop/bare-4: alone 4; and 2 more pods\.$"):
            DrainResult(True, 3, 10, left, seconds=12.3).require_complete(DrainOptions("p"))

    def test_a_reason_that_many_have_is_said_once(self) -> None:
        left = tuple(Left("shop", f"bare-{index}", "", "alone") for index in range(7))
        with pytest.raises(Refused, match=r": 7 pods \(shop/bare-0, shop/bare-1, shop/bare-2 and 4 more\): alone\.$"):
            DrainResult(True, 3, 10, left, seconds=12.3).require_complete(DrainOptions("p"))

    def test_the_diff_of_many_pods_is_short(self) -> None:
        pods = tuple(f"ns-{index % 3}/pod-{index}" for index in range(300))
        diff = DrainResult(True, 300, 300, pods=pods).as_module_result()["diff"]
        assert diff == {"before": "ns-0: 100 pods\nns-1: 100 pods\nns-2: 100 pods\n", "after": ""}

    def test_an_entry_about_a_workload(self) -> None:
        assert (
            str(Left("shop", "", "Deployment shop/web", "strategy changed")) == "Deployment shop/web: strategy changed"
        )

    def test_summaries(self) -> None:
        assert DrainResult(True, 10, 10, seconds=3.7).summary() == "moved 10/10 in 4 s"
        assert DrainResult(True, 3, 10, self.LEFT, seconds=3.7).summary() == "moved 3/10 in 4 s · 7 left"
        assert DrainResult(False, 0, 0).summary() == "no pod has an address in the pool"
        DrainResult(True, 10, 10).require_complete(DrainOptions("p"))
