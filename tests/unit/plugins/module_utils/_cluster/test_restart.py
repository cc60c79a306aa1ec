# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import (
    ORIGINAL_STRATEGY,
    Bounds,
    daemon_set_bounds,
    deployment_bounds,
    is_rolling,
    original_strategy,
    resolve,
    restart_patch,
    restore_patch,
    stateful_set_bounds,
    surge_patch,
)

NOW = datetime(2026, 8, 20, 11, 30, 5, 999, tzinfo=timezone(timedelta(hours=2)))


def deployment(wanted: int = 6, strategy: dict[str, t.Any] | None = None, **status: t.Any) -> dict[str, t.Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "77", "generation": 3},
        "spec": {"replicas": wanted, "strategy": strategy or {"type": "RollingUpdate"}},
        "status": {"observedGeneration": 3, **status},
    }


def rolling(surge: t.Any, unavailable: t.Any) -> dict[str, t.Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [(3, 10, 3, 3), ("25%", 6, 2, 1), ("25%", 1, 1, 0), ("100%", 7, 7, 7), ("0%", 7, 0, 0), ("33%", 3, 1, 0)],
)
def test_percentages(value: t.Any, total: int, up: int, down: int) -> None:
    assert resolve(value, total, round_up=True) == up
    assert resolve(value, total, round_up=False) == down


@pytest.mark.parametrize(
    ("replicas", "strategy", "bounds"),
    [
        (6, None, Bounds(2, 1)),  # 25 %: surge up, unavailable down
        (1, None, Bounds(1, 0)),
        (2, None, Bounds(1, 0)),
        (4, None, Bounds(1, 1)),
        (6, rolling(0, 3), Bounds(0, 3)),
        (3, rolling(0, 0), Bounds(0, 1)),
        (3, rolling(0, "10%"), Bounds(0, 1)),  # both come to 0
        (3, rolling(1, "100%"), Bounds(1, 3)),
        (4, {"type": "Recreate"}, Bounds(0, 4)),
    ],
)
def test_deployment_bounds(replicas: int, strategy: dict[str, t.Any] | None, bounds: Bounds) -> None:
    assert deployment_bounds(deployment(replicas, strategy)) == bounds


def test_set_bounds() -> None:
    assert stateful_set_bounds({"spec": {"replicas": 5}}) == Bounds(0, 1)
    spec = {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "30%", "maxSurge": 0}}}
    assert daemon_set_bounds({"spec": spec, "status": {"desiredNumberScheduled": 4}}) == Bounds(0, 2)
    assert daemon_set_bounds({"spec": {}, "status": {"desiredNumberScheduled": 4}}) == Bounds(0, 1)


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        (deployment(3, replicas=3, updatedReplicas=3), False),
        (deployment(3, replicas=3, updatedReplicas=3, observedGeneration=2), True),
        (deployment(3, replicas=4, updatedReplicas=3), True),
        (deployment(3, replicas=3, updatedReplicas=2), True),
        (
            {"kind": "StatefulSet", "spec": {"replicas": 3}, "status": {"currentRevision": "a", "updateRevision": "a"}},
            False,
        ),
        (
            {
                "kind": "StatefulSet",
                "spec": {"replicas": 3},
                "status": {"currentRevision": "a", "updateRevision": "b", "updatedReplicas": 1},
            },
            True,
        ),
        ({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 4, "updatedNumberScheduled": 3}}, True),
        ({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 4, "updatedNumberScheduled": 4}}, False),
    ],
)
def test_is_rolling(workload: dict[str, t.Any], expected: bool) -> None:
    assert is_rolling(workload) is expected


class TestPatches:
    def test_restart_is_conditional(self) -> None:
        assert restart_patch(deployment(), NOW) == {
            "metadata": {"resourceVersion": "77"},
            "spec": {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-08-20T09:30:05.000999Z"}}
                }
            },
        }

    @pytest.mark.parametrize("strategy", [rolling(0, 3), rolling("25%", "25%"), {"type": "Recreate"}])
    def test_surge_and_restore_are_a_round_trip(self, strategy: dict[str, t.Any]) -> None:
        before = deployment(6, strategy)
        patch = surge_patch(before, 1, NOW)
        assert patch["spec"]["strategy"] == rolling(1, 0)
        assert "template" in patch["spec"]
        during = deployment(6, patch["spec"]["strategy"])
        during["metadata"]["annotations"] = patch["metadata"]["annotations"]
        assert original_strategy(during) == strategy
        restored = restore_patch(during)
        assert restored["metadata"]["annotations"] == {ORIGINAL_STRATEGY: None}
        after = {name: value for name, value in restored["spec"]["strategy"].items() if value is not None}
        assert after == strategy
        # A merge patch has to take the numbers away with which Recreate would not be valid.
        assert "rollingUpdate" in restored["spec"]["strategy"]

    def test_a_note_that_was_tampered_with_leads_to_the_defaults(self) -> None:
        during = deployment()
        during["metadata"]["annotations"] = {ORIGINAL_STRATEGY: "{"}
        assert restore_patch(during)["spec"]["strategy"] == rolling("25%", "25%")
        during["metadata"]["annotations"] = {ORIGINAL_STRATEGY: json.dumps([1])}
        assert original_strategy(during) == {}

    def test_no_note(self) -> None:
        assert original_strategy(deployment()) is None
