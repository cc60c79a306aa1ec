# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Invalid
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, EVENTS, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    condition,
    condition_is,
    is_ready,
    phase,
)

NAMESPACE = "shop"
TWIN = "ipam.calico-ops.io/twin-"


def events(cluster, reason):
    return [each for each in cluster.objects.list(EVENTS, NAMESPACE) if each["reason"] == reason]


def watch(cluster, name):
    """(event, phase, ready, terminating, grace) of one pod, as a client sees them."""
    seen = []

    def look(event):
        pod = event.object
        if pod["metadata"]["name"] == name:
            grace = pod["metadata"].get("deletionGracePeriodSeconds")
            seen.append((event.type, phase(pod), is_ready(pod), grace))

    cluster.objects.subscribe(look, PODS)
    return seen


def test_a_whole_life(cluster):
    seen = watch(cluster, "one")
    cluster.pod("one")
    cluster.until_ready(1)
    pod = cluster.get(PODS, "one")
    status = pod["status"]
    assert status["podIP"] == "10.0.0.2"
    assert status["podIPs"] == [{"ip": "10.0.0.2"}]
    node = cluster.get(NODES, pod["spec"]["nodeName"])
    assert status["hostIP"] == node["status"]["addresses"][0]["address"]
    assert status["startTime"]
    (container,) = status["containerStatuses"]
    assert container["ready"] and container["started"] and container["state"]["running"]["startedAt"]
    assert {each["type"] for each in status["conditions"]} == {
        "PodScheduled",
        "PodReadyToStartContainers",
        "Initialized",
        "ContainersReady",
        "Ready",
    }
    cluster.api.delete(PODS, "one", NAMESPACE)
    assert seen[-1] == ("MODIFIED", "Running", True, 30)
    cluster.until(lambda: cluster.get(PODS, "one") is None)
    # As on a real cluster: not ready while it shows, then the grace of 0, then gone (spec
    # kubernetes-api-behaviour.md 10).
    assert seen[-3:] == [
        ("MODIFIED", "Succeeded", False, 30),
        ("MODIFIED", "Succeeded", False, 0),
        ("DELETED", "Succeeded", False, 0),
    ]
    assert cluster.cni.held == {}
    assert [what for what, _name, _node in cluster.cni.log] == ["add", "delete"]


def test_times_by_annotation(cluster):
    marks = {TWIN + "start-seconds": "10", TWIN + "ready-seconds": "5", TWIN + "stop-seconds": "7"}
    cluster.pod("one", annotations=marks)
    cluster.clock.advance(9.9)
    assert phase(cluster.get(PODS, "one")) == "Pending"
    cluster.clock.advance(0.4)
    assert (phase(cluster.get(PODS, "one")), is_ready(cluster.get(PODS, "one"))) == ("Running", False)
    cluster.clock.advance(5)
    assert is_ready(cluster.get(PODS, "one"))
    cluster.api.delete(PODS, "one", NAMESPACE)
    cluster.clock.advance(6.9)
    assert is_ready(cluster.get(PODS, "one"))
    cluster.clock.advance(0.8)
    assert cluster.get(PODS, "one") is None


def test_the_grace_period_ends_what_does_not_end_itself(cluster):
    seen = watch(cluster, "one")
    cluster.pod("one", annotations={TWIN + "stop-seconds": "1000"}, terminationGracePeriodSeconds=20)
    cluster.until_ready(1)
    cluster.api.delete(PODS, "one", NAMESPACE)
    cluster.clock.advance(19)
    assert cluster.get(PODS, "one") is not None
    cluster.clock.advance(2.5)
    assert cluster.get(PODS, "one") is None
    assert seen[-1][1] == "Failed"


def test_a_second_delete_shortens_the_grace(cluster):
    cluster.pod("one", annotations={TWIN + "stop-seconds": "1000"})
    cluster.until_ready(1)
    cluster.api.delete(PODS, "one", NAMESPACE)
    cluster.clock.advance(5)
    cluster.api.delete(PODS, "one", NAMESPACE, grace_seconds=2)
    cluster.clock.advance(4)
    assert cluster.get(PODS, "one") is None
    assert cluster.cni.held == {}


