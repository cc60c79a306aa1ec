# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a drain asks for, what it answers, and what it says on the way."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted

RESTART = "restart"
SURGE = "surge"
EVICT = "evict"
RECREATE = "recreate"


# For how many workloads and reasons the sentence of a failure says what is left; all pods are in its details.
SHOWN = 5
# Of more workloads with the same reason than this, the sentence says how many more there are.
SHOWN_OWNERS = 3
# Of more pods than this, the diff has a line for each namespace.
SHOWN_PODS = 50


@dataclass(frozen=True)
class DrainOptions:
    """``max_parallel`` is in pods that are being replaced at the same time, ``timeout`` in seconds.

    ``max_parallel`` None goes by the size of the cluster, ``max_parallel_per_namespace`` None is no limit.
    ``namespaces`` limits the drain; empty means all. ``pause`` is in seconds, between members of a StatefulSet.
    ``consent`` names what may be done that loses something, see ``drain_consent.py``.
    """

    pool: str
    max_parallel: int | None = None
    namespaces: t.Sequence[str] = ()
    timeout: float = 3600.0
    max_parallel_per_namespace: int | None = None
    max_parallel_per_node: int = 5
    max_failures: int = 3
    canary: bool = True
    consent: t.Sequence[str] = ()
    pause: float = 5.0


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
    the pool, as namespace/name. ``estimate`` is how long it would take, in seconds; ``notes`` are sentences
    about what else there is to know.
    """

    changed: bool
    moved: int
    total: int
    left: tuple[Left, ...] = ()
    workloads: tuple[Treated, ...] = ()
    seconds: float = 0.0
    steps: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    estimate: float = 0.0
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "moved": self.moved,
            "left": [entry.as_dict() for entry in self.left],
            "workloads": [entry.as_dict() for entry in self.workloads],
            "seconds": round(self.seconds, 1),
            "steps": list(self.steps),
            "estimate": round(self.estimate),
            "notes": list(self.notes),
        }

    def as_module_result(self) -> dict[str, t.Any]:
        """With the diff Ansible shows: the pods in the pool before and after."""
        after = sorted(f"{entry.namespace}/{entry.pod}" for entry in self.left if entry.pod)
        shown = _lines if len(self.pods) <= SHOWN_PODS else _namespaces
        return {**self.as_dict(), "diff": {"before": shown(self.pods), "after": shown(after)}}

    def require_complete(self, options: DrainOptions) -> None:
        """Raises ``Refused``, naming the first of the pods that are left."""
        if not self.left:
            return
        said = list(_said(self.left))
        hidden = sum(number for _text, number in said[SHOWN:])
        shown = "; ".join(text for text, _number in said[:SHOWN])
        more = f"; and {counted(hidden, 'more pod')}" if hidden else ""
        raise Refused(
            f"IPPool {options.pool!r} is not drained after {self.seconds:.0f} s, {self.moved} of "
            f"{counted(self.total, 'pod')} moved: {shown}{more}.",
            **self._how_far(),
        )

    def _how_far(self) -> dict[str, t.Any]:
        """What a failure has beside its sentence; what was done on the way has been said before."""
        whole = self.as_dict()
        return {name: whole[name] for name in ("changed", "moved", "left", "workloads", "seconds")}

    def table(self) -> list[str]:
        """How many workloads and pods went which way, and how many are left."""
        rows = []
        for way in (RESTART, SURGE, EVICT, RECREATE):
            mine = [entry.pods for entry in self.workloads if entry.way == way]
            if mine:
                rows.append((way, len(mine), sum(mine)))
        if self.left:
            rows.append(("left", len({entry.owner or entry.pod for entry in self.left}), len(self.left)))
        if not rows:
            return []
        return ["way        workloads  pods", *(f"{way:<9}{owners:>11}{pods:>6}" for way, owners, pods in rows)]

    def summary(self) -> str:
        """The last line of the progress."""
        if self.total == 0:
            return "no pod has an address in the pool"
        text = f"moved {self.moved}/{self.total} in {self.seconds:.0f} s"
        return f"{text} · {len(self.left)} left" if self.left else text


def _said(left: t.Sequence[Left]) -> t.Iterator[tuple[str, int]]:
    """One sentence for all pods that are left for the same reason, and how many they are."""
    reasons: dict[str, dict[str, list[Left]]] = {}
    for entry in left:
        whose = entry.owner or f"{entry.namespace}/{entry.pod}"
        reasons.setdefault(entry.reason, {}).setdefault(whose, []).append(entry)
    for reason, owners in reasons.items():
        number = sum(map(len, owners.values()))
        names = list(owners)
        if number == 1:
            yield str(owners[names[0]][0]), 1
        elif len(owners) == 1:
            yield f"{counted(number, 'pod')} of {names[0]}: {reason}", number
        else:
            more = f" and {len(owners) - SHOWN_OWNERS} more" if len(owners) > SHOWN_OWNERS else ""
            yield f"{counted(number, 'pod')} ({', '.join(names[:SHOWN_OWNERS])}{more}): {reason}", number


def _namespaces(names: t.Iterable[str]) -> str:
    counts = Counter(name.partition("/")[0] for name in names)
    return _lines(f"{namespace}: {counted(number, 'pod')}" for namespace, number in sorted(counts.items()))


def _lines(names: t.Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)


class DrainStopped(Refused):
    """The drain must not go on, since what it does has stopped working. ``result`` is how far it came."""

    def __init__(self, message: str, result: DrainResult) -> None:
        super().__init__(message, **result._how_far())
        self.result = result
