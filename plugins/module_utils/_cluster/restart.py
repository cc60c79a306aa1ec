# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Rollout restarts: how far a workload's own strategy goes, and the patches that start one and clean up.

A rollout is not restrained by disruption budgets (spec kubernetes-api-behaviour.md §10): what it takes
away at once is decided by the numbers computed here, so they are compared with the budgets beforehand.
"""

from __future__ import annotations

import json
import math
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of, metadata_of

IntOrPercent = t.Union[int, str]

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
ORIGINAL_STRATEGY = "ipam.calico-ops.io/original-strategy"


def resolve(value: IntOrPercent, total: int, *, round_up: bool) -> int:
    """A number or a percentage of ``total``, as Kubernetes rounds it."""
    if isinstance(value, int):
        return value
    text = value.strip()
    if not text.endswith("%"):
        return int(text) if text.isdigit() else 0
    exact = int(text[:-1] or 0) * total / 100
    return math.ceil(exact) if round_up else math.floor(exact)


@dataclass(frozen=True)
class Bounds:
    """How many pods a rollout adds (``surge``) and takes away (``unavailable``) at once, at most."""

    surge: int
    unavailable: int

    @property
    def disrupted(self) -> int:
        return self.surge + self.unavailable


def deployment_bounds(deployment: Object) -> Bounds:
    """Of a Deployment: surge rounds up, unavailable down, both zero means one unavailable; Recreate takes all."""
    spec = deployment.get("spec") or {}
    replicas = int(spec.get("replicas", 1))
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Bounds(0, replicas)
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(surge, min(unavailable, replicas))


def stateful_set_bounds(stateful_set: Object) -> Bounds:
    """Of a StatefulSet: one at a time, unless maxUnavailable says otherwise and is honoured."""
    spec = stateful_set.get("spec") or {}
    replicas = int(spec.get("replicas", 1))
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    return Bounds(0, min(max(1, resolve(rolling.get("maxUnavailable", 1), replicas, round_up=True)), replicas))


def daemon_set_bounds(daemon_set: Object) -> Bounds:
    """Of a DaemonSet: percentages are of the scheduled pods and round up; both zero is not possible."""
    scheduled = int((daemon_set.get("status") or {}).get("desiredNumberScheduled") or 0)
    rolling = ((daemon_set.get("spec") or {}).get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", 0), scheduled, round_up=True)
    unavailable = resolve(rolling.get("maxUnavailable", 1), scheduled, round_up=True)
    return Bounds(surge, min(unavailable, scheduled))


def is_rolling(workload: Object) -> bool:
    """Whether a rollout is under way: the controller has not seen the newest spec, or old pods remain."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(metadata_of(workload).get("generation") or 0):
        return True
    kind = workload.get("kind")
    if kind == "DaemonSet":
        return int(status.get("updatedNumberScheduled") or 0) < int(status.get("desiredNumberScheduled") or 0)
    replicas = int(spec.get("replicas", 1))
    updated = int(status.get("updatedReplicas") or 0)
    if kind == "StatefulSet":
        if status.get("currentRevision") == status.get("updateRevision"):
            return False
        return updated < replicas
    return updated < replicas or int(status.get("replicas") or 0) > updated


def desired_count(workload: Object) -> int:
    """How many pods the workload is to have."""
    if workload.get("kind") == "DaemonSet":
        return int((workload.get("status") or {}).get("desiredNumberScheduled") or 0)
    return int((workload.get("spec") or {}).get("replicas", 1))


def restart_patch(workload: Object, now: datetime) -> Object:
    """What ``kubectl rollout restart`` writes, as a compare-and-swap against the workload as we know it.

    With fractions of a second: a second restart within the same one would otherwise change nothing.
    """
    moment = now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "metadata": {"resourceVersion": metadata_of(workload)["resourceVersion"]},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: moment}}}},
    }


def surge_patch(deployment: Object, surge: int, now: datetime) -> Object:
    """A restart that adds ``surge`` pods before it takes any away; the Deployment keeps its own strategy noted.

    Strategy, note and restart are one write, so there is no moment in which one is there without the others.
    """
    strategy = (deployment.get("spec") or {}).get("strategy") or {}
    patch = restart_patch(deployment, now)
    patch["metadata"]["annotations"] = {ORIGINAL_STRATEGY: json.dumps(strategy, sort_keys=True, separators=(",", ":"))}
    patch["spec"]["strategy"] = {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0},
    }
    return patch


def original_strategy(deployment: Object) -> dict[str, t.Any] | None:
    """The strategy that was noted by ``surge_patch``; ``None`` when there is no note."""
    note = annotations_of(deployment).get(ORIGINAL_STRATEGY)
    if note is None:
        return None
    try:
        strategy = json.loads(note)
    except ValueError:
        strategy = None
    # Somebody edited the note: Kubernetes' own defaults are the best guess that is left.
    return strategy if isinstance(strategy, dict) else {}


def restore_patch(deployment: Object) -> Object:
    """Put the noted strategy back and remove the note, in one write."""
    strategy = original_strategy(deployment) or {}
    kind = strategy.get("type") or "RollingUpdate"
    rolling: dict[str, t.Any] | None = None
    if kind == "RollingUpdate":
        noted = strategy.get("rollingUpdate") or {}
        rolling = {name: noted.get(name, "25%") for name in ("maxSurge", "maxUnavailable")}
    return {
        "metadata": {
            "resourceVersion": metadata_of(deployment)["resourceVersion"],
            "annotations": {ORIGINAL_STRATEGY: None},
        },
        "spec": {"strategy": {"type": kind, "rollingUpdate": rolling}},
    }


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with whole seconds."""
    return now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
