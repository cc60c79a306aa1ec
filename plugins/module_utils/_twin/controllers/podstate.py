# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Reading pods: phase, readiness, availability, age; and conditions of anything.

Used by every controller, so each rule is here once. A pod is *active* when it is neither
finished nor being deleted, *available* when it has been ready for ``minReadySeconds``.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object


def parse_time(text: str) -> datetime:
    """A timestamp of the API (``2026-01-01T00:00:00Z``, micro seconds allowed) in UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def condition(obj: Object, kind: str) -> Object | None:
    """The condition of that type, or None."""
    for each in (obj.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            found: Object = each
            return found
    return None


def condition_is(obj: Object, kind: str, status: str = "True") -> bool:
    found = condition(obj, kind)
    return found is not None and found.get("status") == status


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_terminating(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_active(pod: Object) -> bool:
    return not is_finished(pod) and not is_terminating(pod)


def is_ready(pod: Object) -> bool:
    return condition_is(pod, "Ready")


def node_of(pod: Object) -> str:
    """The node the pod is bound to, or ``""``."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def ready_since(pod: Object) -> datetime | None:
    """When the pod became ready; None when it is not."""
    found = condition(pod, "Ready")
    if found is None or found.get("status") != "True" or not found.get("lastTransitionTime"):
        return None
    return parse_time(found["lastTransitionTime"])


def seconds_to_available(pod: Object, min_ready_seconds: float, now: datetime) -> float | None:
    """0 when the pod is available, the seconds it still has to stay ready, or None when it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_seconds:
        return 0.0
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, min_ready_seconds - (now - since).total_seconds())


def is_available(pod: Object, min_ready_seconds: float, now: datetime) -> bool:
    return seconds_to_available(pod, min_ready_seconds, now) == 0.0


def created(obj: Object) -> str:
    """The creation time as text, which sorts like the time."""
    return str(obj["metadata"].get("creationTimestamp") or "")


def by_age(objects: t.Iterable[Object]) -> list[Object]:
    """Oldest first, by name where the whole second is the same."""
    return sorted(objects, key=lambda obj: (created(obj), obj["metadata"]["name"]))


def with_condition(
    conditions: t.Iterable[Object], kind: str, status: str, now: str, reason: str = "", message: str = "", **more: t.Any
) -> list[Object]:
    """``conditions`` with the one of type ``kind`` set; its transition time moves only with its status."""
    result: list[Object] = []
    placed = False
    for each in conditions:
        if each.get("type") != kind:
            result.append(each)
            continue
        placed = True
        transition = each.get("lastTransitionTime") if each.get("status") == status else now
        result.append(_condition(kind, status, transition or now, reason, message, more))
    if not placed:
        result.append(_condition(kind, status, now, reason, message, more))
    return result


def without_condition(conditions: t.Iterable[Object], kind: str) -> list[Object]:
    return [each for each in conditions if each.get("type") != kind]


def _condition(kind: str, status: str, transition: str, reason: str, message: str, more: Object) -> Object:
    made: Object = {"type": kind, "status": status, "lastTransitionTime": transition}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    made.update(more)
    return made
