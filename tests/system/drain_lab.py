# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster to drain pools of: one twin for a module's tests, each in a namespace of its own."""

from __future__ import annotations

import typing as t
from pathlib import Path

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    IP_POOLS,
    NAMESPACES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions, DrainResult

OLD = parse_network("192.168.0.0/16")
NEW = parse_network("10.0.0.0/16")
POOLS = {"old": OLD, "new": NEW}


def scenario() -> list[Object]:
    pools = [
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "metadata": {"name": name},
            "spec": {"cidr": str(network), "blockSize": 26, "nodeSelector": "all()", "disabled": name == "new"},
        }
        for name, network in POOLS.items()
    ]
    return [
        {
            "apiVersion": "ipam.calico-ops.io/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": "lab"},
            "spec": {
                "seed": 1,
                "startTime": "2026-08-20T09:00:00Z",
                "timings": {"podStart": 1, "podReady": 1, "podStop": 1, "tunnel": 1},
                "nodes": [{"prefix": "node-", "count": 3}],
            },
        },
        *pools,
    ]


class Lab:
    """The twin, a client for it, and the few things every test does."""

    def __init__(self, directory: Path) -> None:
        self.twin: TwinHandle = start_twin(directory, scenario(), speed=20)
        self.api: HttpApi = connect(ConnectionOptions(kubeconfig=self.twin.kubeconfig))

    def close(self) -> None:
        self.api.close()
        self.twin.stop()

    def allow(self, pool: str) -> None:
        """Give out addresses of this pool only."""
        for name in POOLS:
            self.api.patch(IP_POOLS, name, {"spec": {"disabled": name != pool}})

    def begin(self, namespace: str, *things: tuple[Resource, Object], keep: str = "") -> None:
        """Create the things with addresses of ``old``, then give out only those of ``new``.

        What earlier tests made is thrown away, but for the namespace ``keep``.
        """
        for item in self.api.list(NAMESPACES, label_selector="lab=yes").items:
            if item["metadata"]["name"] != keep and "deletionTimestamp" not in item["metadata"]:
                self.api.delete(NAMESPACES, item["metadata"]["name"])
        self.allow("old")
        metadata = {"name": namespace, "labels": {"lab": "yes"}}
        self.api.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        for resource, thing in things:
            body = {"apiVersion": resource.api_version, "kind": resource.kind, **thing}
            self.api.create(resource, body, namespace)
        self.twin.settle()
        self.allow("new")
        self.twin.reset_record()

    def drain(self, namespace: str, *, report: t.Callable[[object], None] = print, **options: t.Any) -> DrainResult:
        given = {"timeout": 30.0, "pause": 0.0, **options}
        return drain(self.api, OLD, DrainOptions("old", namespaces=(namespace,), **given), SystemClock(), report)

    def pods(self, namespace: str) -> list[Object]:
        return self.api.list(PODS, namespace).items

    def networks(self, namespace: str) -> set[str]:
        """The pools that the namespace's running pods have addresses of."""
        found = set()
        for pod in self.pods(namespace):
            if pod["status"]["phase"] == "Running":
                found |= {name for name, network in POOLS.items() if _holds(network, pod["status"]["podIP"])}
        return found

    def revision(self, namespace: str, name: str) -> str:
        """How often the Deployment's template has changed; 1 is as created."""
        found = self.api.get(DEPLOYMENTS, name, namespace)["metadata"]["annotations"]
        return str(found["deployment.kubernetes.io/revision"])

    def unharmed(self) -> None:
        """Nobody lost the last ready pod, and no budget was broken, since the last ``begin``."""
        record = self.twin.record()
        assert record["outages"] == []
        assert record["budget_violations"] == []


def _holds(network: Network, address: str) -> bool:
    return str(parse_network(f"{address}/{network.prefix}", strict=False)) == str(network)


def template(app: str, spec: Object | None = None) -> Object:
    container = {"name": "main", "image": "registry.example.com/app:1"}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **(spec or {})}}


def workload(app: str, replicas: int | None = None, pod: Object | None = None, **spec: t.Any) -> Object:
    """A Deployment, StatefulSet, DaemonSet or ReplicaSet; the resource says which."""
    body: Object = {"selector": {"matchLabels": {"app": app}}, "template": template(app, pod), **spec}
    if replicas is not None:
        body["replicas"] = replicas
    return {"metadata": {"name": app, "labels": {"app": app}}, "spec": body}


def rolling(surge: t.Any, unavailable: t.Any) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def budget(app: str, **spec: t.Any) -> Object:
    return {"metadata": {"name": app}, "spec": {"selector": {"matchLabels": {"app": app}}, **spec}}


def bare_pod(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": template(name)["spec"]}
