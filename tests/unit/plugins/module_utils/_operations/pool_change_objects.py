# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of a sound cluster whose pool is changed, and the view of it that the checks of the preflight look at."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD, Holder
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_calico import CalicoFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import PreflightRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import (
    AffinityFact,
    Allocation,
    BlockFact,
    ClusterView,
    Workload,
)

CNI = '{"plugins": [{"type": "calico", "mtu": __CNI_MTU__, "ipam": {"type": "calico-ipam"}}]}'
HOST_LOCAL = CNI.replace("calico-ipam", "host-local")
KUBEADM = "networking:\n  podSubnet: 10.0.0.0/8,fd00::/48\n  serviceSubnet: 10.96.0.0/12\n"
TARGET = {"name": "new", "cidr": "10.0.0.0/16"}
INSTALLED = Installation(Fact("crd_v1", ""), version=Fact("v3.30.1", "ClusterInformation default"))


def installed(mode: str = "crd_v1", **facts: t.Any) -> Installation:
    """An installation with these facts, each a value."""
    known = {name: Fact(value, "here") for name, value in facts.items() if name != "connected"}
    return dataclasses.replace(INSTALLED, mode=Fact(mode, ""), connected=facts.get("connected", True), **known)


OPENSHIFT = installed(openshift=True)
LOCKED = installed(locked=True)
DOWN = installed("apiserver", api_server_down=True)
MIGRATING = installed(migration="Migrating")
FOREIGN_ETCD = installed("etcd", connected=False)
OPERATED = installed(operator=True, operator_pools=("old",))


def stored(name: str = "old", labels: dict[str, str] | None = None, **spec: t.Any) -> StoredPool:
    spec = {"cidr": "192.168.0.0/16", "blockSize": 26, "ipipMode": "Always", "natOutgoing": True, **spec}
    metadata = {"name": name, "uid": name, "resourceVersion": "1", "labels": labels or {}}
    return StoredPool(name, {"metadata": metadata, "spec": spec})


def node(name: str, address: str = "172.18.0.5", system: str = "linux", **labels: str) -> dict[str, t.Any]:
    status = {
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "capacity": {"pods": "110"},
        "nodeInfo": {"operatingSystem": system},
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def namespace(name: str = "shop", **annotations: str) -> dict[str, t.Any]:
    return {"metadata": {"name": name, "annotations": annotated(annotations)}}


def annotated(short: dict[str, str]) -> dict[str, str]:
    return {f"cni.projectcalico.org/{key}": value for key, value in short.items()}


def pod(
    name: str,
    address: str = "192.168.1.5",
    owner: tuple[str, str] | None = ("ReplicaSet", "web-1"),
    labels: dict[str, str] | None = None,
    on: str = "node-1",
    **annotations: str,
) -> dict[str, t.Any]:
    metadata: dict[str, t.Any] = {
        "name": name,
        "namespace": "shop",
        "labels": labels or {"app": "web"},
        "annotations": annotated(annotations),
    }
    if owner is not None:
        metadata["ownerReferences"] = [reference(*owner)]
    status = {
        "phase": "Running",
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return {"metadata": metadata, "spec": {"nodeName": on, "containers": []}, "status": status}


def reference(kind: str, name: str) -> dict[str, t.Any]:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": True}


def workload(
    kind: str,
    name: str,
    owner: tuple[str, str] | None = None,
    spec: t.Any = None,
    namespace: str = "shop",
    ready: int = 4,
    **annotations: str,
) -> Workload:
    metadata: dict[str, t.Any] = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}"}
    if owner is not None:
        metadata["ownerReferences"] = [reference(*owner)]
    template = {"metadata": {"annotations": annotated(annotations)}, "spec": {}}
    thing = {
        "kind": kind,
        "metadata": metadata,
        "spec": {"replicas": 4, "template": template, **(spec or {})},
        "status": dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), ready),
    }
    return Workload(kind, namespace, name, thing, template)


