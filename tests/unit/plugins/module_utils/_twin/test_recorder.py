# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    IP_POOLS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.recorder import Recorder
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, too_many_requests


class World:
    """A Deployment of three with a budget, written by hand into a bare object store."""

    def __init__(self, replicas: int = 3, budget: dict[str, t.Any] | None = None) -> None:
        self.clock = VirtualClock()
        self.objects = ObjectStore()
        self.recorder = Recorder(self.objects, self.clock)
        self.objects.create(IP_POOLS, {"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/16"}})
        self.objects.create(DEPLOYMENTS, self.meta("web", spec={"replicas": replicas}))
        self.objects.create(REPLICA_SETS, self.meta("web-1", owner="Deployment/web", spec={"replicas": replicas}))
        if budget is not None:
            spec = {"selector": {"matchLabels": {"app": "web"}}, **budget}
            self.objects.create(POD_DISRUPTION_BUDGETS, self.meta("web", spec=spec))
        self.recorder.start()
        for number in range(replicas):
            self.pod(f"web-{number}", ready=False)
        for number in range(replicas):
            self.pod(f"web-{number}")

    @staticmethod
    def meta(name: str, owner: str = "", **rest: t.Any) -> dict[str, t.Any]:
        metadata: dict[str, t.Any] = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
        if owner:
            kind, owner_name = owner.split("/")
            metadata["ownerReferences"] = [{"kind": kind, "name": owner_name, "controller": True}]
        return {"metadata": metadata, **rest}

    def pod(self, name: str, ready: bool = True, terminating: bool = False, address: str = "10.0.0.1") -> None:
        pod = self.meta(
            name,
            "ReplicaSet/web-1",
            spec={},
            status={
                "phase": "Running",
                "podIP": address,
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            },
        )
        pod["metadata"]["labels"] = {"app": "web"}
        if terminating:
            pod["metadata"]["deletionTimestamp"] = self.clock.timestamp()
        write = self.objects.create if self.objects.get(PODS, "shop", name) is None else self.objects.update
        write(PODS, pod)

    def gone(self, name: str) -> None:
        self.objects.delete(PODS, "shop", name)

    @property
    def violations(self) -> list[tuple[str, str]]:
        return [(each["type"], each["object"]) for each in self.recorder.record()["violations"]]

    def deployment(self) -> dict[str, t.Any]:
        return next(each for each in self.recorder.record()["workloads"] if each["kind"] == "Deployment")


def test_the_start_of_a_workload_is_no_violation() -> None:
    world = World(budget={"maxUnavailable": 1})
    assert world.violations == []
    assert world.deployment()["minReady"] == 3
    assert [each["kind"] for each in world.recorder.record()["workloads"]] == ["Deployment"]


def test_no_replica_ready_is_recorded_with_its_times() -> None:
    world = World(replicas=2)
    world.pod("web-0", ready=False)
    assert world.violations == []
    world.clock.advance(10)
    world.pod("web-1", terminating=True)
    world.clock.advance(5)
    world.pod("web-0")
    (violation,) = world.recorder.record()["violations"]
    assert violation["type"] == "NoReadyReplica"
    assert violation["object"] == "Deployment shop/web"
    assert (violation["from"], violation["until"]) == ("2026-01-01T00:00:10Z", "2026-01-01T00:00:15Z")
    assert world.deployment()["minReady"] == 0


def test_a_single_replica_may_be_away() -> None:
    world = World(replicas=1)
    world.pod("web-0", terminating=True)
    world.gone("web-0")
    assert world.violations == []
    assert world.deployment()["minReady"] == 0


@pytest.mark.parametrize(
    ("budget", "bearable"),
    [
        ({"minAvailable": 2}, 1),
        ({"minAvailable": 3}, 0),
        ({"minAvailable": "50%"}, 1),
        ({"minAvailable": "100%"}, 0),
        ({"maxUnavailable": 1}, 1),
        ({"maxUnavailable": 0}, 0),
        ({"maxUnavailable": "50%"}, 2),
        ({"maxUnavailable": "10%"}, 1),
    ],
)
def test_budgets_are_judged_by_their_own_figures(budget: dict[str, t.Any], bearable: int) -> None:
    world = World(budget=budget)
    for number in range(bearable):
        world.pod(f"web-{number}", terminating=True)
        assert ("BudgetViolated", "PodDisruptionBudget shop/web") not in world.violations
    world.pod(f"web-{bearable}", terminating=True)
    assert ("BudgetViolated", "PodDisruptionBudget shop/web") in world.violations


def test_a_terminating_pod_does_not_count_even_while_it_is_ready() -> None:
    world = World(budget={"maxUnavailable": 0})
    world.pod("web-2", ready=True, terminating=True)
    assert world.violations == [("BudgetViolated", "PodDisruptionBudget shop/web")]


def test_scaling_up_is_no_violation() -> None:
    world = World(budget={"maxUnavailable": 0})
    deployment = world.objects.get(DEPLOYMENTS, "shop", "web")
    world.objects.update(DEPLOYMENTS, {**deployment, "spec": {"replicas": 5}})
    world.pod("web-3", ready=False)
    assert world.violations == []
    world.pod("web-3")
    world.pod("web-4")
    world.pod("web-0", terminating=True)
    assert world.violations == [("BudgetViolated", "PodDisruptionBudget shop/web")]


def test_evictions_and_other_deletions_are_told_apart() -> None:
    world = World()
    with world.recorder.evicting("uid-web-0"):
        world.pod("web-0", terminating=True)
    world.gone("web-0")
    with pytest.raises(Fault), world.recorder.evicting("uid-web-1"):
        raise too_many_requests("no")
    world.pod("web-1", terminating=True)
    world.gone("web-2")
    counts = world.recorder.record()["counts"]
    assert counts == {"evictionsAccepted": 1, "evictionsRefused": 1, "podsDeletedOtherwise": 2, "podsCreated": 3}


def test_an_address_outside_every_pool_is_recorded_until_it_is_covered_again() -> None:
    world = World(replicas=1)
    assert world.violations == []
    world.objects.delete(IP_POOLS, None, "p")
    assert world.violations == [("AddressOutsidePools", "Pod shop/web-0")]
    world.clock.advance(3)
    world.objects.create(IP_POOLS, {"metadata": {"name": "q"}, "spec": {"cidr": "10.0.0.0/8"}})
    (violation,) = world.recorder.record()["violations"]
    assert violation["until"] == "2026-01-01T00:00:03Z"


def test_a_new_record_starts_clean() -> None:
    world = World(replicas=2)
    world.pod("web-0", ready=False)
    world.pod("web-1", ready=False)
    assert world.violations != []
    world.recorder.restart()
    assert world.violations == []
    assert world.recorder.record()["counts"]["podsCreated"] == 0
