# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What ``kubectl get`` shows of the built-in types: their columns and how a cell is worked out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.deletion import parse_time

_NONE = "<none>"
_UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


@dataclass(frozen=True)
class Column:
    """``cell`` gets the object and the present time; ``priority`` above 0 is for ``-o wide``."""

    name: str
    cell: t.Callable[[Object, datetime], t.Any]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


def human_duration(seconds: float) -> str:
    """A duration as kubectl writes it: ``12s``, ``3m10s``, ``5h``, ``2d4h``."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def _two(whole: int, big: int, big_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(whole, big)
    second = rest // small
    return f"{first}{big_name}{second}{small_name}" if second else f"{first}{big_name}"


def since(text: t.Any, now: datetime) -> str:
    """How long ago a timestamp was."""
    if not isinstance(text, str) or not text:
        return _UNKNOWN
    try:
        return human_duration((now - parse_time(text[:19] + "Z")).total_seconds())
    except ValueError:
        return "<invalid>"


def name_of(obj: Object, now: datetime) -> str:
    return str(obj["metadata"].get("name", ""))


def age_of(obj: Object, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _spec(obj: Object) -> Object:
    return obj.get("spec") or {}


def _status(obj: Object) -> Object:
    return obj.get("status") or {}


def _number(section: str, field: str) -> t.Callable[[Object, datetime], t.Any]:
    return lambda obj, now: int((obj.get(section) or {}).get(field) or 0)


def _pod_spec(obj: Object) -> Object:
    return (_spec(obj).get("template") or {}).get("spec") or {}


def _containers(obj: Object, now: datetime) -> str:
    return ",".join(each.get("name", "") for each in _pod_spec(obj).get("containers") or [])


def _images(obj: Object, now: datetime) -> str:
    return ",".join(each.get("image", "") for each in _pod_spec(obj).get("containers") or [])


def _selector(obj: Object, now: datetime) -> str:
    selector = _spec(obj).get("selector") or {}
    labels = (
        selector.get("matchLabels", {}) if "matchLabels" in selector or "matchExpressions" in selector else selector
    )
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or _NONE


def _ready(obj: Object, now: datetime) -> str:
    return f"{_status(obj).get('readyReplicas') or 0}/{_spec(obj).get('replicas') or 0}"


# ---- pods


def _container_statuses(pod: Object) -> list[Object]:
    return _status(pod).get("containerStatuses") or []


def pod_phase(pod: Object, now: datetime) -> str:
    """The STATUS column: the phase, or why a container does not run, or Terminating."""
    status = _status(pod)
    reason = status.get("reason") or status.get("phase") or "Unknown"
    running = False
    for each in reversed(_container_statuses(pod)):
        state = each.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended:
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
        elif each.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        reason = "Running" if _is_ready(pod) else "NotReady"
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _is_ready(pod: Object) -> bool:
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in _status(pod).get("conditions") or []
    )


def _pod_ready(pod: Object, now: datetime) -> str:
    ready = sum(1 for each in _container_statuses(pod) if each.get("ready"))
    return f"{ready}/{len(_spec(pod).get('containers') or [])}"


def _pod_restarts(pod: Object, now: datetime) -> str:
    count, last = 0, ""
    for each in _container_statuses(pod):
        count += int(each.get("restartCount") or 0)
        ended = ((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        last = max(last, ended)
    return f"{count} ({since(last, now)} ago)" if count and last else str(count)


def _pod_ip(pod: Object, now: datetime) -> str:
    return str(_status(pod).get("podIP") or _NONE)


def _pod_node(pod: Object, now: datetime) -> str:
    return str(_spec(pod).get("nodeName") or _NONE)


def _nominated(pod: Object, now: datetime) -> str:
    return str(_status(pod).get("nominatedNodeName") or _NONE)


def _gates(pod: Object, now: datetime) -> str:
    gates = _spec(pod).get("readinessGates") or []
    if not gates:
        return _NONE
    true = {each.get("type") for each in _status(pod).get("conditions") or [] if each.get("status") == "True"}
    return f"{sum(1 for each in gates if each.get('conditionType') in true)}/{len(gates)}"


# ---- nodes


def _node_status(node: Object, now: datetime) -> str:
    parts = []
    for each in _status(node).get("conditions") or []:
        if each.get("type") == "Ready":
            parts.append("Ready" if each.get("status") == "True" else "NotReady")
    parts = parts or ["Unknown"]
    if _spec(node).get("unschedulable"):
        parts.append("SchedulingDisabled")
    return ",".join(parts)


def _node_roles(node: Object, now: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(key[len(prefix) :] for key in labels if key.startswith(prefix))) or _NONE


def _node_info(field: str) -> t.Callable[[Object, datetime], str]:
    return lambda node, now: str((_status(node).get("nodeInfo") or {}).get(field) or _UNKNOWN)


def _node_address(kind: str) -> t.Callable[[Object, datetime], str]:
    def cell(node: Object, now: datetime) -> str:
        for each in _status(node).get("addresses") or []:
            if each.get("type") == kind:
                return str(each.get("address"))
        return _NONE

    return cell


# ---- the rest


def _budget(field: str) -> t.Callable[[Object, datetime], str]:
    def cell(obj: Object, now: datetime) -> str:
        value = _spec(obj).get(field)
        return "N/A" if value is None else str(value)

    return cell


def _api_service(obj: Object, now: datetime) -> str:
    service = _spec(obj).get("service")
    return f"{service.get('namespace')}/{service.get('name')}" if service else "Local"


def _api_available(obj: Object, now: datetime) -> str:
    for each in _status(obj).get("conditions") or []:
        if each.get("type") == "Available":
            return "True" if each.get("status") == "True" else f"False ({each.get('reason', '')})"
    return _UNKNOWN


def _node_selector(obj: Object, now: datetime) -> str:
    chosen = _pod_spec(obj).get("nodeSelector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(chosen.items())) or _NONE


def _job_status(obj: Object, now: datetime) -> str:
    for each in _status(obj).get("conditions") or []:
        if each.get("status") == "True" and each.get("type") in ("Complete", "Failed", "Suspended"):
            return str(each["type"])
    return "Terminating" if "deletionTimestamp" in obj["metadata"] else "Running"


def _job_completions(obj: Object, now: datetime) -> str:
    wanted = _spec(obj).get("completions")
    done = _status(obj).get("succeeded") or 0
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = _spec(obj).get("parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(obj: Object, now: datetime) -> str:
    start, end = _status(obj).get("startTime"), _status(obj).get("completionTime")
    if not start:
        return ""
    return since(start, parse_time(end) if end else now)


def _last_schedule(obj: Object, now: datetime) -> str:
    last = _status(obj).get("lastScheduleTime")
    return since(last, now) if last else _NONE


def _service_external(obj: Object, now: datetime) -> str:
    spec = _spec(obj)
    external = list(spec.get("externalIPs") or [])
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or "")
    if spec.get("type") == "LoadBalancer":
        ingress = (_status(obj).get("loadBalancer") or {}).get("ingress") or []
        external = [each.get("ip") or each.get("hostname") or "" for each in ingress] + external
        return ",".join(external) or "<pending>"
    return ",".join(external) or _NONE


def _service_ports(obj: Object, now: datetime) -> str:
    shown = []
    for each in _spec(obj).get("ports") or []:
        port = f"{each.get('port')}:{each['nodePort']}" if each.get("nodePort") else str(each.get("port"))
        shown.append(f"{port}/{each.get('protocol', 'TCP')}")
    return ",".join(shown) or _NONE


def _data_count(obj: Object, now: datetime) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


def _event_last(obj: Object, now: datetime) -> str:
    return since(obj.get("lastTimestamp") or obj.get("eventTime") or obj.get("firstTimestamp"), now)


def _event_object(obj: Object, now: datetime) -> str:
    about = obj.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _top(field: str) -> t.Callable[[Object, datetime], str]:
    return lambda obj, now: str(obj.get(field) or "").strip()


def _from_spec(field: str, default: str = "") -> t.Callable[[Object, datetime], str]:
    def cell(obj: Object, now: datetime) -> str:
        value = _spec(obj).get(field)
        if isinstance(value, bool):
            return "True" if value else "False"
        return default if value is None else str(value)

    return cell


def _role(obj: Object, now: datetime) -> str:
    reference = obj.get("roleRef") or {}
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def _created(obj: Object, now: datetime) -> str:
    return str(obj["metadata"].get("creationTimestamp", ""))


def _text(name: str, cell: t.Callable[[Object, datetime], t.Any], priority: int = 0) -> Column:
    return Column(name, cell, priority=priority)


def _count(name: str, section: str, field: str) -> Column:
    return Column(name, _number(section, field), type="integer")


_NAME = Column("Name", name_of, format="name", description="Name must be unique within a namespace.")
_AGE = Column("Age", age_of)
_WORKLOAD = (_text("Containers", _containers, 1), _text("Images", _images, 1))
_SELECTOR = _text("Selector", _selector, 1)

_COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "pods"): (
        _NAME,
        _text("Ready", _pod_ready),
        _text("Status", pod_phase),
        _text("Restarts", _pod_restarts),
        _AGE,
        _text("IP", _pod_ip, 1),
        _text("Node", _pod_node, 1),
        _text("Nominated Node", _nominated, 1),
        _text("Readiness Gates", _gates, 1),
    ),
    ("", "nodes"): (
        _NAME,
        _text("Status", _node_status),
        _text("Roles", _node_roles),
        _AGE,
        _text("Version", _node_info("kubeletVersion")),
        _text("Internal-IP", _node_address("InternalIP"), 1),
        _text("External-IP", _node_address("ExternalIP"), 1),
        _text("OS-Image", _node_info("osImage"), 1),
        _text("Kernel-Version", _node_info("kernelVersion"), 1),
        _text("Container-Runtime", _node_info("containerRuntimeVersion"), 1),
    ),
    ("", "namespaces"): (_NAME, _text("Status", lambda obj, now: _status(obj).get("phase", "")), _AGE),
    ("", "configmaps"): (_NAME, Column("Data", _data_count, type="integer"), _AGE),
    ("", "secrets"): (_NAME, _text("Type", _top("type")), Column("Data", _data_count, type="integer"), _AGE),
    ("", "services"): (
        _NAME,
        _text("Type", _from_spec("type")),
        _text("Cluster-IP", _from_spec("clusterIP", _NONE)),
        _text("External-IP", _service_external),
        _text("Port(s)", _service_ports),
        _AGE,
        _SELECTOR,
    ),
    ("", "events"): (
        _text("Last Seen", _event_last),
        _text("Type", _top("type")),
        _text("Reason", _top("reason")),
        _text("Object", _event_object),
        _text("Message", _top("message")),
        Column("Count", lambda obj, now: int(obj.get("count") or 1), type="integer", priority=1),
        Column("Name", name_of, format="name", priority=1),
    ),
    ("apps", "deployments"): (
        _NAME,
        _text("Ready", _ready),
        _count("Up-to-date", "status", "updatedReplicas"),
        _count("Available", "status", "availableReplicas"),
        _AGE,
        *_WORKLOAD,
        _SELECTOR,
    ),
    ("apps", "replicasets"): (
        _NAME,
        _count("Desired", "spec", "replicas"),
        _count("Current", "status", "replicas"),
        _count("Ready", "status", "readyReplicas"),
        _AGE,
        *_WORKLOAD,
        _SELECTOR,
    ),
    ("apps", "statefulsets"): (_NAME, _text("Ready", _ready), _AGE, *_WORKLOAD),
    ("apps", "daemonsets"): (
        _NAME,
        _count("Desired", "status", "desiredNumberScheduled"),
        _count("Current", "status", "currentNumberScheduled"),
        _count("Ready", "status", "numberReady"),
        _count("Up-to-date", "status", "updatedNumberScheduled"),
        _count("Available", "status", "numberAvailable"),
        _text("Node Selector", _node_selector),
        _AGE,
        *_WORKLOAD,
        _SELECTOR,
    ),
    ("batch", "jobs"): (
        _NAME,
        _text("Status", _job_status),
        _text("Completions", _job_completions),
        _text("Duration", _job_duration),
        _AGE,
        *_WORKLOAD,
        _SELECTOR,
    ),
    ("batch", "cronjobs"): (
        _NAME,
        _text("Schedule", _from_spec("schedule")),
        _text("Timezone", _from_spec("timeZone", _NONE)),
        _text("Suspend", _from_spec("suspend", "False")),
        Column("Active", lambda obj, now: len(_status(obj).get("active") or []), type="integer"),
        _text("Last Schedule", _last_schedule),
        _AGE,
    ),
    ("policy", "poddisruptionbudgets"): (
        _NAME,
        _text("Min Available", _budget("minAvailable")),
        _text("Max Unavailable", _budget("maxUnavailable")),
        _count("Allowed Disruptions", "status", "disruptionsAllowed"),
        _AGE,
    ),
    ("coordination.k8s.io", "leases"): (_NAME, _text("Holder", _from_spec("holderIdentity")), _AGE),
    ("rbac.authorization.k8s.io", "roles"): (_NAME, _text("Created At", _created)),
    ("rbac.authorization.k8s.io", "clusterroles"): (_NAME, _text("Created At", _created)),
    ("rbac.authorization.k8s.io", "rolebindings"): (_NAME, _text("Role", _role), _AGE),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): (_NAME, _text("Role", _role), _AGE),
    ("apiregistration.k8s.io", "apiservices"): (
        _NAME,
        _text("Service", _api_service),
        _text("Available", _api_available),
        _AGE,
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (_NAME, _text("Created At", _created)),
}


def builtin_columns(group: str, plural: str) -> tuple[Column, ...] | None:
    """The columns of a built-in type, or None for those that show Name and Age."""
    return _COLUMNS.get((group, plural))
