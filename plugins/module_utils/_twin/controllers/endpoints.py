# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Endpoints and EndpointSlices: where the clients of a Service are sent.

A pod is in when it is ready, and out at the moment its deletion begins. Slices still list it
then, as terminating and no longer ready.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES, PODS, SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import owner_reference
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_finished,
    is_ready,
    is_terminating,
    node_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import ENDPOINT_SLICES, ENDPOINTS

SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_MANAGER = "endpointslice-controller.k8s.io"
_PER_SLICE = 100


class EndpointsController:
    """Writes the Endpoints and EndpointSlices of every Service that has a selector."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "endpoints", self._reconcile, (0.01, 0.05))
        self._made: dict[tuple[str, str, bool], tuple[Object, Object | None]] = {}

    def start(self) -> None:
        self._ctx.informers.on(SERVICES, self._on_service)
        self._ctx.informers.on(PODS, self._on_pod)
        for obj in self._ctx.objects.list(SERVICES):
            self._queue.add(object_key(obj))

    def stop(self) -> None:
        self._queue.stop()

    def _on_service(self, event: Event) -> None:
        self._queue.add(object_key(event.object))

    def _on_pod(self, event: Event) -> None:
        if event.type == DELETED:
            for family in ("IPv4", "IPv6"):
                for publish in (False, True):
                    self._made.pop((event.object["metadata"]["uid"], family, publish), None)
        pods = [pod for pod in (event.object, event.previous) if pod is not None]
        if event.type != DELETED and len(pods) == 2 and _view(pods[0]) == _view(pods[1]):
            return
        for service in self._ctx.objects.list(SERVICES, event.object["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and any(selector.items() <= (pod["metadata"].get("labels") or {}).items() for pod in pods):
                self._queue.add(object_key(service))

    def _reconcile(self, key: Key) -> float | None:
        service = self._ctx.get(SERVICES, key)
        if service is None:
            # The slices have an owner; Endpoints only share the name.
            left = self._ctx.get(ENDPOINTS, key)
            if left is not None:
                self._ctx.delete(ENDPOINTS, left)
            return None
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("type") == "ExternalName" or is_terminating(service):
            return None
        pods = [
            pod
            for pod in self._ctx.select_pods(key[0], {"matchLabels": selector})
            if (pod.get("status") or {}).get("podIP") and not is_finished(pod)
        ]
        pods.sort(key=lambda pod: pod["metadata"]["name"])
        try:
            self._write_endpoints(service, pods)
            for family in service["spec"].get("ipFamilies") or ("IPv4",):
                self._write_slices(service, pods, family)
        except Forbidden:
            # The namespace is going away and takes nothing new.
            return None
        return None

    # -- v1 Endpoints ----------------------------------------------------------------------

    def _write_endpoints(self, service: Object, pods: list[Object]) -> None:
        ctx = self._ctx
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        ready: list[Object] = []
        waiting: list[Object] = []
        for pod in pods:
            if is_terminating(pod):
                continue
            address: Object = {"ip": pod["status"]["podIP"], "nodeName": node_of(pod), "targetRef": _target(pod)}
            (ready if publish or is_ready(pod) else waiting).append(address)
        ports = _ports(service, pods)
        subset: Object = {}
        if ready:
            subset["addresses"] = ready
        if waiting:
            subset["notReadyAddresses"] = waiting
        if ports:
            subset["ports"] = ports
        subsets = [subset] if ready or waiting else []
        key = object_key(service)
        stored = ctx.get(ENDPOINTS, key)
        if stored is None:
            body: Object = {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": {
                    "name": key[1],
                    "namespace": key[0],
                    "labels": {
                        **(service["metadata"].get("labels") or {}),
                        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
                    },
                },
            }
            if subsets:
                body["subsets"] = subsets
            ctx.api.create(ENDPOINTS, body, key[0])
        elif (stored.get("subsets") or []) != subsets:
            changed = {field: value for field, value in stored.items() if field != "subsets"}
            if subsets:
                changed["subsets"] = subsets
            ctx.update(ENDPOINTS, changed)

    # -- EndpointSlices --------------------------------------------------------------------

    def _write_slices(self, service: Object, pods: list[Object], family: str) -> None:
        ctx = self._ctx
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        made = (self._endpoint(pod, family, publish) for pod in pods)
        endpoints = [endpoint for endpoint in made if endpoint is not None]
        chunks = [endpoints[start : start + _PER_SLICE] for start in range(0, len(endpoints), _PER_SLICE)] or [[]]
        ports = [{"name": "", **each} for each in _ports(service, pods)]
        mine = [
            each
            for each in ctx.controlled(ENDPOINT_SLICES, service)
            if each.get("addressType") == family and not is_terminating(each)
        ]
        mine.sort(key=lambda each: each["metadata"]["name"])
        for position, chunk in enumerate(chunks):
            if position >= len(mine):
                self._create_slice(service, family, chunk, ports)
                continue
            stored = mine[position]
            if (stored.get("endpoints") or []) != chunk or (stored.get("ports") or []) != ports:
                changed: Object = {**stored, "endpoints": chunk, "ports": ports}
                ctx.update(ENDPOINT_SLICES, changed)
        for stored in mine[len(chunks) :]:
            ctx.delete(ENDPOINT_SLICES, stored)

    def _endpoint(self, pod: Object, family: str, publish: bool) -> Object | None:
        """The pod's entry; made once for each state of the pod, since a large Service is written often."""
        key = (pod["metadata"]["uid"], family, publish)
        known = self._made.get(key)
        if known is not None and known[0] is pod:
            return known[1]
        addresses = [each["ip"] for each in pod["status"].get("podIPs") or () if _family(each["ip"]) == family]
        endpoint: Object | None = None
        if addresses:
            serving, terminating = is_ready(pod), is_terminating(pod)
            endpoint = {
                "addresses": addresses[:1],
                "conditions": {
                    "ready": publish or (serving and not terminating),
                    "serving": serving,
                    "terminating": terminating,
                },
                "nodeName": node_of(pod),
                "targetRef": _target(pod),
            }
            node = self._ctx.objects.get(NODES, None, node_of(pod))
            zone = ((node or {"metadata": {}})["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone")
            if zone:
                endpoint["zone"] = zone
        self._made[key] = (pod, endpoint)
        return endpoint

    def _create_slice(self, service: Object, family: str, endpoints: list[Object], ports: list[Object]) -> None:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        body: Object = {
            "apiVersion": ENDPOINT_SLICES.api_version,
            "kind": ENDPOINT_SLICES.kind,
            "metadata": {
                "generateName": f"{name}-",
                "namespace": namespace,
                "labels": {
                    **(service["metadata"].get("labels") or {}),
                    SERVICE_LABEL: name,
                    _MANAGED_BY: _MANAGER,
                },
                "ownerReferences": [owner_reference(SERVICES, service)],
            },
            "addressType": family,
            "endpoints": endpoints,
            "ports": ports,
        }
        self._ctx.api.create(ENDPOINT_SLICES, body, namespace)


def _view(pod: Object) -> tuple[t.Any, ...]:
    """What of a pod matters to its Services."""
    status = pod.get("status") or {}
    return (
        pod["metadata"].get("labels"),
        is_ready(pod),
        is_terminating(pod),
        is_finished(pod),
        status.get("podIP"),
        status.get("podIPs"),
    )


def _target(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _ports(service: Object, pods: list[Object]) -> list[Object]:
    """The ports behind the Service; named target ports are looked up in the pods' containers."""
    found: list[Object] = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else _named(target, pods)
        if number is None:
            continue
        made: Object = {"port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("name"):
            made["name"] = port["name"]
        found.append(made)
    return found


def _named(name: str, pods: list[Object]) -> int | None:
    for pod in pods:
        for container in pod["spec"].get("containers") or ():
            for port in container.get("ports") or ():
                if port.get("name") == name:
                    return int(port["containerPort"])
    return None
