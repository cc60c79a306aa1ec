# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import LEASES, NAMESPACES, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import condition_is, node_of


def test_conditions_and_leases(cluster):
    cluster.api.create(NAMESPACES, {"metadata": {"name": "kube-node-lease"}})
    cluster.clock.advance(5)
    node = cluster.get(NODES, "node-1")
    assert condition_is(node, "Ready")
    assert condition_is(node, "MemoryPressure", "False")
    before = cluster.get(LEASES, "node-1", "kube-node-lease")["spec"]["renewTime"]
    cluster.clock.advance(400)
    assert cluster.get(LEASES, "node-1", "kube-node-lease")["spec"]["renewTime"] > before
    transition = [each["lastTransitionTime"] for each in node["status"]["conditions"]]
    after = cluster.get(NODES, "node-1")["status"]["conditions"]
    assert [each["lastTransitionTime"] for each in after] == transition
    assert after[0]["lastHeartbeatTime"] > after[0]["lastTransitionTime"]


def test_the_cordon_is_a_taint_and_leaves_pods_alone(cluster):
    cluster.deployment(replicas=3)
    cluster.until(cluster.rolled_out)
    cluster.api.patch(NODES, "node-1", {"spec": {"unschedulable": True}})
    cluster.clock.advance(1)
    (taint,) = cluster.get(NODES, "node-1")["spec"]["taints"]
    assert (taint["key"], taint["effect"]) == ("node.kubernetes.io/unschedulable", "NoSchedule")
    assert len(cluster.ready("web")) == 3
    cluster.api.patch(NODES, "node-1", {"spec": {"unschedulable": None}})
    cluster.clock.advance(1)
    assert "taints" not in cluster.get(NODES, "node-1")["spec"]


def test_pods_of_a_lost_node_are_removed_and_their_addresses_leak(cluster):
    cluster.deployment(replicas=3)
    cluster.until(cluster.rolled_out)
    cluster.api.delete(NODES, "node-2")
    cluster.clock.advance(30)
    assert "node-2" in {node_of(pod) for pod in cluster.pods("web")}
    cluster.clock.advance(30)
    assert {node_of(pod) for pod in cluster.pods("web")} == {"node-1", "node-3"}
    cluster.until_ready(3, "web")
    # Nobody was left to call the CNI plugin.
    assert len(cluster.cni.held) == 4
    assert cluster.objects.list(PODS)
