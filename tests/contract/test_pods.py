# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 10: the life of a pod, as a watch tells it."""

from __future__ import annotations

import typing as t
from datetime import datetime

import pytest
from wire import IMAGE, Cluster, Object, is_ready, pod, unique

HOLD = "contract.example.com/hold"
NOWHERE = {"contract.example.com/nowhere": "yes"}


@pytest.fixture
def running(cluster: Cluster, pods: str) -> t.Iterator[str]:
    """A pod that is Ready, grace 30."""
    name = unique("p")
    cluster.post(pods, pod(name, terminationGracePeriodSeconds=30)).made()
    cluster.wait(f"{pods}/{name}", is_ready)
    yield f"{pods}/{name}"
    cluster.delete(f"{pods}/{name}", gracePeriodSeconds=0)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


def test_from_pending_to_deleted(cluster: Cluster, pods: str) -> None:
    name = unique("life")
    version = cluster.get(pods).version
    cluster.post(pods, pod(name, terminationGracePeriodSeconds=30)).made()
    cluster.wait(f"{pods}/{name}", is_ready)
    cluster.delete(f"{pods}/{name}").made()
    events = []
    for event in cluster.watch(pods, 90, resourceVersion=version, fieldSelector=f"metadata.name={name}"):
        events.append(event)
        if event["type"] == "DELETED":
            break
    kinds = [event["type"] for event in events]
    assert kinds == ["ADDED", *["MODIFIED"] * (len(kinds) - 2), "DELETED"]
    states = [event["object"] for event in events]
    versions = [int(state["metadata"]["resourceVersion"]) for state in states]
    assert versions == sorted(set(versions))
    assert states[0]["status"]["phase"] == "Pending"
    assert "nodeName" not in states[0]["spec"]
    bound = next(state for state in states if state["spec"].get("nodeName"))
    assert bound["status"]["phase"] == "Pending"
    ready = next(state for state in states if is_ready(state))
    assert ready["status"]["phase"] == "Running"
    assert ready["status"]["podIP"]
    marked = [state for state in states if "deletionTimestamp" in state["metadata"]]
    assert marked[0]["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (marked[0]["metadata"]["generation"], ready["metadata"]["generation"]) == (2, 1)
    assert is_ready(marked[0])
    assert marked[0]["status"]["phase"] == "Running"
    confirmed, last = states[-2], states[-1]
    assert confirmed["metadata"]["deletionGracePeriodSeconds"] == 0
    assert _moment(confirmed["metadata"]["deletionTimestamp"]) < _moment(marked[0]["metadata"]["deletionTimestamp"])
    assert last["metadata"]["deletionGracePeriodSeconds"] == 0
    assert last["metadata"]["generation"] == 2


def test_the_deletion_time_is_the_end_of_the_grace(cluster: Cluster, running: str) -> None:
    before = cluster.patch(running, {"metadata": {"finalizers": [HOLD]}}).made()
    answer = cluster.delete(running, gracePeriodSeconds=1000)
    metadata = answer.made()["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == 1000
    started = _moment(before["status"]["startTime"])
    assert (_moment(metadata["deletionTimestamp"]) - started).total_seconds() >= 1000
    shorter = cluster.delete(running, gracePeriodSeconds=900).made()["metadata"]
    moved = _moment(metadata["deletionTimestamp"]) - _moment(shorter["deletionTimestamp"])
    assert (moved.total_seconds(), shorter["deletionGracePeriodSeconds"]) == (100, 900)
    longer = cluster.delete(running, gracePeriodSeconds=2000).made()["metadata"]
    assert longer["deletionGracePeriodSeconds"] <= 900
    cluster.delete(running, gracePeriodSeconds=0).made()
    held = cluster.get(running).made()
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    assert held["status"]["podIP"]
    cluster.patch(running, {"metadata": {"finalizers": None}}).made()
    cluster.get(running).refused(404, "NotFound")


def test_negative_grace_is_one_second(cluster: Cluster, running: str) -> None:
    assert cluster.delete(running, gracePeriodSeconds=-5).made()["metadata"]["deletionGracePeriodSeconds"] == 1


def test_a_pod_without_a_node_goes_at_once(cluster: Cluster, pods: str) -> None:
    name = unique("homeless")
    cluster.post(pods, pod(name, nodeSelector=NOWHERE)).made()
    answer = cluster.delete(f"{pods}/{name}", gracePeriodSeconds=300)
    assert answer.status == 200
    cluster.get(f"{pods}/{name}").refused(404, "NotFound")


def test_create_fills_in_the_rest(cluster: Cluster, pods: str) -> None:
    name = unique("full")
    made = cluster.post(pods, pod(name, nodeSelector=NOWHERE, terminationGracePeriodSeconds=None)).made()
    spec = made["spec"]
    assert spec["terminationGracePeriodSeconds"] == 30
    assert (spec["restartPolicy"], spec["dnsPolicy"]) == ("Always", "ClusterFirst")
    assert (spec["schedulerName"], spec["serviceAccountName"]) == ("default-scheduler", "default")
    assert {"not-ready", "unreachable"} <= {each["key"].rpartition("/")[2] for each in spec["tolerations"]}
    assert [volume for volume in spec["volumes"] if "projected" in volume]
    mounts = spec["containers"][0]["volumeMounts"]
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in [mount["mountPath"] for mount in mounts]
    assert made["status"]["phase"] == "Pending"
    assert made["status"]["qosClass"] == "BestEffort"
    cluster.delete(f"{pods}/{name}")


def test_nearly_all_of_the_spec_is_immutable(cluster: Cluster, running: str) -> None:
    status = cluster.patch(running, {"spec": {"terminationGracePeriodSeconds": 99}}).refused(422, "Invalid")
    assert "spec: Forbidden: pod updates may not change fields other than" in status["message"]
    assert status["details"]["kind"] == "Pod"


def test_an_image_may_change(cluster: Cluster, running: str) -> None:
    change = [{"op": "replace", "path": "/spec/containers/0/image", "value": IMAGE + "-other"}]
    patched = cluster.patch(running, change, "application/json-patch+json").made()
    assert patched["spec"]["containers"][0]["image"] == IMAGE + "-other"


def _workload(kind: str, name: str, replicas: int = 1) -> Object:
    labels = {"app": name}
    spec: Object = {"replicas": replicas, "selector": {"matchLabels": labels}}
    template = {"metadata": {"labels": labels}, "spec": pod(name)["spec"]}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {**spec, "template": template}}


def _ready_pods(cluster: Cluster, pods: str, name: str, count: int) -> list[Object]:
    """Wait, by watching, until that many pods of a workload are ready."""
    listed = cluster.get(pods, labelSelector=f"app={name}").made()
    found = {each["metadata"]["uid"]: each for each in listed["items"]}
    version = listed["metadata"]["resourceVersion"]

    def ready() -> list[Object]:
        return [each for each in found.values() if is_ready(each) and "deletionTimestamp" not in each["metadata"]]

    if len(ready()) >= count:
        return ready()
    for event in cluster.watch(pods, 90, labelSelector=f"app={name}", resourceVersion=version):
        uid = event["object"]["metadata"]["uid"]
        found[uid] = event["object"]
        if event["type"] == "DELETED":
            found.pop(uid)
        if len(ready()) >= count:
            return ready()
    raise AssertionError(f"{count} pods of {name} did not become ready: {list(found.values())}")


@pytest.mark.parametrize(("kind", "plural"), [("Deployment", "deployments"), ("StatefulSet", "statefulsets")])
def test_replacements(cluster: Cluster, namespace: str, pods: str, kind: str, plural: str) -> None:
    """A ReplicaSet creates the next pod when deletion starts, a StatefulSet when the old one is gone."""
    name, path = unique("w"), f"/apis/apps/v1/namespaces/{namespace}/{plural}"
    cluster.post(path, _workload(kind, name)).made()
    old = _ready_pods(cluster, pods, name, 1)[0]["metadata"]
    version = cluster.get(pods).version
    cluster.delete(f"{pods}/{old['name']}").made()
    story = []
    for event in cluster.watch(pods, 60, labelSelector=f"app={name}", resourceVersion=version):
        metadata = event["object"]["metadata"]
        story.append((event["type"], metadata["uid"] == old["uid"], metadata["name"]))
        if {each[0] for each in story} >= {"ADDED", "DELETED"}:
            break
    added = next(index for index, each in enumerate(story) if each[0] == "ADDED")
    deleted = next(index for index, each in enumerate(story) if each[0] == "DELETED")
    if kind == "Deployment":
        assert added < deleted
        assert story[added][2] != old["name"]
    else:
        assert deleted < added
        assert story[added][2] == old["name"]
        assert not story[added][1]
    cluster.delete(f"{path}/{name}").made()


def test_a_rollout_restart(cluster: Cluster, namespace: str, pods: str) -> None:
    name, path = unique("w"), f"/apis/apps/v1/namespaces/{namespace}/deployments"
    cluster.post(path, _workload("Deployment", name, 2)).made()
    before = {each["metadata"]["uid"] for each in _ready_pods(cluster, pods, name, 2)}
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}
    restarted = cluster.patch(f"{path}/{name}", {"spec": {"template": template}}).made()

    def done(found: Object | None) -> bool:
        status = (found or {}).get("status") or {}
        observed = status.get("observedGeneration", 0) >= restarted["metadata"]["generation"]
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        return observed and counts == [2, 2, 2]

    cluster.wait(f"{path}/{name}", done, 90)
    after = {each["metadata"]["uid"] for each in _ready_pods(cluster, pods, name, 2)}
    assert not before & after
    cluster.delete(f"{path}/{name}").made()


def test_a_finished_pod_keeps_its_address(cluster: Cluster, namespace: str, pods: str, on_twin: bool) -> None:
    name, jobs = unique("job"), f"/apis/batch/v1/namespaces/{namespace}/jobs"
    image = IMAGE if on_twin else "busybox"
    container: Object = {"name": "main", "image": image, "command": ["true"]}
    # A real kubelet runs the command; the twin's goes by the annotation.
    metadata = {"annotations": {"ipam.calico-ops.io/twin-run-seconds": "2"}}
    template = {"metadata": metadata, "spec": {"restartPolicy": "Never", "containers": [container]}}
    cluster.post(jobs, {"metadata": {"name": name}, "spec": {"template": template}}).made()
    cluster.wait(f"{jobs}/{name}", lambda found: bool(found and found["status"].get("succeeded")), 120)
    done = cluster.get(pods, labelSelector=f"job-name={name}").made()["items"][0]
    assert done["status"]["phase"] == "Succeeded"
    assert done["status"]["podIP"]
    cluster.delete(f"{jobs}/{name}", propagationPolicy="Background").made()
