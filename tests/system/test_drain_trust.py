# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a production cluster may expect of a drain, in virtual time; the recorder judges each scenario."""

from __future__ import annotations

import typing as t

import pytest
from drain_lab import bare_pod, budget, rolling, template, workload
from drain_room import SPACE, Lab
from simulation import Killed, SimulatedApi, Write, simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import TooManyRequests
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    EVENTS,
    IP_POOLS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import VALIDATING
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainStopped


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@pytest.fixture
def lab() -> Lab:
    return Lab(1)


def space(lab: Lab, name: str) -> None:
    lab.create(NAMESPACES, {"metadata": {"name": name}}, None)


def service(app: str) -> Object:
    return {"metadata": {"name": app}, "spec": {"selector": {"app": app}, "ports": [{"port": 443}]}}


def webhook(app: str, namespace: str) -> Object:
    hook = {
        "name": f"{app}.example.com",
        "clientConfig": {"service": {"name": app, "namespace": namespace}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return {"metadata": {"name": app}, "webhooks": [hook]}


def of(owner: str, steps: t.Sequence[str]) -> int:
    return next(number for number, text in enumerate(steps) if owner in text)


class TestOrder:
    def test_name_servers_then_webhooks_then_the_rest_then_storage(self, lab: Lab) -> None:
        dns = workload("coredns", 2)
        dns["spec"]["template"]["metadata"]["labels"]["k8s-app"] = "kube-dns"
        lab.create(DEPLOYMENTS, dns, "kube-system")
        lab.create(DEPLOYMENTS, workload("guard", 2))
        lab.create(SERVICES, service("guard"))
        driver = workload("driver", 2)
        driver["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.k8s.io/sig-storage/csi-provisioner:v5"
        lab.create(DEPLOYMENTS, driver)
        for number in range(3):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 3))
        lab.create(DEPLOYMENTS, workload("canary", 1))
        lab.create(VALIDATING, webhook("guard", SPACE), None)
        lab.begin()
        result = lab.drain(max_parallel=2)
        assert result.left == ()
        order = [of(name, result.steps) for name in ("canary", "coredns", "guard", "app-0", "driver")]
        assert order == sorted(order)
        assert of("driver", result.steps) == len(result.steps) - 1
        lab.unharmed()

    def test_the_only_pod_behind_a_webhook_for_pods_goes_only_with_consent(self, lab: Lab) -> None:
        lab.create(REPLICA_SETS, workload("guard", 1))
        lab.create(SERVICES, service("guard"))
        lab.begin()
        hook = webhook("guard", SPACE)
        hook["webhooks"][0]["rules"][0]["resources"] = ["pods"]
        hook["webhooks"][0]["namespaceSelector"] = {"matchLabels": {"watched": "yes"}}
        lab.create(VALIDATING, hook, None)
        refused = lab.drain()
        assert "it is the only pod behind webhook guard.example.com" in refused.left[0].reason
        assert lab.drain(consent=["single_replica_webhooks/shop"]).left == ()


class TestCanary:
    def test_one_new_pod_before_all_others(self, lab: Lab) -> None:
        for number in range(4):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 2))
        lab.begin()
        begun: list[tuple[float, str]] = []

        def note(write: Write) -> None:
            if write.resource == DEPLOYMENTS:
                begun.append((lab.twin.clock.monotonic(), write.name))

        result = lab.drain(api=SimulatedApi(lab.twin, before=note))
        assert result.left == ()
        # The second begins when the first has a new pod ready, and then all others at once.
        times = [at for at, _name in begun]
        assert times[1] - times[0] >= 1.0
        assert times[3] - times[1] < 0.5
        lab.unharmed()

    def test_nothing_else_is_touched_when_it_comes_back_to_the_pool(self, lab: Lab) -> None:
        for number in range(4):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 2))
        lab.begin()
        api = SimulatedApi(lab.twin, after=lambda write: lab.allow("old"))
        with pytest.raises(
            DrainStopped, match="(come back to|got an address of) IPPool 'old': (it|the pool) has been enabled again"
        ):
            lab.drain(api=api)
        assert [write.name for write in api.writes if write.resource == DEPLOYMENTS] == ["app-0"]
        lab.unharmed()

    def test_a_pool_for_some_namespaces_has_a_canary_of_its_own(self, lab: Lab) -> None:
        space(lab, "other")
        lab.admin.patch(NAMESPACES, "other", {"metadata": {"labels": {"tier": "other"}}})
        pool = {"cidr": "10.5.0.0/16", "blockSize": 26, "nodeSelector": "all()", "namespaceSelector": "tier == 'other'"}
        lab.create(DEPLOYMENTS, workload("mine", 2))
        lab.create(DEPLOYMENTS, workload("mine-too", 2))
        lab.create(DEPLOYMENTS, workload("theirs", 2), "other")
        lab.create(DEPLOYMENTS, workload("theirs-too", 2), "other")
        lab.begin()
        lab.create(IP_POOLS, {"metadata": {"name": "special"}, "spec": pool}, None)
        begun: dict[str, float] = {}

        def note(write: Write) -> None:
            begun.setdefault(write.name, lab.twin.clock.monotonic())

        assert lab.drain(api=SimulatedApi(lab.twin, before=note)).left == ()
        assert begun["theirs"] - begun["mine"] < 0.5 < 1.0 <= begun["theirs-too"] - begun["theirs"]
        lab.unharmed()

    def test_a_pool_for_some_nodes_has_a_canary_of_its_own(self, lab: Lab) -> None:
        lab.admin.patch(NODES, "node-1", {"metadata": {"labels": {"rack": "far"}}})
        for name in ("far", "far-too"):
            lab.create(DEPLOYMENTS, workload(name, 2, {"nodeSelector": {"rack": "far"}}))
        away = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "rack", "operator": "DoesNotExist"}]}]
                }
            }
        }
        for name in ("near", "near-too"):
            lab.create(DEPLOYMENTS, workload(name, 2, {"affinity": away}))
        lab.begin()
        lab.admin.patch(IP_POOLS, "new", {"spec": {"nodeSelector": "!has(rack)"}})
        pool = {"cidr": "10.5.0.0/16", "blockSize": 26, "nodeSelector": "has(rack)"}
        lab.create(IP_POOLS, {"metadata": {"name": "special"}, "spec": pool}, None)
        begun: dict[str, float] = {}

        def note(write: Write) -> None:
            begun.setdefault(write.name, lab.twin.clock.monotonic())

        assert lab.drain(api=SimulatedApi(lab.twin, before=note)).left == ()
        first = max(begun["far"], begun["near"])
        assert first + 1.0 <= min(begun["far-too"], begun["near-too"])
        assert abs(begun["far"] - begun["near"]) < 0.5
        lab.unharmed()


