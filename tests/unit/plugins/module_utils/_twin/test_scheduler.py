# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Conflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import condition, node_of

NAMESPACE = "shop"


def why_not(cluster, name="one"):
    found = condition(cluster.get(PODS, name), "PodScheduled")
    return found.get("message") if found and found["status"] == "False" else None


def spread(cluster, app="web"):
    counts = {}
    for pod in cluster.pods(app):
        counts[node_of(pod)] = counts.get(node_of(pod), 0) + 1
    return counts


def asking(cpu="0", memory="0"):
    return [{"name": "main", "image": "x:1", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]


def test_spreads_the_pods_of_an_owner(new_cluster):
    cluster = new_cluster(nodes=4)
    cluster.deployment(replicas=10)
    cluster.until_ready(10, "web")
    assert sorted(spread(cluster).values()) == [2, 2, 3, 3]


def test_prefers_the_least_allocated_node(cluster):
    cluster.pod("big", containers=asking("4"), node="node-1")
    cluster.pod("half", containers=asking("2"), node="node-2")
    cluster.pod("one", containers=asking("1"))
    cluster.until_ready(3)
    assert node_of(cluster.get(PODS, "one")) == "node-3"


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        ({"nodeSelector": {"kubernetes.io/hostname": "node-2"}}, "node-2"),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
                                {"matchExpressions": [{"key": "disk", "operator": "Gt", "values": ["5"]}]},
                            ]
                        }
                    }
                }
            },
            "node-4",
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 10, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}
                        ]
                    }
                }
            },
            "node-4",
        ),
        (
            {
                "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                "nodeSelector": {"kubernetes.io/hostname": "node-5"},
            },
            "node-5",
        ),
    ],
)
def test_where(new_cluster, spec, node):
    cluster = new_cluster(nodes=3)
    cluster.add_node("node-4", labels={"disk": "ssd"})
    cluster.add_node("node-5", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    cluster.pod("one", **spec)
    cluster.until_ready(1)
    assert node_of(cluster.get(PODS, "one")) == node


def test_says_why_nothing_fits_and_tries_again_when_that_changes(new_cluster):
    cluster = new_cluster(nodes=0)
    cluster.add_node("small", cpu="1")
    cluster.add_node("cordoned", unschedulable=True)
    cluster.add_node("tainted", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    cluster.pod("one", containers=asking("2"))
    cluster.clock.advance(5)
    assert why_not(cluster) == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s) {dedicated: db}, "
        "1 node(s) were unschedulable."
    )
    cluster.api.patch(NODES, "cordoned", {"spec": {"unschedulable": None}})
    cluster.until_ready(1, limit=10)
    assert node_of(cluster.get(PODS, "one")) == "cordoned"


def test_waits_for_room(new_cluster):
    cluster = new_cluster(nodes=0)
    cluster.add_node("only", pods="2")
    cluster.deployment(replicas=3)
    cluster.clock.advance(10)
    assert len(cluster.ready("web")) == 2
    waiting = next(pod for pod in cluster.pods("web") if not node_of(pod))
    assert "Too many pods" in condition(waiting, "PodScheduled")["message"]
    victim = cluster.ready("web")[0]["metadata"]["name"]
    cluster.scale(DEPLOYMENTS, "web", 2)
    cluster.api.delete(PODS, victim, NAMESPACE)
    cluster.until_ready(2, "web")


def anti_affinity(app, key="kubernetes.io/hostname"):
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_anti_affinity_holds_in_both_directions(cluster, make_template):
    cluster.deployment(replicas=4, template=make_template("web", affinity=anti_affinity("web")))
    cluster.clock.advance(15)
    assert sorted(spread(cluster).items()) == [("", 1), ("node-1", 1), ("node-2", 1), ("node-3", 1)]
    # A pod without a rule of its own is kept away by the rule of those that are there.
    cluster.pod("one", labels={"app": "web"})
    cluster.clock.advance(5)
    assert "anti-affinity" in why_not(cluster)


def test_affinity_and_zones(new_cluster):
    cluster = new_cluster(nodes=0)
    zone = "topology.kubernetes.io/zone"
    for number in range(4):
        cluster.add_node(f"node-{number}", labels={zone: "ab"[number % 2]})
    cluster.pod("db", labels={"app": "db"}, nodeSelector={zone: "b"})
    cluster.until_ready(1)
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": zone}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    cluster.pod("one", affinity=affinity)
    cluster.until_ready(2)
    assert node_of(cluster.get(PODS, "one")) in ("node-1", "node-3")


def test_hard_spread_constraints(new_cluster, make_template):
    cluster = new_cluster(nodes=0)
    zone = "topology.kubernetes.io/zone"
    cluster.add_node("a-1", labels={zone: "a"})
    cluster.add_node("a-2", labels={zone: "a"})
    cluster.add_node("b-1", labels={zone: "b"}, pods="3")
    constraint = {
        "maxSkew": 1,
        "topologyKey": zone,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    cluster.deployment(replicas=9, template=make_template("web", topologySpreadConstraints=[constraint]))
    cluster.clock.advance(15)
    counts = spread(cluster)
    assert (counts["b-1"], counts["a-1"] + counts["a-2"], counts[""]) == (3, 4, 2)


def test_other_schedulers_pods_and_gated_pods_are_left_alone(cluster):
    cluster.pod("one", schedulerName="mine")
    cluster.pod("two", schedulingGates=[{"name": "example.org/wait"}])
    cluster.clock.advance(5)
    assert [node_of(pod) for pod in cluster.pods()] == ["", ""]


def test_binding_twice_is_a_conflict(cluster):
    cluster.pod("one")
    cluster.until_ready(1)
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "one"}, "target": {"name": "node-1"}}
    with pytest.raises(Conflict):
        cluster.api.create_subresource(PODS, "one", "binding", body, NAMESPACE)


def test_same_seed_same_places(new_cluster):
    def places(seed):
        cluster = new_cluster(seed=seed)
        cluster.deployment(replicas=7)
        cluster.until_ready(7, "web")
        return sorted((pod["metadata"]["name"], node_of(pod)) for pod in cluster.pods("web"))

    assert places(1) == places(1)
