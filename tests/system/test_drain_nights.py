# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a production cluster has at two in the morning: each sort of workload that drains trip over, one by one."""

from __future__ import annotations

import typing as t

import pytest
from drain_lab import budget, rolling, template, workload
from drain_room import SPACE, Lab
from simulation import SimulatedApi, Write, simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api_services import API_SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainStopped
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import RESOURCE_QUOTAS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import forbidden

FOREVER = 1_000_000


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@pytest.fixture
def lab() -> Lab:
    return Lab(1)


def timed(thing: Object, **seconds: float) -> Object:
    """With times of its own for its pods: start, ready, stop, run."""
    notes = {f"ipam.calico-ops.io/twin-{name}-seconds": str(value) for name, value in seconds.items()}
    thing["spec"]["template"]["metadata"]["annotations"] = notes
    if "stop" in seconds:
        thing["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = int(seconds["stop"]) + 60
    return thing


def wanting(thing: Object, cpu: str) -> Object:
    thing["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    return thing


def reasons(result: t.Any) -> dict[str, str]:
    return {entry.owner: entry.reason for entry in result.left}


class TestWhoIsLeftAlone:
    def test_a_paused_deployment_moves_and_stays_paused(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, workload("held", 3))
        lab.create(POD_DISRUPTION_BUDGETS, budget("held", maxUnavailable=1))
        assert lab.twin.settle() == []
        lab.admin.patch(DEPLOYMENTS, "held", {"spec": {"paused": True}}, SPACE)
        lab.begin()
        result = lab.drain()
        assert (result.left, result.moved) == ((), 3)
        held = lab.admin.get(DEPLOYMENTS, "held", SPACE)["spec"]
        assert held["paused"] is True
        assert "annotations" not in held["template"]["metadata"]
        lab.unharmed()

    def test_jobs_end_by_themselves_while_the_drain_waits(self, lab: Lab) -> None:
        job = {"backoffLimit": 0, "template": template("report", {"restartPolicy": "Never"})}
        job["template"]["metadata"]["annotations"] = {"ipam.calico-ops.io/twin-run-seconds": "90"}
        lab.create(JOBS, {"metadata": {"name": "report"}, "spec": job})
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": job}}
        lab.create(CRON_JOBS, {"metadata": {"name": "minutely"}, "spec": spec})
        lab.create(DEPLOYMENTS, workload("web", 2))
        for _second in range(70):
            lab.admin.tick(1.0)
        lab.allow("new")
        old = [pod["metadata"]["name"] for pod in lab.admin.list(PODS, SPACE).items]
        assert any(name.startswith("report") for name in old) and any(name.startswith("minutely") for name in old)
        result = lab.drain()
        assert result.left == ()
        assert lab.left() == []
        assert lab.admin.get(JOBS, "report", SPACE)["status"].get("succeeded") == 1
        assert not any("report" in step or "minutely" in step for step in result.steps)
        lab.unharmed()

    def test_a_pod_that_was_never_ready_is_no_failure_of_the_drain(self, lab: Lab) -> None:
        for number in range(4):
            lab.create(DEPLOYMENTS, timed(workload(f"broken-{number}", 1), ready=FOREVER))
        lab.create(STATEFUL_SETS, timed(workload("broken-set", 1, serviceName="set"), ready=FOREVER))
        lab.create(DEPLOYMENTS, workload("web", 2))
        for _second in range(30):
            lab.admin.tick(1.0)
        lab.allow("new")
        result = lab.drain(timeout=3600)
        assert result.left == ()
        assert lab.left() == []
        assert result.seconds < 120

    def test_the_last_ready_pod_among_broken_ones_stays(self, lab: Lab) -> None:
        lab.create(REPLICA_SETS, workload("half", 3))
        lab.create(DEPLOYMENTS, workload("web", 2))
        assert lab.twin.settle() == []
        for pod in lab.admin.list(PODS, SPACE, label_selector="app=half").items[:2]:
            conditions = [
                {**each, "status": "False"} if each["type"] in ("Ready", "ContainersReady") else each
                for each in pod["status"]["conditions"]
            ]
            status = {"status": {"conditions": conditions}}
            lab.admin.patch(PODS, pod["metadata"]["name"], status, SPACE, subresource="status")
        lab.allow("new")
        lab.twin.recorder.restart()
        # Evicting the broken ones brings sound ones here, so that in the end all of them move.
        assert lab.drain(timeout=1800).left == ()
        lab.unharmed()

    def test_a_pod_that_finds_no_node_before_and_after(self, lab: Lab) -> None:
        lab.create(REPLICA_SETS, wanting(workload("large", 4), "3"))  # three nodes with 4 CPUs
        lab.create(DEPLOYMENTS, workload("web", 2))
        for _second in range(30):
            lab.admin.tick(1.0)
        lab.allow("new")
        result = lab.drain(timeout=3600)
        assert result.left == ()
        assert result.seconds < 1000


class TestPatience:
    def test_members_that_need_an_hour_to_stop(self, lab: Lab) -> None:
        lab.create(STATEFUL_SETS, timed(workload("broker", 2, serviceName="broker"), stop=3000))
        lab.create(DAEMON_SETS, timed(workload("agent"), stop=1500))
        lab.create(REPLICA_SETS, timed(workload("plain", 2), stop=3000))
        lab.begin()
        result = lab.drain(timeout=24 * 3600, max_failures=1)
        assert (result.left, result.moved) == ((), 7)
        lab.unharmed()

    def test_old_pods_that_only_have_to_stop_hold_up_nobody(self, lab: Lab) -> None:
        for number in range(6):
            lab.create(DEPLOYMENTS, timed(workload(f"app-{number}", 2), stop=1800))
        lab.begin()
        result = lab.drain(timeout=24 * 3600, max_parallel=1)
        assert result.left == ()
        assert result.seconds < 2400
        lab.unharmed()

    def test_members_that_need_a_quarter_of_an_hour_to_start(self, lab: Lab) -> None:
        for number in range(3):
            slow = timed(workload(f"db-{number}", 2, serviceName="db"), ready=900)
            lab.create(STATEFUL_SETS, slow)
        for _minute in range(40):
            lab.admin.tick(60.0)
        lab.begin()
        result = lab.drain(timeout=24 * 3600, max_failures=1)
        assert (result.left, result.moved) == ((), 6)
        lab.unharmed()

    def test_no_deadline_is_not_for_ever(self, lab: Lab) -> None:
        """The largest number is how a Deployment says that it has no deadline."""
        web = workload("web", 2, progressDeadlineSeconds=2147483647)
        lab.create(DEPLOYMENTS, web)
        lab.begin()
        image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.com/app:broken"}]
        lab.admin.patch(DEPLOYMENTS, "web", image, SPACE, patch_type="json")
        result = lab.drain(timeout=24 * 3600)
        assert result.seconds < 1000
        assert any("waiting: " in entry.reason for entry in result.left), result.left
        lab.unharmed()


class TestOthersAtWork:
    def test_somebody_rolls_out_a_version_in_the_middle(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, workload("web", 4))
        lab.create(POD_DISRUPTION_BUDGETS, budget("web", maxUnavailable=0))
        lab.begin()
        released: list[bool] = []

        def release() -> None:
            web = lab.admin.get(DEPLOYMENTS, "web", SPACE)
            if not released and web["status"].get("updatedReplicas") == 1 and web["metadata"]["generation"] > 1:
                released.append(True)
                image = [
                    {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.com/app:2"}
                ]
                lab.admin.patch(DEPLOYMENTS, "web", image, SPACE, patch_type="json")

        lab.admin.ticks.append(release)
        assert lab.drain().left == ()
        assert released
        web = lab.admin.get(DEPLOYMENTS, "web", SPACE)
        assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/app:2"
        assert "ipam.calico-ops.io/original-strategy" not in web["metadata"]["annotations"]
        assert web["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
        lab.unharmed()

    @pytest.mark.parametrize(("spared", "way"), [(1, "evict"), (0, "surge")])
    def test_what_puts_a_strategy_back_gets_none_to_put_back_where_there_is_another_way(
        self, lab: Lab, spared: int, way: str
    ) -> None:
        web = workload("web", 8, strategy=rolling(0, 3))
        web["metadata"]["labels"]["argocd.argoproj.io/instance"] = "shop"
        lab.create(DEPLOYMENTS, web)
        lab.create(POD_DISRUPTION_BUDGETS, budget("web", maxUnavailable=spared))
        lab.begin()
        result = lab.drain()
        assert result.left == ()
        assert [each.way for each in result.workloads] == [way]
        lab.unharmed()

    def test_a_namespace_that_is_deleted_in_the_middle(self, lab: Lab) -> None:
        for number in range(2):
            lab.create(STATEFUL_SETS, workload(f"db-{number}", 4, serviceName="db"))
            lab.create(REPLICA_SETS, workload(f"plain-{number}", 4))
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 4))
        lab.begin()

        def delete(write: Write) -> None:
            if write.verb == "evict" and write.name.startswith("db") and not write.name.endswith("-3"):
                lab.admin.delete(NAMESPACES, SPACE)

        result = lab.drain(api=SimulatedApi(lab.twin, after=delete), timeout=3600, max_failures=1)
        assert result.left == ()
        assert result.seconds < 120


def lose(lab: Lab, node: str) -> None:
    """The node's kubelet is not heard of any more."""
    conditions = [
        {**each, "status": "Unknown"} if each["type"] == "Ready" else each
        for each in lab.admin.get(NODES, node)["status"]["conditions"]
    ]
    lab.admin.patch(NODES, node, {"status": {"conditions": conditions}}, subresource="status")


class TestDeadNodes:
    def test_daemon_sets_move_on_the_others(self, lab: Lab) -> None:
        for number in range(4):
            lab.create(DAEMON_SETS, workload(f"agent-{number}"))
        lab.create(STATEFUL_SETS, workload("db", 2, serviceName="db"))
        lab.begin()
        lose(lab, "node-2")
        result = lab.drain(timeout=3600)
        there = {
            pod["metadata"]["name"] for pod in lab.admin.list(PODS, SPACE).items if pod["spec"]["nodeName"] == "node-2"
        }
        assert {entry.pod for entry in result.left} == there
        assert {entry.reason for entry in result.left} == {
            "its node node-2 is not ready, so it could not be stopped there"
        }
        assert result.seconds < 300


class TestRoom:
    def test_no_cpu_for_one_more_pod_is_planned_around(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, wanting(workload("large", 3, strategy=rolling(1, 0)), "3"))
        lab.begin()
        plan = lab.drain(check_mode=True)
        assert plan.steps == (
            "evict the pods of Deployment shop/large (3 pods): its rollout adds a pod before it takes one away, but "
            "none of the 3 nodes that take its pods has room for one more",
        )
        assert lab.drain().left == ()
        lab.unharmed()

    def test_no_room_and_no_pod_to_spare(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, wanting(workload("large", 3, strategy=rolling(1, 0)), "3"))
        lab.create(POD_DISRUPTION_BUDGETS, budget("large", maxUnavailable=0))
        lab.begin()
        result = lab.drain()
        assert reasons(result) == {
            "Deployment shop/large": "budget shop/large (maxUnavailable 0) never spares a pod of Deployment "
            "shop/large: relax it, or add replicas"
        }
        lab.unharmed()

    def test_room_that_is_taken_before_its_turn(self, lab: Lab) -> None:
        """Others grow while it waits: it is planned anew, and where it is too late said in one sentence."""
        lab.create(DEPLOYMENTS, wanting(workload("large", 2, strategy=rolling(1, 0)), "3"))
        lab.create(DEPLOYMENTS, workload("first", 1))
        lab.begin()

        def grow(write: Write) -> None:
            if write.name == "first":
                lab.create(REPLICA_SETS, wanting(workload("guest", 1), "3"))

        result = lab.drain(api=SimulatedApi(lab.twin, after=grow), max_parallel=1, timeout=3600)
        assert result.left == ()
        assert {each.owner: each.way for each in result.workloads}["Deployment shop/large"] == "evict"
        lab.unharmed()

    def test_a_pod_that_finds_no_node_is_named(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, wanting(workload("large", 2, strategy=rolling(1, 0)), "3"))
        lab.begin()

        def grow(write: Write) -> None:
            if write.name == "large":
                lab.create(REPLICA_SETS, wanting(workload("guest", 3), "1500m"))
                lab.create(REPLICA_SETS, wanting(workload("guest-2", 1), "3"))

        result = lab.drain(api=SimulatedApi(lab.twin, before=grow), timeout=3600)
        left = [entry.reason for entry in result.left]
        assert left and all("it cannot be scheduled: 0/3 nodes are available" in reason for reason in left), left
        lab.unharmed()


class Limit:
    """A ResourceQuota on the number of pods, and the admission and the controller behind it."""

    def __init__(self, lab: Lab, pods: int) -> None:
        self._lab, self._pods = lab, pods
        self.used = -1
        lab.twin.server.before_write(self._admit)
        lab.create(RESOURCE_QUOTAS, {"metadata": {"name": "team"}, "spec": {"hard": {"pods": str(pods)}}})
        self.count()
        lab.admin.ticks.append(self.count)

    def count(self) -> None:
        used = sum(pod["status"]["phase"] != "Succeeded" for pod in self._lab.twin.server.objects.list(PODS, SPACE))
        if used != self.used:
            self.used = used
            status = {"hard": {"pods": str(self._pods)}, "used": {"pods": str(used)}}
            self._lab.admin.patch(RESOURCE_QUOTAS, "team", {"status": status}, SPACE, subresource="status")

    def _admit(self, kind: t.Any, thing: Object, old: Object | None, _options: object) -> Object:
        if kind.resource == PODS and old is None and self.used >= self._pods:
            name = thing["metadata"]["name"]
            raise forbidden(PODS, name, f"exceeded quota: team, requested: pods=1, used: pods={self.used}")
        return thing


class TestQuotas:
    def test_a_full_quota_is_planned_around(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, workload("web", 3, strategy=rolling(1, 0)))
        lab.begin()
        Limit(lab, 3)
        result = lab.drain()
        assert (result.left, result.moved) == ((), 3)
        assert result.steps[0].endswith(
            "its rollout adds a pod before it takes one away, but ResourceQuota shop/team has no room for "
            "one more (pods)"
        )
        lab.unharmed()

    def test_a_quota_that_may_not_be_read_is_told_by_the_rollout(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, workload("web", 3, strategy=rolling(1, 0)))
        lab.begin()
        Limit(lab, 3)

        class Blind(SimulatedApi):
            def list(self, resource: Resource, *args: t.Any, **options: t.Any) -> Listing:
                if resource == RESOURCE_QUOTAS:
                    raise Forbidden("resourcequotas is forbidden", 403, "Forbidden", {})
                return super().list(resource, *args, **options)

        result = lab.drain(api=Blind(lab.twin), timeout=3600)
        assert {entry.reason.partition("exceeded")[1] for entry in result.left if entry.pod} == {"exceeded"}
        assert len(lab.left()) == 3
        lab.unharmed()


class TestServing:
    def test_the_backend_of_an_aggregated_api_moves_first_and_it_stays_available(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, workload("metrics", 1))
        service = {"metadata": {"name": "metrics"}, "spec": {"selector": {"app": "metrics"}, "ports": [{"port": 443}]}}
        lab.create(SERVICES, service)
        spec = {
            "group": "metrics.example.com",
            "version": "v1",
            "service": {"namespace": SPACE, "name": "metrics"},
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
        }
        lab.create(API_SERVICES, {"metadata": {"name": "v1.metrics.example.com"}, "spec": spec}, None)
        for number in range(2):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 3))
        lab.begin()
        down: list[object] = []

        def look() -> None:
            conditions = lab.admin.get(API_SERVICES, "v1.metrics.example.com").get("status", {}).get("conditions") or []
            down.extend(each for each in conditions if each["type"] == "Available" and each["status"] != "True")

        look()
        before = len(down)
        lab.admin.ticks.append(look)
        result = lab.drain(max_parallel=2, canary=False)
        assert result.left == ()
        assert "metrics" in result.steps[0]
        assert before or down == []
        lab.unharmed()