# Every sound cluster has them, whatever else it has.
KUBE_CONTROLLERS = workload("Deployment", "calico-kube-controllers", namespace="kube-system")
WEB = (workload("Deployment", "web"), workload("ReplicaSet", "web-1", ("Deployment", "web")))


def budget(selector: dict[str, str], allowed: int) -> dict[str, t.Any]:
    return {
        "metadata": {"name": "web", "namespace": "shop", "generation": 1},
        "spec": {"minAvailable": 4, "selector": {"matchLabels": selector}},
        "status": {"observedGeneration": 1, "disruptionsAllowed": allowed, "desiredHealthy": 4, "currentHealthy": 4},
    }


VIEW = ClusterView(
    installation=INSTALLED,
    pools=(stored(),),
    blocks=(BlockFact(parse_network("192.168.1.0/26"), "host:node-1", 3),),
    affinities=(AffinityFact(parse_network("192.168.1.0/26"), "node-1", "host", True),),
    nodes=(node("node-1"), node("node-2", "172.18.0.6")),
    namespaces=(namespace(),),
    pods=(pod("web-1-a"), pod("web-1-b", "192.168.1.6", on="node-2")),
    workloads=(*WEB, KUBE_CONTROLLERS),
    config_maps={
        ("kube-system", "calico-config"): {"cni_network_config": CNI},
        ("kube-system", "kubeadm-config"): {"ClusterConfiguration": KUBEADM},
    },
)
MOVE = PreflightRequest("migrate_pool", "old", TARGET)
RESIZE = PreflightRequest("change_block_size", "old", TARGET, 28)


def view(**changes: t.Any) -> ClusterView:
    """The sound cluster with other things in it; kube-controllers stay unless ``all_workloads`` replace them too."""
    if "workloads" in changes:
        changes["workloads"] = (*changes["workloads"], KUBE_CONTROLLERS)
    if "all_workloads" in changes:
        changes["workloads"] = changes.pop("all_workloads")
    return dataclasses.replace(VIEW, **changes)


def asked(request: PreflightRequest = MOVE, **changes: t.Any) -> PreflightRequest:
    return dataclasses.replace(request, **changes)


def target(**changes: t.Any) -> PreflightRequest:
    return asked(target={**TARGET, **changes})


def block(cidr: str, owner: str = "host:node-1", in_use: int = 0) -> BlockFact:
    return BlockFact(parse_network(cidr), owner, in_use)


def row(cidr: str, host: str = "node-1", confirmed: bool = True) -> AffinityFact:
    return AffinityFact(parse_network(cidr), host, "host", confirmed)


def held(address: str, holder: Holder) -> Allocation:
    return Allocation(parse_address(address), holder)


def used(cidr: str, *allocations: Allocation, owner: str = "host:node-1") -> BlockFact:
    """A block whose addresses these holders have."""
    return BlockFact(parse_network(cidr), owner, len(allocations), allocations)


def pod_holder(name: str, on: str = "node-1") -> Holder:
    return Holder(POD, "shop", name, name, on, f"k8s-pod-network.{name}")


def calico(**facts: t.Any) -> CalicoFacts:
    return CalicoFacts(**facts)


def condition(kind: str, status: str, **rest: str) -> dict[str, t.Any]:
    return {"type": kind, "status": status, **rest}


def thing(name: str, *conditions: dict[str, t.Any], **rest: t.Any) -> dict[str, t.Any]:
    """An object with conditions."""
    return {"metadata": {"name": name}, "status": {"conditions": list(conditions)}, **rest}


def system_pod(
    name: str, namespace: str, labels: dict[str, str], ready: bool = True, **spec: t.Any
) -> dict[str, t.Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": "node-1", "hostNetwork": True, "containers": [], **spec},
        "status": {"phase": "Running", "conditions": [condition("Ready", "True" if ready else "False")]},
    }