class TestLimits:
    def test_a_namespace_at_a_time(self, lab: Lab) -> None:
        space(lab, "other")
        for name in ("a", "b", "c"):
            lab.create(REPLICA_SETS, workload(name, 2))
            lab.create(REPLICA_SETS, workload(name, 2), "other")
        lab.begin()
        most = {SPACE: 0, "other": 0}

        def look() -> None:
            for namespace in most:
                ready = sum(
                    any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())
                    and "deletionTimestamp" not in pod["metadata"]
                    for pod in lab.admin.list(PODS, namespace).items
                )
                most[namespace] = max(most[namespace], 6 - ready)

        lab.admin.ticks.append(look)
        result = lab.drain(max_parallel=10, max_parallel_per_namespace=1, canary=False)
        assert result.left == ()
        assert most == {SPACE: 1, "other": 1}
        lab.unharmed()

    def test_too_many_failures_end_it(self, lab: Lab) -> None:
        for number in range(6):
            broken = workload(f"app-{number}", 2, progressDeadlineSeconds=20)
            lab.create(DEPLOYMENTS, broken)
        lab.begin()
        # The registry is gone: no new pod of any of them will ever run.
        for number in range(6):
            container = {"name": "main", "image": "gone.example.com/app:broken"}
            patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
            lab.admin.patch(DEPLOYMENTS, f"app-{number}", {"spec": {"paused": True}}, SPACE)
            lab.admin.patch(DEPLOYMENTS, f"app-{number}", patch, SPACE, patch_type="strategic")
            lab.admin.patch(DEPLOYMENTS, f"app-{number}", {"spec": {"paused": False, "replicas": 2}}, SPACE)
            if number == 1:
                break
        with pytest.raises(DrainStopped, match=r"begins no further workload, since 2 have failed \(max_failures 2\)"):
            lab.drain(max_parallel=2, max_failures=2, canary=False)
        lab.unharmed()

    def test_mistakes(self, lab: Lab) -> None:
        for options, words in (
            ({"max_parallel_per_namespace": 0}, "max_parallel_per_namespace is 0, it must be at least 1."),
            ({"max_failures": 0}, "max_failures is 0, it must be at least 1."),
            ({"pause": -1}, "pause is -1, it must not be negative."),
            ({"consent": ["everything"]}, "consent: 'everything' means nothing; an entry is one of bare_pods,"),
        ):
            with pytest.raises(InvalidInput) as caught:
                lab.drain(**options)
            assert caught.value.message.startswith(words)


