# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole cluster in the test's process, on a clock that the test moves."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.behaviour import Behaviour
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.cni import CniError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_ready,
    is_terminating,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.schema import SchemaRegistry

NAMESPACE = "shop"


class CountingCni:
    """Speaks the kubelet's CNI port: gives out addresses one after the other and remembers who has which."""

    def __init__(self):
        self.held = {}
        self.log = []
        self.refusing = None
        self._next = 1

    def add(self, pod, node_name):
        if self.refusing:
            raise CniError(self.refusing)
        uid = pod["metadata"]["uid"]
        if uid not in self.held:
            self.held[uid] = f"10.0.{self._next // 250}.{self._next % 250 + 1}"
            self._next += 1
        self.log.append(("add", pod["metadata"]["name"], node_name))
        return [self.held[uid]]

    def delete(self, pod, node_name):
        self.held.pop(pod["metadata"]["uid"], None)
        self.log.append(("delete", pod["metadata"]["name"], node_name))


def template(app="web", image="registry/web:1", **spec):
    metadata = {"labels": {"app": app}}
    annotations = spec.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    containers = [{"name": "main", "image": image, **spec.pop("container", {})}]
    return {"metadata": metadata, "spec": {"containers": containers, **spec}}


class Cluster:
    """Server, behaviour and clock, and short ways to say what tests say often."""

    def __init__(self, path=None, nodes=3, seed=1, start=None):
        self.objects = ObjectStore(path)
        self.clock = VirtualClock(start, seed=seed)
        self.server = ApiServer(self.objects, self.clock, schemas=SchemaRegistry(self.objects))
        self.api = LocalApi(self.server, "admin")
        self.cni = CountingCni()
        if self.objects.get(NAMESPACES, None, NAMESPACE) is None:
            for name in (NAMESPACE, "default", "kube-system"):
                self.api.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            for number in range(1, nodes + 1):
                self.add_node(f"node-{number}")
        self.behaviour = Behaviour(self.server, self.cni)
        self.behaviour.start()

    def add_node(self, name, labels=None, pods="110", cpu="8", **spec):
        number = self.objects.count(NODES) + 1
        figures = {"cpu": cpu, "memory": "32Gi", "pods": pods}
        return self.api.create(
            NODES,
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
                "spec": spec,
                "status": {
                    "capacity": figures,
                    "allocatable": figures,
                    "addresses": [{"type": "InternalIP", "address": f"192.168.0.{number}"}],
                },
            },
        )

    # -- objects ---------------------------------------------------------------------------

    def workload(self, resource, name="web", replicas=3, **spec):
        made = {
            "selector": {"matchLabels": {"app": name}},
            "template": spec.pop("template", None) or template(name),
            **spec,
        }
        if resource is not DAEMON_SETS:
            made["replicas"] = replicas
        if resource is STATEFUL_SETS:
            made.setdefault("serviceName", name)
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": made,
        }
        return self.api.create(resource, body, NAMESPACE)

    def deployment(self, name="web", replicas=3, **spec):
        return self.workload(DEPLOYMENTS, name, replicas, **spec)

    def budget(self, name="web", **spec):
        spec.setdefault("selector", {"matchLabels": {"app": name}})
        body = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        return self.api.create(POD_DISRUPTION_BUDGETS, body, NAMESPACE)

    def service(self, name="web", **spec):
        spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        return self.api.create(SERVICES, body, NAMESPACE)

    def job(self, name="work", run_seconds=5, annotations=None, **spec):
        marks = {"ipam.calico-ops.io/twin-run-seconds": str(run_seconds), **(annotations or {})}
        spec.setdefault("template", template(name, annotations=marks, restartPolicy="Never"))
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        return self.api.create(JOBS, body, NAMESPACE)

    def pod(self, name="one", labels=None, annotations=None, node=None, **spec):
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {}, "annotations": annotations or {}}
        containers = spec.pop("containers", [{"name": "main", "image": "registry/web:1"}])
        if node:
            spec["nodeName"] = node
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}
        return self.api.create(PODS, body, NAMESPACE)

    # -- reading ---------------------------------------------------------------------------

    def pods(self, app=None, namespace=NAMESPACE):
        pods = self.objects.list(PODS, namespace)
        if app is None:
            return pods
        return [pod for pod in pods if (pod["metadata"].get("labels") or {}).get("app") == app]

    def ready(self, app=None):
        return [pod for pod in self.pods(app) if is_ready(pod) and not is_terminating(pod)]

    def get(self, resource, name, namespace=NAMESPACE):
        return self.objects.get(resource, namespace if resource.namespaced else None, name)

    def status(self, resource, name="web"):
        return self.get(resource, name)["status"]

    def replica_sets(self):
        return self.objects.list(REPLICA_SETS, NAMESPACE)

    # -- acting ----------------------------------------------------------------------------

    def until(self, condition, limit=600.0):
        assert self.clock.advance_until(condition, limit), f"not within {limit} virtual seconds"

    def until_ready(self, count, app=None, limit=600.0):
        self.until(lambda: len(self.ready(app)) == count == len(self.pods(app)), limit)

    def restart(self, resource, name="web"):
        stamp = {"kubectl.kubernetes.io/restartedAt": self.clock.timestamp()}
        body = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        return self.api.patch(resource, name, body, NAMESPACE)

    def scale(self, resource, name, replicas):
        return self.api.patch(resource, name, {"spec": {"replicas": replicas}}, NAMESPACE)

    def rolled_out(self, name="web"):
        """What ``kubectl rollout status`` waits for."""
        obj = self.get(DEPLOYMENTS, name)
        status = obj.get("status") or {}
        wanted = obj["spec"]["replicas"]
        return (
            status.get("observedGeneration", 0) >= obj["metadata"]["generation"]
            and status.get("updatedReplicas", 0) >= wanted
            and status.get("replicas", 0) <= status.get("updatedReplicas", 0)
            and status.get("availableReplicas", 0) >= status.get("updatedReplicas", 0)
        )


@pytest.fixture
def new_cluster():
    """A factory: ``new_cluster(nodes=3, path=None, seed=1)``."""
    made = []

    def make(**options):
        cluster = Cluster(**options)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.behaviour.stop()
        cluster.objects.close()


@pytest.fixture
def cluster(new_cluster):
    return new_cluster()


@pytest.fixture
def make_template():
    return template
