# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The status a kubelet writes into a pod, stage by stage.

Pure functions from a pod and a time to its next status; ``kubelet.py`` decides when. Stages: made
known to the node (``creating``), network there (``networked``), running, ready, completed, stopped.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import with_condition

_NOT_READY = "ContainersNotReady"


def containers(pod: Object) -> list[Object]:
    return list(pod["spec"].get("containers") or ())


def _names(pod: Object) -> str:
    return " ".join(each["name"] for each in containers(pod))


def container_id(pod: Object, container: str, restarts: int = 0) -> str:
    """A made-up id that depends on the pod's uid, so that a restart of the twin keeps it."""
    text = f"{pod['metadata']['uid']}/{container}/{restarts}"
    return "containerd://" + hashlib.sha256(text.encode()).hexdigest()


def _statuses(pod: Object, state: t.Callable[[Object, Object], Object], *, ready: bool, started: bool) -> list[Object]:
    """The container statuses with a new ``state(container, former status)`` each."""
    before = {each["name"]: each for each in (pod.get("status") or {}).get("containerStatuses") or ()}
    made: list[Object] = []
    for container in containers(pod):
        former = before.get(container["name"], {})
        restarts = int(former.get("restartCount") or 0) + (1 if started and _has_ended(former) else 0)
        status: Object = {
            "name": container["name"],
            "state": state(container, former),
            "lastState": former.get("lastState") or {},
            "ready": ready,
            "restartCount": restarts,
            "image": container.get("image", ""),
            "imageID": "",
            "started": started,
        }
        if "waiting" not in status["state"]:
            status["imageID"] = "sha256:" + hashlib.sha256(str(container.get("image")).encode()).hexdigest()
            status["containerID"] = container_id(pod, container["name"], restarts)
        made.append(status)
    return made


