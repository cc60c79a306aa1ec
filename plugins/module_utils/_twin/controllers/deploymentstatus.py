# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The status of a Deployment: counts, and the conditions Available and Progressing."""

from __future__ import annotations

from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    condition,
    parse_time,
    with_condition,
    without_condition,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.rollout import bounds

_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def deployment_status(
    deployment: Object, sets: list[Object], new: Object | None, now: datetime, timestamp: str
) -> tuple[Object, float | None]:
    """The status that fits the ReplicaSets, and the seconds until the progress deadline strikes."""
    spec, before = deployment["spec"], deployment.get("status") or {}
    wanted = int(spec.get("replicas", 1))
    _surge, unavailable = bounds(spec)
    available = _total(sets, "availableReplicas")
    status: Object = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": _total(sets, "replicas"),
        "updatedReplicas": _total([new] if new is not None else [], "replicas"),
        "readyReplicas": _total(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(int(each["spec"].get("replicas", 1)) for each in sets) - available),
    }
    status = {key: value for key, value in status.items() if value or key == "observedGeneration"}
    if before.get("collisionCount"):
        status["collisionCount"] = before["collisionCount"]
    conditions = list(before.get("conditions") or ())
    if available >= wanted - unavailable:
        reason, message, truth = "MinimumReplicasAvailable", "Deployment has minimum availability.", "True"
    else:
        reason, message, truth = "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", "False"
    conditions = _set(conditions, "Available", truth, timestamp, reason, message)
    conditions, again = _progress(deployment, conditions, status, new, now, timestamp)
    conditions = _failure(conditions, sets, new, timestamp)
    status["conditions"] = conditions
    return status, again


def _progress(
    deployment: Object, conditions: list[Object], status: Object, new: Object | None, now: datetime, timestamp: str
) -> tuple[list[Object], float | None]:
    spec, before = deployment["spec"], deployment.get("status") or {}
    deadline = spec.get("progressDeadlineSeconds", 600)
    current = condition(deployment, "Progressing")
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new is not None else f'Deployment "{_name(deployment)}"'
    if deadline is None:
        return conditions, None
    if spec.get("paused"):
        if current is None or current.get("reason") != "DeploymentPaused":
            conditions = _set(
                conditions, "Progressing", "Unknown", timestamp, "DeploymentPaused", "Deployment is paused"
            )
        return conditions, None
    if current is not None and current.get("reason") == "DeploymentPaused":
        current = None
        conditions = _set(conditions, "Progressing", "Unknown", timestamp, "DeploymentResumed", "Deployment is resumed")
    wanted = int(spec.get("replicas", 1))
    complete = (
        new is not None
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )
    if complete:
        return (
            _set(
                conditions,
                "Progressing",
                "True",
                timestamp,
                "NewReplicaSetAvailable",
                f"{name} has successfully progressed.",
            ),
            None,
        )
    finished = current is not None and current.get("reason") == "NewReplicaSetAvailable"
    if finished and before.get("updatedReplicas", 0) == status.get("updatedReplicas", 0):
        # The rollout was complete and pods fail now: that is no lack of progress.
        return conditions, None
    if _moved(before, status) or current is None or finished:
        created = current is None and new is not None
        reason = "NewReplicaSetCreated" if created else "ReplicaSetUpdated"
        message = f'Created new replica set "{_name(new)}"' if created and new else f"{name} is progressing."
        conditions = _set(conditions, "Progressing", "True", timestamp, reason, message, touch=True)
        return conditions, float(deadline)
    since = parse_time(current.get("lastUpdateTime") or timestamp)
    left = float(deadline) - (now - since).total_seconds()
    if left > 0:
        return conditions, left
    if current.get("reason") != "ProgressDeadlineExceeded":
        conditions = _set(
            conditions,
            "Progressing",
            "False",
            timestamp,
            "ProgressDeadlineExceeded",
            f"{name} has timed out progressing.",
        )
    return conditions, None


def _failure(conditions: list[Object], sets: list[Object], new: Object | None, timestamp: str) -> list[Object]:
    """That pods cannot be created, as the newest ReplicaSet says, or else another one."""
    for each in ([new] if new is not None else []) + sets:
        found = condition(each, "ReplicaFailure")
        if found is not None and found.get("status") == "True":
            reason, message = str(found.get("reason") or ""), str(found.get("message") or "")
            return _set(conditions, "ReplicaFailure", "True", timestamp, reason, message)
    return without_condition(conditions, "ReplicaFailure")


def _moved(before: Object, after: Object) -> bool:
    """Whether pods were replaced, removed or became ready since the last look."""
    old = {key: int(before.get(key) or 0) for key in _COUNTS}
    new = {key: int(after.get(key) or 0) for key in _COUNTS}
    return (
        new["updatedReplicas"] > old["updatedReplicas"]
        or new["replicas"] - new["updatedReplicas"] < old["replicas"] - old["updatedReplicas"]
        or new["readyReplicas"] > old["readyReplicas"]
        or new["availableReplicas"] > old["availableReplicas"]
    )


def _total(sets: list[Object], field: str) -> int:
    return sum(int((each.get("status") or {}).get(field) or 0) for each in sets)


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _set(
    conditions: list[Object], kind: str, truth: str, timestamp: str, reason: str, message: str, *, touch: bool = False
) -> list[Object]:
    for each in conditions:
        same = each.get("type") == kind and each.get("status") == truth and each.get("reason") == reason
        if same and not touch and each.get("message") == message:
            return conditions
    return with_condition(conditions, kind, truth, timestamp, reason, message, lastUpdateTime=timestamp)
