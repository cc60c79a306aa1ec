# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B18, B28, D10: who else goes by pools and addresses."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import OLD, budget, examine, pod, thing, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import VM, Holder
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_neighbours import CHECKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    EGRESS_CLUSTER_INFOS,
    SPIDER_COORDINATORS,
    SUBMARINER_CLUSTERS,
    SUBMARINER_ENDPOINTS,
    VIRTUAL_MACHINES,
    Surroundings,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import Allocation, BlockFact


@pytest.mark.parametrize(
    ("around", "words", "objects"),
    [
        (
            {SUBMARINER_CLUSTERS: [thing("Cluster", "east", "sub", spec={"cluster_cidr": [OLD]})]},
            f"Submariner is here and keeps pod ranges of its own, the old one among them (Cluster sub/east ({OLD}))",
            (f"Cluster sub/east ({OLD})",),
        ),
        (
            {SUBMARINER_ENDPOINTS: [thing("Endpoint", "east", "sub", spec={"subnets": ["10.96.0.0/12"]})]},
            "Submariner is here",
            ("Endpoint sub/east",),
        ),
        (
            {SPIDER_COORDINATORS: [thing("SpiderCoordinator", "d", None, status={"overlayPodCIDR": [OLD]})]},
            "Spiderpool",
            (f"SpiderCoordinator d ({OLD})",),
        ),
        (
            {
                EGRESS_CLUSTER_INFOS: [
                    thing("EgressClusterInfo", "d", None, status={"podCIDR": {"old": {"ipv4": [OLD]}}})
                ]
            },
            "EgressGateway",
            (f"EgressClusterInfo d ({OLD})",),
        ),
    ],
)
def test_controllers_that_copy_ranges(around: t.Any, words: str, objects: t.Any) -> None:
    (problem,) = examine(CHECKS, "other-controllers", view(around))
    assert (problem.severity, problem.objects) == ("warning", objects)
    assert words in problem.message


def test_controllers_that_are_only_known_by_their_api() -> None:
    cluster = view(surroundings=Surroundings(groups=frozenset({"apps", "cilium.io", "skupper.io"})))
    problems = examine(CHECKS, "other-controllers", cluster)
    assert [each.severity for each in problems] == ["note", "note"]
    # Definitions that nobody uses say nothing.
    empty = {SUBMARINER_CLUSTERS: (), SPIDER_COORDINATORS: ()}
    assert examine(CHECKS, "other-controllers", view(empty)) == []


MACHINE = Holder(VM, "shop", "db", "virt-launcher-db-x", "node-1")
BLOCK = BlockFact(
    parse_network("192.168.1.0/26"), "host:node-1", 1, (Allocation(parse_address("192.168.1.9"), MACHINE),)
)


def test_addresses_of_machines_that_do_not_run() -> None:
    (problem,) = examine(CHECKS, "machine-addresses", view(blocks=(BLOCK,)))
    assert (problem.severity, problem.objects) == ("blocker", ("VirtualMachine shop/db (192.168.1.9)",))
    known = {VIRTUAL_MACHINES: [thing("VirtualMachine", "other")]}
    assert (
        "1 of those machines are gone" in examine(CHECKS, "machine-addresses", view(known, blocks=(BLOCK,)))[0].message
    )
    stopped = {VIRTUAL_MACHINES: [thing("VirtualMachine", "db")]}
    assert "gone" not in examine(CHECKS, "machine-addresses", view(stopped, blocks=(BLOCK,)))[0].message


def test_addresses_of_machines_that_run_or_lie_elsewhere() -> None:
    running = (pod("virt-launcher-db-x", "192.168.1.9"),)
    assert examine(CHECKS, "machine-addresses", view(blocks=(BLOCK,), pods=running)) == []
    elsewhere = BlockFact(parse_network("10.7.0.0/26"), "host:node-1", 1, BLOCK.allocations)
    assert examine(CHECKS, "machine-addresses", view(blocks=(elsewhere,))) == []


@pytest.mark.parametrize(
    "spoiled",
    [
        pod("a", namespace="longhorn-system", owner=("DaemonSet", "manager")),
        pod("a", labels={"longhorn.io/component": "instance-manager"}, owner=None),
        pod("a", labels={"ceph_daemon_type": "osd"}),
        pod("a", spec={"volumes": [{"name": "p", "hostPath": {"path": "/var/lib/kubelet/plugins/csi.example.com"}}]}),
    ],
)
def test_storage_systems(spoiled: t.Any) -> None:
    (problem,) = examine(CHECKS, "storage-systems", view(pods=(spoiled,)))
    assert problem.severity == "warning"
    assert spoiled["metadata"]["namespace"] in problem.message


def test_storage_with_a_budget_that_lets_none_go() -> None:
    labels = {"app": "web", "longhorn.io/component": "instance-manager"}
    cluster = view(pods=(pod("im-1", labels=labels, owner=None),), budgets=(budget(0),))
    (problem,) = examine(CHECKS, "storage-systems", cluster)
    assert problem.objects == ("Pod shop/im-1", "PodDisruptionBudget shop/web")


@pytest.mark.parametrize(
    "harmless",
    [
        pod("a"),
        pod("a", labels={"app.kubernetes.io/part-of": "shop"}),
        pod("a", "10.77.0.5", namespace="longhorn-system"),
        pod("a", spec={"volumes": [{"name": "e", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/var/log"}}]}),
    ],
)
def test_no_storage_system(harmless: t.Any) -> None:
    workloads = (workload("Deployment", "web"), workload("ReplicaSet", "web-1", ("Deployment", "web")))
    assert examine(CHECKS, "storage-systems", view(pods=(harmless,), workloads=workloads)) == []
