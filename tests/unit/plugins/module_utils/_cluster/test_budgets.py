# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import matches_labels, parse_budget


def budget(spec: dict[str, t.Any], **status: t.Any) -> t.Any:
    return parse_budget(
        {
            "metadata": {"namespace": "shop", "name": "web", "generation": 2},
            "spec": spec,
            "status": {"observedGeneration": 2, **status},
        }
    )


@pytest.mark.parametrize(
    ("spec", "pods", "slack"),
    [
        ({"maxUnavailable": 1}, 6, 1),
        ({"maxUnavailable": 0}, 6, 0),
        ({"maxUnavailable": "50%"}, 2, 1),
        ({"maxUnavailable": "50%"}, 3, 2),  # rounds up
        ({"maxUnavailable": "10%"}, 3, 1),
        ({"maxUnavailable": 5}, 3, 3),
        ({"minAvailable": 4}, 6, 2),
        ({"minAvailable": 3}, 3, 0),
        ({"minAvailable": 9}, 3, 0),
        ({"minAvailable": "50%"}, 3, 1),  # 1.5 rounds up to 2 healthy
        ({"minAvailable": "100%"}, 3, 0),
        ({}, 3, 2),  # Kubernetes' default is minAvailable 1
        ({"minAvailable": 0}, 3, 3),
    ],
)
def test_slack(spec: dict[str, t.Any], pods: int, slack: int) -> None:
    assert budget(spec).slack(pods) == slack


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        (None, {"app": "web"}, False),
        ({}, {}, True),
        ({"matchLabels": {"app": "web"}}, {"app": "web", "x": "y"}, True),
        ({"matchLabels": {"app": "web"}}, {"app": "db"}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, {"app": "db"}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, {}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, {"app": "web"}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, {"app": ""}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, {"app": ""}, False),
        (
            {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]},
            {"app": "x"},
            False,
        ),
    ],
)
def test_selectors(selector: dict[str, t.Any] | None, labels: dict[str, str], matches: bool) -> None:
    assert matches_labels(selector, labels) is matches


class TestAdmits:
    def test_a_ready_pod_needs_a_free_disruption(self) -> None:
        assert budget({}, disruptionsAllowed=1).admits(ready=True)
        assert not budget({}, disruptionsAllowed=0).admits(ready=True)

    def test_a_status_behind_its_spec_says_nothing(self) -> None:
        assert not budget({}, observedGeneration=1, disruptionsAllowed=1).admits(ready=True)

    def test_an_unready_pod_may_go_while_the_budget_is_met(self) -> None:
        assert budget({}, currentHealthy=3, desiredHealthy=3, disruptionsAllowed=0).admits(ready=False)
        assert not budget({}, currentHealthy=2, desiredHealthy=3).admits(ready=False)

    def test_always_allow(self) -> None:
        lenient = budget({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, currentHealthy=2, desiredHealthy=3)
        assert lenient.admits(ready=False)
        assert not lenient.admits(ready=True)

    def test_words(self) -> None:
        assert budget({"maxUnavailable": 1}, desiredHealthy=5, currentHealthy=5).numbers == "needs 5 healthy, has 5"
        assert budget({"maxUnavailable": 1}).rule == "maxUnavailable 1"
        assert budget({"minAvailable": "50%"}).rule == "minAvailable 50%"
