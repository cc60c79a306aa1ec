# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The work queue of a controller: keys wait a moment, once each, and are reconciled one by one.

As in Kubernetes a controller never acts on an event; it notes which object to look at and looks
at its present state a little later. The moment is virtual time drawn from the clock's seed, so
that the twin is neither instant nor different from run to run.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import Handle, VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

K = t.TypeVar("K", bound=t.Hashable)

DEFAULT_DELAY = (0.02, 0.08)
_FIRST_RETRY = 0.1
_LAST_RETRY = 60.0


class TryAgain(Exception):
    """Raised at the end of a reconciliation that could not do all it wanted: the key comes again, ever later."""


class WorkQueue(t.Generic[K]):
    """Calls ``reconcile(key)`` some time after ``add(key)``.

    ``reconcile`` returns None, or the virtual seconds after which it wants to look again anyway.
    ``TryAgain``, an ``ApiError`` or a ``Fault`` from it mean: try again, later each time. ``delay`` is
    the range of virtual seconds between event and reaction.
    """

    def __init__(
        self,
        clock: VirtualClock,
        name: str,
        reconcile: t.Callable[[K], float | None],
        delay: tuple[float, float] = DEFAULT_DELAY,
    ) -> None:
        self.name = name
        self.last_error: str = ""
        self._clock = clock
        self._reconcile = reconcile
        self._delay = delay
        self._random = clock.random(f"queue/{name}")
        self._waiting: dict[K, Handle] = {}
        self._failures: dict[K, int] = {}

    def add(self, key: K, after: float | None = None) -> None:
        """Look at ``key`` after the queue's delay, or after ``after`` seconds; the earlier wish wins."""
        if key in self._waiting and after is None:
            # Drawing a delay is the costly part; a key that waits because of an event needs no second one.
            waiting = self._waiting[key]
            if waiting.due <= self._clock.monotonic() + self._delay[1]:
                return
        seconds = self._random.uniform(*self._delay) if after is None else max(0.0, after)
        waiting_handle = self._waiting.get(key)
        if waiting_handle is not None:
            if waiting_handle.due <= self._clock.monotonic() + seconds:
                return
            waiting_handle.cancel()
        self._waiting[key] = self._clock.call_later(seconds, self._process, key)

    def discard(self, key: K) -> None:
        """Forget a waiting key."""
        handle = self._waiting.pop(key, None)
        if handle is not None:
            handle.cancel()
        self._failures.pop(key, None)

    def stop(self) -> None:
        """Forget everything that waits."""
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: object) -> bool:
        return key in self._waiting

    def _process(self, key: K) -> None:
        del self._waiting[key]
        try:
            again = self._reconcile(key)
        except (TryAgain, ApiError, Fault) as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            self.last_error = f"{self.name} {key}: {error}"
            self.add(key, min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** (failures - 1)))
            return
        self._failures.pop(key, None)
        if again is not None:
            self.add(key, again)