class TestSets:
    def test_one_member_after_the_other_from_the_highest_with_a_pause(self, lab: Lab) -> None:
        lab.create(STATEFUL_SETS, workload("db", 3, serviceName="db"))
        lab.begin()
        evicted: list[tuple[str, float]] = []

        def note(write: Write) -> None:
            if write.verb == "evict":
                evicted.append((write.name, lab.twin.clock.monotonic()))

        result = lab.drain(api=SimulatedApi(lab.twin, before=note), pause=20.0)
        assert (result.moved, result.left) == (3, ())
        assert [name for name, _at in evicted] == ["db-2", "db-1", "db-0"]
        assert all(later - earlier >= 21.0 for (_a, earlier), (_b, later) in zip(evicted, evicted[1:]))
        lab.unharmed()

    def test_what_members_keep_in_volumes_of_their_own_needs_consent(self, lab: Lab) -> None:
        volumes = {"volumes": [{"name": "wal", "emptyDir": {}}]}
        lab.create(STATEFUL_SETS, workload("db", 3, volumes, serviceName="db"))
        lab.create(DEPLOYMENTS, workload("web", 2, volumes))
        lab.begin()
        plan = lab.drain(check_mode=True)
        assert any("2 pods with volumes of their own" in note for note in plan.notes)
        refused = lab.drain()
        assert {entry.owner for entry in refused.left} == {"StatefulSet shop/db"}
        assert "what its members keep in wal would be lost" in refused.left[0].reason
        assert lab.drain(consent=["local_data/shop"], pause=1.0).left == ()
        lab.unharmed()


