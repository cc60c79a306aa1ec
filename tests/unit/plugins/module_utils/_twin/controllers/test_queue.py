# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Conflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue


def queue(reconcile, delay=(0.1, 0.1), seed=1):
    clock = VirtualClock(seed=seed)
    return clock, WorkQueue(clock, "test", reconcile, delay)


def test_a_key_waits_once():
    seen = []
    clock, work = queue(seen.append)
    for _each in range(5):
        work.add("a")
    work.add("b")
    assert seen == []
    clock.advance(0.1)
    assert seen == ["a", "b"]


def test_the_earlier_wish_wins():
    seen = []
    clock, work = queue(seen.append)
    work.add("a", after=600)
    work.add("a")
    work.add("a", after=30)
    clock.advance(0.1)
    assert seen == ["a"]
    clock.advance(1000)
    assert seen == ["a"]


def test_looks_again_when_asked_to():
    times = []

    def reconcile(_key):
        times.append(clock.monotonic())
        return 5.0 if len(times) < 3 else None

    clock, work = queue(reconcile)
    work.add("a")
    clock.advance(60)
    assert times == pytest.approx([0.1, 5.1, 10.1])


def test_errors_are_tried_again_ever_later_and_forgotten_after_success():
    times = []

    def reconcile(_key):
        times.append(clock.monotonic())
        if len(times) <= 3:
            raise Conflict("no", 409)

    clock, work = queue(reconcile)
    work.add("a")
    clock.advance(10)
    assert [round(late - early, 3) for early, late in zip(times, times[1:])] == [0.1, 0.2, 0.4]
    assert "no" in work.last_error
    assert len(work) == 0


def test_other_errors_come_out():
    def reconcile(_key):
        raise KeyError("a bug")

    clock, work = queue(reconcile)
    work.add("a")
    with pytest.raises(KeyError):
        clock.advance(1)


def test_a_key_added_while_it_is_worked_on_comes_again():
    seen = []

    def reconcile(key):
        seen.append(key)
        if len(seen) == 1:
            work.add(key)

    clock, work = queue(reconcile)
    work.add("a")
    clock.advance(1)
    assert seen == ["a", "a"]


def test_discard_and_stop():
    seen = []
    clock, work = queue(seen.append)
    work.add("a")
    work.add("b")
    work.discard("a")
    assert "b" in work
    work.stop()
    clock.advance(1)
    assert seen == []


def test_delays_depend_on_the_seed_only():
    def times(seed):
        seen = []
        clock, work = queue(lambda _key: seen.append(clock.monotonic()), (0.0, 1.0), seed)
        for key in range(5):
            work.add(key)
        clock.advance(2)
        return seen

    assert times(1) == times(1) != times(2)