def _has_ended(former: Object) -> bool:
    """Whether the container ran before and waits for its restart."""
    state = former.get("state") or {}
    return "terminated" in state or (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"


def _finished_init(pod: Object, now: str) -> list[Object]:
    made: list[Object] = []
    for container in pod["spec"].get("initContainers") or ():
        sidecar = container.get("restartPolicy") == "Always"
        ended: Object = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
        made.append(
            {
                "name": container["name"],
                "state": {"running": {"startedAt": now}} if sidecar else {"terminated": ended},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": container.get("image", ""),
                "imageID": "sha256:" + hashlib.sha256(str(container.get("image")).encode()).hexdigest(),
                "containerID": container_id(pod, container["name"]),
                "started": sidecar,
            }
        )
    return made


def _waiting_init(pod: Object) -> list[Object]:
    return [
        {
            "name": container["name"],
            "state": {"waiting": {"reason": "PodInitializing"}},
            "lastState": {},
            "ready": False,
            "restartCount": 0,
            "image": container.get("image", ""),
            "imageID": "",
            "started": False,
        }
        for container in pod["spec"].get("initContainers") or ()
    ]


def _conditions(pod: Object, now: str, *states: tuple[str, str, str, str]) -> list[Object]:
    conditions: list[Object] = list((pod.get("status") or {}).get("conditions") or ())
    for kind, truth, reason, message in states:
        conditions = with_condition(conditions, kind, truth, now, reason, message)
    return conditions


def _unready(pod: Object) -> tuple[tuple[str, str, str, str], ...]:
    message = f"containers with unready status: [{_names(pod)}]"
    return ("Ready", "False", _NOT_READY, message), ("ContainersReady", "False", _NOT_READY, message)


def creating(pod: Object, host_ips: t.Sequence[str], now: str) -> Object:
    """The kubelet has seen the pod: ContainerCreating, no address yet."""
    inits = _waiting_init(pod)
    initialized = (
        ("Initialized", "False", "ContainersNotInitialized", "containers with incomplete status")
        if inits
        else ("Initialized", "True", "", "")
    )
    reason = "PodInitializing" if inits else "ContainerCreating"
    status: Object = {
        **(pod.get("status") or {}),
        "phase": "Pending",
        "conditions": _conditions(
            pod,
            now,
            ("PodReadyToStartContainers", "False", "", ""),
            initialized,
            *_unready(pod),
            ("PodScheduled", "True", "", ""),
        ),
        "startTime": (pod.get("status") or {}).get("startTime") or now,
        "containerStatuses": _statuses(
            pod, lambda _container, _former: {"waiting": {"reason": reason}}, ready=False, started=False
        ),
    }
    if inits:
        status["initContainerStatuses"] = inits
    if host_ips:
        status["hostIP"] = host_ips[0]
        status["hostIPs"] = [{"ip": each} for each in host_ips]
    return status


def networked(pod: Object, addresses: t.Sequence[str], now: str) -> Object:
    """The sandbox has its addresses."""
    status: Object = {
        **(pod.get("status") or {}),
        "conditions": _conditions(pod, now, ("PodReadyToStartContainers", "True", "", "")),
    }
    if addresses:
        status["podIP"] = addresses[0]
        status["podIPs"] = [{"ip": each} for each in addresses]
    return status


def waiting(
    pod: Object, broken: t.Collection[str], reason: str, message: t.Callable[[Object], str], now: str
) -> Object:
    """Containers named in ``broken`` wait with a reason (ImagePullBackOff, ...), the others run."""

    def state(container: Object, former: Object) -> Object:
        if container["name"] in broken:
            return {"waiting": {"reason": reason, "message": message(container)}}
        running = (former.get("state") or {}).get("running")
        return {"running": running or {"startedAt": now}}

    return {
        **(pod.get("status") or {}),
        "phase": "Pending",
        "conditions": _conditions(pod, now, ("Initialized", "True", "", ""), *_unready(pod)),
        "containerStatuses": _statuses(pod, state, ready=False, started=False),
    }


def running(pod: Object, now: str, *, ready: bool) -> Object:
    """All containers run; ``ready`` when the readiness probes have answered too."""

    def state(_container: Object, former: Object) -> Object:
        return {"running": (former.get("state") or {}).get("running") or {"startedAt": now}}

    readiness = (("Ready", "True", "", ""), ("ContainersReady", "True", "", "")) if ready else _unready(pod)
    status: Object = {
        **(pod.get("status") or {}),
        "phase": "Running",
        "conditions": _conditions(
            pod, now, ("PodReadyToStartContainers", "True", "", ""), ("Initialized", "True", "", ""), *readiness
        ),
        "containerStatuses": _statuses(pod, state, ready=ready, started=True),
    }
    if pod["spec"].get("initContainers"):
        before = (pod.get("status") or {}).get("initContainerStatuses") or ()
        done = before and all(each.get("ready") for each in before)
        status["initContainerStatuses"] = list(before) if done else _finished_init(pod, now)
    return status


def restarting(pod: Object, now: str, exit_code: int, back_off: float) -> Object:
    """The containers ended and will be restarted: at once, or after ``back_off`` seconds of CrashLoopBackOff."""
    made: list[Object] = []
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        end: Object = {
            "exitCode": exit_code,
            "reason": "Completed" if exit_code == 0 else "Error",
            "startedAt": ((status.get("state") or {}).get("running") or {}).get("startedAt") or now,
            "finishedAt": now,
            "containerID": status.get("containerID", ""),
        }
        state: Object = {"terminated": end}
        if back_off:
            name = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"
            message = f"back-off {back_off:.0f}s restarting failed container={status['name']} pod={name}"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        made.append({**status, "state": state, "lastState": {"terminated": end}, "ready": False, "started": False})
    return {
        **(pod.get("status") or {}),
        "phase": "Running",
        "conditions": _conditions(pod, now, *_unready(pod)),
        "containerStatuses": made,
    }


def ended(pod: Object, now: str, exit_code: int) -> Object:
    """All containers are at their end, by themselves or because the pod was deleted. The address stays written."""
    reason = "Completed" if exit_code == 0 else "Error"
    done = "PodCompleted" if exit_code == 0 else "PodFailed"

    def state(container: Object, former: Object) -> Object:
        began = ((former.get("state") or {}).get("running") or {}).get("startedAt") or now
        restarts = int(former.get("restartCount") or 0)
        return {
            "terminated": {
                "exitCode": exit_code,
                "reason": reason,
                "startedAt": began,
                "finishedAt": now,
                "containerID": container_id(pod, container["name"], restarts),
            }
        }

    return {
        **(pod.get("status") or {}),
        "phase": "Succeeded" if exit_code == 0 else "Failed",
        "conditions": _conditions(
            pod,
            now,
            ("PodReadyToStartContainers", "False", "", ""),
            ("Initialized", "True", done if exit_code == 0 else "", ""),
            ("Ready", "False", done, ""),
            ("ContainersReady", "False", done, ""),
        ),
        "containerStatuses": _statuses(pod, state, ready=False, started=False),
    }