class TestPatience:
    def test_a_refusal_is_not_repeated_before_its_time_and_others_go_on(self, lab: Lab) -> None:
        lab.create(REPLICA_SETS, workload("slow", 2))
        lab.create(REPLICA_SETS, workload("web", 3))
        lab.create(POD_DISRUPTION_BUDGETS, budget("slow", maxUnavailable=1))
        lab.begin()
        tried: list[tuple[str, float]] = []

        def refuse(write: Write) -> None:
            if write.verb != "evict":
                return
            tried.append((write.name.split("-")[0], lab.twin.clock.monotonic()))
            if write.name.startswith("slow") and [name for name, _at in tried].count("slow") == 1:
                causes = [{"reason": "DisruptionBudget", "message": "The budget slow needs 1 more."}]
                body = {"details": {"causes": causes}}
                raise TooManyRequests("Cannot evict pod", 429, "TooManyRequests", body, retry_after=30.0)

        result = lab.drain(api=SimulatedApi(lab.twin, before=refuse), canary=False)
        assert result.left == ()
        slow = [at for name, at in tried if name == "slow"]
        assert slow[1] - slow[0] >= 29.9
        assert sum(at < slow[1] for name, at in tried if name == "web") == 3
        lab.unharmed()

    def test_a_pod_that_does_not_stop_is_left_and_not_waited_for(self, lab: Lab) -> None:
        stuck = workload("stuck", 2)
        stuck["spec"]["template"]["metadata"]["finalizers"] = ["example.com/never"]
        lab.create(DEPLOYMENTS, stuck)
        lab.create(DEPLOYMENTS, workload("web", 2))
        lab.begin()
        for pod in lab.admin.list(PODS, SPACE).items:
            if pod["metadata"]["name"].startswith("stuck"):
                patch = {"metadata": {"finalizers": ["example.com/never"]}}
                lab.admin.patch(PODS, pod["metadata"]["name"], patch, SPACE)
        result = lab.drain(timeout=3600)
        assert result.seconds < 300
        assert {entry.owner for entry in result.left} <= {"Deployment shop/stuck"}
        assert not any(name.startswith("web") for name in lab.left())
        lab.unharmed()

    def test_a_node_that_nobody_hears_of_keeps_its_pods(self, lab: Lab) -> None:
        lab.create(STATEFUL_SETS, workload("db", 3, serviceName="db", updateStrategy={"type": "OnDelete"}))
        lab.begin()
        node = lab.admin.get(PODS, "db-0", SPACE)["spec"]["nodeName"]
        conditions = [
            {**each, "status": "Unknown"} if each["type"] == "Ready" else each
            for each in lab.admin.get(NODES, node)["status"]["conditions"]
        ]
        lab.admin.patch(NODES, node, {"status": {"conditions": conditions}}, subresource="status")
        result = lab.drain(pause=0)
        assert [entry.reason for entry in result.left if entry.pod == "db-0"] == [
            f"its node {node} is not ready, so it could not be stopped there"
        ]
        assert lab.left() == [entry.pod for entry in result.left if entry.pod]


class TestAddresses:
    def test_it_stops_when_new_pods_get_none(self, lab: Lab) -> None:
        for number in range(4):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 2))
        lab.begin()
        # Nobody sees it but the new pod: the pool gives no more addresses once the first restart is written.
        api = SimulatedApi(lab.twin, after=lambda write: lab.full())
        with pytest.raises(DrainStopped, match=r"the new pod shop/app-0-\S+ gets no address: .*pool"):
            lab.drain(api=api, timeout=3600)
        assert [write.name for write in api.writes if write.resource == DEPLOYMENTS] == ["app-0"]
        reasons = [event["reason"] for event in lab.admin.list(EVENTS, "default").items]
        assert "DrainStopped" in reasons
        lab.unharmed()


class TestNodes:
    def test_no_pod_is_sent_where_no_pool_has_addresses(self, lab: Lab) -> None:
        lab.create(DEPLOYMENTS, workload("web", 3))
        lab.begin()
        lab.admin.patch(NODES, "node-1", {"metadata": {"labels": {"rack": "far"}}})
        lab.admin.patch(IP_POOLS, "new", {"spec": {"nodeSelector": "!has(rack)"}})
        refused = lab.drain()
        assert refused.left[0].reason.startswith("its pods may be started on node node-1, for which no enabled pool")
        lab.admin.patch(NODES, "node-1", {"spec": {"unschedulable": True}})
        assert lab.drain().left == ()
        lab.unharmed()


