# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B25, B29, B44, D13, D14: the nodes, and what happens to them."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import DECLARE, NEW, PODS, asked, examine, node, pod, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_nodes import CHECKS

ROUTES = pod(
    "kcm",
    namespace="kube-system",
    labels={"component": "kube-controller-manager"},
    spec={"hostNetwork": True, "containers": [{"command": ["kcm", "--configure-cloud-routes=true"]}]},
)


@pytest.mark.parametrize(
    ("cidr", "changes", "severities"),
    [
        ({"podCIDR": "192.168.3.0/24"}, {}, ["note"]),
        ({"podCIDRs": ["192.168.3.0/24", "fd00::/64"]}, {}, ["note"]),
        ({"podCIDR": "192.168.3.0/24"}, {"workloads": (workload("DaemonSet", "kube-flannel-ds"),)}, ["warning"]),
        ({"podCIDR": "192.168.3.0/24"}, {"pods": (*PODS, ROUTES)}, ["warning"]),
        ({"podCIDR": "10.0.3.0/24"}, {"pods": (*PODS, ROUTES)}, []),
        ({"podCIDR": "fd00::/64"}, {}, []),
        ({"podCIDR": "nonsense"}, {}, []),
        ({}, {"pods": (*PODS, ROUTES)}, []),
    ],
)
def test_ranges_of_nodes(cidr: t.Any, changes: t.Any, severities: list[str]) -> None:
    problems = examine(CHECKS, "node-pod-cidr", view(nodes=(node("node-1", **cidr),), **changes))
    assert [each.severity for each in problems] == severities
    assert all("Never delete Node objects" in each.remedy for each in problems)


@pytest.mark.parametrize(
    ("settings", "selector", "severities"),
    [({}, "all()", ["blocker"]), ({"strictAffinity": True}, "all()", []), ({}, "!all()", [])],
)
def test_windows_nodes_need_strict_affinity(settings: t.Any, selector: str, severities: list[str]) -> None:
    request = asked(target={"name": "new", "cidr": NEW, "node_selector": selector})
    cluster = view(nodes=(node("node-1"), node("win-1", system="windows")), settings=settings)
    problems = examine(CHECKS, "windows-affinity", cluster, request)
    assert [(each.severity, each.objects) for each in problems] == [(each, ("win-1",)) for each in severities]


READY = {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({"workloads": (workload("DaemonSet", "calico-node", None, "kube-system", READY),)}, "", ""),
        (
            {"workloads": (workload("DaemonSet", "calico-node", None, "kube-system", {**READY, "numberReady": 2}),)},
            "blocker",
            "(2 of 3 ready) is not ready on nodes that are",
        ),
        (
            {
                "workloads": (workload("DaemonSet", "calico-node", None, "kube-system", {**READY, "numberReady": 2}),),
                "nodes": (node("a"), node("b"), node("c", ready=False)),
            },
            "warning",
            "2 of 3 ready",
        ),
        (
            {"workloads": (workload("DaemonSet", "kube-proxy", None, "kube-system", {**READY, "numberReady": 2}),)},
            "warning",
            "2 of 3 ready",
        ),
        (
            {
                "workloads": (
                    workload(
                        "Deployment",
                        "calico-typha",
                        None,
                        "kube-system",
                        {"replicas": 4, "updatedReplicas": 4, "readyReplicas": 1},
                    ),
                )
            },
            "warning",
            "1 of 4 ready",
        ),
        (
            {
                "workloads": (
                    workload("DaemonSet", "calico-node", None, "calico-system", {**READY, "updatedNumberScheduled": 1}),
                )
            },
            "blocker",
            "DaemonSet calico-system/calico-node",
        ),
        (
            {
                "workloads": (
                    workload("Deployment", "calico-typha", None, "kube-system", {"replicas": 4, "updatedReplicas": 1}),
                )
            },
            "blocker",
            "Deployment kube-system/calico-typha",
        ),
        (
            {"workloads": (workload("Deployment", "web", status={"replicas": 4, "updatedReplicas": 1}),)},
            "",
            "",
        ),
        ({"nodes": (node("a"), node("b", version="v1.33.5"))}, "warning", "v1.33.5 on 1, v1.34.1 on 1"),
        ({"nodes": (node("a", taints=[{"key": "ToBeDeletedByClusterAutoscaler"}]),)}, "warning", "coming or going"),
        ({"nodes": (node("a", taints=[{"key": "dedicated"}]), node("b"))}, "", ""),
    ],
)
def test_somebody_else_is_at_work(changes: t.Any, severity: str, words: str) -> None:
    problems = examine(CHECKS, "cluster-at-rest", view(**changes))
    assert [each.severity for each in problems] == ([severity] if severity else [])
    assert all(words in each.message for each in problems)


@pytest.mark.parametrize(
    ("nodes", "severity", "objects"),
    [
        ((node("node-1", ready=False), node("node-2")), "warning", ("Node node-1", "Pod shop/web-1-a")),
        ((node("node-1"), node("node-2", unschedulable=True)), "note", ("Node node-2",)),
        ((node("node-1"), node("node-2")), "", ()),
    ],
)
def test_nodes_that_do_not_take_part(nodes: t.Any, severity: str, objects: t.Any) -> None:
    problems = examine(CHECKS, "nodes-ready", view(nodes=nodes))
    assert [(each.severity, each.objects) for each in problems] == ([(severity, objects)] if severity else [])
    assert examine(CHECKS, "nodes-ready", view(nodes=nodes), DECLARE) == []


EARLY, LATE = "2026-08-22T09:30:00Z", "2026-08-22T10:00:30Z"


@pytest.mark.parametrize(
    ("metadata", "changes", "words"),
    [
        ({"deletionTimestamp": EARLY}, {}, f"since {EARLY}"),
        ({"deletionTimestamp": LATE}, {}, ""),
        ({"deletionTimestamp": LATE, "finalizers": ["example.com/x"]}, {}, "finalizer example.com/x"),
        ({"deletionTimestamp": LATE}, {"nodes": (node("node-1", ready=False),)}, "its node is not ready"),
        ({"finalizers": ["example.com/x"]}, {}, ""),
    ],
)
def test_pods_that_should_be_gone(metadata: t.Any, changes: t.Any, words: str) -> None:
    cluster = view(pods=(pod("web-1-a", **metadata), PODS[1]), **changes)
    problems = examine(CHECKS, "pods-terminating", cluster)
    assert [(each.severity, each.objects) for each in problems] == (
        [("blocker", (f"shop/web-1-a ({words})",))] if words else []
    )


def test_a_pod_elsewhere_that_should_be_gone_is_not_in_the_way() -> None:
    assert examine(CHECKS, "pods-terminating", view(pods=(pod("a", "10.7.0.1", deletionTimestamp=EARLY),))) == []
