# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drain against the twin over HTTPS: every way, every obstacle, and being killed."""

from __future__ import annotations

import typing as t

import pytest
from drain_lab import OLD, Lab, bare_pod, budget, rolling, template, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    IP_POOLS,
    JOBS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import ORIGINAL_STRATEGY
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain, drain_pool, plan_drain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    DrainOptions,
    DrainResult,
    DrainStopped,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    made.close()


class Killed(BaseException):
    """Like SIGKILL: nothing in the drain catches it."""


class KilledAfter:
    """An API that ends its caller right after a write of its own choosing."""

    WRITES = ("patch", "evict", "create", "replace", "delete")

    def __init__(self, api: t.Any, writes: int) -> None:
        self._api = api
        self._left = writes

    def __getattr__(self, name: str) -> t.Any:
        method = getattr(self._api, name)
        if name not in self.WRITES:
            return method

        def write(*args: t.Any, **kwargs: t.Any) -> t.Any:
            answer = method(*args, **kwargs)
            self._left -= 1
            if self._left == 0:
                raise Killed
            return answer

        return write


def ways(result: DrainResult) -> list[tuple[str, str, int]]:
    return [(entry.owner, entry.way, entry.pods) for entry in result.workloads]


class TestWays:
    def test_restart_then_nothing_left_to_do(self, lab: Lab) -> None:
        lab.begin("restart", (DEPLOYMENTS, workload("web", 4)), (STATEFUL_SETS, workload("db", 2, serviceName="db")))
        lines: list[str] = []
        result = lab.drain("restart", report=lambda event: lines.append(str(event)))
        assert (result.changed, result.moved, result.total, result.left) == (True, 6, 6, ())
        assert sorted(ways(result)) == [
            ("Deployment restart/web", "restart", 4),
            ("StatefulSet restart/db", "restart", 2),
        ]
        assert lab.networks("restart") == {"new"}
        # In columns: the other workload has a longer name.
        assert any(line.startswith("moved 0/6 · restart/db 0/2  · restarting: its rollout takes 1") for line in lines)
        assert lines[-1] == result.summary()
        assert any("restart/web 4/4 · done" in line for line in lines)
        lab.unharmed()
        again = lab.drain("restart")
        assert (again.changed, again.total, again.steps) == (False, 0, ())

    def test_surge_keeps_to_a_stricter_budget_and_puts_the_strategy_back(self, lab: Lab) -> None:
        strategy = rolling(0, 3)
        lab.begin(
            "surge",
            (DEPLOYMENTS, workload("web", 6, strategy=strategy)),
            (POD_DISRUPTION_BUDGETS, budget("web", maxUnavailable=1)),
            (DEPLOYMENTS, workload("pay", 3, strategy=rolling(1, 1))),
            (POD_DISRUPTION_BUDGETS, budget("pay", minAvailable=3)),
        )
        result = lab.drain("surge")
        assert sorted(ways(result)) == [("Deployment surge/pay", "surge", 3), ("Deployment surge/web", "surge", 6)]
        assert result.left == ()
        lab.unharmed()
        after = lab.api.get(DEPLOYMENTS, "web", "surge")
        assert after["spec"]["strategy"] == strategy
        assert ORIGINAL_STRATEGY not in after["metadata"]["annotations"]
        assert lab.revision("surge", "web") == "2"

    def test_evict_what_has_no_rollout_of_its_own(self, lab: Lab) -> None:
        lab.begin(
            "evict",
            (DEPLOYMENTS, workload("still", 3)),
            (POD_DISRUPTION_BUDGETS, budget("still", maxUnavailable=1)),
            (STATEFUL_SETS, workload("db", 3, serviceName="db", updateStrategy={"type": "OnDelete"})),
            (POD_DISRUPTION_BUDGETS, budget("db", minAvailable=2)),
            (DAEMON_SETS, workload("agent", updateStrategy=_daemon_strategy("100%"))),
            (REPLICA_SETS, workload("lone", 2)),
            (DEPLOYMENTS, workload("solo", 2, strategy={"type": "Recreate"})),
        )
        lab.api.patch(DEPLOYMENTS, "still", {"spec": {"paused": True}}, "evict")
        result = lab.drain("evict", max_parallel=20)
        assert {way for _owner, way, _pods in ways(result)} == {"evict"}
        assert (result.moved, result.left) == (13, ())
        assert lab.networks("evict") == {"new"}
        lab.unharmed()

    def test_the_plan_touches_nothing_and_says_it_all(self, lab: Lab) -> None:
        lab.begin(
            "plan",
            (DEPLOYMENTS, workload("web", 3)),
            (STATEFUL_SETS, workload("db", 1, serviceName="db", updateStrategy={"type": "OnDelete"})),
            (POD_DISRUPTION_BUDGETS, budget("db", minAvailable=1)),
            (PODS, bare_pod("debug")),
        )
        before = {pod["metadata"]["uid"] for pod in lab.pods("plan")}
        result = plan_drain(lab.api, OLD, DrainOptions("old", namespaces=("plan",)), SystemClock())
        assert {pod["metadata"]["uid"] for pod in lab.pods("plan")} == before
        assert (result.changed, result.moved, result.total) == (True, 3, 5)
        assert [(entry.pod, entry.owner) for entry in result.left] == [("db-0", "StatefulSet plan/db"), ("debug", "")]
        assert result.steps == (
            "restart Deployment plan/web (3 pods): its rollout adds 1 at once",
            "leave StatefulSet plan/db (1 pod): budget plan/db (minAvailable 1) never spares a pod of "
            "StatefulSet plan/db: relax it, or add replicas",
            "leave 1 pod without a controller: nobody would re-create it",
        )