class TestLimits:
    def test_pods_without_an_address_on_a_node(self, lab: Lab) -> None:
        for number in range(4):
            lab.create(DAEMON_SETS, timed(workload(f"agent-{number}"), start=4))
            lab.create(REPLICA_SETS, timed(workload(f"plain-{number}", 3), start=4))
        lab.begin()
        most = [0]

        def look() -> None:
            pods = [pod for pod in lab.admin.list(PODS, SPACE).items if pod["spec"].get("nodeName")]
            most.append(sum(not pod["status"].get("podIP") for pod in pods))

        lab.admin.ticks.append(look)
        result = lab.drain(max_parallel=20, max_parallel_per_node=2, canary=False)
        assert result.left == ()
        # Where they go is the scheduler's choice, so it is what the three nodes together can take.
        assert 4 <= max(most) <= 6
        lab.unharmed()

    def test_the_first_pod_that_cannot_be_pulled_ends_it_early(self, lab: Lab) -> None:
        """The registry is down: every new pod waits for its image, so few are begun, and nobody is harmed."""
        for number in range(8):
            broken = workload(f"app-{number}", 2, progressDeadlineSeconds=60)
            lab.create(DEPLOYMENTS, broken)
        lab.begin()

        def fail(write: Write) -> None:
            if write.resource == DEPLOYMENTS and "spec" in (write.body or {}):
                containers = [{"name": "main", "image": "example.com/app:broken"}]
                write.body["spec"].setdefault("template", {}).setdefault("spec", {})["containers"] = containers

        api = SimulatedApi(lab.twin, before=fail)
        with pytest.raises(
            DrainStopped, match=r"since 3 have failed \(max_failures 3\): .*ErrImagePull|ImagePullBackOff"
        ):
            lab.drain(api=api, timeout=24 * 3600)
        assert len({write.name for write in api.writes if write.resource == DEPLOYMENTS}) == 3
        lab.unharmed()