class TestBarePods:
    def test_with_consent_they_are_evicted_and_created_again_wherever_it_is_killed(self) -> None:
        kills = 0
        while True:
            lab = Lab(1)
            lab.create(PODS, bare_pod("debug"))
            lab.create(PODS, bare_pod("shell"))
            lab.create(DEPLOYMENTS, workload("web", 2))
            lab.begin()

            def kill(write: Write, number: int = kills + 1) -> None:
                if write.number == number:
                    raise Killed

            api = SimulatedApi(lab.twin, after=kill)
            try:
                lab.drain(api=api, consent=["bare_pods"])
            except Killed:
                kills += 1
                result = lab.drain(consent=["bare_pods"])
                assert result.left == (), kills
                finished = False
            else:
                finished = True
            names = {pod["metadata"]["name"] for pod in lab.admin.list(PODS, SPACE).items}
            assert {"debug", "shell"} <= names, kills
            assert lab.left() == []
            saved = lab.admin.list(CONFIG_MAPS, SPACE, label_selector="ipam.calico-ops.io/saved-pods=yes").items
            assert saved == []
            lab.unharmed()
            if finished:
                break
        assert kills == 9

    def test_without_consent_they_stay(self, lab: Lab) -> None:
        lab.create(PODS, bare_pod("debug"))
        lab.begin()
        result = lab.drain(consent=["bare_pods/elsewhere"])
        assert lab.left() == ["debug"]
        assert "consent: bare_pods" in result.left[0].reason


class TestCronJobs:
    def test_they_rest_meanwhile_and_are_woken_also_after_a_kill(self, lab: Lab) -> None:
        jobs = {"spec": {"template": template("nightly", {"restartPolicy": "Never"})}}
        lab.create(CRON_JOBS, {"metadata": {"name": "nightly"}, "spec": {"schedule": "0 3 * * *", "jobTemplate": jobs}})
        lab.create(
            CRON_JOBS,
            {"metadata": {"name": "off"}, "spec": {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": jobs}},
        )
        lab.create(DEPLOYMENTS, workload("web", 2))
        lab.begin()
        seen = set()

        def kill(write: Write) -> None:
            if write.resource == DEPLOYMENTS:
                seen.add(bool(lab.admin.get(CRON_JOBS, "nightly", SPACE)["spec"].get("suspend")))
                raise Killed

        class Dead(SimulatedApi):
            """After a kill nothing more is sent, not even by what tidies up."""

            dead = False

            def patch(self, *args: t.Any, **kwargs: t.Any) -> Object:
                if self.dead:
                    raise Killed
                try:
                    return super().patch(*args, **kwargs)
                except Killed:
                    self.dead = True
                    raise

        with pytest.raises(Killed):
            lab.drain(api=Dead(lab.twin, after=kill), consent=["suspend_cron_jobs"])
        assert seen == {True}
        assert lab.admin.get(CRON_JOBS, "nightly", SPACE)["spec"]["suspend"] is True
        assert lab.drain().left == ()
        nightly = lab.admin.get(CRON_JOBS, "nightly", SPACE)
        assert not nightly["spec"]["suspend"]
        assert "ipam.calico-ops.io/suspended-for-drain" not in (nightly["metadata"].get("annotations") or {})
        assert lab.admin.get(CRON_JOBS, "off", SPACE)["spec"]["suspend"] is True
        lab.unharmed()


class TestWhatIsSaid:
    def test_events_on_the_pool_and_an_overview(self, lab: Lab) -> None:
        lab.create(STATEFUL_SETS, workload("db", 6, serviceName="db"))
        lab.create(DEPLOYMENTS, workload("web", 4, strategy=rolling(1, 0)))
        lab.begin()
        lines: list[str] = []
        plan = lab.drain(check_mode=True, pause=10.0)
        assert plan.estimate >= 60
        assert any(note.startswith("about ") and "for 10 pods" in note for note in plan.notes)
        result = lab.drain(report=lambda event: lines.append(str(event)), pause=10.0)
        assert result.left == ()
        assert any("pausing" in line for line in lines)
        assert lines[-4:-1] == [
            "way        workloads  pods",
            "restart            1     4",
            "evict              1     6",
        ]
        events = [
            (event["reason"], event["type"], event["involvedObject"]["name"])
            for event in lab.admin.list(EVENTS, "default").items
            if event["involvedObject"]["kind"] == "IPPool"
        ]
        assert sorted(events) == [("DrainFinished", "Normal", "old"), ("DrainStarted", "Normal", "old")]
        lab.unharmed()