def _daemon_strategy(unavailable: t.Any) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable}}


class TestObstacles:
    def test_what_nobody_can_move_is_left_at_once(self, lab: Lab) -> None:
        lab.begin(
            "blocked",
            (PODS, bare_pod("debug")),
            (STATEFUL_SETS, workload("db", 1, serviceName="db", updateStrategy={"type": "OnDelete"})),
            (POD_DISRUPTION_BUDGETS, budget("db", maxUnavailable=0)),
            (DEPLOYMENTS, workload("web", 1)),
        )
        result = lab.drain("blocked", timeout=300)
        assert result.seconds < 60
        assert result.moved == 1
        reasons = {entry.pod: entry.reason for entry in result.left}
        assert reasons["debug"].startswith("it has no controller, so nobody would re-create it: delete it")
        assert reasons["db-0"] == (
            "budget blocked/db (maxUnavailable 0) never spares a pod of StatefulSet blocked/db: "
            "relax it, or add replicas"
        )
        with pytest.raises(
            Refused, match=r"IPPool 'old' is not drained after \d+ s, 1 of 3 pods moved: blocked/db-0: "
        ):
            result.require_complete(DrainOptions("old"))

    def test_a_job_is_left_to_finish(self, lab: Lab) -> None:
        job = {"metadata": {"name": "report"}, "spec": {"template": template("report", {"restartPolicy": "Never"})}}
        job["spec"]["template"]["metadata"]["annotations"] = {"twin.calico-ops.io/run-seconds": "100000"}
        lab.begin("jobs", (JOBS, job), (DEPLOYMENTS, workload("web", 1)))
        result = lab.drain("jobs", timeout=3)
        assert result.moved == 1
        assert [(entry.owner, entry.reason) for entry in result.left] == [("Job jobs/report", "left to finish")]

    def test_nothing_is_begun_while_no_pool_gives_addresses(self, lab: Lab) -> None:
        lab.begin("stuck", (DEPLOYMENTS, workload("aaa", 1)), (DEPLOYMENTS, workload("web", 1)))
        for pool in ("old", "new"):
            lab.api.patch(IP_POOLS, pool, {"spec": {"disabled": True}})
        result = lab.drain("stuck", timeout=2, max_parallel=1)
        assert (result.moved, ways(result)) == (0, [])
        assert {entry.reason for entry in result.left} == {
            "not started, since 2 pods still want an address, and no enabled pool gives any"
        }
        assert [lab.revision("stuck", name) for name in ("aaa", "web")] == ["1", "1"]
        lab.unharmed()
        lab.allow("new")
        assert lab.drain("stuck").left == ()
        assert lab.revision("stuck", "aaa") == "2"

    def test_refused_evictions_are_tried_again(self, lab: Lab) -> None:
        lab.begin("refused", (REPLICA_SETS, workload("web", 2)))
        lab.twin.inject(
            {"verb": "create", "resource": "pods", "subresource": "eviction", "code": 429, "count": 2},
            {"verb": "create", "resource": "pods", "subresource": "eviction", "code": 500, "count": 1},
        )
        result = lab.drain("refused")
        assert (result.moved, result.left) == (2, ())
        lab.unharmed()

    def test_a_budget_that_is_short_is_waited_for(self, lab: Lab) -> None:
        lab.begin(
            "short",
            (REPLICA_SETS, workload("web", 3)),
            (POD_DISRUPTION_BUDGETS, budget("web", minAvailable=3)),
        )
        lines: list[str] = []

        def relax(event: object) -> None:
            lines.append(str(event))

        first = lab.drain("short", report=relax, timeout=5)
        assert [entry.reason for entry in first.left] == [
            "budget short/web (minAvailable 3) never spares a pod of ReplicaSet short/web: relax it, or add replicas"
        ] * 3
        lab.api.patch(POD_DISRUPTION_BUDGETS, "web", {"spec": {"minAvailable": 2}}, "short")
        assert lab.drain("short").left == ()
        lab.unharmed()

    def test_a_new_pod_in_the_pool_stops_everything(self, lab: Lab) -> None:
        lab.begin("again", (DEPLOYMENTS, workload("aaa", 3)), (DEPLOYMENTS, workload("zzz", 3)))

        def enable(_event: object) -> None:
            lab.allow("old")

        with pytest.raises(DrainStopped) as caught:
            lab.drain("again", report=enable, max_parallel=1)
        assert caught.value.message.startswith("The drain stopped because ")
        assert "has been enabled again" in caught.value.message
        # Whichever went first, as the quickest, the other was not begun.
        assert sorted(lab.revision("again", name) for name in ("aaa", "zzz")) == ["1", "2"]
        lab.allow("new")
        assert lab.drain("again").left == ()

    def test_a_workload_tied_to_the_pool_is_left_alone(self, lab: Lab) -> None:
        tied = workload("tied", 2)
        tied["spec"]["template"]["metadata"]["annotations"] = {"cni.projectcalico.org/ipv4pools": '["old"]'}
        lab.begin("ties", (DEPLOYMENTS, tied), (DEPLOYMENTS, workload("web", 1)))
        result = lab.drain("ties")
        assert result.moved == 1
        assert {entry.owner for entry in result.left} == {"Deployment ties/tied"}
        assert lab.revision("ties", "tied") == "1"
        lab.unharmed()

    def test_other_namespaces_are_let_alone(self, lab: Lab) -> None:
        lab.begin("mine", (DEPLOYMENTS, workload("web", 1)))
        lab.begin("theirs", (DEPLOYMENTS, workload("web", 1)), keep="mine")
        lab.drain("mine")
        assert lab.networks("theirs") == {"old"}
        lab.drain("theirs")


