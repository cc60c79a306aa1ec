# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The twin's one source of time and chance.

Everything in the embedded cluster that waits, waits here, so that a rehearsal can run at a
hundred times the speed of life and a test can move time by hand. The clock has two drivers:

* with ``speed=None`` time stands still until ``advance()`` moves it, and callbacks run in an
  order that depends on nothing but due time and order of registration;
* with a number, ``start()`` hangs the clock into the running asyncio loop and virtual time
  passes ``speed`` times as fast as real time.

Virtual time never runs away from the cluster that lives in it: when the callbacks that are
due take longer than the machine has, the clock slows down instead of letting deadlines pass.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import typing as t
from datetime import datetime, timedelta, timezone

DEFAULT_START = datetime(2026, 1, 1, tzinfo=timezone.utc)

# Real seconds the driver works before it lets the loop serve requests again.
_SLICE = 0.01
# Real seconds the clock may lag behind its timers before it slows down.
_MAX_LAG = 0.1
# Callbacks at one single instant after which manual time is considered stuck in a circle.
_STUCK = 1_000_000


class Handle:
    """A callback that waits for its time."""

    __slots__ = ("_args", "_callback", "due")

    def __init__(self, due: float, callback: t.Callable[..., object], args: tuple[t.Any, ...]) -> None:
        self.due = due
        self._callback: t.Callable[..., object] | None = callback
        self._args = args

    def cancel(self) -> None:
        """Never run the callback; harmless when it ran already."""
        self._callback = None
        self._args = ()

    def cancelled(self) -> bool:
        return self._callback is None

    def run(self) -> None:
        callback, args = self._callback, self._args
        self.cancel()
        if callback is not None:
            callback(*args)


