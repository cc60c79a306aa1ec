# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the API server adds to pods and pod templates.

Constants are shared between objects: nobody changes a stored object in place.
"""

from __future__ import annotations

import typing as t
import zlib

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import forbidden

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_MIRROR = "kubernetes.io/config.mirror"
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"

_SPEC: Object = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER: Object = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Object = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_TOKEN_SOURCES: Object = {
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ],
    "defaultMode": 420,
}
_TOLERATIONS: tuple[Object, ...] = tuple(
    {"key": f"node.kubernetes.io/{each}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for each in ("not-ready", "unreachable")
)
PRIORITIES: t.Mapping[str, int] = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}


def with_defaults(target: Object, defaults: t.Mapping[str, t.Any]) -> Object:
    """``target`` with the members of ``defaults`` that it lacks; the same dict when it lacks none."""
    missing = {key: value for key, value in defaults.items() if key not in target}
    return {**target, **missing} if missing else target


def mapped(target: Object, key: str, change: t.Callable[[Object], Object]) -> Object:
    """``target`` with every object in the list ``target[key]`` changed; the same dict when nothing changed."""
    items = target.get(key)
    if not items:
        return target
    new = [change(item) for item in items]
    return target if all(a is b for a, b in zip(new, items)) else {**target, key: new}


def replaced(target: Object, key: str, change: t.Callable[[Object], Object]) -> Object:
    """``target`` with the object ``target[key]`` changed, when there is one."""
    inner = target.get(key)
    if not isinstance(inner, dict):
        return target
    new = change(inner)
    return target if new is inner else {**target, key: new}


def pod_spec(spec: Object) -> Object:
    """Defaults of every pod spec, in pods and in templates."""
    spec = with_defaults(spec, _SPEC)
    for key in ("initContainers", "containers", "ephemeralContainers"):
        spec = mapped(spec, key, _container)
    if spec.get("hostNetwork"):
        spec = mapped(spec, "containers", lambda each: mapped(each, "ports", _host_port))
    if spec.get("serviceAccountName") and "serviceAccount" not in spec:
        spec = {**spec, "serviceAccount": spec["serviceAccountName"]}
    elif spec.get("serviceAccount") and "serviceAccountName" not in spec:
        spec = {**spec, "serviceAccountName": spec["serviceAccount"]}
    return mapped(spec, "volumes", _volume)


def template(owner_spec: Object) -> Object:
    """Defaults of ``spec.template`` in the spec of a workload."""
    return replaced(
        owner_spec, "template", lambda each: replaced(with_defaults(each, {"metadata": {}}), "spec", pod_spec)
    )


def _host_port(port: Object) -> Object:
    return with_defaults(port, {"hostPort": port["containerPort"]}) if "containerPort" in port else port


def _container(container: Object) -> Object:
    container = with_defaults(container, _CONTAINER)
    if "imagePullPolicy" not in container:
        image = str(container.get("image") or "")
        last = image.rsplit("/", 1)[-1]
        latest = "@" not in last and (":" not in last or last.endswith(":latest"))
        container = {**container, "imagePullPolicy": "Always" if latest else "IfNotPresent"}
    container = mapped(container, "ports", _port)
    container = mapped(container, "env", lambda each: replaced(each, "valueFrom", _value_from))
    for key in _PROBES:
        container = replaced(container, key, _probe)
    return container


def _port(port: Object) -> Object:
    return with_defaults(port, {"protocol": "TCP"})


def _value_from(source: Object) -> Object:
    return replaced(source, "fieldRef", lambda each: with_defaults(each, {"apiVersion": "v1"}))


def _probe(probe: Object) -> Object:
    probe = replaced(probe, "httpGet", lambda each: with_defaults(each, {"path": "/", "scheme": "HTTP"}))
    return with_defaults(probe, _PROBE)


def _volume(volume: Object) -> Object:
    if len(volume) == 1:
        return {**volume, "emptyDir": {}}
    for key in ("secret", "configMap", "downwardAPI", "projected"):
        volume = replaced(volume, key, lambda each: with_defaults(each, {"defaultMode": 420}))
    return replaced(volume, "hostPath", lambda each: with_defaults(each, {"type": ""}))


def pod(obj: Object, priority_of: t.Callable[[str], int | None]) -> Object:
    """Everything a pod has after create (spec kubernetes-api-behaviour.md §10).

    Raises ``Fault`` 403 for a priority class that does not exist.
    """
    spec = with_defaults(obj.get("spec") or {}, {"enableServiceLinks": True})
    spec = mapped(spec, "containers", _requests_from_limits)
    spec = mapped(spec, "initContainers", _requests_from_limits)
    mirror = _MIRROR in (obj["metadata"].get("annotations") or {})
    if not mirror:
        spec = with_defaults(spec, {"serviceAccountName": "default"})
        spec = _token(spec, obj["metadata"])
    spec = pod_spec(spec)
    spec = _tolerations(spec)
    return {
        **obj,
        "spec": _priority(spec, obj["metadata"], priority_of),
        "status": {"phase": "Pending", "qosClass": qos_class(spec)},
    }


def _requests_from_limits(container: Object) -> Object:
    limits = (container.get("resources") or {}).get("limits")
    if not limits:
        return container
    resources = container["resources"]
    requests = with_defaults(resources.get("requests") or {}, limits)
    return (
        container
        if requests == resources.get("requests")
        else {**container, "resources": {**resources, "requests": requests}}
    )


def _token(spec: Object, metadata: Object) -> Object:
    if spec.get("automountServiceAccountToken") is False:
        return spec
    seed = zlib.crc32(str(metadata.get("uid") or metadata.get("name") or "").encode())
    letters = ""
    for _letter in range(5):
        seed, rest = divmod(seed, len(_ALPHABET))
        letters += _ALPHABET[rest]
    name = f"kube-api-access-{letters}"
    mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_PATH}

    def mounted(container: Object) -> Object:
        mounts = container.get("volumeMounts") or []
        if any(each.get("mountPath") == _TOKEN_PATH for each in mounts):
            return container
        return {**container, "volumeMounts": [*mounts, mount]}

    with_mounts = mapped(mapped(spec, "initContainers", mounted), "containers", mounted)
    if with_mounts is spec:
        return spec
    return {**with_mounts, "volumes": [*(spec.get("volumes") or []), {"name": name, "projected": _TOKEN_SOURCES}]}


def _tolerations(spec: Object) -> Object:
    given = spec.get("tolerations") or []
    added = [each for each in _TOLERATIONS if not any(_tolerates(have, each["key"]) for have in given)]
    return {**spec, "tolerations": [*given, *added]} if added else spec


def _tolerates(toleration: Object, key: str) -> bool:
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (None, "", "NoExecute")


def _priority(spec: Object, metadata: Object, priority_of: t.Callable[[str], int | None]) -> Object:
    name = spec.get("priorityClassName") or ""
    value: int | None = PRIORITIES.get(name, 0 if not name else priority_of(name))
    if value is None:
        raise forbidden(PODS, str(metadata.get("name") or ""), f"no PriorityClass with name {name} was found")
    return with_defaults(spec, {"priority": value, "preemptionPolicy": "PreemptLowerPriority"})


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort."""
    any_given, guaranteed = False, True
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            if name in requests or name in limits:
                any_given = True
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not any_given:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
