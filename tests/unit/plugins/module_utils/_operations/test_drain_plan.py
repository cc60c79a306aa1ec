# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import node_facts
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import ORIGINAL_STRATEGY, Bounds
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.surge import surge_obstacle
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import (
    Limits,
    choose,
    eviction_gate,
    rollout_gate,
)

from .drain_objects import PERCENT, WEB, Shelf, budget, pod, ref, replica_set, view_of, workload


def web(replicas: int, strategy: Object | None = None, **spec: t.Any) -> list[Object]:
    things = [pod(f"web-{index}") for index in range(replicas)]
    return [
        *things,
        replica_set("web"),
        workload("Deployment", "web", replicas, {"strategy": strategy or PERCENT, **spec}),
    ]


def rolling(surge: t.Any, unavailable: t.Any) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def pdb(replicas: int, **spec: t.Any) -> Object:
    desired = spec["minAvailable"] if "minAvailable" in spec else replicas - spec["maxUnavailable"]
    return budget("web", spec, expected=replicas, healthy=replicas, desired=desired)


def clear() -> str | None:
    return None


def crowded() -> str | None:
    return "it uses host port 80"


class TestDeployments:
    @pytest.mark.parametrize(
        ("things", "way", "bounds"),
        [
            (web(6), "restart", Bounds(2, 1)),
            ([*web(6), pdb(6, minAvailable=4)], "restart", Bounds(2, 1)),
            ([*web(6), pdb(6, minAvailable=6)], "surge", Bounds(2, 0)),
            ([*web(6, rolling(0, 3)), pdb(6, maxUnavailable=1)], "surge", Bounds(2, 0)),
            ([*web(3, rolling(1, 1)), pdb(3, minAvailable=3)], "surge", Bounds(1, 0)),
            (web(1), "restart", Bounds(1, 0)),
            ([*web(1), pdb(1, minAvailable=1)], "restart", Bounds(1, 0)),
            (web(3, rolling(0, "100%")), "surge", Bounds(1, 0)),  # would take all
            (web(40), "surge", Bounds(5, 0)),  # 10 + 10 beyond max_parallel
            (web(1, {"type": "Recreate"}), "restart", Bounds(0, 1)),
            (web(2, {"type": "Recreate"}), "evict", Bounds(0, 1)),
            ([*web(2, {"type": "Recreate"}), pdb(2, minAvailable=2)], "surge", Bounds(1, 0)),
            (web(4, paused=True), "evict", Bounds(0, 1)),
        ],
    )
    def test_ways(self, things: list[Object], way: str, bounds: Bounds) -> None:
        choice = choose(view_of(*things), WEB, Limits(5), clear)
        assert (choice.way, choice.bounds) == (way, bounds)
        assert choice.blocked == ""

    def test_the_reason_has_the_numbers(self) -> None:
        choice = choose(view_of(*web(6, rolling(0, 3)), pdb(6, maxUnavailable=1)), WEB, Limits(5), clear)
        assert choice.reason == "a restart takes 3 at once and budget shop/web (maxUnavailable 1) spares 1"

    def test_without_room_for_another_pod_it_is_evicted(self) -> None:
        choice = choose(view_of(*web(6, rolling(0, 3)), pdb(6, maxUnavailable=1)), WEB, Limits(5), crowded)
        assert choice.way == "evict"
        assert choice.reason.endswith("and no pod can be added first: it uses host port 80")

    def test_a_rollout_that_only_adds_needs_room_too(self) -> None:
        choice = choose(view_of(*web(1)), WEB, Limits(5), crowded)
        assert choice.way == "evict"
        assert choice.reason == "its rollout adds a pod before it takes one away, but it uses host port 80"

    def test_nothing_helps(self) -> None:
        choice = choose(view_of(*web(1), pdb(1, minAvailable=1)), WEB, Limits(5), crowded)
        assert choice.blocked == (
            "budget shop/web (minAvailable 1) never spares a pod of Deployment shop/web: relax it, or add replicas"
        )

    def test_two_budgets_are_no_hindrance_for_a_restart_but_for_evictions(self) -> None:
        both = [pdb(6, minAvailable=4), {**pdb(6, maxUnavailable=1), "metadata": {"namespace": "shop", "name": "b"}}]
        assert choose(view_of(*web(6), *both), WEB, Limits(5), clear).way == "restart"
        blocked = choose(view_of(*web(6, paused=True), *both), WEB, Limits(5), clear).blocked
        assert blocked.startswith("the budgets shop/b, shop/web match it at once")

    def test_an_interrupted_surge_is_resumed(self) -> None:
        things = web(6, rolling(1, 0))
        things[-1]["metadata"]["annotations"] = {ORIGINAL_STRATEGY: "{}"}
        assert choose(view_of(*things), WEB, Limits(5), crowded).way == "surge"


def owned(kind: str, replicas: int, spec: Object | None = None, api_version: str = "apps/v1") -> list[Object]:
    things = [pod(f"web-{index}", owner=ref(kind, "web", api_version)) for index in range(replicas)]
    return [*things, workload(kind, "web", replicas, spec)]


