# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the nodes and of what is happening to them just now (hazards B25, B29, B44, D13, D14)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    condition,
    is_terminating,
    metadata_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import is_rolling
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import control_plane_flag
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_windows, selected_nodes
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import Tunnel, tunnels_in
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import Workload

# What the pod network and the way to Services hang on, by namespace and name.
_SYSTEM = frozenset(
    (namespace, name)
    for namespaces, names in (
        (
            ("kube-system", "calico-system"),
            ("calico-node", "calico-node-windows", "calico-kube-controllers", "calico-typha"),
        ),
        (("kube-system",), ("kube-proxy", "kube-proxy-windows", "canal", "rke2-canal")),
        (("calico-apiserver", "calico-system"), ("calico-apiserver",)),
        (("tigera-operator",), ("tigera-operator",)),
    )
    for namespace in namespaces
    for name in names
)
# Set by autoscalers on a node that is about to go, and by clouds on one that is about to come.
_IN_FLUX = (
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "node.cloudprovider.kubernetes.io/uninitialized",
)
# What moves the tunnel addresses of a node and gives its pods theirs.
_ON_EVERY_NODE = ("calico-node", "canal", "rke2-canal")
_KEEP_NODES = (
    "Never delete Node objects to change theirs: Calico would release the addresses of everything on those nodes."
)
# DaemonSets that go by the nodes' podCIDR.
_POD_CIDR_READERS = ("kube-flannel-ds", "kube-flannel", "kube-router")


def node_pod_cidr(now: Situation) -> t.Iterator[Problem]:
    """B25: ranges that the controller manager gave to nodes, which Calico IPAM does not read."""
    if now.target is None or now.target.pool is None:
        return
    new = now.target.pool.cidr
    outside = [
        node["metadata"]["name"]
        for node in now.view.nodes
        if any(cidr.version == new.version and not new.contains(cidr) for cidr in _pod_cidrs(node))
    ]
    if not outside:
        return
    readers = [
        str(workload)
        for workload in now.view.workloads
        if workload.kind == "DaemonSet" and workload.name in _POD_CIDR_READERS
    ]
    routes = control_plane_flag(now.view, "kube-controller-manager", "--configure-cloud-routes") == "true"
    if readers or routes:
        who = readers[0] if readers else "--configure-cloud-routes of kube-controller-manager"
        yield Problem(
            WARNING,
            f"{counted(len(outside), 'node has', 'nodes have')} a podCIDR outside the new pool ({new}), and {who} "
            "goes by it: routes to pods "
            "with new addresses may be missing.",
            f"Find out what reads the podCIDR and give it the new range. {_KEEP_NODES}",
            tuple(outside),
        )
    else:
        yield Problem(
            NOTE,
            f"{counted(len(outside), 'node has', 'nodes have')} a podCIDR outside the new pool ({new}). Calico IPAM "
            "does not read it.",
            f"Leave it as it is. {_KEEP_NODES}",
            tuple(outside),
        )


def windows_affinity(now: Situation) -> t.Iterator[Problem]:
    """B29: what Windows nodes need of the pools they get addresses from."""
    if now.view.settings.get("strictAffinity"):
        return
    for pool in now.wanted:
        if pool.pool is None or pool.leaves:
            continue
        windows = [node["metadata"]["name"] for node in selected_nodes(pool.pool, now.view) if is_windows(node)]
        if windows:
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} serves {counted(len(windows), 'Windows node')} while strictAffinity is off: "
                "they cannot use "
                "addresses out of other nodes' blocks.",
                "Set strictAffinity to true (ipam_config), or exclude them with the pool's nodeSelector.",
                tuple(windows),
            )


