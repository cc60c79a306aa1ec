# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Reads what an audit holds IPAM records against: nodes, pods, Services, virtual machines, pools."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import replace
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    KUBE_CONTROLLERS_CONFIGURATIONS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import (
    LEAK_GRACE,
    TUNNEL_ANNOTATIONS,
    ClusterFacts,
    Key,
    Name,
    NodeFacts,
    PodFacts,
    ServiceFacts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import NODE, POD, SERVICE
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import load_balancer_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import (
    optional,
    stream,
    things_again,
)

VIRTUAL_MACHINES = Resource("kubevirt.io", "v1", "virtualmachines", "VirtualMachine", True)
MACHINE_INSTANCES = Resource("kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance", True)

#: What the CNI plugin notes on a pod; present and empty once it has taken the addresses back.
POD_IPS = "cni.projectcalico.org/podIPs"
POD_IP = "cni.projectcalico.org/podIP"
NO_IPAM = "cni.projectcalico.org/ipAddrsNoIpam"
#: Where multi-network plugins list every interface of a pod.
NETWORK_STATUS = "k8s.v1.cni.cncf.io/network-status"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Cluster(t.NamedTuple):
    """Who the cluster is and what its ClusterInformation says; ``version`` is Calico's, "" when unknown."""

    identity: str
    locked: bool
    version: str


def read_cluster(api: KubeApi) -> Cluster:
    """From ClusterInformation; the identity of a cluster without one is that of its namespace kube-system."""
    spec: t.Mapping[str, t.Any] = {}
    for thing in optional(lambda: stream(api, CLUSTER_INFORMATIONS)) or []:
        if thing["metadata"]["name"] == "default":
            spec = thing.get("spec") or {}
    identity = str(spec.get("clusterGUID") or "")
    if not identity:
        try:
            identity = str(api.get(NAMESPACES, "kube-system")["metadata"].get("uid") or "")
        except (NotFound, Forbidden):
            identity = ""
    return Cluster(identity, spec.get("datastoreReady") is False, str(spec.get("calicoVersion") or ""))


def read_facts(api: KubeApi, pools: t.Sequence[Pool], cooldown: int, now: datetime, *, machines: bool) -> ClusterFacts:
    """The cluster as it is now. ``machines``: whether virtual machines matter at all."""
    grace, load_balancers = _collector(api)
    return ClusterFacts(
        now=now,
        pools=tuple(sorted(pools, key=lambda pool: pool.name)),
        nodes={thing["metadata"]["name"]: node_facts(thing) for thing in stream(api, NODES)},
        pods={_name(thing): pod_facts(thing) for thing in stream(api, PODS)},
        services=_services(api),
        machines=_machines(api) if machines else None,
        leak_grace=grace,
        cooldown=cooldown,
        load_balancers=load_balancers,
    )


def look_again(api: KubeApi, facts: ClusterFacts, doubtful: t.Mapping[str, t.Collection[str]]) -> ClusterFacts:
    """``facts`` with the named nodes, pods and Services as they are by now."""
    nodes, pods = dict(facts.nodes), dict(facts.pods)
    services = None if facts.services is None else dict(facts.services)
    for name, thing in things_again(api, NODES, doubtful.get(NODE, ())):
        nodes.pop(name, None)
        if thing is not None:
            nodes[name] = node_facts(thing)
    for full, thing in things_again(api, PODS, doubtful.get(POD, ())):
        pods.pop(_split(full), None)
        if thing is not None:
            pods[_split(full)] = pod_facts(thing)
    if services is not None:
        for full, thing in things_again(api, SERVICES, doubtful.get(SERVICE, ())):
            services.pop(_split(full), None)
            about = None if thing is None else service_facts(thing)
            if about is not None:
                services[_split(full)] = about
    return replace(facts, nodes=nodes, pods=pods, services=services)


def pod_facts(pod: Object) -> PodFacts:
    """What matters of a pod; see ``PodFacts``."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    noted = annotations.get(POD_IPS, annotations.get(POD_IP))
    addresses = _keys([entry.get("ip") for entry in status.get("podIPs") or ()] or [status.get("podIP")])
    if noted == "":
        # The CNI plugin has taken the addresses back; the status lags behind.
        addresses = ()
    return PodFacts(
        addresses,
        tuple(key for key in _noted(noted, annotations.get(NETWORK_STATUS)) if key not in addresses),
        spec.get("nodeName") or "",
        status.get("phase") or "",
        status.get("reason") or "",
        metadata.get("deletionTimestamp") is not None,
        bool(spec.get("hostNetwork")),
        NO_IPAM in annotations,
    )


def node_facts(node: Object) -> NodeFacts:
    """A node's tunnel addresses, from its annotations, and whether it is ready."""
    annotations = node["metadata"].get("annotations") or {}
    tunnels = {}
    for device, annotation in TUNNEL_ANNOTATIONS.items():
        for key in _keys([annotations.get(annotation)]):
            tunnels[device] = key
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = [each.get("status") for each in conditions if each.get("type") == "Ready"]
    return NodeFacts(tunnels, "True" in ready)


def service_facts(service: Object) -> ServiceFacts | None:
    """None for a Service of another type than LoadBalancer."""
    if (service.get("spec") or {}).get("type") != "LoadBalancer":
        return None
    metadata = service["metadata"]
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ServiceFacts(
        load_balancer_handle(metadata["name"], metadata["namespace"], metadata.get("uid") or ""),
        _keys([entry.get("ip") for entry in ingress]),
    )


def seconds_of(duration: t.Any) -> float | None:
    """Seconds of a duration as Go writes it, ``15m0s``; None when it is none."""
    if not isinstance(duration, str):
        return None
    if duration == "0":
        return 0.0
    parts = _DURATION.findall(duration)
    if "".join(number + unit for number, unit in parts) != duration or not parts:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _collector(api: KubeApi) -> tuple[float, bool]:
    """Grace period of kube-controllers in seconds, and whether it looks after Services."""
    for thing in optional(lambda: stream(api, KUBE_CONTROLLERS_CONFIGURATIONS)) or []:
        if thing["metadata"]["name"] == "default":
            controllers = (thing.get("spec") or {}).get("controllers") or {}
            grace = seconds_of((controllers.get("node") or {}).get("leakGracePeriod"))
            return (LEAK_GRACE if grace is None else grace), "loadBalancer" in controllers
    return LEAK_GRACE, True


def _services(api: KubeApi) -> dict[Name, ServiceFacts] | None:
    things = optional(lambda: (thing for thing in stream(api, SERVICES)))
    if things is None:
        return None
    found = ((_name(thing), service_facts(thing)) for thing in things)
    return {name: about for name, about in found if about is not None}


def _machines(api: KubeApi) -> set[Name] | None:
    """VirtualMachines and instances; a cluster that serves only one of the two kinds cannot be judged."""
    found: set[Name] = set()
    for resource in (VIRTUAL_MACHINES, MACHINE_INSTANCES):
        try:
            found.update(_name(thing) for thing in stream(api, resource))
        except (NotFound, UnknownResource, Forbidden):
            return None
    return found


def _noted(noted: t.Any, networks: t.Any) -> tuple[Key, ...]:
    texts = [part.partition("/")[0] for part in noted.split(",")] if isinstance(noted, str) else []
    if isinstance(networks, str):
        try:
            interfaces = json.loads(networks)
        except ValueError:
            interfaces = None
        for interface in interfaces if isinstance(interfaces, list) else ():
            ips = interface.get("ips") if isinstance(interface, dict) else None
            texts += ips if isinstance(ips, list) else []
    return _keys(texts)


def _keys(texts: t.Iterable[t.Any]) -> tuple[Key, ...]:
    found = []
    for text in texts:
        if text:
            try:
                address = parse_address(text)
            except InvalidInput:
                continue
            found.append((address.version, address.value))
    return tuple(found)


def _name(thing: Object) -> Name:
    metadata = thing["metadata"]
    return (metadata["namespace"], metadata["name"])


def _split(full: str) -> Name:
    namespace, _slash, name = full.partition("/")
    return (namespace, name)