class TestPool:
    def test_an_enabled_pool_is_refused(self, lab: Lab) -> None:
        lab.allow("old")
        with pytest.raises(Refused, match=r"IPPool 'old' is enabled.*disable it first"):
            drain_pool(lab.api, DrainOptions("old"), SystemClock(), print, print, check_mode=False)
        plan = drain_pool(lab.api, DrainOptions("old"), SystemClock(), print, print, check_mode=True)
        assert plan.seconds < 30
        lab.allow("new")

    def test_a_pool_that_is_gone_has_no_pods(self, lab: Lab) -> None:
        warnings: list[str] = []
        result = drain_pool(lab.api, DrainOptions("gone"), SystemClock(), print, warnings.append, check_mode=False)
        assert not result.changed
        assert warnings == ["There is no IPPool 'gone', so there is nothing to drain."]

    def test_mistakes(self, lab: Lab) -> None:
        def run(**options: t.Any) -> None:
            drain_pool(lab.api, DrainOptions("old", **options), SystemClock(), print, print, check_mode=True)

        with pytest.raises(InvalidInput, match=r"^max_parallel is 0, it must be at least 1\.$"):
            run(max_parallel=0)
        with pytest.raises(InvalidInput, match=r"^namespaces: there is no namespace 'moon'\.$"):
            run(namespaces=("moon",))


class TestAccidents:
    def test_lost_answers_and_broken_watches(self, lab: Lab) -> None:
        lab.begin(
            "faulty",
            (DEPLOYMENTS, workload("web", 4, strategy=rolling(0, 4))),
            (POD_DISRUPTION_BUDGETS, budget("web", maxUnavailable=1)),
            (REPLICA_SETS, workload("lone", 2)),
        )
        lab.twin.inject(
            {"verb": "patch", "resource": "deployments", "drop": "after", "count": 1},
            {"verb": "create", "resource": "pods", "subresource": "eviction", "drop": "after", "count": 1},
            {"verb": "watch", "resource": "pods", "code": 503, "count": 2},
            {"verb": "watch", "resource": "deployments", "expire": True, "count": 1},
            {"verb": "get", "resource": "deployments", "code": 500, "count": 1},
        )
        result = lab.drain("faulty")
        assert result.left == ()
        assert lab.revision("faulty", "web") == "2"
        assert lab.api.get(DEPLOYMENTS, "web", "faulty")["spec"]["strategy"] == rolling(0, 4)
        lab.unharmed()

    def test_killed_after_every_write_it_goes_on_where_it_was(self, lab: Lab) -> None:
        things: list[tuple[Resource, Object]] = [
            (DEPLOYMENTS, workload("web", 4, strategy=rolling(0, 4))),
            (POD_DISRUPTION_BUDGETS, budget("web", maxUnavailable=1)),
            (DEPLOYMENTS, workload("easy", 2)),
            (STATEFUL_SETS, workload("db", 2, serviceName="db")),
            (REPLICA_SETS, workload("lone", 2)),
        ]
        lab.begin("killed", *things)
        kills = 0
        while True:
            try:
                result = drain(
                    t.cast("t.Any", KilledAfter(lab.api, 1)),
                    OLD,
                    DrainOptions("old", namespaces=("killed",), timeout=30),
                    SystemClock(),
                    print,
                )
            except Killed:
                kills += 1
            else:
                break
        # Two restarts, a surge with its end, and two evictions.
        assert kills == 6
        assert (result.changed, result.left) == (False, ())
        assert lab.networks("killed") == {"new"}
        assert [lab.revision("killed", name) for name in ("web", "easy")] == ["2", "2"]
        after = lab.api.get(DEPLOYMENTS, "web", "killed")
        assert after["spec"]["strategy"] == rolling(0, 4)
        assert ORIGINAL_STRATEGY not in after["metadata"]["annotations"]
        lab.unharmed()
