# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain objects for the drain's tests, as an API server would hand them out."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View

POOL = parse_network("192.168.0.0/16")
PERCENT = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


class Shelf:
    """As much of an API as resolving owners and looking for obstacles needs: objects on a shelf."""

    def __init__(self, *things: Object) -> None:
        self._things = list(things)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        for thing in self._things:
            metadata = thing["metadata"]
            if thing["kind"] == resource.kind and (metadata["name"], metadata.get("namespace")) == (name, namespace):
                return thing
        raise NotFound(f'{resource.plural} "{name}" not found', 404, "NotFound")

    def list(self, resource: Resource, namespace: str | None = None, **_selectors: t.Any) -> Listing:
        return Listing([thing for thing in self._things if thing["kind"] == resource.kind], "1")


def ref(kind: str, name: str, api_version: str = "apps/v1") -> list[Object]:
    return [{"apiVersion": api_version, "kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": True}]


def pod(name: str, address: str = "192.168.0.9", *, ready: bool = True, owner: list[Object] | None = None) -> Object:
    app = name.split("-")[0]
    return {
        "kind": "Pod",
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": name,
            "labels": {"app": app},
            "ownerReferences": owner if owner is not None else ref("ReplicaSet", app),
        },
        "spec": {"nodeName": "n1"},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": address}] if address else [],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def replica_set(name: str) -> Object:
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": f"ReplicaSet-{name}",
        "ownerReferences": ref("Deployment", name),
    }
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": {}}


def workload(kind: str, name: str, replicas: int, spec: Object | None = None) -> Object:
    return {
        "kind": kind,
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": f"{kind}-{name}",
            "resourceVersion": "5",
            "generation": 1,
        },
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "c"}]}}, **(spec or {})},
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "desiredNumberScheduled": replicas,
            "updatedNumberScheduled": replicas,
        },
    }


def budget(name: str, spec: Object, *, expected: int, healthy: int, desired: int) -> Object:
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"namespace": "shop", "name": name, "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
        "status": {
            "observedGeneration": 1,
            "expectedPods": expected,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": max(0, healthy - desired),
        },
    }


def view_of(*things: Object) -> View:
    """A complete view of the things; ReplicaSets are only there to be resolved."""
    view = View(Owners(Shelf(*things)), "old", POOL)  # type: ignore[arg-type]
    for thing in things:
        source = {"Pod": "pods", "PodDisruptionBudget": "budgets"}.get(thing["kind"], thing["kind"])
        if source != "ReplicaSet":
            view.apply(source, "ADDED", thing)
    view.finish_loading()
    return view


WEB = Owner("shop", "web", "Deployment")
