# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The collector of kube-controllers: leaked addresses, empty blocks, nodes that are gone.

Source: spec ipam-engine.md 18; the numbers in comments are its items. It works only while a
calico-kube-controllers pod is ready, and rests while the datastore is locked.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access, access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, release_block_affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_host_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Block,
    cut_handle,
    is_empty,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import ReleaseRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    Datastore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    TUNNEL_HANDLES,
    WINDOWS_RESERVED_HANDLE,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_ips
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import datastore_ready
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore

LABEL = ("k8s-app", "calico-kube-controllers")
_PERIOD_WITHOUT_GRACE = 300.0
_MOST_PER_PASS = 10_000
_RETRY = 30.0
_TUNNEL_TYPES = frozenset(TUNNEL_HANDLES.values())


@dataclass(frozen=True)
class _Allocation:
    """One address as the collector sees it."""

    address: Address
    handle: str
    sequence: int
    attributes: t.Mapping[str, str]

    @property
    def node(self) -> str:
        return self.attributes.get("node", "")

    @property
    def is_tunnel(self) -> bool:
        return self.attributes.get("type", "") in _TUNNEL_TYPES

    @property
    def is_pod(self) -> bool:
        return "pod" in self.attributes and "namespace" in self.attributes

    @property
    def key(self) -> tuple[Address, str, int]:
        return (self.address, self.handle, self.sequence)


