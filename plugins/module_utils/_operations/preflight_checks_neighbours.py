# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of what else goes by pools and addresses: controllers, storage, machines (hazards B18, B28, D10)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import parse_budget
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import is_finished, labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import VM
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import owner_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import STORAGE_NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.named_ranges import texts_in
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_policies import move_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    Situation,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    EGRESS_CLUSTER_INFOS,
    SPIDER_COORDINATORS,
    SUBMARINER_CLUSTERS,
    SUBMARINER_ENDPOINTS,
    VIRTUAL_MACHINES,
)

# Controllers that note pod ranges in objects of theirs: the name, and where.
_COPIES: tuple[tuple[str, tuple[Resource, ...]], ...] = (
    ("Submariner", (SUBMARINER_CLUSTERS, SUBMARINER_ENDPOINTS)),
    ("Spiderpool's coordinator", (SPIDER_COORDINATORS,)),
    ("EgressGateway", (EGRESS_CLUSTER_INFOS,)),
)
# Those that are only known by the API they bring; what they know of the pods is on the other side, or inside.
_PRESENT = {
    "multicluster.linkerd.io": "Linkerd's multicluster extension",
    "ipam.liqo.io": "Liqo",
    "skupper.io": "Skupper",
    "multicluster.x-k8s.io": "an implementation of the multi-cluster Services API",
    "lighthouse.submariner.io": "Lighthouse",
    "k8s.ovn.org": "OVN-Kubernetes",
    "cilium.io": "Cilium",
}

# Storage systems by the namespaces they are installed in, and by the labels of their pods.
_STORAGE_NAMESPACES = STORAGE_NAMESPACES | {"storageos"}
_STORAGE_LABELS: tuple[tuple[str, frozenset[str]], ...] = (
    ("app.kubernetes.io/part-of", frozenset({"longhorn", "rook", "rook-ceph", "piraeus-operator"})),
    ("app.kubernetes.io/name", frozenset({"longhorn", "rook-ceph", "piraeus-datastore"})),
    ("longhorn.io/component", frozenset({"instance-manager", "share-manager", "backing-image-manager"})),
    ("openebs.io/component-name", frozenset()),
    ("rook_cluster", frozenset()),
    ("ceph_daemon_type", frozenset()),
)
_PLUGINS = "/var/lib/kubelet/plugins"


def other_controllers(now: Situation) -> t.Iterator[Problem]:
    """B28: whoever copies the ranges of pools, and may draw conclusions from a pool that is disabled."""
    move = move_of(now)
    if move is None:
        return
    around = now.view.surroundings
    for who, resources in _COPIES:
        found = [(thing, move.upset_in(" ".join(_said(thing)))) for thing in around.of(*resources)]
        hits = [f"{_label(thing)} ({', '.join(ranges)})" for thing, ranges in found if ranges]
        if found:
            yield Problem(
                WARNING,
                f"{who} is here and keeps pod ranges of its own"
                + (f", the old one among them ({hits[0]})" if hits else "")
                + ": such controllers have dropped routes as soon as a pool was disabled.",
                "Add the new range there first where it is configured by hand, and look at its status once the pool is "
                "disabled.",
                tuple(hits) or tuple(_label(thing) for thing, _ranges in found),
            )
    for group, who in _PRESENT.items():
        if group in around.groups:
            yield Problem(
                NOTE,
                f"The cluster serves {group}, so {who} may be installed, which may know the pods' range.",
                "Make sure that it, and the clusters it connects, take the new range.",
            )


def machine_addresses(now: Situation) -> t.Iterator[Problem]:
    """B18: addresses that are kept for virtual machines which do not run."""
    if now.source is None or now.source.pool is None or now.target is None:
        return
    network = now.source.pool.cidr
    running = {(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in now.view.pods if not is_finished(pod)}
    held: dict[str, str] = {}
    for block in now.view.blocks:
        for allocation in block.allocations if network.overlaps(block.cidr) else ():
            holder = allocation.holder
            if holder.kind == VM and (holder.namespace, holder.pod) not in running:
                held[f"VirtualMachine {holder.namespace}/{holder.name}"] = str(allocation.address)
    if not held:
        return
    known = {f"VirtualMachine {full_name(thing)}" for thing in now.view.surroundings.of(VIRTUAL_MACHINES)}
    gone = sorted(set(held) - known) if known else []
    yield Problem(
        BLOCKER,
        f"{counted(len(held), 'address', 'addresses')} of pool {now.source.name!r}: kept for virtual machines "
        "that do not run, first "
        f"{min(held)} ({held[min(held)]})" + (f"; {len(gone)} of those machines are gone" if gone else "") + ".",
        "Release the addresses while the machines are stopped (ipam_release with kind: vm): they get new ones "
        "when they start.",
        tuple(f"{name} ({address})" for name, address in sorted(held.items())),
    )


def storage_systems(now: Situation) -> t.Iterator[Problem]:
    """D10: pods whose budgets clear only when volumes are detached."""
    if now.source is None or now.target is None:
        return
    found: dict[str, set[str]] = {}
    pods = [pod for pod in now.source_pods() if _is_storage(pod, now)]
    for pod in pods:
        owner = owner_of(pod, now.view)
        found.setdefault(str(pod["metadata"]["namespace"]), set()).add(
            str(owner) if owner is not None else f"Pod {full_name(pod)}"
        )
    for namespace, names in sorted(found.items()):
        budgets = [budget for budget in map(parse_budget, now.view.budgets) if budget.namespace == namespace]
        tight = sorted(
            budget.label for budget in budgets if not budget.allowed and any(budget.matches(pod) for pod in pods)
        )
        yield Problem(
            WARNING,
            f"{counted(len(names), 'workload')} of a storage system in namespace {namespace} would move, first "
            f"{min(names)}"
            + (f"; its budget {tight[0]} lets none go now" if tight else "")
            + ": volumes may have to be detached before they can.",
            "Move them by the storage system's own procedure, node by node, or be ready to wait for it.",
            (*sorted(names), *(f"PodDisruptionBudget {label}" for label in tight)),
        )


def _is_storage(pod: Object, now: Situation) -> bool:
    if pod["metadata"]["namespace"] in _STORAGE_NAMESPACES:
        return True
    labels = labels_of(pod)
    if any(key in labels and (not values or labels[key] in values) for key, values in _STORAGE_LABELS):
        return True
    volumes = pod["spec"].get("volumes") or ()
    return any(str((volume.get("hostPath") or {}).get("path") or "").startswith(_PLUGINS) for volume in volumes)


def _said(thing: Object) -> t.Iterator[str]:
    for part in ("spec", "status"):
        yield from texts_in(thing.get(part))


def _label(thing: Object) -> str:
    metadata = thing["metadata"]
    namespace = metadata.get("namespace")
    return f"{thing['kind']} {namespace}/{metadata['name']}" if namespace else f"{thing['kind']} {metadata['name']}"


CHECKS = (
    Check("other-controllers", "no other controller goes by the old range", ("B28",), other_controllers, worst=WARNING),
    Check("machine-addresses", "no address is kept for a stopped machine", ("B18",), machine_addresses),
    Check("storage-systems", "no storage system is among the moving pods", ("D10",), storage_systems, worst=WARNING),
)
