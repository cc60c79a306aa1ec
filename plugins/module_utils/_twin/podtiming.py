# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How long the stages of a pod take, in virtual seconds.

Drawn from the clock's seed for each pod, or set by the pod itself: annotations
``ipam.calico-ops.io/twin-start-seconds`` (bound to Running), ``twin-ready-seconds`` (Running to
Ready), ``twin-stop-seconds`` (deletion to the end of the containers), ``twin-run-seconds`` (Running
to the end of the containers by themselves) and ``twin-exit-code`` for that end.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock

PREFIX = "ipam.calico-ops.io/twin-"
BROKEN_TAG = "broken"


Range = t.Tuple[float, float]


class PodTimings(t.Protocol):
    """Ranges to draw from. ``pod_ready`` is for pods with a readiness probe; others are ready when they run."""

    @property
    def pod_start(self) -> Range: ...

    @property
    def pod_ready(self) -> Range: ...

    @property
    def pod_stop(self) -> Range: ...


@dataclass(frozen=True)
class UsualTimings:
    """What takes about as long as in a quiet cluster with its images at hand."""

    pod_start: Range = (1.0, 3.0)
    pod_ready: Range = (1.0, 3.0)
    pod_stop: Range = (0.5, 3.0)


DEFAULT_TIMINGS = UsualTimings()


def annotated(pod: Object, name: str) -> float | None:
    """The number in one of the twin's annotations; None when it is missing or no number."""
    text = (pod["metadata"].get("annotations") or {}).get(PREFIX + name)
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        return None


def _draw(clock: VirtualClock, pod: Object, stage: str, bounds: Range) -> float:
    return clock.random(f"{stage}/{pod['metadata']['uid']}").uniform(*bounds)


def start_seconds(clock: VirtualClock, pod: Object, timings: PodTimings) -> float:
    wish = annotated(pod, "start-seconds")
    return wish if wish is not None else _draw(clock, pod, "start", timings.pod_start)


def ready_seconds(clock: VirtualClock, pod: Object, timings: PodTimings) -> float:
    """0 without readiness probes; else the longest initial delay and the time of the first good answer."""
    wish = annotated(pod, "ready-seconds")
    if wish is not None:
        return wish
    probes = [each["readinessProbe"] for each in pod["spec"].get("containers") or () if each.get("readinessProbe")]
    if not probes:
        return 0.0
    delay = max(float(each.get("initialDelaySeconds") or 0) for each in probes)
    return delay + _draw(clock, pod, "ready", timings.pod_ready)


def stop_seconds(clock: VirtualClock, pod: Object, timings: PodTimings) -> float:
    """The time the containers need to end, without regard to the grace period; a preStop sleep comes on top."""
    wish = annotated(pod, "stop-seconds")
    seconds = wish if wish is not None else _draw(clock, pod, "stop", timings.pod_stop)
    sleeps = [
        float((((each.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}).get("seconds") or 0)
        for each in pod["spec"].get("containers") or ()
    ]
    return seconds + max(sleeps, default=0.0)


def exit_code(pod: Object) -> int:
    return int(annotated(pod, "exit-code") or 0)


def broken_containers(pod: Object) -> set[str]:
    """The containers whose image cannot be pulled: those with the tag ``broken``."""
    return {
        each["name"]
        for each in pod["spec"].get("containers") or ()
        if str(each.get("image", "")).rpartition(":")[2] == BROKEN_TAG
    }