def test_force_deletion_frees_the_name_at_once_and_the_address_a_little_later(cluster):
    cluster.pod("one")
    cluster.until_ready(1)
    cluster.api.delete(PODS, "one", NAMESPACE, grace_seconds=0)
    assert cluster.get(PODS, "one") is None
    assert len(cluster.cni.held) == 1
    cluster.clock.advance(3)
    assert cluster.cni.held == {}


def test_the_address_goes_back_before_the_object_goes(cluster):
    cluster.pod("one")
    cluster.until_ready(1)
    held = []

    def look(event):
        if event.type == "DELETED":
            held.append(dict(cluster.cni.held))

    cluster.objects.subscribe(look, PODS)
    cluster.api.delete(PODS, "one", NAMESPACE)
    cluster.clock.advance(40)
    assert held == [{}]


def test_deletion_before_the_start(cluster):
    cluster.pod("one", annotations={TWIN + "start-seconds": "30"})
    cluster.clock.advance(15)
    cluster.api.delete(PODS, "one", NAMESPACE)
    cluster.clock.advance(2)
    assert cluster.get(PODS, "one") is None
    assert cluster.cni.held == {}


def test_no_address_no_start(cluster):
    cluster.cni.refusing = 'plugin type="calico" failed (add): no configured Calico pools'
    cluster.deployment(replicas=1)
    cluster.clock.advance(60)
    (pod,) = cluster.pods("web")
    assert phase(pod) == "Pending"
    assert "podIP" not in pod["status"]
    (event,) = events(cluster, "FailedCreatePodSandBox")
    assert event["type"] == "Warning"
    assert event["message"].startswith("Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup")
    assert event["message"].endswith("no configured Calico pools")
    assert event["count"] > 2
    cluster.cni.refusing = None
    cluster.until_ready(1, "web", limit=70)


def test_host_network_pods_have_the_nodes_address_and_no_cni(cluster):
    cluster.pod("one", hostNetwork=True)
    cluster.until_ready(1)
    status = cluster.get(PODS, "one")["status"]
    assert status["podIP"] == status["hostIP"]
    cluster.api.delete(PODS, "one", NAMESPACE)
    cluster.clock.advance(40)
    assert cluster.cni.log == []


def test_an_image_that_cannot_be_pulled(cluster):
    cluster.deployment(replicas=1)
    cluster.until(cluster.rolled_out)
    broken = [{"name": "main", "image": "registry/web:broken"}]
    cluster.api.patch(
        DEPLOYMENTS,
        "web",
        {"spec": {"template": {"spec": {"containers": broken}}}},
        NAMESPACE,
        patch_type="strategic",
    )
    cluster.clock.advance(20)
    (pod,) = [pod for pod in cluster.pods("web") if not is_ready(pod)]
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    # The sandbox is there and holds an address.
    assert pod["status"]["podIP"]
    repaired = [{"name": "main", "image": "registry/web:1"}]
    cluster.api.patch(
        DEPLOYMENTS,
        "web",
        {"spec": {"template": {"spec": {"containers": repaired}}}},
        NAMESPACE,
        patch_type="strategic",
    )
    cluster.until(lambda: cluster.rolled_out() and len(cluster.pods("web")) == 1)


def test_a_finished_pod_keeps_its_address_in_the_status_only(cluster):
    cluster.pod("one", annotations={TWIN + "run-seconds": "5"}, restartPolicy="Never")
    cluster.until(lambda: phase(cluster.get(PODS, "one")) == "Succeeded")
    cluster.clock.advance(1)
    status = cluster.get(PODS, "one")["status"]
    assert status["podIP"]
    assert condition(cluster.get(PODS, "one"), "Ready")["reason"] == "PodCompleted"
    assert cluster.cni.held == {}
    cluster.api.delete(PODS, "one", NAMESPACE)
    assert cluster.get(PODS, "one") is None


