# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a drain says on the way: a line for each workload that moves, and now and then how all of it stands."""

from __future__ import annotations

import typing as t
from collections import deque
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_estimate import in_words

# Seconds between two lines about the whole, and the time its rate is measured over.
OVERVIEW_INTERVAL = 10.0
RATE_WINDOW = 60.0
# The widest column of owners.
WIDEST = 48


@dataclass(frozen=True)
class Progress:
    """One line on the terminal; ``owner`` is what it is about, ``None`` for the drain as a whole.

    ``width`` is that of the column of owners, in which the lines of one drain stand below each other.
    """

    text: str
    owner: Owner | None = None
    owner_moved: int = 0
    owner_total: int = 0
    moved: int = 0
    total: int = 0
    width: int = 0

    def __str__(self) -> str:
        parts = [f"moved {self.moved}/{self.total}".ljust(len(f"moved {self.total}/{self.total}"))]
        if self.owner is not None:
            parts.append(f"{self.owner.short} {self.owner_moved}/{self.owner_total}".ljust(self.width))
        if self.text:
            parts.append(self.text)
        return " · ".join(parts).rstrip()


def column_width(owners: t.Iterable[tuple[Owner | None, int]]) -> int:
    """The width of the column of these owners with so many pods each; very long names stand out of it."""
    widths = [len(f"{owner.short} {pods}/{pods}") for owner, pods in owners if owner is not None]
    return min(max(widths, default=0), WIDEST)


@dataclass
class ProgressLines:
    """Passes progress on, at most one line a second for each object; the newest line wins.

    ``now`` is a monotonic clock in seconds, ``counts`` gives how many of how many pods are moved when
    a line is shown, so that the figures never go back in time; ``width`` is that of the column of owners.
    """

    report: t.Callable[[object], None]
    now: t.Callable[[], float]
    counts: t.Callable[[], tuple[int, int]]
    width: t.Callable[[], int] = lambda: 0
    interval: float = 1.0
    _last: dict[Owner | None, tuple[float, str]] = field(default_factory=dict)
    _waiting: dict[Owner | None, Progress] = field(default_factory=dict)

    def say(self, line: Progress) -> None:
        """Show the line now, or as soon as its object may speak again; the same words are not repeated."""
        at, words = self._last.get(line.owner, (float("-inf"), ""))
        if _words(line) == words:
            self._waiting.pop(line.owner, None)
        elif self.now() - at >= self.interval:
            self._show(line)
        else:
            self._waiting[line.owner] = line

    def flush(self, everything: bool = False) -> None:
        """Show the lines whose time has come."""
        for owner, line in list(self._waiting.items()):
            if everything or self.now() - self._last[owner][0] >= self.interval:
                self._show(line)

    def next_due(self) -> float | None:
        """Seconds until ``flush`` has something to do; ``None`` when no line is waiting."""
        if not self._waiting:
            return None
        return max(0.0, min(self._last[owner][0] for owner in self._waiting) + self.interval - self.now())

    def _show(self, line: Progress) -> None:
        self._waiting.pop(line.owner, None)
        self._last[line.owner] = (self.now(), _words(line))
        moved, total = self.counts()
        self.report(replace(line, moved=moved, total=total, width=self.width()))


def _words(line: Progress) -> str:
    """What makes a line news: its object's own numbers and text, not the grand total."""
    return f"{line.owner_moved}/{line.owner_total} {line.text}"


@dataclass
class Overview:
    """How the whole drain stands: rate, time left, and what most is waiting for."""

    now: t.Callable[[], float]
    interval: float = OVERVIEW_INTERVAL
    _next: float = 0.0
    _history: deque[tuple[float, int]] = field(default_factory=deque)

    def start(self, moved: int) -> None:
        self._history.append((self.now(), moved))
        self._next = self.now() + self.interval

    def line(self, moved: int, total: int, active: int, waiting: t.Sequence[str]) -> str | None:
        """The line, when it is time for one; ``waiting`` are the notes of those who wait."""
        now = self.now()
        if now < self._next or moved >= total:
            return None
        self._next = now + self.interval
        self._history.append((now, moved))
        while len(self._history) > 2 and now - self._history[0][0] > RATE_WINDOW:
            self._history.popleft()
        parts = [{0: "pausing", 1: "1 workload on its way"}.get(active, f"{active} workloads on their way")]
        budgets = sorted({each.partition("budget ")[2].split(" ")[0] for each in waiting if " for budget " in each})
        if budgets:
            more = f" and {len(budgets) - 3} more" if len(budgets) > 3 else ""
            parts.append(f"waiting for budget {', '.join(budgets[:3])}{more}")
        began, then = self._history[0]
        # In a pause the rate says nothing about what comes after it.
        if now > began and moved > then and active:
            rate = (moved - then) / (now - began)
            parts.append(f"{rate * 60:.0f} pods a minute")
            parts.append(f"about {in_words((total - moved) / rate)} left")
        return " · ".join(parts)
