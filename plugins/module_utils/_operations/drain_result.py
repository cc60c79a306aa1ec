# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a drain asks for, what it answers, and what it says on the way."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused

RESTART = "restart"
SURGE = "surge"
EVICT = "evict"


# How many of the pods that are left the sentence of a failure names; all of them are in its details.
SHOWN = 5


@dataclass(frozen=True)
class DrainOptions:
    """``max_parallel`` is in pods that are being replaced at the same time, ``timeout`` in seconds.

    ``namespaces`` limits the drain; empty means all.
    """

    pool: str
    max_parallel: int = 5
    namespaces: t.Sequence[str] = ()
    timeout: float = 3600.0


@dataclass(frozen=True, order=True)
class Left:
    """A pod that still has (or waits to replace) an address of the pool, and why."""

    namespace: str
    pod: str
    owner: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"namespace": self.namespace, "pod": self.pod, "owner": self.owner, "reason": self.reason}

    def __str__(self) -> str:
        return f"{f'{self.namespace}/{self.pod}' if self.pod else self.owner}: {self.reason}"


@dataclass(frozen=True)
class Treated:
    """A workload with the way its pods go (``restart``, ``surge`` or ``evict``) and their number."""

    owner: str
    way: str
    pods: int

    def as_dict(self) -> dict[str, t.Any]:
        return {"owner": self.owner, "way": self.way, "pods": self.pods}


@dataclass(frozen=True)
class DrainResult:
    """``moved`` of ``total`` pods; in check mode those that would be.

    ``steps`` are sentences: what was, or would be, done in this order. ``pods`` are all those found in
    the pool, as namespace/name.
    """

    changed: bool
    moved: int
    total: int
    left: tuple[Left, ...] = ()
    workloads: tuple[Treated, ...] = ()
    seconds: float = 0.0
    steps: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "moved": self.moved,
            "left": [entry.as_dict() for entry in self.left],
            "workloads": [entry.as_dict() for entry in self.workloads],
            "seconds": round(self.seconds, 1),
            "steps": list(self.steps),
        }

    def as_module_result(self) -> dict[str, t.Any]:
        """With the diff Ansible shows: the pods in the pool before and after."""
        after = sorted(f"{entry.namespace}/{entry.pod}" for entry in self.left if entry.pod)
        return {**self.as_dict(), "diff": {"before": _lines(self.pods), "after": _lines(after)}}

    def require_complete(self, options: DrainOptions) -> None:
        """Raises ``Refused``, naming the first of the pods that are left."""
        if not self.left:
            return
        shown = "; ".join(str(entry) for entry in self.left[:SHOWN])
        more = f"; and {len(self.left) - SHOWN} more" if len(self.left) > SHOWN else ""
        raise Refused(
            f"IPPool {options.pool!r} is not drained after {self.seconds:.0f} s, {self.moved} of {self.total} pods "
            f"moved: {shown}{more}.",
            **self.as_dict(),
        )

    def summary(self) -> str:
        """The last line of the progress."""
        if self.total == 0:
            return "no pod has an address in the pool"
        text = f"moved {self.moved}/{self.total} in {self.seconds:.0f} s"
        return f"{text} · {len(self.left)} left" if self.left else text


def _lines(names: t.Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)


class DrainStopped(Refused):
    """The drain must not go on: a new pod got an address of the pool. ``result`` is how far it came."""

    def __init__(self, message: str, result: DrainResult) -> None:
        super().__init__(message, **result.as_dict())
        self.result = result


@dataclass(frozen=True)
class Progress:
    """One line on the terminal; ``owner`` is what it is about, ``None`` for the drain as a whole."""

    text: str
    owner: Owner | None = None
    owner_moved: int = 0
    owner_total: int = 0
    moved: int = 0
    total: int = 0

    def __str__(self) -> str:
        parts = [f"moved {self.moved}/{self.total}"]
        if self.owner is not None:
            parts.append(f"{self.owner.short} {self.owner_moved}/{self.owner_total}")
        if self.text:
            parts.append(self.text)
        return " · ".join(parts)


@dataclass
class ProgressLines:
    """Passes progress on, at most one line a second for each object; the newest line wins.

    ``now`` is a monotonic clock in seconds, ``counts`` gives how many of how many pods are moved when
    a line is shown, so that the figures never go back in time.
    """

    report: t.Callable[[object], None]
    now: t.Callable[[], float]
    counts: t.Callable[[], tuple[int, int]]
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
        self.report(replace(line, moved=moved, total=total))


def _words(line: Progress) -> str:
    """What makes a line news: its object's own numbers and text, not the grand total."""
    return f"{line.owner_moved}/{line.owner_total} {line.text}"