class VirtualClock:
    """Virtual time in seconds since ``start``, timers, and reproducible random numbers.

    ``start`` is the date at virtual second 0 (UTC), ``speed`` the number of virtual seconds in
    a real one, or None for a clock that only ``advance()`` moves, ``seed`` the seed of every
    random number in the twin.
    """

    def __init__(self, start: datetime | None = None, speed: float | None = None, seed: int = 0) -> None:
        if speed is not None and speed <= 0:
            raise ValueError(f"The clock's speed must be above 0, not {speed}.")
        self.epoch = (start or DEFAULT_START).astimezone(timezone.utc)
        self.seed = seed
        self._speed = speed
        self._virtual = 0.0
        self._real_base = 0.0
        self._virtual_base = 0.0
        self._heap: list[tuple[float, int, Handle]] = []
        self._sequence = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup: asyncio.TimerHandle | None = None
        self._wakeup_due = float("inf")
        self._running = False

    # -- reading ---------------------------------------------------------------------------

    @property
    def speed(self) -> float | None:
        return self._speed

    def monotonic(self) -> float:
        """Virtual seconds since the clock's start; never goes back."""
        if self._loop is not None and not self._running:
            self._virtual = max(self._virtual, self._mapped(self._loop.time()))
        return self._virtual

    def now(self) -> datetime:
        """The virtual date, in UTC."""
        return self.epoch + timedelta(seconds=self.monotonic())

    def timestamp(self) -> str:
        """The virtual date as the API writes it: whole seconds, ``2026-01-01T00:00:00Z``."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def random(self, key: str) -> random.Random:
        """A generator that depends on the seed and ``key`` only: same key, same numbers."""
        return random.Random(f"{self.seed}/{key}")

    # -- waiting ---------------------------------------------------------------------------

    def call_later(self, seconds: float, callback: t.Callable[..., object], *args: t.Any) -> Handle:
        """Run ``callback(*args)`` after ``seconds`` of virtual time."""
        handle = Handle(self.monotonic() + max(0.0, seconds), callback, args)
        self._sequence += 1
        heapq.heappush(self._heap, (handle.due, self._sequence, handle))
        if not self._running:
            self._arm()
        return handle

    def call_soon(self, callback: t.Callable[..., object], *args: t.Any) -> Handle:
        """Run ``callback(*args)`` at the present virtual instant, after what is due already."""
        return self.call_later(0.0, callback, *args)

    def pending(self) -> int:
        """How many callbacks are waiting."""
        return sum(1 for _due, _sequence, handle in self._heap if not handle.cancelled())

    # -- manual driver ---------------------------------------------------------------------

    def advance(self, seconds: float = 0.0) -> None:
        """Move time and run what falls due on the way, each at its own instant.

        An exception in a callback comes out here. A clock with a speed can be advanced until it is
        started, to run ahead of life; afterwards this raises ``RuntimeError``.
        """
        self._require_manual()
        target = self._virtual + max(0.0, seconds)
        self._run_until(target, lambda: False)
        self._virtual = target

    def advance_until(self, condition: t.Callable[[], bool], limit: float = 3600.0) -> bool:
        """Move time from event to event until ``condition()``; True when it came within ``limit`` seconds."""
        self._require_manual()
        target = self._virtual + limit
        if condition() or self._run_until(target, condition):
            return True
        self._virtual = target
        return condition()

    def _require_manual(self) -> None:
        if self._loop is not None:
            raise RuntimeError("This clock runs by itself; only a clock that was not started can be advanced.")

    def _run_until(self, target: float, condition: t.Callable[[], bool]) -> bool:
        same_instant = 0
        while self._heap and self._heap[0][0] <= target:
            due, _sequence, handle = heapq.heappop(self._heap)
            if handle.cancelled():
                continue
            same_instant = same_instant + 1 if due <= self._virtual else 0
            if same_instant > _STUCK:
                raise RuntimeError("Virtual time is stuck: callbacks keep scheduling callbacks for the same instant.")
            self._virtual = max(self._virtual, due)
            handle.run()
            if condition():
                return True
        return False

    # -- asyncio driver --------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Let time pass with ``loop`` (the running one by default). A manual clock ignores this."""
        if self._speed is None or self._loop is not None:
            return
        self._loop = loop or asyncio.get_running_loop()
        self._rebase()
        self._arm()

    def stop(self) -> None:
        """Stop time; timers are kept and go on after another ``start()``."""
        self.monotonic()
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._wakeup, self._wakeup_due = None, float("inf")
        self._loop = None

    def set_speed(self, speed: float) -> None:
        """Change the speed of a clock that runs by itself."""
        if self._speed is None:
            raise RuntimeError("A manual clock has no speed.")
        if speed <= 0:
            raise ValueError(f"The clock's speed must be above 0, not {speed}.")
        self.monotonic()
        self._speed = speed
        if self._loop is not None:
            self._rebase()
            self._wakeup_due = float("inf")
            self._arm()

    def _mapped(self, real: float) -> float:
        return self._virtual_base + (real - self._real_base) * (self._speed or 0.0)

    def _rebase(self) -> None:
        if self._loop is not None:
            self._real_base, self._virtual_base = self._loop.time(), self._virtual

    def _arm(self) -> None:
        while self._heap and self._heap[0][2].cancelled():
            heapq.heappop(self._heap)
        if self._loop is None or not self._heap or self._speed is None:
            return
        due = self._heap[0][0]
        if self._wakeup is not None:
            if due >= self._wakeup_due:
                return
            self._wakeup.cancel()
        self._wakeup_due = due
        real = self._real_base + (due - self._virtual_base) / self._speed
        self._wakeup = self._loop.call_at(max(real, self._loop.time()), self._run_slice)

    def _run_slice(self) -> None:
        loop, speed = self._loop, self._speed
        self._wakeup, self._wakeup_due = None, float("inf")
        if loop is None or speed is None:
            return
        target = max(self.monotonic(), self._heap[0][0] if self._heap else 0.0)
        end = loop.time() + _SLICE
        self._running = True
        try:
            while self._heap and self._heap[0][0] <= target and loop.time() < end:
                due, _sequence, handle = heapq.heappop(self._heap)
                if handle.cancelled():
                    continue
                if target - due > _MAX_LAG * speed:
                    # The machine cannot keep up: go on from this instant instead of catching up.
                    self._virtual, target = max(self._virtual, due), due
                    self._rebase()
                self._virtual = max(self._virtual, due)
                try:
                    handle.run()
                except Exception as error:  # noqa: BLE001 - one controller's bug must not stop the others' time
                    loop.call_exception_handler({"message": "A twin callback failed", "exception": error})
        finally:
            self._running = False
            self._arm()