def cluster_at_rest(now: Situation) -> t.Iterator[Problem]:
    """B44: somebody else is changing the pod network or the nodes."""
    rolling, waiting, missing = [], [], []
    down = sum(1 for node in now.view.nodes if _is_down(node))
    for workload in now.view.workloads:
        if (workload.namespace, workload.name) not in _SYSTEM:
            continue
        if is_rolling({"kind": workload.kind, **workload.thing}):
            rolling.append(str(workload))
        elif workload.kind == "DaemonSet" and workload.name in _ON_EVERY_NODE and _lacking(workload) > down:
            missing.append(f"{workload} ({_unready(workload)})")
        elif _unready(workload):
            waiting.append(f"{workload} ({_unready(workload)})")
    if rolling:
        yield Problem(
            BLOCKER,
            f"{counted(len(rolling), 'part of the pod network is', 'parts of the pod network are')} being rolled "
            f"out, first {rolling[0]}.",
            "Wait until that is done, and keep installers and upgrades away for the time of the procedure.",
            tuple(rolling),
        )
    if missing:
        yield Problem(
            BLOCKER,
            f"{missing[0]} is not ready on nodes that are: their tunnel addresses would not leave the old pool, and "
            "new pods there may get no address.",
            "Repair it first: kubectl describe and kubectl logs of its pods that are not ready say what is missing.",
            tuple(missing),
        )
    if waiting:
        yield Problem(
            WARNING,
            f"{counted(len(waiting), 'part of the pod network is', 'parts of the pod network are')} not ready "
            f"everywhere, first {waiting[0]}: where "
            "they are missing, pods may get no address or no routes.",
            "Repair them first: kubectl describe and kubectl logs of their pods say what is missing.",
            tuple(waiting),
        )
    flux = [node["metadata"]["name"] for node in now.view.nodes if _taints(node) & set(_IN_FLUX)]
    if flux:
        yield Problem(
            WARNING,
            f"{counted(len(flux), 'node is', 'nodes are')} just coming or going, first {flux[0]}: an autoscaler or a "
            "cloud marks such nodes.",
            "Pause the autoscaler for the time of the procedure.",
            tuple(flux),
        )
    versions: dict[str, list[str]] = {}
    for node in now.view.nodes:
        version = str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")
        if version:
            versions.setdefault(version, []).append(node["metadata"]["name"])
    if len(versions) > 1:
        said = ", ".join(f"{version} on {len(names)}" for version, names in sorted(versions.items()))
        yield Problem(
            WARNING,
            f"The nodes run different versions ({said}): an upgrade may be under way.",
            "Finish it first, or make sure that nobody continues it meanwhile.",
            tuple(name for _version, names in sorted(versions.items()) for name in names),
        )


def nodes_ready(now: Situation) -> t.Iterator[Problem]:
    """D14, A11: nodes that answer nobody, or take no pods."""
    if now.request.procedure == DECLARE:
        return
    down = [node["metadata"]["name"] for node in now.view.nodes if _is_down(node)]
    if down:
        on_them = [full_name(pod) for pod in now.source_pods() if pod["spec"].get("nodeName") in down]
        tunnels = [tunnel for tunnel in _tunnels(now) if tunnel.node in down]
        kept = f" and {counted(len(tunnels), 'tunnel address', 'tunnel addresses')} in it" if tunnels else ""
        yield Problem(
            WARNING,
            f"{counted(len(down), 'node is', 'nodes are')} not ready, first {down[0]}: "
            f"{counted(len(on_them), 'pod of the old pool keeps its', 'pods of the old pool keep their')} address"
            f"{kept} until such a node is back or gone.",
            "Repair the nodes; those that will never come back, switch off and take out of the cluster (kubectl delete "
            "node), so that their pods and addresses go.",
            (*(f"Node {name}" for name in down), *(f"Pod {name}" for name in on_them)),
        )
    cordoned = [
        node["metadata"]["name"]
        for node in now.view.nodes
        if (node.get("spec") or {}).get("unschedulable") and not _is_down(node)
    ]
    if cordoned:
        yield Problem(
            NOTE,
            f"{counted(len(cordoned), 'node is', 'nodes are')} cordoned, first {cordoned[0]}: pods that leave do not "
            "come back there.",
            "Uncordon them if their room is needed.",
            tuple(f"Node {name}" for name in cordoned),
        )


