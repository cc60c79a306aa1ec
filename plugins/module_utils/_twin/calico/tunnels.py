# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The address of each node's tunnel devices, as calico-node looks after it.

Source: spec ipam-engine.md 17.2. Every node with a running calico-node looks again whenever a pool
changes or its Node's labels or Calico annotations do, so disabling a pool moves the tunnel
addresses within seconds, before any pod has moved.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore, NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import tunnel_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import attributes_of, release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import datastore_ready
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore

_RETRY = 5.0
_PREFIX = "projectcalico.org/"


@dataclass(frozen=True)
class Device:
    """One kind of tunnel: its address family, the Node annotation it is stored in, the pools it may use."""

    type: str
    version: int
    annotation: str
    fits: t.Callable[[Pool], bool]
    key_annotation: str = ""


DEVICES = (
    Device("ipipTunnelAddress", 4, _PREFIX + "IPv4IPIPTunnelAddr", lambda pool: pool.ipip_mode != "Never"),
    Device("vxlanTunnelAddress", 4, _PREFIX + "IPv4VXLANTunnelAddr", lambda pool: pool.vxlan_mode != "Never"),
    Device("vxlanV6TunnelAddress", 6, _PREFIX + "IPv6VXLANTunnelAddr", lambda pool: pool.vxlan_mode != "Never"),
    Device(
        "wireguardTunnelAddress",
        4,
        _PREFIX + "IPv4WireguardInterfaceAddr",
        lambda pool: True,
        _PREFIX + "WireguardPublicKey",
    ),
    Device(
        "wireguardV6TunnelAddress",
        6,
        _PREFIX + "IPv6WireguardInterfaceAddr",
        lambda pool: True,
        _PREFIX + "WireguardPublicKeyV6",
    ),
)


class _Patching(t.Protocol):
    """As much of a ``KubeApi`` as is needed to note an address in a node's annotations."""

    def patch(self, resource: Resource, name: str, body: Object) -> Object: ...


