# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random workloads are drained while the cluster lives on; the recorder judges, which knows nothing of drains."""

from __future__ import annotations

import os
import random

import pytest
from drain_lab import budget, rolling, workload
from drain_room import SPACE, Lab
from simulation import SimulatedApi, Write, simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    Conflict,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    NODES,
    POD_DISRUPTION_BUDGETS,
    REPLICA_SETS,
    STATEFUL_SETS,
)

NIGHTLY = os.environ.get("CALICO_OPS_NIGHTLY") == "1"


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def random_deployment(chance: random.Random) -> Object:
    strategy = rolling(chance.choice([0, 1, "25%", "100%"]), chance.choice([0, 1, 2, "25%", "50%"]))
    if chance.random() < 0.15:
        strategy = {"type": "Recreate"}
    elif strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 0}:
        strategy = rolling(1, 0)
    return {"strategy": strategy, "minReadySeconds": chance.choice([0, 0, 2])}


def random_budget(chance: random.Random, replicas: int) -> Object:
    return chance.choice(
        [
            {"maxUnavailable": 1},
            {"maxUnavailable": "30%"},
            {"minAvailable": max(1, replicas - 1)},
            {"minAvailable": "50%"},
            {"minAvailable": "100%"},
            {"maxUnavailable": 0},
        ]
    )


def furnish(lab: Lab, chance: random.Random) -> None:
    for number in range(chance.randint(3, 6)):
        name = f"app-{number}"
        kind = chance.choice([DEPLOYMENTS, DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS])
        replicas = chance.randint(1, 6)
        if kind == DEPLOYMENTS:
            thing = workload(name, replicas, **random_deployment(chance))
        elif kind == STATEFUL_SETS:
            policy = chance.choice(["OrderedReady", "Parallel"])
            update = chance.choice([{"type": "OnDelete"}, {"rollingUpdate": {"partition": 1}}, {}, {}])
            thing = workload(name, replicas, serviceName=name, podManagementPolicy=policy, updateStrategy=update)
        elif kind == DAEMON_SETS:
            update = chance.choice(
                [{"maxUnavailable": 1}, {"maxUnavailable": "100%"}, {"maxSurge": 1, "maxUnavailable": 0}]
            )
            thing = workload(name, updateStrategy={"type": "RollingUpdate", "rollingUpdate": update})
        else:
            thing = workload(name, replicas)
        # Every second one belongs to a tier, which may have a budget over several workloads.
        thing["spec"]["template"]["metadata"]["labels"]["tier"] = chance.choice(["front", "back"])
        lab.create(kind, thing)
        if chance.random() < 0.5:
            lab.create(POD_DISRUPTION_BUDGETS, budget(name, **random_budget(chance, replicas)))
    if chance.random() < 0.5:
        spec = {"selector": {"matchLabels": {"tier": "front"}}, "maxUnavailable": 1}
        lab.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "tier"}, "spec": spec})


@pytest.mark.parametrize("seed", range(1, 25))
def test_no_budget_is_broken_and_nobody_is_without_a_ready_pod(seed: int) -> None:
    chance = random.Random(seed)
    lab = Lab(seed)
    furnish(lab, chance)
    lab.begin()
    result = lab.drain(seed, max_parallel=chance.choice([1, 2, 5, 10]), timeout=240)
    lab.unharmed()
    # Whoever is still there is listed, and nobody else.
    assert {entry.pod for entry in result.left if entry.pod} >= set(lab.left())
    assert result.moved + len(lab.left()) >= result.total


