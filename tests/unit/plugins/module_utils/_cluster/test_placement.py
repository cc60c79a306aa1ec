# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import (
    Room,
    node_facts,
    requests_of,
    takes,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.surge import surge_obstacle

GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
FAILING = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}


def node(name: str = "n1", *, labels: Object | None = None, spec: Object | None = None, **allocatable: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {"zone": "a", "cpus": "8", **(labels or {})}},
        "spec": spec or {},
        "status": {"allocatable": allocatable} if allocatable else {},
    }


def affinity(*rules: Object) -> Object:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(rules)}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


@pytest.mark.parametrize(
    ("pod", "spec", "taken"),
    [
        ({}, {}, True),
        ({"nodeSelector": {"zone": "a"}}, {}, True),
        ({"nodeSelector": {"zone": "b"}}, {}, False),
        ({"nodeName": "n2"}, {}, False),
        (affinity({"key": "zone", "operator": "In", "values": ["a", "b"]}), {}, True),
        (affinity({"key": "zone", "operator": "NotIn", "values": ["a"]}), {}, False),
        (affinity({"key": "gpu", "operator": "DoesNotExist"}), {}, True),
        (affinity({"key": "gpu", "operator": "Exists"}), {}, False),
        (affinity({"key": "cpus", "operator": "Gt", "values": ["4"]}), {}, True),
        (affinity({"key": "cpus", "operator": "Lt", "values": ["4"]}), {}, False),
        ({}, {"taints": [GPU]}, False),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, {"taints": [GPU]}, True),
        ({"tolerations": [{"key": "gpu", "value": "no"}]}, {"taints": [GPU]}, False),
        ({"tolerations": [{"operator": "Exists"}]}, {"taints": [GPU]}, True),
        ({}, {"taints": [{**GPU, "effect": "PreferNoSchedule"}]}, True),
        ({}, {"unschedulable": True}, False),
    ],
)
def test_what_a_node_takes(pod: Object, spec: Object, taken: bool) -> None:
    assert takes(node_facts(node(spec=spec)), pod) == taken


def test_what_daemon_sets_look_past() -> None:
    facts = node_facts(node(spec={"unschedulable": True, "taints": [FAILING]}))
    assert not takes(facts, {})
    assert takes(facts, {}, cordon=False)
    assert not takes(node_facts(node(spec={"taints": [GPU]})), {}, cordon=False)


def test_a_node_is_ready_until_it_says_otherwise() -> None:
    thing = node()
    assert node_facts(thing).usable
    thing["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    assert not node_facts(thing).usable


def test_what_a_pod_reserves() -> None:
    def container(cpu: str, memory: str, kind: str = "requests", **more: str) -> Object:
        return {"resources": {kind: {"cpu": cpu, "memory": memory}}, **more}

    two = {"containers": [container("100m", "1Gi"), container("200m", "1Gi", "limits")]}
    assert requests_of(two) == Room(pytest.approx(0.3), 2 * 2.0**30, 1.0)
    starting = {**two, "initContainers": [container("1", "1Mi"), container("1", "1Mi", restartPolicy="Always")]}
    assert requests_of(starting).cpu == pytest.approx(1.3)
    assert requests_of({**two, "overhead": {"cpu": "1"}}).cpu == pytest.approx(1.3)
    assert requests_of({"containers": [{}]}) == Room(0.0, 0.0, 1.0)


class TestRoom:
    def obstacle(self, used: dict[str, Room] | None, *nodes: Object) -> str | None:
        container = {"resources": {"requests": {"cpu": "1"}}}
        deployment = {
            "kind": "Deployment",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
        }
        return surge_obstacle(None, deployment, [node_facts(each) for each in nodes], used)  # type: ignore[arg-type]

    def test_one_node_with_room_is_enough(self) -> None:
        nodes = [node("n1", cpu="2", memory="1Gi", pods="10"), node("n2", cpu="2", memory="1Gi", pods="10")]
        assert self.obstacle({"n1": Room(1.5), "n2": Room(0.5)}, *nodes) is None
        full = {"n1": Room(1.5), "n2": Room(0.5, 0.0, 10.0)}
        assert self.obstacle(full, *nodes) == "none of the 2 nodes that take its pods has room for one more"

    def test_what_is_not_known_is_no_obstacle(self) -> None:
        assert self.obstacle(None, node("n1", cpu="0")) is None
        assert self.obstacle({}) is None
        assert self.obstacle({"n1": Room(100.0)}, node("n1")) is None

    def test_no_node_at_all(self) -> None:
        cordoned = node("n1", spec={"unschedulable": True})
        assert self.obstacle({}, cordoned) == "no ready node takes its pods by its labels and taints"