class Tunnels:
    """Looks after the tunnel addresses of the nodes ``nodes()`` names; ``delay`` is in virtual seconds.

    ``node`` gives a node with its tunnel addresses as annotations; None takes that of Kubernetes as it is.
    """

    def __init__(
        self,
        api: _Patching,
        datastore: Datastore,
        objects: ObjectStore,
        clock: VirtualClock,
        nodes: t.Callable[[], t.Sequence[str]],
        delay: float,
        places: CalicoPlaces = CRD_V1,
        node: t.Callable[[str], Object | None] | None = None,
    ) -> None:
        self._node = node or (lambda name: objects.get(NODES, None, name))
        self._api = api
        self._datastore = datastore
        self._objects = objects
        self._clock = clock
        self._nodes = nodes
        self._places = places
        self._queue: WorkQueue[str] = WorkQueue(clock, "tunnels", self._reconcile, delay=(delay * 0.5, delay * 1.5))

    def start(self) -> None:
        """Follow pools and nodes, and look at every node once."""
        self._objects.subscribe(self._on_pool, self._places.pools)
        self._objects.subscribe(self._on_node, NODES)
        for node in self._nodes():
            self.look_at(node)

    def look_at(self, node: str) -> None:
        """Go through the node's devices soon."""
        self._queue.add(node)

    def _on_pool(self, event: Event) -> None:
        old, new = event.previous or {}, event.object
        if event.type == "MODIFIED" and _pool_matter(old) == _pool_matter(new):
            return
        for node in self._nodes():
            self._queue.add(node)

    def _on_node(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        if event.type == DELETED:
            self._queue.discard(name)
        elif name in self._nodes() and _node_matter(event.previous or {}) != _node_matter(event.object):
            self._queue.add(name)

    def _reconcile(self, name: str) -> float | None:
        try:
            node = self._node(name)
        except IpamError:
            return _RETRY
        if node is None or name not in self._nodes():
            return None
        if not datastore_ready(self._objects, self._places):
            return _RETRY
        again: float | None = None
        for device in DEVICES:
            try:
                self._look_at_device(node, device)
                node = self._node(name) or node
            except IpamError:
                # calico-node's loop ends with the error and is started again.
                again = _RETRY
        return again

    def _look_at_device(self, node: Object, device: Device) -> None:
        name = node["metadata"]["name"]
        handle = tunnel_handle(device.type, name)
        annotations = node["metadata"].get("annotations") or {}
        current = _address(annotations.get(device.annotation))
        pools = self._usable(node, device)
        if not pools:
            if self._release(handle) or device.annotation in annotations:
                self._store(name, device, None)
            return
        if current is not None:
            verdict = self._judge(current, handle, pools)
            if verdict == "keep":
                return
            if verdict == "adopt":
                self._release(handle)
                assign_ip(
                    self._datastore,
                    current,
                    name,
                    now=self._clock.now,
                    handle_id=handle,
                    attributes={"node": name, "type": device.type},
                )
                return
            if verdict == "move":
                self._release(handle)
        else:
            self._release(handle)
        self._assign(name, device, handle, pools)

    def _usable(self, node: Object, device: Device) -> list[Pool]:
        annotations = node["metadata"].get("annotations") or {}
        if device.key_annotation and not annotations.get(device.key_annotation):
            return []
        labels = node["metadata"].get("labels") or {}
        return [
            pool
            for pool in self._datastore.pools()
            if pool.version == device.version
            and pool.enabled
            and device.fits(pool)
            and "Tunnel" in pool.allowed_uses
            and selects_node(pool, labels)
        ]

    def _judge(self, address: Address, handle: str, pools: t.Sequence[Pool]) -> str:
        """``keep``, ``move`` (release and assign anew), ``leave`` (it is somebody else's) or ``adopt``.

        Raises ``AddressCooling``: the address was released and rests.
        """
        try:
            attribute = attributes_of(self._datastore, address, now=self._clock.now)
        except NotFoundInStore:
            return "move"
        if attribute.handle_id is None and not attribute.secondary:
            return "adopt"
        if (attribute.handle_id or "").lower() != handle.lower():
            return "leave"
        return "keep" if any(pool.cidr.contains(address) for pool in pools) else "move"

    def _assign(self, name: str, device: Device, handle: str, pools: t.Sequence[Pool]) -> None:
        requested = tuple(pool.cidr for pool in pools)
        assignment = auto_assign(
            self._datastore,
            AssignRequest(
                host=name,
                num_v4=1 if device.version == 4 else 0,
                num_v6=1 if device.version == 6 else 0,
                handle_id=handle,
                attributes={"node": name, "type": device.type},
                use="Tunnel",
                requested_v4=requested if device.version == 4 else (),
                requested_v6=requested if device.version == 6 else (),
            ),
            now=self._clock.now,
        )
        if assignment.problem is not None:
            self._release(handle)
            raise assignment.error or IpamError(assignment.problem)
        try:
            self._store(name, device, assignment.addresses[0].address)
        except ApiError:
            self._release(handle)
            raise

    def _store(self, name: str, device: Device, address: Address | None) -> None:
        value = str(address) if address is not None else None
        self._api.patch(NODES, name, {"metadata": {"annotations": {device.annotation: value}}})

    def _release(self, handle: str) -> bool:
        try:
            return release_by_handle(self._datastore, handle, now=self._clock.now) > 0
        except NotFoundInStore:
            return False


def _address(text: str | None) -> Address | None:
    if not text:
        return None
    try:
        return parse_address(text.partition("/")[0])
    except InvalidInput:
        return None


def _pool_matter(pool: Object) -> t.Any:
    metadata = pool.get("metadata") or {}
    return pool.get("spec"), metadata.get("deletionTimestamp"), (pool.get("status") or {}).get("conditions")


def _node_matter(node: Object) -> t.Any:
    metadata = node.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    return metadata.get("labels"), {key: value for key, value in annotations.items() if key.startswith(_PREFIX)}