class Away(SimulatedApi):
    """A server that answers nobody for a while, once so many workloads have been changed."""

    def __init__(self, lab: Lab, after: int, seconds: float) -> None:
        super().__init__(lab.twin, before=self._sent)
        self._healthy, self._seconds = after, seconds
        self._from = float("inf")
        self.refused = 0

    def _sent(self, write: Write) -> None:
        if write.resource in (DEPLOYMENTS, PODS):
            self._answer()
            self._healthy -= 1
            if self._healthy == 0:
                self._from = self.twin.clock.monotonic()

    def _answer(self) -> None:
        if 0 < self.twin.clock.monotonic() - self._from < self._seconds:
            self.refused += 1
            raise ServerError("the server is not there", 503, "ServiceUnavailable", {})

    def get(self, *args: t.Any, **kwargs: t.Any) -> Object:
        self._answer()
        return super().get(*args, **kwargs)


class TestServer:
    def test_it_is_away_for_ten_minutes(self, lab: Lab) -> None:
        for number in range(6):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 2))
            lab.create(REPLICA_SETS, workload(f"plain-{number}", 2))
        lab.begin()
        api = Away(lab, 4, 600.0)
        result = lab.drain(api=api, timeout=24 * 3600, max_parallel=4)
        assert (result.left, result.moved) == ((), 24)
        # Asked for now and then, and not by everybody who waits.
        assert 5 < api.refused < 60
        lab.unharmed()

    def test_one_workload_that_it_never_lets_anybody_change(self, lab: Lab) -> None:
        for number in range(6):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 2))
        lab.create(STATEFUL_SETS, timed(workload("slow", 2, serviceName="slow"), start=200))
        lab.begin()
        tried: list[Write] = []

        def refuse(write: Write) -> None:
            if write.name == "app-1":
                tried.append(write)
                raise ServerError("failed calling webhook: connection refused", 500, "InternalError", {})

        result = lab.drain(api=SimulatedApi(lab.twin, before=refuse), timeout=24 * 3600)
        assert reasons(result) == {
            "Deployment shop/app-1": "it cannot be changed: failed calling webhook: connection refused"
        }
        assert len(tried) == 10
        assert result.seconds < 1500
        lab.unharmed()