class TestOthers:
    @pytest.mark.parametrize(
        ("kind", "things", "way", "at_once"),
        [
            ("StatefulSet", owned("StatefulSet", 3), "restart", 1),
            ("StatefulSet", [*owned("StatefulSet", 3), pdb(3, maxUnavailable=1)], "restart", 1),
            ("StatefulSet", owned("StatefulSet", 1), "restart", 1),
            ("StatefulSet", owned("StatefulSet", 3, {"updateStrategy": {"type": "OnDelete"}}), "evict", 1),
            (
                "StatefulSet",
                owned("StatefulSet", 3, {"updateStrategy": {"rollingUpdate": {"partition": 1}}}),
                "evict",
                1,
            ),
            ("DaemonSet", owned("DaemonSet", 4), "restart", 1),
            (
                "DaemonSet",
                owned("DaemonSet", 4, {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "100%"}}}),
                "evict",
                3,
            ),
            (
                "DaemonSet",
                owned("DaemonSet", 40, {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "25%"}}}),
                "evict",
                5,
            ),
            ("ReplicationController", owned("ReplicationController", 3, api_version="v1"), "evict", 1),
            ("ReplicaSet", owned("ReplicaSet", 3), "evict", 1),
        ],
    )
    def test_ways(self, kind: str, things: list[Object], way: str, at_once: int) -> None:
        choice = choose(view_of(*things), Owner("shop", "web", kind), Limits(5), clear)
        assert (choice.way, choice.bounds.unavailable) == (way, at_once)

    def test_a_custom_controller_is_evicted(self) -> None:
        things = [pod("web-1", owner=ref("CloneSet", "web", "apps.kruise.io/v1"))]
        view = view_of(*things)
        assert view.in_pool()[0].owner == Owner("shop", "web", "CloneSet")
        assert choose(view, Owner("shop", "web", "CloneSet"), Limits(5), clear).way == "evict"

    def test_max_unavailable_over_a_controller_without_scale_blocks(self) -> None:
        things = [pod("web-1", owner=ref("CloneSet", "web", "apps.kruise.io/v1"))]
        view = view_of(*things, budget("web", {"maxUnavailable": 1}, expected=0, healthy=0, desired=0))
        choice = choose(view, Owner("shop", "web", "CloneSet"), Limits(5), clear)
        assert choice.blocked.endswith("cannot count the pods of CloneSet shop/web: use an integer minAvailable")

    def test_pods_nobody_replaces_are_left(self) -> None:
        assert choose(view_of(pod("bare-1", owner=[])), None, Limits(5), clear).way == "never"
        static = choose(
            view_of(pod("etcd-1", owner=ref("Node", "n1", "v1"))), Owner("shop", "etcd-1", "Node"), 5, clear
        )
        assert static.way == "never"
        assert static.blocked.startswith("it is a static pod")

    def test_virtual_machines_are_left(self) -> None:
        owner = Owner("shop", "vm", "VirtualMachineInstance")
        view = view_of(pod("virt-launcher-vm-1", owner=ref(owner.kind, "vm", "kubevirt.io/v1")))
        choice = choose(view, owner, Limits(5), clear)
        assert choice.way == "never"
        assert choice.blocked.startswith("it is a virtual machine, which keeps its address")

    def test_jobs_are_waited_for(self) -> None:
        view = view_of(pod("job-1", owner=ref("Job", "job", "batch/v1")))
        assert choose(view, view.in_pool()[0].owner, Limits(5), clear).way == "wait"


class TestTies:
    PIN = "cni.projectcalico.org/ipv4pools"

    def blocked(self, template: Object | None = None, namespace: Object | None = None) -> str:
        things = web(3)
        things[-1]["spec"]["template"]["metadata"] = {"annotations": template or {}}
        view = view_of(*things)
        view.apply("namespaces", "ADDED", {"metadata": {"name": "shop", "annotations": namespace or {}}})
        return choose(view, WEB, Limits(5), clear).blocked

    @pytest.mark.parametrize("value", ['["old"]', '["192.168.0.0/16"]', '["192.168.4.0/24"]', '["old", "new"]'])
    def test_a_template_tied_to_the_pool(self, value: str) -> None:
        assert self.blocked({self.PIN: value}) == (
            f"the annotation {self.PIN}: {value} ties its pods to the pool, "
            "so that new ones would get no address: change it"
        )

    @pytest.mark.parametrize("value", ["[]", '["new"]', "old", '{"a": 1}', '["10.0.0.0/16"]'])
    def test_other_pools_and_nonsense_do_not_tie(self, value: str) -> None:
        assert self.blocked({self.PIN: value}) == ""

    @pytest.mark.parametrize("name", ["ipAddrs", "ipAddrsNoIpam"])
    def test_a_fixed_address(self, name: str) -> None:
        annotation = f"cni.projectcalico.org/{name}"
        assert self.blocked({annotation: '["192.168.7.7"]'}).startswith(f"the annotation {annotation}: ")
        assert self.blocked({annotation: '["10.0.0.7"]'}) == ""

    def test_the_namespace_ties_unless_the_template_says_otherwise(self) -> None:
        assert self.blocked(namespace={self.PIN: '["old"]'}) != ""
        assert self.blocked({self.PIN: '["new"]'}, {self.PIN: '["old"]'}) == ""


