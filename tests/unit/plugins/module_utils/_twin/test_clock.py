# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock


def test_manual_time_stands_still_and_moves_on_request():
    clock = VirtualClock(datetime(2026, 5, 1, 12, tzinfo=timezone.utc))
    assert clock.monotonic() == 0.0
    clock.advance(90.5)
    assert clock.monotonic() == 90.5
    assert clock.timestamp() == "2026-05-01T12:01:30Z"


def test_callbacks_run_by_due_time_then_by_registration():
    clock = VirtualClock()
    seen = []
    clock.call_later(2, seen.append, "late")
    clock.call_later(1, seen.append, "first")
    clock.call_later(1, seen.append, "second")
    clock.call_soon(seen.append, "now")
    clock.advance(1)
    assert seen == ["now", "first", "second"]
    clock.advance(1)
    assert seen[-1] == "late"


def test_callback_sees_its_own_instant_and_may_schedule_more():
    clock = VirtualClock()
    seen = []

    def step(left):
        seen.append(clock.monotonic())
        if left:
            clock.call_later(0.5, step, left - 1)

    clock.call_later(1, step, 3)
    clock.advance(10)
    assert seen == [1.0, 1.5, 2.0, 2.5]
    assert clock.monotonic() == 10.0


def test_cancel():
    clock = VirtualClock()
    seen = []
    handle = clock.call_later(1, seen.append, 1)
    handle.cancel()
    clock.advance(2)
    assert seen == []
    assert clock.pending() == 0


def test_advance_until_stops_at_the_event():
    clock = VirtualClock()
    seen = []
    for second in (5, 7, 9):
        clock.call_later(second, seen.append, second)
    assert clock.advance_until(lambda: 7 in seen)
    assert clock.monotonic() == 7.0
    assert not clock.advance_until(lambda: False, limit=100)
    assert clock.monotonic() == 107.0


def test_error_in_callback_comes_out_of_advance():
    clock = VirtualClock()
    clock.call_soon(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        clock.advance(1)


def test_random_depends_on_seed_and_key_only():
    assert VirtualClock(seed=1).random("a").random() == VirtualClock(seed=1).random("a").random()
    assert VirtualClock(seed=1).random("a").random() != VirtualClock(seed=1).random("b").random()
    assert VirtualClock(seed=1).random("a").random() != VirtualClock(seed=2).random("a").random()


def test_asyncio_driver_runs_at_its_speed():
    async def main():
        clock = VirtualClock(speed=1000)
        seen = []
        for second in (30, 10, 20):
            clock.call_later(second, lambda s: seen.append((s, clock.monotonic())), second)
        clock.start()
        began = time.monotonic()
        while len(seen) < 3 and time.monotonic() - began < 5:
            await asyncio.sleep(0.005)
        clock.stop()
        return seen, time.monotonic() - began

    seen, took = asyncio.run(main())
    assert [second for second, _at in seen] == [10, 20, 30]
    assert all(at >= second for second, at in seen)
    assert took < 1


def test_overload_slows_time_down_instead_of_skipping_deadlines():
    async def main():
        clock = VirtualClock(speed=1000)
        order = []

        def work(number):
            time.sleep(0.02)  # 20 virtual seconds of work every 1 virtual second
            order.append(number)
            if number < 15:
                clock.call_later(1, work, number + 1)

        clock.call_later(1, work, 1)
        clock.call_later(10_000, order.append, "deadline")
        clock.start()
        while len(order) < 15:
            await asyncio.sleep(0)
        virtual = clock.monotonic()
        clock.stop()
        return order, virtual

    order, virtual = asyncio.run(main())
    assert order == list(range(1, 16))
    assert virtual < 10_000


def test_failing_callback_does_not_stop_time():
    async def main():
        reported, seen = [], []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
        clock = VirtualClock(speed=1000)
        clock.call_later(1, int, "x")
        clock.call_later(2, seen.append, 2)
        clock.start()
        while not seen:
            await asyncio.sleep(0.001)
        clock.stop()
        return reported

    assert [type(error) for error in asyncio.run(main())] == [ValueError]
