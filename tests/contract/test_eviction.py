# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 11: eviction and disruption budgets."""

from __future__ import annotations

import typing as t

import pytest
from wire import Cluster, Object, is_ready, pod, unique

SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
REFUSAL = "Cannot evict pod as it would violate the pod's disruption budget."


def _eviction(name: str, namespace: str, **more: t.Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, **more}


class Group:
    """Bare pods with one label, and budgets for them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace, self.label = cluster, namespace, unique("g")
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self.budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        self.names: list[str] = []

    def start(self, count: int, **spec: t.Any) -> None:
        for _turn in range(count):
            name = unique(self.label)
            self.names.append(name)
            self.cluster.post(self.pods, pod(name, {"app": self.label}, **spec)).made()
        if not spec:
            for name in self.names:
                self.cluster.wait(f"{self.pods}/{name}", is_ready)

    def budget(self, healthy: int | None = None, **spec: t.Any) -> str:
        """A budget that the controller has looked at; with ``healthy`` pods counted when given."""
        name = unique("budget")
        body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": self.label}}, **spec}}
        self.cluster.post(self.budgets, body).made()

        def seen(found: Object | None) -> bool:
            status = (found or {}).get("status") or {}
            counted = healthy is None or status.get("currentHealthy") == healthy
            return status.get("observedGeneration") == 1 and counted

        self.cluster.wait(f"{self.budgets}/{name}", seen)
        return name

    def evict(self, index: int = 0, **query: t.Any) -> t.Any:
        name = self.names[index]
        return self.cluster.post(f"{self.pods}/{name}/eviction", _eviction(name, self.namespace), **query)

    def clear(self) -> None:
        chosen = {"labelSelector": f"app={self.label}"}
        for budget in self.cluster.get(self.budgets).made()["items"]:
            if budget["spec"]["selector"].get("matchLabels") == {"app": self.label}:
                self.cluster.delete(f"{self.budgets}/{budget['metadata']['name']}")
        self.cluster.delete(self.pods, gracePeriodSeconds=0, **chosen)


@pytest.fixture
def group(cluster: Cluster, namespace: str) -> t.Iterator[Group]:
    made = Group(cluster, namespace)
    yield made
    made.clear()


def test_without_a_budget(group: Group) -> None:
    group.start(1)
    answer = group.evict()
    assert (answer.status, answer.json) == (201, SUCCESS)
    assert "deletionTimestamp" in group.cluster.get(f"{group.pods}/{group.names[0]}").made()["metadata"]
    assert group.evict().status == 201


def test_a_budget_that_is_used_up(group: Group) -> None:
    group.start(2)
    budget = group.budget(healthy=2, minAvailable=2)
    answer = group.evict()
    status = answer.refused(429, "TooManyRequests")
    assert status["message"] == REFUSAL
    text = f"The disruption budget {budget} needs 2 healthy pods and has 2 currently"
    assert status["details"] == {"causes": [{"reason": "DisruptionBudget", "message": text}]}
    assert "Retry-After" not in answer.headers


def test_an_accepted_eviction_is_charged_at_once(group: Group) -> None:
    group.start(2)
    budget = f"{group.budgets}/{group.budget(healthy=2, minAvailable=1)}"
    assert group.cluster.get(budget).json["status"]["disruptionsAllowed"] == 1
    assert group.evict(0).status == 201
    assert group.evict(1).status == 429
    assert group.cluster.get(budget).json["status"]["disruptionsAllowed"] == 0


def test_a_dry_run_changes_nothing(group: Group) -> None:
    group.start(1)
    budget = f"{group.budgets}/{group.budget(healthy=1, minAvailable=0)}"
    before = group.cluster.get(budget).json
    name = group.names[0]
    options = _eviction(name, group.namespace, deleteOptions={"dryRun": ["All"]})
    assert group.cluster.post(f"{group.pods}/{name}/eviction", options).status == 201
    assert group.evict(dryRun="All").status == 201
    assert "deletionTimestamp" not in group.cluster.get(f"{group.pods}/{name}").json["metadata"]
    assert group.cluster.get(budget).json == before


def test_two_budgets(group: Group) -> None:
    group.start(1)
    group.budget(healthy=1, minAvailable=0)
    group.budget(healthy=1, minAvailable=0)
    status = group.evict().refused(500)
    assert status["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


def test_pending_pods_are_not_protected(group: Group) -> None:
    group.start(1, nodeSelector={"contract.example.com/nowhere": "yes"})
    group.budget(minAvailable=1)
    assert group.evict().status == 201


def test_max_unavailable_over_bare_pods_refuses_for_ever(group: Group) -> None:
    group.start(1)
    budget = group.budget(maxUnavailable=1)
    status = group.cluster.get(f"{group.budgets}/{budget}").json["status"]
    assert (status.get("expectedPods", 0), status["disruptionsAllowed"]) == (0, 0)
    assert group.evict().status == 429


def test_a_missing_pod(cluster: Cluster, namespace: str, pods: str) -> None:
    status = cluster.post(f"{pods}/none/eviction", _eviction("none", namespace)).refused(404, "NotFound")
    assert status["message"] == 'pods "none" not found'


def test_names_and_uids_must_fit(group: Group) -> None:
    group.start(1)
    path, name = f"{group.pods}/{group.names[0]}/eviction", group.names[0]
    group.cluster.post(path, _eviction("other", group.namespace)).refused(400, "BadRequest")
    wrong = _eviction(name, group.namespace, deleteOptions={"preconditions": {"uid": "another"}})
    group.cluster.post(path, wrong).refused(409, "Conflict")
    group.cluster.get(path).refused(405, "MethodNotAllowed")
    old = {**_eviction(name, group.namespace), "apiVersion": "policy/v1beta1"}
    assert group.cluster.post(path, old).status == 201


def test_a_budget_with_both_limits(cluster: Cluster, namespace: str) -> None:
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    body = {"metadata": {"name": unique("both")}, "spec": {"minAvailable": 1, "maxUnavailable": 1, "selector": {}}}
    status = cluster.post(path, body).refused(422, "Invalid")
    assert "minAvailable and maxUnavailable cannot be both set" in status["message"]
