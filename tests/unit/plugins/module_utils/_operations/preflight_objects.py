# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sound little cluster as a view, and objects to spoil it with, for the tables of the preflight's checks."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import Check, Problem
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    PreflightRequest,
    situation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import Surroundings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView, Workload

Object = t.Dict[str, t.Any]

OLD, NEW = "192.168.0.0/16", "10.0.0.0/16"
MOVE = PreflightRequest("migrate_pool", "old", {"name": "new", "cidr": NEW})
DECLARE = PreflightRequest("declare_pools", pools=({"name": "new", "cidr": NEW},))


def pool(name: str = "old", cidr: str = OLD, **spec: t.Any) -> StoredPool:
    given = {"cidr": cidr, "blockSize": 26, "ipipMode": "Always", "natOutgoing": True, "nodeSelector": "all()", **spec}
    return StoredPool(name, {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": given})


def node(name: str, ready: bool = True, version: str = "v1.34.1", system: str = "linux", **spec: t.Any) -> Object:
    return {
        "metadata": {"name": name, "labels": {}},
        "spec": spec,
        "status": {
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if ready else "Unknown",
                    "lastHeartbeatTime": "2026-08-22T10:00:00Z",
                }
            ],
            "nodeInfo": {"operatingSystem": system, "kubeletVersion": version},
        },
    }


def thing(kind: str, name: str, namespace: str | None = "shop", labels: t.Any = None, **parts: t.Any) -> Object:
    metadata: Object = {"name": name, "uid": f"{kind}-{name}", "labels": labels or {}}
    if namespace is not None:
        metadata["namespace"] = namespace
    annotations = parts.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {"kind": kind, "metadata": metadata, **parts}


def pod(
    name: str,
    *addresses: str,
    owner: tuple[str, str] | None = ("ReplicaSet", "web-1"),
    namespace: str = "shop",
    labels: t.Any = None,
    on: str = "node-1",
    ready: bool = True,
    spec: t.Any = None,
    **metadata: t.Any,
) -> Object:
    given: Object = {
        "name": name,
        "namespace": namespace,
        "uid": f"{namespace}-{name}",
        "labels": labels or {"app": "web"},
        "creationTimestamp": "2026-08-22T09:00:00Z",
        **metadata,
    }
    if owner is not None:
        given["ownerReferences"] = [reference(*owner)]
    status = {
        "phase": "Running",
        "podIPs": [{"ip": address} for address in addresses or ("192.168.1.5",)],
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    return {"metadata": given, "spec": {"nodeName": on, "containers": [], **(spec or {})}, "status": status}


def reference(kind: str, name: str) -> Object:
    version = "batch/v1" if kind == "Job" else "v1" if kind == "Node" else "apps/v1"
    return {"apiVersion": version, "kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": True}


def workload(
    kind: str,
    name: str,
    owner: tuple[str, str] | None = None,
    namespace: str = "shop",
    status: t.Any = None,
    **spec: t.Any,
) -> Workload:
    metadata: Object = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}", "resourceVersion": "1"}
    if owner is not None:
        metadata["ownerReferences"] = [reference(*owner)]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": []}}
    full = {"replicas": 4, "template": template, **spec}
    given = {"kind": kind, "metadata": metadata, "spec": full, "status": status or {}}
    return Workload(kind, namespace, name, given, template)


def budget(allowed: int, healthy: int = 2, expected: int = 2, **spec: t.Any) -> Object:
    given = {"selector": {"matchLabels": {"app": "web"}}, **(spec or {"minAvailable": 1})}
    status = {
        "observedGeneration": 1,
        "disruptionsAllowed": allowed,
        "desiredHealthy": 1,
        "currentHealthy": healthy,
        "expectedPods": expected,
    }
    name = str(spec.pop("name", "web"))
    return {
        "metadata": {"name": name, "namespace": "shop", "generation": 1},
        "spec": {key: value for key, value in given.items() if key != "name"},
        "status": status,
    }


WEB = (workload("Deployment", "web"), workload("ReplicaSet", "web-1", ("Deployment", "web")))
PODS = (pod("web-1-a"), pod("web-1-b", "192.168.1.6", on="node-2"))
VIEW = ClusterView(
    installation=Installation(Fact("crd_v1", "")),
    pools=(pool(),),
    nodes=(node("node-1"), node("node-2")),
    namespaces=({"metadata": {"name": "shop"}},),
    pods=PODS,
    workloads=WEB,
)


def view(around: t.Mapping[Resource, t.Sequence[Object]] | None = None, **changes: t.Any) -> ClusterView:
    """The sound cluster with changes; ``around`` is what stands around the pods, by kind."""
    if around is not None:
        changes["surroundings"] = dataclasses.replace(changes.get("surroundings", Surroundings()), things=around)
    return dataclasses.replace(VIEW, **changes)


def asked(**changes: t.Any) -> PreflightRequest:
    return dataclasses.replace(MOVE, **changes)


def examine(
    checks: t.Iterable[Check], identifier: str, cluster: ClusterView, request: PreflightRequest = MOVE
) -> list[Problem]:
    """What one check finds; its sentences are looked at on the way."""
    (check,) = [each for each in checks if each.id == identifier]
    found = list(check.examine(situation(request, cluster)))
    order = ("note", "warning", "blocker")
    for problem in found:
        assert order.index(problem.severity) <= order.index(check.worst)
        for text in (problem.message, problem.remedy):
            assert "\n" not in text
            assert "  " not in text
            assert text.endswith("."), text
    return found
