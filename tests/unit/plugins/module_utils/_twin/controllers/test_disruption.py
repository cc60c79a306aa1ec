# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import TooManyRequests
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.disruption import (
    Expectation,
    allowed_disruptions,
    expectation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import condition

NAMESPACE = "shop"


@pytest.mark.parametrize(
    ("spec", "pods", "scale", "expected", "desired"),
    [
        ({"minAvailable": 2}, 5, 0, 5, 2),
        ({"minAvailable": 0}, 5, 0, 5, 0),
        ({"minAvailable": 8}, 5, 0, 5, 8),
        ({"minAvailable": "50%"}, 4, 5, 5, 3),
        ({"minAvailable": "100%"}, 4, 4, 4, 4),
        ({"minAvailable": "0%"}, 4, 4, 4, 0),
        ({"maxUnavailable": 1}, 4, 4, 4, 3),
        ({"maxUnavailable": 0}, 4, 4, 4, 4),
        ({"maxUnavailable": 9}, 4, 4, 4, 0),
        # 30 % of 4 rounds up to two that may be missing.
        ({"maxUnavailable": "30%"}, 4, 4, 4, 2),
        # Pods whose controllers are unknown expect nothing.
        ({"maxUnavailable": 1}, 3, 0, 0, 0),
    ],
)
def test_expectation(spec, pods, scale, expected, desired):
    assert expectation(spec, pods, lambda: scale) == Expectation(expected, desired)


@pytest.mark.parametrize(
    ("healthy", "expected", "desired", "allowed"),
    [(5, 5, 3, 2), (3, 5, 3, 0), (2, 5, 3, 0), (5, 0, 0, 0), (5, 5, 0, 5)],
)
def test_allowed_disruptions(healthy, expected, desired, allowed):
    assert allowed_disruptions(healthy, Expectation(expected, desired)) == allowed


def test_status_follows_pods(cluster):
    cluster.deployment(replicas=4)
    cluster.until(cluster.rolled_out)
    cluster.budget(maxUnavailable=1)
    cluster.clock.advance(0.5)
    status = cluster.status(POD_DISRUPTION_BUDGETS)
    assert {key: status[key] for key in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")} == {
        "expectedPods": 4,
        "desiredHealthy": 3,
        "currentHealthy": 4,
        "disruptionsAllowed": 1,
    }
    assert condition(cluster.get(POD_DISRUPTION_BUDGETS, "web"), "DisruptionAllowed")["reason"] == "SufficientPods"
    cluster.api.delete(PODS, cluster.pods("web")[0]["metadata"]["name"], NAMESPACE)
    cluster.clock.advance(0.2)
    status = cluster.status(POD_DISRUPTION_BUDGETS)
    assert (status["currentHealthy"], status["disruptionsAllowed"]) == (3, 0)
    cluster.until_ready(4, "web")
    cluster.clock.advance(0.5)
    assert cluster.status(POD_DISRUPTION_BUDGETS)["disruptionsAllowed"] == 1


def test_integer_minimum_counts_terminating_pods_too(cluster, make_template):
    slow = make_template("web", annotations={"ipam.calico-ops.io/twin-stop-seconds": "20"})
    cluster.deployment(replicas=2, template=slow)
    cluster.until(cluster.rolled_out)
    cluster.budget(minAvailable=1)
    cluster.api.delete(PODS, cluster.pods("web")[0]["metadata"]["name"], NAMESPACE)
    cluster.clock.advance(10)
    status = cluster.status(POD_DISRUPTION_BUDGETS)
    assert (status["expectedPods"], status["currentHealthy"], status["disruptionsAllowed"]) == (3, 2, 1)


def test_max_unavailable_over_bare_pods_allows_nothing_for_ever(cluster):
    for number in range(2):
        cluster.pod(f"bare-{number}", labels={"app": "bare"})
    cluster.until_ready(2, "bare")
    cluster.budget("bare", maxUnavailable=1)
    cluster.clock.advance(1)
    status = cluster.status(POD_DISRUPTION_BUDGETS, "bare")
    assert (status["expectedPods"], status["disruptionsAllowed"], status["currentHealthy"]) == (0, 0, 2)


def test_max_unavailable_over_a_daemon_set_fails_safe(cluster):
    cluster.workload(DAEMON_SETS, "agent")
    cluster.until_ready(3, "agent")
    cluster.budget("agent", maxUnavailable=1)
    cluster.clock.advance(1)
    budget = cluster.get(POD_DISRUPTION_BUDGETS, "agent")
    assert (budget["status"]["expectedPods"], budget["status"]["disruptionsAllowed"]) == (0, 0)
    found = condition(budget, "DisruptionAllowed")
    assert (found["reason"], found["message"]) == (
        "SyncFailed",
        "daemonsets.apps does not implement the scale subresource",
    )


def test_scale_counts_the_deployment_not_its_replica_sets(cluster):
    cluster.deployment(replicas=4)
    cluster.workload(STATEFUL_SETS, "db", 2)
    cluster.until_ready(6)
    cluster.budget("all", selector={}, maxUnavailable="50%")
    cluster.restart(DEPLOYMENTS)
    cluster.clock.advance(1)
    assert cluster.status(POD_DISRUPTION_BUDGETS, "all")["expectedPods"] == 6


def test_an_empty_selector_matches_all_a_missing_one_none(cluster):
    cluster.deployment(replicas=2)
    cluster.until(cluster.rolled_out)
    cluster.budget("all", selector={}, minAvailable=1)
    cluster.budget("none", selector=None, minAvailable=1)
    cluster.clock.advance(1)
    assert cluster.status(POD_DISRUPTION_BUDGETS, "all")["expectedPods"] == 2
    assert cluster.status(POD_DISRUPTION_BUDGETS, "none")["expectedPods"] == 0


def test_a_disrupted_pod_that_stays_counts_again_after_two_minutes(cluster):
    cluster.deployment(replicas=3)
    cluster.until(cluster.rolled_out)
    budget = cluster.budget(minAvailable=2)
    cluster.clock.advance(1)
    budget = cluster.get(POD_DISRUPTION_BUDGETS, "web")
    name = cluster.pods("web")[0]["metadata"]["name"]
    status = {**budget["status"], "disruptedPods": {name: cluster.clock.timestamp()}, "disruptionsAllowed": 0}
    cluster.api.replace(POD_DISRUPTION_BUDGETS, {**budget, "status": status}, NAMESPACE, subresource="status")
    cluster.clock.advance(60)
    assert cluster.status(POD_DISRUPTION_BUDGETS)["disruptionsAllowed"] == 0
    cluster.clock.advance(62)
    status = cluster.status(POD_DISRUPTION_BUDGETS)
    assert status["disruptionsAllowed"] == 1
    assert not status.get("disruptedPods")


def test_draining_every_pod_respects_the_budget(cluster):
    """The loop of ``kubectl drain``: evict, wait, evict, never below the minimum."""
    cluster.deployment(replicas=5)
    cluster.until(cluster.rolled_out)
    cluster.budget(minAvailable=4)
    cluster.clock.advance(1)
    lowest = []
    cluster.objects.subscribe(lambda _event: lowest.append(len(cluster.ready("web"))), PODS)
    old = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in cluster.pods("web")}
    refusals = 0
    while old:
        for uid, name in list(old.items()):
            try:
                cluster.api.evict(name, NAMESPACE, uid=uid)
                del old[uid]
            except TooManyRequests:
                refusals += 1
        cluster.clock.advance(1)
    cluster.until_ready(5, "web")
    assert min(lowest) == 4
    assert refusals > 4