@pytest.mark.parametrize(("policy", "code", "final"), [("Never", "1", "Failed"), ("OnFailure", "0", "Succeeded")])
def test_ends_by_restart_policy(cluster, policy, code, final):
    marks = {TWIN + "run-seconds": "5", TWIN + "exit-code": code}
    cluster.pod("one", annotations=marks, restartPolicy=policy)
    cluster.clock.advance(30)
    assert phase(cluster.get(PODS, "one")) == final


def test_crash_loop(cluster):
    cluster.pod("one", annotations={TWIN + "run-seconds": "5", TWIN + "exit-code": "1"})
    states = set()

    def look(event):
        for each in (event.object.get("status") or {}).get("containerStatuses") or ():
            states.add((each.get("state") or {}).get("waiting", {}).get("reason"))

    cluster.objects.subscribe(look, PODS)
    # Runs 5 seconds, again at once, after 10 seconds, after 20: the third restart is at about 48.
    cluster.clock.advance(44)
    pod = cluster.get(PODS, "one")
    assert "CrashLoopBackOff" in states
    (container,) = pod["status"]["containerStatuses"]
    assert (container["restartCount"], container["state"]["waiting"]["reason"]) == (2, "CrashLoopBackOff")
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert (phase(pod), is_ready(pod)) == ("Running", False)
    cluster.clock.advance(7)
    assert cluster.get(PODS, "one")["status"]["containerStatuses"][0]["restartCount"] == 3


def test_a_finalizer_keeps_the_object_not_the_address(cluster):
    cluster.api.create(
        PODS,
        {
            "metadata": {"name": "kept", "finalizers": ["example.org/mine"]},
            "spec": {"containers": [{"name": "main", "image": "registry/web:1"}]},
        },
        NAMESPACE,
    )
    cluster.until_ready(1)
    cluster.api.delete(PODS, "kept", NAMESPACE)
    cluster.clock.advance(40)
    pod = cluster.get(PODS, "kept")
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 0
    assert pod["status"]["podIP"]
    assert cluster.cni.held == {}
    cluster.api.patch(PODS, "kept", {"metadata": {"finalizers": None}}, NAMESPACE)
    assert cluster.get(PODS, "kept") is None


def test_a_mirror_pod_comes_back_with_the_same_address(cluster):
    cluster.pod("static-node-1", annotations={"kubernetes.io/config.mirror": "abc"}, node="node-1")
    cluster.until_ready(1)
    before = cluster.get(PODS, "static-node-1")
    cluster.api.evict("static-node-1", NAMESPACE)
    cluster.clock.advance(2)
    after = cluster.get(PODS, "static-node-1")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert is_ready(after)
    assert [what for what, _name, _node in cluster.cni.log] == ["add"]


def test_pods_on_unknown_nodes_wait_for_their_kubelet(cluster):
    cluster.pod("one", node="node-9")
    cluster.clock.advance(10)
    assert "podIP" not in (cluster.get(PODS, "one").get("status") or {})
    cluster.add_node("node-9")
    cluster.until_ready(1)


def test_init_containers_end_before_the_pod_runs(cluster):
    cluster.pod("one", initContainers=[{"name": "prepare", "image": "registry/init:1"}])
    cluster.clock.advance(0.5)
    assert condition_is(cluster.get(PODS, "one"), "Initialized", "False")
    cluster.until_ready(1)
    (done,) = cluster.get(PODS, "one")["status"]["initContainerStatuses"]
    assert done["state"]["terminated"]["exitCode"] == 0


def test_the_pods_spec_stays_immutable_for_users(cluster):
    cluster.pod("one")
    cluster.until_ready(1)
    with pytest.raises(Invalid):
        cluster.api.patch(PODS, "one", {"spec": {"nodeName": "node-2"}}, NAMESPACE)
