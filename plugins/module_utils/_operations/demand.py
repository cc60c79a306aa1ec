# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the pods and nodes of a cluster want of a pool."""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of, controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import (
    daemon_set_bounds,
    deployment_bounds,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import (
    DEFAULT_MAX_PODS,
    WINDOWS_RESERVED_PER_BLOCK,
    Assessment,
    Demand,
    assess,
    supply_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import DEVICES, carries
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView, Workload


def assessment_of(pool: Pool, now: Situation) -> Assessment:
    """Hold what the pool has against what its nodes and the pods that are to move want."""
    view = now.view
    reserved = WINDOWS_RESERVED_PER_BLOCK if any(is_windows(node) for node in selected_nodes(pool, view)) else 0
    return assess(
        supply_of(pool.cidr, pool.block_size, view.reservations, reserved),
        demand_of(pool, now),
        max_blocks_per_host=int(view.settings.get("maxBlocksPerHost") or 0),
        strict_affinity=bool(view.settings.get("strictAffinity")),
    )


def demand_of(pool: Pool, now: Situation) -> Demand:
    """Nodes that the pool selects, and the pods that have an address of its IP version in a pool to be drained."""
    nodes = selected_nodes(pool, now.view)
    pods = [pod for pod in now.source_pods() if any(a.version == pool.version for a in pod_addresses(pod))]
    per_node = Counter(pod["spec"].get("nodeName") for pod in pods)
    return Demand(
        nodes=len(nodes),
        max_pods=max((_max_pods(node) for node in nodes), default=DEFAULT_MAX_PODS),
        pods=len(pods),
        surge=_surge(pool.version, pods, now),
        tunnels=_tunnels(pool, nodes),
        busiest_node_pods=max(per_node.values(), default=0),
        more_nodes=now.request.more_nodes,
    )


def _surge(version: int, pods: t.Iterable[Object], now: Situation) -> int:
    key = f"surge of IPv{version}"
    if key not in now.known:
        now.known[key] = surge_of(pods, now.view)
    return int(now.known[key])


def selected_nodes(pool: Pool, view: ClusterView) -> list[Object]:
    """The nodes a pool selects, but for virtual ones; none while its selector does not parse."""
    try:
        return [node for node in view.nodes if not is_virtual(node) and selects_node(pool, calico_labels(node))]
    except SelectorError:
        return []


def is_windows(node: Object) -> bool:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    labels = node["metadata"].get("labels") or {}
    return "windows" in (info.get("operatingSystem"), labels.get("kubernetes.io/os"))


def is_virtual(node: Object) -> bool:
    """Whether a node stands for machines of a provider, on which no calico-node runs."""
    labels = node["metadata"].get("labels") or {}
    return labels.get("type") == "virtual-kubelet" or labels.get("eks.amazonaws.com/compute-type") == "fargate"


def surge_of(pods: t.Iterable[Object], view: ClusterView) -> int:
    """How many pods more there are at worst while all workloads of ``pods`` roll at once."""
    surge = 0
    for workload in owners_of(pods, view):
        if workload.kind == "Deployment":
            surge += deployment_bounds(workload.thing).surge
        elif workload.kind == "DaemonSet":
            surge += daemon_set_bounds(workload.thing).surge
    return surge


def owners_of(pods: t.Iterable[Object], view: ClusterView) -> list[Workload]:
    """The workloads at the top of the chain of owners, each once, sorted."""
    found = {owner.key: owner for owner in (owner_of(pod, view) for pod in pods) if owner is not None}
    return [found[key] for key in sorted(found)]


def owner_of(pod: Object, view: ClusterView) -> Workload | None:
    """The workload that a person would name for a pod; None for bare pods and kinds that we do not know."""
    above = controller_of(pod)
    if above is None:
        return None
    # Many pods have one owner, and many checks ask.
    key = (above.kind, str(pod["metadata"]["namespace"]), above.name)
    if key not in view.owners:
        view.owners[key] = _at_the_top(view.workload(*key), view)
    return view.owners[key]


def _at_the_top(owner: Workload | None, view: ClusterView) -> Workload | None:
    for _level in range(2):
        above = controller_of(owner.thing) if owner is not None else None
        found = view.workload(above.kind, owner.namespace, above.name) if owner is not None and above else None
        if found is None:
            break
        owner = found
    return owner


def _max_pods(node: Object) -> int:
    text = str(((node.get("status") or {}).get("capacity") or {}).get("pods") or "")
    return int(text) if text.isdigit() else DEFAULT_MAX_PODS


def _tunnels(pool: Pool, nodes: t.Iterable[Object]) -> int:
    """Tunnel addresses that a node takes from the pool: of its encapsulation, and of WireGuard where nodes use it."""
    if "Tunnel" not in pool.allowed_uses:
        return 0
    keys = {device.key for device in DEVICES if device.key}
    keys &= {key for node in nodes for key, value in annotations_of(node).items() if value}
    return sum(1 for device in DEVICES if carries(pool, device) and (not device.key or device.key in keys))
