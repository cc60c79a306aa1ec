# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Facts about pods, read from the plain object (spec kubernetes-api-behaviour.md §10)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object

MIRROR = "kubernetes.io/config.mirror"
TEMPLATE_HASH = "pod-template-hash"
FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class OwnerRef:
    """The controlling owner of an object; ``api_version`` is ``apps/v1`` and the like."""

    api_version: str
    kind: str
    name: str
    uid: str


def metadata_of(thing: Object) -> dict[str, t.Any]:
    found: dict[str, t.Any] = thing.get("metadata") or {}
    return found


def uid_of(thing: Object) -> str:
    return str(metadata_of(thing).get("uid") or "")


def labels_of(thing: Object) -> dict[str, str]:
    return dict(metadata_of(thing).get("labels") or {})


def annotations_of(thing: Object) -> dict[str, str]:
    return dict(metadata_of(thing).get("annotations") or {})


def controller_of(thing: Object) -> OwnerRef | None:
    """The owner with ``controller: true``; there is at most one."""
    for owner in metadata_of(thing).get("ownerReferences") or ():
        if owner.get("controller"):
            return OwnerRef(
                str(owner.get("apiVersion") or ""), str(owner["kind"]), str(owner["name"]), str(owner.get("uid") or "")
            )
    return None


def addresses(pod: Object) -> list[str]:
    """All addresses of the pod, one a family; none while it has no sandbox."""
    status = pod.get("status") or {}
    found = [str(entry["ip"]) for entry in status.get("podIPs") or () if entry.get("ip")]
    if not found and status.get("podIP"):
        found.append(str(status["podIP"]))
    return found


def on_host_network(pod: Object) -> bool:
    """Such pods have the node's address and concern no pool."""
    return bool((pod.get("spec") or {}).get("hostNetwork"))


def is_finished(pod: Object) -> bool:
    """Succeeded and Failed pods keep their ``podIP`` although it may be another pod's by now."""
    return (pod.get("status") or {}).get("phase") in FINISHED


def is_terminating(pod: Object) -> bool:
    return bool(metadata_of(pod).get("deletionTimestamp"))


def is_mirror(pod: Object) -> bool:
    """The shadow of a static pod: deleting it changes nothing on the node."""
    owner = controller_of(pod)
    return MIRROR in annotations_of(pod) or (owner is not None and owner.kind == "Node")


def condition(thing: Object, name: str) -> dict[str, t.Any]:
    """A condition of the object's status; empty when it has none of that type."""
    for entry in (thing.get("status") or {}).get("conditions") or ():
        if entry.get("type") == name:
            found: dict[str, t.Any] = entry
            return found
    return {}


def is_ready(pod: Object) -> bool:
    """Ready, and neither finished nor on its way out: what budgets and controllers count as healthy."""
    return condition(pod, "Ready").get("status") == "True" and not is_terminating(pod) and not is_finished(pod)


def startup_seconds(pod: Object) -> float:
    """How long the pod took from its creation to its readiness; 0 where that cannot be told.

    A pod that lost its readiness and found it again says when it found it: then this is too much.
    """
    ready = condition(pod, "Ready")
    if ready.get("status") != "True":
        return 0.0
    try:
        times = [
            datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ")
            for text in (metadata_of(pod).get("creationTimestamp"), ready.get("lastTransitionTime"))
        ]
    except ValueError:
        return 0.0
    return max(0.0, (times[1] - times[0]).total_seconds())


def trouble(pod: Object) -> str:
    """Why a pod is not ready, in its own status' words; ``""`` when it says nothing."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"it cannot be scheduled: {scheduled.get('message') or scheduled.get('reason') or 'no reason given'}"
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            text = f"container {container.get('name')} is waiting: {reason}"
            return f"{text}: {waiting['message']}" if waiting.get("message") else text
    return ""