class TestView:
    def test_what_is_not_on_the_pod_network_does_not_count(self) -> None:
        host, done, away, two = pod("a-1"), pod("b-1"), pod("c-1", "10.0.0.1"), pod("d-1", "10.0.0.1")
        host["spec"]["hostNetwork"] = True
        done["status"]["phase"] = "Succeeded"
        two["status"]["podIPs"].append({"ip": "192.168.3.3"})
        assert [found.name for found in view_of(host, done, away, two).in_pool()] == ["d-1"]

    def test_namespaces_limit_it(self) -> None:
        view = view_of()
        view.namespaces = frozenset({"data"})
        view.apply("pods", "ADDED", pod("web-1"))
        assert view.pods == {}

    def test_an_older_version_does_not_hide_a_newer_one(self) -> None:
        things = web(1)
        view = view_of(*things)
        view.put(WEB, {**things[-1], "metadata": {**things[-1]["metadata"], "resourceVersion": "9", "generation": 2}})
        view.apply("Deployment", "MODIFIED", things[-1])
        assert view.workloads[WEB]["metadata"]["generation"] == 2


class TestGates:
    def test_a_restart_waits_for_pods_that_are_down_already(self) -> None:
        things = [*web(6), budget("web", {"minAvailable": 5}, expected=6, healthy=5, desired=5)]
        things[0] = pod("web-0", ready=False)
        view = view_of(*things)
        choice = choose(view, WEB, Limits(5), clear)
        assert choice.way == "restart"
        assert rollout_gate(view, WEB, choice) == "waiting for budget shop/web (needs 5 healthy, has 5)"

    def test_a_rollout_that_takes_none_waits_for_nothing(self) -> None:
        things = [*web(1), budget("web", {"minAvailable": 1}, expected=1, healthy=0, desired=1)]
        view = view_of(*things)
        assert rollout_gate(view, WEB, choose(view, WEB, Limits(5), clear)) == ""

    def test_the_last_ready_pod_stays(self) -> None:
        view = view_of(*web(2, {"type": "Recreate"}))
        assert "last ready pod is not evicted" in eviction_gate(view, view.in_pool()[0], 2, 1)
        assert eviction_gate(view, view.in_pool()[0], 2, 2) == ""
        assert eviction_gate(view, view.in_pool()[0], 1, 1) == ""

    def test_an_eviction_waits_for_its_budget(self) -> None:
        view = view_of(*web(3, paused=True), budget("web", {"maxUnavailable": 1}, expected=3, healthy=2, desired=2))
        gate = eviction_gate(view, view.in_pool()[0], 3, 3)
        assert gate == "waiting for budget shop/web (needs 2 healthy, has 2)"


class TestObstacles:
    def of(self, pod_spec: Object, *things: Object, replicas: int = 3) -> str | None:
        deployment = workload("Deployment", "web", replicas)
        deployment["spec"]["template"] = {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec}
        nodes = [node_facts(thing) for thing in things if thing["kind"] == "Node"]
        return surge_obstacle(Shelf(*things), deployment, nodes, {})  # type: ignore[arg-type]

    def test_none(self) -> None:
        assert self.of({"containers": [{"ports": [{"containerPort": 80}]}]}) is None

    def test_host_port(self) -> None:
        assert self.of({"containers": [{"ports": [{"hostPort": 80}]}]}) == "it uses host port 80"

    @pytest.mark.parametrize(
        ("modes", "obstacle"),
        [
            (["ReadWriteMany"], None),
            (["ReadWriteOnce", "ReadOnlyMany"], None),
            (["ReadWriteOnce"], "its volume claim data is for one node only (ReadWriteOnce)"),
        ],
    )
    def test_volumes(self, modes: list[str], obstacle: str | None) -> None:
        claim = {
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": "shop", "name": "data"},
            "spec": {"accessModes": modes},
        }
        volumes = [{"persistentVolumeClaim": {"claimName": "data"}}]
        assert self.of({"containers": [], "volumes": volumes}, claim) == obstacle

    def test_a_claim_that_is_not_there(self) -> None:
        volumes = [{"persistentVolumeClaim": {"claimName": "data"}}]
        assert self.of({"volumes": volumes}) == "its volume claim data cannot be read"

    @pytest.mark.parametrize(("replicas", "places"), [(3, "3"), (2, None)])
    def test_pods_that_stay_apart(self, replicas: int, places: str | None) -> None:
        nodes = [
            {"kind": "Node", "metadata": {"name": f"n{i}", "labels": {"kubernetes.io/hostname": f"n{i}"}}, "spec": {}}
            for i in range(5)
        ]
        nodes[0]["spec"] = {"unschedulable": True}
        nodes[1]["spec"] = {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}
        term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
        affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        obstacle = self.of({"affinity": affinity}, *nodes, replicas=replicas)
        assert (obstacle is None) == (places is None)
        if obstacle is not None:
            assert obstacle.endswith(f"there are only {places} places for them")
