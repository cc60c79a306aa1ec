# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B37 to B39: would the drain come to its end."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import DECLARE, PODS, WEB, asked, budget, examine, pod, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_workloads import CHECKS

MEMBERS = (pod("db-0", owner=("StatefulSet", "db")), pod("db-1", "192.168.1.7", owner=("StatefulSet", "db")))
SET = (workload("StatefulSet", "db", replicas=2),)


def found(identifier: str, **changes: t.Any) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.severity, each.objects) for each in examine(CHECKS, identifier, view(**changes))]


WEB_BUDGET = "PodDisruptionBudget shop/web"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"budgets": (budget(1),)}, []),
        # No pod can go, but a rollout adds one first.
        (
            {"budgets": (budget(0, minAvailable=2),), "workloads": (workload("Deployment", "web", replicas=2), WEB[1])},
            [],
        ),
        # Never, by its own rule.
        (
            {"pods": MEMBERS, "workloads": SET, "budgets": (budget(0, maxUnavailable=0),)},
            [("blocker", (WEB_BUDGET, "StatefulSet shop/db"))],
        ),
        (
            {"pods": MEMBERS, "workloads": SET, "budgets": (budget(0, minAvailable="100%"),)},
            [("blocker", (WEB_BUDGET, "StatefulSet shop/db"))],
        ),
        # Not just now: one of them is broken.
        (
            {"pods": MEMBERS, "workloads": SET, "budgets": (budget(0, healthy=1),)},
            [("warning", (WEB_BUDGET, "StatefulSet shop/db"))],
        ),
        # Somebody else's budget.
        ({"pods": MEMBERS, "workloads": SET, "budgets": (budget(0, selector={"matchLabels": {"app": "x"}}),)}, []),
    ],
)
def test_budgets(changes: t.Any, expected: t.Any) -> None:
    assert found("budgets-allow", **changes) == expected


def test_broken_pods_are_named_unless_the_budget_lets_them_go() -> None:
    for policy, said in (("IfHealthyBudget", True), ("AlwaysAllow", False)):
        spoiled = budget(0, healthy=1, minAvailable=1, unhealthyPodEvictionPolicy=policy)
        cluster = view(pods=MEMBERS, workloads=SET, budgets=(spoiled,))
        (problem,) = examine(CHECKS, "budgets-allow", cluster)
        assert ("1 of its 2 pods are not healthy" in problem.message) is said


def test_several_budgets_on_one_pod() -> None:
    budgets = (budget(1), budget(1, name="second", minAvailable=1))
    assert found("budgets-allow", budgets=budgets) == [("warning", ("shop/web-1-a", "shop/web-1-b"))]
    # Where an eviction is the only way, that is the end of it.
    severities = [severity for severity, _objects in found("budgets-allow", pods=MEMBERS, budgets=budgets)]
    assert severities == ["blocker", "warning"]


def test_those_who_ask_for_the_pool_are_said_by_other_checks() -> None:
    tied = {"metadata": {"name": "shop", "annotations": {"cni.projectcalico.org/ipv4pools": '["old"]'}}}
    assert found("budgets-allow", namespaces=(tied,)) == []
    assert found("drain-can-finish", namespaces=(tied,)) == []
    fixed = pod("db-0", owner=("StatefulSet", "db"), annotations={"cni.projectcalico.org/ipAddrs": '["192.168.1.5"]'})
    assert found("drain-can-finish", pods=(fixed,)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"pods": (pod("bare", owner=None),), "workloads": ()}, [("blocker", ("shop/bare",))]),
        ({"pods": (pod("static", owner=("Node", "node-1")),)}, [("blocker", ("shop/static",))]),
        (
            {"pods": (pod("static", owner=None, annotations={"kubernetes.io/config.mirror": "x"}),)},
            [("blocker", ("shop/static",))],
        ),
        # Not on the pod network, finished, or elsewhere: none of our business.
        ({"pods": (pod("static", owner=("Node", "node-1"), spec={"hostNetwork": True}),)}, []),
        ({"pods": ({**pod("done", owner=None), "status": {"phase": "Succeeded", "podIP": "192.168.1.5"}},)}, []),
        ({"pods": (pod("bare", "10.77.0.5", owner=None),)}, []),
        ({"pods": PODS, "workloads": ()}, [("warning", ("shop/web-1-a", "shop/web-1-b"))]),
        ({"pods": PODS, "workloads": (), "unreadable": ("replicasets",)}, []),
        ({"pods": (pod("x", owner=("Database", "orders")),), "workloads": ()}, []),
        (
            {"workloads": (workload("Deployment", "web", paused=True), WEB[1])},
            [("warning", ("Deployment shop/web",))],
        ),
        (
            {
                "pods": MEMBERS,
                "workloads": (workload("StatefulSet", "db", replicas=2, updateStrategy={"type": "OnDelete"}),),
            },
            [("warning", ("StatefulSet shop/db",))],
        ),
        (
            {
                "pods": MEMBERS,
                "workloads": (
                    workload("StatefulSet", "db", replicas=2, updateStrategy={"rollingUpdate": {"partition": 1}}),
                ),
            },
            [("warning", ("StatefulSet shop/db",))],
        ),
    ],
)
def test_pods_that_cannot_be_moved(changes: t.Any, expected: t.Any) -> None:
    assert found("unmovable-pods", **changes) == expected


MEMBER_DATA = {
    "volumes": [{"name": "v", "emptyDir": {}}],
    "containers": [{"name": "c", "volumeMounts": [{"name": "v"}]}],
}


def test_what_the_drain_may_do_is_not_in_the_way() -> None:
    data = workload(
        "StatefulSet", "db", replicas=2, template={"metadata": {"labels": {"app": "web"}}, "spec": MEMBER_DATA}
    )
    bare = view(pods=(pod("bare", owner=None),), workloads=())
    local = view(pods=MEMBERS, workloads=(data,))
    for identifier, cluster, consent in (
        ("unmovable-pods", bare, "bare_pods"),
        ("drain-can-finish", local, "local_data"),
    ):
        assert [each.severity for each in examine(CHECKS, identifier, cluster)] == ["blocker"]
        for given in (consent, f"{consent}/shop"):
            agreed = examine(CHECKS, identifier, cluster, asked(consent=(given,)))
            assert [each.severity for each in agreed] in ([], ["warning"])
        elsewhere = examine(CHECKS, identifier, cluster, asked(consent=(f"{consent}/other",)))
        assert [each.severity for each in elsewhere] == ["blocker"]


@pytest.mark.parametrize("identifier", [check.id for check in CHECKS])
def test_nothing_moves_when_pools_are_declared(identifier: str) -> None:
    cluster = view(pods=(pod("bare", owner=None),), budgets=(budget(0),))
    assert examine(CHECKS, identifier, cluster, DECLARE) == []