def _tunnels(now: Situation) -> list[Tunnel]:
    """The tunnel addresses that nodes have in the pools that are to be emptied."""
    return [
        tunnel
        for pool in now.leaving()
        if pool.pool is not None
        for tunnel in tunnels_in(now.view.nodes, pool.pool.cidr)
    ]


def pods_terminating(now: Situation) -> t.Iterator[Problem]:
    """D13: pods that should be gone and still have their address."""
    if now.request.procedure == DECLARE:
        return
    down = {node["metadata"]["name"] for node in now.view.nodes if _is_down(node)}
    latest = _latest(now)
    stuck = []
    for pod in now.source_pods():
        metadata = metadata_of(pod)
        if not is_terminating(pod):
            continue
        if pod["spec"].get("nodeName") in down:
            stuck.append(f"{full_name(pod)} (its node is not ready)")
        elif metadata.get("finalizers"):
            stuck.append(f"{full_name(pod)} (finalizer {metadata['finalizers'][0]})")
        elif str(metadata["deletionTimestamp"]) < latest:
            stuck.append(f"{full_name(pod)} (since {metadata['deletionTimestamp']})")
    if stuck:
        yield Problem(
            BLOCKER,
            f"{counted(len(stuck), 'pod of the old pool is', 'pods of the old pool are')} stuck while terminating, "
            f"first {stuck[0]}: the pool cannot become "
            "empty.",
            "Find out what holds them (the node, a volume, a finalizer). A forced deletion can free an address that is "
            "still in use on the node.",
            tuple(stuck),
        )


def _latest(now: Situation) -> str:
    """The time by the cluster's own stamps, which is all that its view of what is late should go by.

    RFC 3339 in whole seconds of UTC, as Kubernetes writes it, so texts compare like times.
    """
    stamps = [str(metadata_of(pod).get("creationTimestamp") or "") for pod in now.view.pods]
    for node in now.view.nodes:
        stamps += [
            str(entry.get(key) or "")
            for entry in (node.get("status") or {}).get("conditions") or ()
            for key in ("lastHeartbeatTime", "lastTransitionTime")
        ]
    return max(stamps, default="")


def _pod_cidrs(node: Object) -> t.Iterator[Network]:
    spec = node.get("spec") or {}
    for text in spec.get("podCIDRs") or [spec.get("podCIDR")]:
        try:
            yield parse_network(text, strict=False)
        except InvalidInput:
            continue


def _lacking(daemon_set: Workload) -> int:
    status = daemon_set.thing.get("status") or {}
    return int(status.get("desiredNumberScheduled") or 0) - int(status.get("numberReady") or 0)


def _unready(workload: Workload) -> str:
    spec, status = workload.thing.get("spec") or {}, workload.thing.get("status") or {}
    if workload.kind == "DaemonSet":
        wanted, ready = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
    elif workload.kind == "Deployment":
        wanted, ready = int(spec.get("replicas", 1)), int(status.get("readyReplicas") or 0)
    else:
        return ""
    return f"{ready} of {wanted} ready" if ready < wanted else ""


def _taints(node: Object) -> set[str]:
    return {str(taint.get("key")) for taint in (node.get("spec") or {}).get("taints") or ()}


def _is_down(node: Object) -> bool:
    ready = condition(node, "Ready")
    return bool(ready) and ready.get("status") != "True"


CHECKS = (
    Check("node-pod-cidr", "nothing goes by the podCIDR of nodes", ("B25",), node_pod_cidr, worst=WARNING),
    Check("windows-affinity", "Windows nodes find what they need", ("B29",), windows_affinity),
    Check("cluster-at-rest", "nobody else is changing the network or the nodes", ("B44", "D02"), cluster_at_rest),
    Check("nodes-ready", "all nodes take part", ("D14", "A11"), nodes_ready, worst=WARNING),
    Check("pods-terminating", "no pod is stuck while terminating", ("D13",), pods_terminating),
)
