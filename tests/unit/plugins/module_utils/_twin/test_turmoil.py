# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random lives of a cluster: whatever happened, in the end all is as the objects ask, and no address is lost.

Each seed disturbs a small cluster some dozens of times (evictions, deletions, rollouts, scaling, cordons,
an allocator that refuses, processes that stop and go on) and then leaves it alone.
"""

from __future__ import annotations

import random

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import TooManyRequests
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    condition_is,
    is_active,
    is_finished,
    is_ready,
    is_terminating,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.rollout import bounds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import ENDPOINT_SLICES

NAMESPACE = "shop"
DAEMON_STRATEGIES = (
    {"maxUnavailable": 1},
    {"maxUnavailable": "50%"},
    {"maxSurge": 1, "maxUnavailable": 0},
    {"maxSurge": "50%", "maxUnavailable": 0},
)


def furnish(cluster, chance):
    rolling = {
        "maxSurge": chance.choice([1, 2, "25%", "50%", "100%"]),
        "maxUnavailable": chance.choice([0, 1, 2, "25%", "50%"]),
    }
    cluster.deployment(
        replicas=chance.randint(1, 12),
        strategy={"type": "RollingUpdate", "rollingUpdate": rolling},
        minReadySeconds=chance.choice([0, 0, 3]),
    )
    policy = chance.choice(["OrderedReady", "Parallel"])
    cluster.workload(STATEFUL_SETS, "db", chance.randint(1, 4), podManagementPolicy=policy)
    strategy = {"type": "RollingUpdate", "rollingUpdate": chance.choice(DAEMON_STRATEGIES)}
    cluster.workload(DAEMON_SETS, "agent", updateStrategy=strategy)
    cluster.service()
    cluster.job(run_seconds=chance.randint(1, 20), parallelism=2, completions=3)
    cluster.budget("db", maxUnavailable=1)
    cluster.until(cluster.rolled_out)


def disturb(cluster, chance):
    name = chance.choice(cluster.pods())["metadata"]["name"]
    grace = chance.choice([None, None, 0, 2])
    cordon = chance.choice([True, None])

    def evict():
        try:
            cluster.api.evict(name, NAMESPACE)
        except TooManyRequests:
            return

    def refuse():
        cluster.cni.refusing = chance.choice([None, "no"])

    weighted = (
        (30, evict),
        (20, lambda: cluster.api.delete(PODS, name, NAMESPACE, grace_seconds=grace)),
        (10, lambda: cluster.scale(DEPLOYMENTS, "web", chance.randint(0, 15))),
        (10, lambda: cluster.scale(STATEFUL_SETS, "db", chance.randint(0, 5))),
        (8, lambda: cluster.restart(DEPLOYMENTS, "web")),
        (6, lambda: cluster.restart(STATEFUL_SETS, "db")),
        (6, lambda: cluster.restart(DAEMON_SETS, "agent")),
        (5, lambda: cluster.api.patch(NODES, "node-1", {"spec": {"unschedulable": cordon}})),
        (5, refuse),
    )
    chance.choices([action for _weight, action in weighted], [weight for weight, _action in weighted])[0]()
    cluster.clock.advance(chance.choice([0, 0.05, 0.3, 1, 5, 20]))


def at_rest(cluster):
    database, agents = cluster.get(STATEFUL_SETS, "db"), cluster.status(DAEMON_SETS, "agent")
    status, wanted = database["status"], database["spec"]["replicas"]
    return (
        cluster.rolled_out()
        and status.get("readyReplicas", 0) == wanted == status.get("updatedReplicas", 0) == status["replicas"]
        and agents.get("updatedNumberScheduled", 0) == agents["desiredNumberScheduled"]
        and agents.get("numberAvailable", 0) == agents["desiredNumberScheduled"]
        and condition_is(cluster.get(JOBS, "work"), "Complete")
    )


@pytest.mark.parametrize("seed", range(1, 9))
def test_all_ends_well(new_cluster, tmp_path, seed):
    chance = random.Random(seed)
    path = str(tmp_path / "objects.sqlite")
    cluster = new_cluster(path=path, seed=seed, nodes=chance.randint(2, 5))
    furnish(cluster, chance)
    for _life in range(3):
        for _disturbance in range(15):
            disturb(cluster, chance)
        cluster.behaviour.stop()
        cluster.objects.close()
        former, cluster = cluster, new_cluster(path=path, seed=seed, start=cluster.clock.now())
        cluster.cni.held, cluster.cni._next = former.cni.held, former.cni._next
    cluster.api.patch(NODES, "node-1", {"spec": {"unschedulable": None}})
    cluster.until(lambda: at_rest(cluster), limit=3000)
    cluster.clock.advance(40)

    living = {pod["metadata"]["uid"] for pod in cluster.pods() if not is_finished(pod)}
    # A process that was stopped between a forced deletion and the CNI's DEL leaks that one address, as a
    # node that crashes does.
    assert living <= set(cluster.cni.held)
    assert len(cluster.cni.held) - len(living) <= 3
    endpoints = {
        endpoint["addresses"][0]
        for each in cluster.objects.list(ENDPOINT_SLICES, NAMESPACE)
        for endpoint in each.get("endpoints") or ()
    }
    assert endpoints == {pod["status"]["podIP"] for pod in cluster.ready("web")}
    revision = cluster.objects.revision
    cluster.clock.advance(150)
    assert cluster.objects.revision - revision <= 2 * cluster.objects.count(NODES)


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_rollout_started_twice_keeps_its_bounds(new_cluster, seed):
    chance = random.Random(seed)
    cluster = new_cluster(seed=seed)
    furnish(cluster, chance)
    spec = cluster.get(DEPLOYMENTS, "web")["spec"]
    wanted = spec["replicas"]
    surge, unavailable = bounds(spec)
    active, ready = [], []

    def look(_event):
        pods = cluster.pods("web")
        active.append(sum(map(is_active, pods)))
        ready.append(sum(1 for pod in pods if is_ready(pod) and not is_terminating(pod)))

    cluster.objects.subscribe(look, PODS)
    cluster.restart(DEPLOYMENTS)
    cluster.clock.advance(1)
    cluster.restart(DEPLOYMENTS)
    cluster.until(lambda: cluster.rolled_out() and len(cluster.pods("web")) == wanted, limit=2000)
    assert max(active) <= wanted + surge
    assert min(ready) >= wanted - unavailable