@pytest.mark.parametrize("seed", range(1, 13))
def test_scaling_deletions_and_new_budgets_on_the_way(seed: int) -> None:
    chance = random.Random(1000 + seed)
    lab = Lab(seed)
    furnish(lab, chance)
    lab.begin()
    since = {"next": 1.0}
    clock = lab.twin.clock
    start = clock.monotonic()

    def live() -> None:
        if clock.monotonic() - start < since["next"] or since["next"] > 40:
            return
        since["next"] += chance.choice([0.5, 2.0, 5.0])
        name = f"app-{chance.randint(0, 4)}"
        try:
            kind = chance.choice([DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS])
            if chance.random() < 0.7:
                lab.admin.patch(kind, name, {"spec": {"replicas": chance.randint(2, 8)}}, SPACE)
            else:
                lab.create(POD_DISRUPTION_BUDGETS, budget(f"late-{clock.monotonic():.0f}-{name}", maxUnavailable=1))
        except ApiError:
            return

    lab.admin.ticks.append(live)
    lab.drain(seed, max_parallel=chance.choice([2, 5]), timeout=240)
    assert lab.twin.recorder.record()["outages"] == []


def test_a_replica_set_scaled_on_the_way() -> None:
    """Nobody watches plain ReplicaSets, of which a cluster has thousands."""
    for first, then in ((3, 1), (1, 4), (2, 5)):
        lab = Lab(1)
        lab.create(REPLICA_SETS, workload("plain", first))
        lab.begin()
        scaled = []

        def scale(lab: Lab = lab, then: int = then, scaled: list[int] = scaled) -> None:  # pylint: disable=dangerous-default-value
            evicted = lab.twin.recorder.record()["counts"]["evictionsAccepted"]
            if evicted and not scaled:
                scaled.append(then)
                lab.admin.patch(REPLICA_SETS, "plain", {"spec": {"replicas": then}}, SPACE)

        lab.admin.ticks.append(scale)
        result = lab.drain(1, timeout=300)
        assert scaled
        assert (lab.left(), list(result.left)) == ([], []), (first, then)
        lab.unharmed()


@pytest.mark.parametrize("seed", range(1, 13 if NIGHTLY else 5))
def test_nodes_come_and_go_while_the_server_stumbles(seed: int) -> None:
    """Cordons, a new node, refusals and lost writes at random; nobody is harmed, and nobody is left for it."""
    chance = random.Random(2000 + seed)
    lab = Lab(seed)
    furnish(lab, chance)
    lab.begin()
    clock = lab.twin.clock
    due = {"next": clock.monotonic() + 1.0, "until": clock.monotonic() + 40.0}

    def live() -> None:
        now = clock.monotonic()
        if now < due["next"]:
            return
        due["next"] = now + chance.choice([0.5, 2.0, 5.0])
        if now > due["until"]:
            for number in range(1, 4):
                lab.admin.patch(NODES, f"node-{number}", {"spec": {"unschedulable": None}})
            lab.admin.ticks.clear()
        elif chance.random() < 0.2 and len(lab.admin.list(NODES).items) < 4:
            lab.create(NODES, {"metadata": {"name": "node-9", "labels": {"kubernetes.io/hostname": "node-9"}}}, None)
        else:
            patch = {"spec": {"unschedulable": chance.random() < 0.5}}
            lab.admin.patch(NODES, f"node-{chance.randint(1, 3)}", patch)

    def stumble(write: Write) -> None:
        if chance.random() < 0.1:
            raise chance.choice(
                [
                    TooManyRequests("slow down", 429, "TooManyRequests", {}, retry_after=2.0),
                    ServerError("etcdserver: leader changed", 500, "InternalError", {}),
                    Conflict("the object has been modified", 409, "Conflict", {}),
                    Unreachable("connection reset", maybe_done=False),
                ]
            )

    lab.admin.ticks.append(live)
    api = SimulatedApi(lab.twin, lag=random.Random(seed), before=stumble)
    result = lab.drain(api=api, max_parallel=chance.choice([2, 5, 10]), timeout=600, pause=1.0)
    lab.unharmed()
    assert {entry.pod for entry in result.left if entry.pod} >= set(lab.left())
    hopeless = ("never spares", "at once", "cannot count", "its pods may be started", "several budgets")
    assert all(any(words in entry.reason for words in hopeless) for entry in result.left), result.left