class KubeControllers:
    """The collector; ``leak_grace`` in virtual seconds, 0 switches collection on live nodes off.

    ``came_up`` is called whenever a pod of kube-controllers gets ready after a time without one.
    """

    def __init__(
        self,
        datastore: Datastore,
        objects: ObjectStore,
        clock: VirtualClock,
        leak_grace: float,
        places: CalicoPlaces = CRD_V1,
        came_up: t.Callable[[], None] = lambda: None,
    ) -> None:
        self._datastore = datastore
        self._objects = objects
        self._clock = clock
        self._grace = leak_grace
        self._places = places
        self._came_up = came_up
        self._period = leak_grace / 2 or _PERIOD_WITHOUT_GRACE
        self._ready: set[str] = set()
        self._leaks: dict[tuple[Address, str, int], float] = {}
        self._empty: dict[Network, float] = {}
        self._queue: WorkQueue[str] = WorkQueue(clock, "calico-kube-controllers", self._scan, delay=(1.0, 3.0))

    def start(self) -> None:
        """Follow the controllers' own pods and the nodes."""
        for pod in self._objects.list(PODS):
            self._note_pod(pod, gone=False)
        self._objects.subscribe(self._on_pod, PODS)
        self._objects.subscribe(self._on_node, NODES)
        if self._ready:
            self._queue.add("all")

    @property
    def running(self) -> bool:
        """Whether a calico-kube-controllers pod is ready."""
        return bool(self._ready)

    def _on_pod(self, event: Event) -> None:
        if not is_kube_controllers(event.object):
            return
        before = self.running
        self._note_pod(event.object, gone=event.type == DELETED)
        if self.running and not before:
            # A new process knows nothing of what the old one had seen.
            self._leaks.clear()
            self._empty.clear()
            self._queue.add("all")
            self._came_up()

    def _note_pod(self, pod: Object, gone: bool) -> None:
        if not is_kube_controllers(pod):
            return
        conditions = (pod.get("status") or {}).get("conditions") or []
        ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
        if ready and not gone:
            self._ready.add(pod["metadata"]["uid"])
        else:
            self._ready.discard(pod["metadata"]["uid"])

    def _on_node(self, event: Event) -> None:
        if event.type == DELETED and self.running:
            self._queue.add("nodes")

    # -- a pass ----------------------------------------------------------------------------

    def _scan(self, key: str) -> float | None:
        """``all`` is the periodic full scan, ``nodes`` the one after a node was deleted."""
        again = self._period if key == "all" else None
        if not self.running:
            return None
        if not datastore_ready(self._objects, self._places):
            return again
        try:
            self._pass()
        except IpamError:
            return _RETRY
        return again

    def _pass(self) -> None:
        access = access_to(self._datastore, self._clock.now)
        blocks = self._cold_collection(access)
        allocations = [allocation for stored in blocks for allocation in _allocations(stored.value)]
        self._collect_leaks(allocations)
        if self._grace:
            self._release_empty_blocks(access, blocks)
        if not self._release_lost_nodes():
            # Pods of a lost node go a little later than the node.
            self._queue.add("nodes", _RETRY)

    def _cold_collection(self, access: Access) -> list[Stored[Block]]:
        """6: free what has cooled down. Answers all blocks."""
        blocks = []
        for stored in self._datastore.list_blocks():
            tidy = access.tidy(stored)
            if tidy is not stored and tidy.value.in_use != stored.value.in_use:
                try:
                    tidy = access.write(tidy, tidy.value)
                except (UpdateConflict, NotFoundInStore):
                    tidy = stored
            blocks.append(tidy)
        return blocks

    def _collect_leaks(self, allocations: t.Sequence[_Allocation]) -> None:
        """3 to 5: find leaks, wait out the grace, release whole handles only."""
        now = self._clock.monotonic()
        valid_nodes = {each.node for each in allocations if not each.is_tunnel and self._valid(each)}
        seen: dict[tuple[Address, str, int], float] = {}
        confirmed: set[tuple[Address, str, int]] = set()
        by_handle: dict[str, list[_Allocation]] = {}
        for each in allocations:
            by_handle.setdefault(each.handle, []).append(each)
            if self._leaked(each, valid_nodes):
                since = seen[each.key] = self._leaks.get(each.key, now)
                if not self._node_exists(each.node) or (self._grace and now - since >= self._grace):
                    confirmed.add(each.key)
        self._leaks = seen
        requests: list[ReleaseRequest] = []
        for group in by_handle.values():
            if all(each.key in confirmed and self._leaked(each, valid_nodes) for each in group):
                requests.extend(ReleaseRequest(each.address, each.handle, each.sequence) for each in group)
        outcome = release_ips(self._datastore, requests[:_MOST_PER_PASS], now=self._clock.now)
        for request in outcome.released:
            self._leaks.pop((request.address, request.handle_id or "", request.sequence or 0), None)

    def _leaked(self, allocation: _Allocation, valid_nodes: t.Container[str]) -> bool:
        if allocation.is_tunnel:
            return not self._node_exists(allocation.node) and allocation.node not in valid_nodes
        return allocation.is_pod and not self._valid(allocation)

    def _valid(self, allocation: _Allocation) -> bool:
        """4: whether the pod that an address is recorded for still holds it."""
        if not allocation.is_pod:
            return True
        attributes = allocation.attributes
        pod = self._objects.get(PODS, attributes["namespace"], attributes["pod"])
        if pod is None:
            return False
        if allocation.node and (pod.get("spec") or {}).get("nodeName") not in (None, allocation.node):
            return False
        status = pod.get("status") or {}
        if status.get("phase") == "Failed" and status.get("reason") == "Evicted":
            return False
        addresses = {each.get("ip") for each in status.get("podIPs") or []} | {status.get("podIP")}
        addresses -= {None, ""}
        return not addresses or str(allocation.address) in addresses

    def _node_exists(self, node: str) -> bool:
        return not node or self._objects.get(NODES, None, node) is not None

    def _release_empty_blocks(self, access: Access, blocks: t.Sequence[Stored[Block]]) -> None:
        """7: a host with several blocks gives back those that stayed empty; never the last one."""
        now = self._clock.monotonic()
        by_host: dict[str, list[Block]] = {}
        for stored in blocks:
            owner = stored.value.owner
            if owner is not None and owner[0] == HOST:
                by_host.setdefault(owner[1], []).append(stored.value)
        empty: dict[Network, float] = {}
        for host, owned in sorted(by_host.items()):
            left = len(owned)
            for block in owned:
                if not is_empty(block):
                    continue
                since = empty[block.cidr] = self._empty.get(block.cidr, now)
                if left < 2 or now - since < self._grace:
                    continue
                try:
                    release_block_affinity(access, host, HOST, block.cidr, must_be_empty=True)
                except IpamError:
                    continue
                left -= 1
                del empty[block.cidr]
        self._empty = empty

    def _release_lost_nodes(self) -> bool:
        """8: hosts without a Node and without a valid address lose their blocks; False when some must wait."""
        owners = {row.value.host for row in self._datastore.list_affinities() if row.value.type in (HOST, "")}
        lost = {host for host in owners if not self._node_exists(host)}
        if not lost:
            return True
        held = {
            allocation.node
            for stored in self._datastore.list_blocks()
            for allocation in _allocations(stored.value)
            if allocation.node in lost
        }
        for host in sorted(lost - held):
            release_host_affinities(self._datastore, host, now=self._clock.now, must_be_empty=True)
        return not (lost & held)


def _allocations(block: Block) -> t.Iterator[_Allocation]:
    """1 and 2: what the collector looks at; allocations without a handle and Windows' own are invisible."""
    for ordinal, index in enumerate(block.allocations):
        if index is None:
            continue
        attribute = block.attributes[index]
        handle = cut_handle(attribute.handle_id)
        if not handle or handle.lower() == WINDOWS_RESERVED_HANDLE:
            continue
        yield _Allocation(
            block.cidr.address(ordinal), handle, block.sequences.get(ordinal, 0), attribute.secondary or {}
        )


def is_kube_controllers(pod: Object) -> bool:
    """Whether a pod is one of calico-kube-controllers'."""
    return (pod["metadata"].get("labels") or {}).get(LABEL[0]) == LABEL[1]
