# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DAEMON_SETS, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_ready,
    is_terminating,
    node_of,
)

NAMESPACE = "shop"


def rolled_out(cluster, name="agent"):
    """What ``kubectl rollout status daemonset`` waits for."""
    obj = cluster.get(DAEMON_SETS, name)
    status = obj.get("status") or {}
    return (
        status.get("observedGeneration", 0) >= obj["metadata"]["generation"]
        and status["desiredNumberScheduled"] > 0
        and status.get("updatedNumberScheduled", 0) >= status["desiredNumberScheduled"]
        and status.get("numberAvailable", 0) >= status["desiredNumberScheduled"]
    )


def nodes(cluster):
    return sorted(node_of(pod) for pod in cluster.pods("agent"))


def test_one_pod_on_every_node_as_nodes_come_and_go(cluster):
    cluster.workload(DAEMON_SETS, "agent")
    cluster.until(lambda: bool(cluster.get(DAEMON_SETS, "agent").get("status")) and rolled_out(cluster))
    assert nodes(cluster) == ["node-1", "node-2", "node-3"]
    cluster.add_node("node-4")
    cluster.clock.advance(20)
    assert nodes(cluster) == ["node-1", "node-2", "node-3", "node-4"]
    cluster.api.delete(NODES, "node-1")
    cluster.clock.advance(60)
    assert nodes(cluster) == ["node-2", "node-3", "node-4"]


def test_selectors_taints_and_the_cordon(new_cluster, make_template):
    cluster = new_cluster(nodes=2)
    cluster.add_node("tainted", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    cluster.add_node("cordoned", unschedulable=True)
    cluster.workload(DAEMON_SETS, "agent")
    cluster.clock.advance(30)
    # DaemonSets tolerate the cordon, not other people's taints.
    assert nodes(cluster) == ["cordoned", "node-1", "node-2"]
    chosen = make_template("agent", nodeSelector={"kubernetes.io/hostname": "node-2"})
    cluster.api.patch(DAEMON_SETS, "agent", {"spec": {"template": chosen}}, NAMESPACE)
    cluster.clock.advance(60)
    assert nodes(cluster) == ["node-2"]


@pytest.mark.parametrize(("unavailable", "fewest"), [(1, 3), (2, 2), ("50%", 2)])
def test_update_by_max_unavailable(new_cluster, unavailable, fewest):
    cluster = new_cluster(nodes=4)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable}}
    cluster.workload(DAEMON_SETS, "agent", updateStrategy=strategy)
    cluster.until_ready(4, "agent")
    cluster.clock.advance(1)
    available, together = [], []

    def look(_event):
        pods = cluster.pods("agent")
        available.append(sum(1 for pod in pods if is_ready(pod) and not is_terminating(pod)))
        together.append(max((nodes(cluster).count(node) for node in nodes(cluster) if node), default=0))

    cluster.objects.subscribe(look, PODS)
    cluster.restart(DAEMON_SETS, "agent")
    cluster.until(lambda: rolled_out(cluster))
    assert min(available) == fewest
    # The new pod of a node comes when the old one is gone.
    assert max(together) == 1


def test_update_by_max_surge(new_cluster):
    cluster = new_cluster(nodes=3)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    cluster.workload(DAEMON_SETS, "agent", updateStrategy=strategy)
    cluster.until_ready(3, "agent")
    cluster.clock.advance(1)
    counts = []

    def look(_event):
        pods = cluster.pods("agent")
        living = [pod for pod in pods if not is_terminating(pod)]
        ready = {node_of(pod) for pod in living if is_ready(pod)}
        counts.append((len(living), len(ready)))

    cluster.objects.subscribe(look, PODS)
    cluster.restart(DAEMON_SETS, "agent")
    cluster.until(lambda: rolled_out(cluster) and len(cluster.pods("agent")) == 3)
    assert max(living for living, _ready in counts) == 4
    assert min(ready for _living, ready in counts) == 3


def test_the_oldest_pod_speaks_for_its_node(new_cluster):
    """A rollout with a surge is not over before the last old pod is gone, and the status must not say so."""
    cluster = new_cluster(nodes=2)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    cluster.workload(DAEMON_SETS, "agent", updateStrategy=strategy)
    cluster.until_ready(2, "agent")
    cluster.clock.advance(1)
    old = {pod["metadata"]["uid"] for pod in cluster.pods("agent")}
    told = []

    def look(event):
        left = {pod["metadata"]["uid"] for pod in cluster.pods("agent") if not is_terminating(pod)} & old
        if event.object["status"].get("observedGeneration") == event.object["metadata"]["generation"]:
            told.append((event.object["status"].get("updatedNumberScheduled", 0), len(left)))

    cluster.restart(DAEMON_SETS, "agent")
    cluster.objects.subscribe(look, DAEMON_SETS)
    cluster.until(lambda: rolled_out(cluster) and len(cluster.pods("agent")) == 2)
    assert told
    assert all(updated + left <= 2 for updated, left in told)


def test_on_delete(cluster):
    cluster.workload(DAEMON_SETS, "agent", updateStrategy={"type": "OnDelete"})
    cluster.until_ready(3, "agent")
    before = {pod["metadata"]["uid"] for pod in cluster.pods("agent")}
    cluster.restart(DAEMON_SETS, "agent")
    cluster.clock.advance(60)
    assert {pod["metadata"]["uid"] for pod in cluster.pods("agent")} == before
    cluster.api.delete(PODS, cluster.pods("agent")[0]["metadata"]["name"], NAMESPACE)
    cluster.clock.advance(30)
    assert cluster.status(DAEMON_SETS, "agent")["updatedNumberScheduled"] == 1
