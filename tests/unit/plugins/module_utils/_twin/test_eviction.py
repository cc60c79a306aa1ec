# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    NAMESPACES,
    POD_DISRUPTION_BUDGETS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.eviction import register_evictions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import DeleteOptions, WriteOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

MESSAGE = "Cannot evict pod as it would violate the pod's disruption budget."


class Server:
    """An API server with one pod and the budgets of the case; no controllers."""

    def __init__(self):
        self.objects = ObjectStore()
        self.clock = VirtualClock()
        self.api = ApiServer(self.objects, self.clock)
        register_evictions(self.api)
        self.api.create(NAMESPACES, {"metadata": {"name": "shop"}})

    def pod(self, phase="Running", ready=True, **more):
        self.api.create(PODS, {"metadata": {"name": "web-1", "labels": {"app": "web"}}, "spec": {}}, "shop")
        pod = copy.deepcopy(self.objects.get(PODS, "shop", "web-1"))
        pod["spec"]["nodeName"] = "node-1"
        pod["status"] = {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        self.objects.update(PODS, pod)
        return pod

    def budget(self, name="web", allowed=1, healthy=3, desired=2, observed=1, selector=None, policy=None, **status):
        spec = {"minAvailable": desired, "selector": {"matchLabels": {"app": "web"}} if selector is None else selector}
        if policy:
            spec["unhealthyPodEvictionPolicy"] = policy
        self.api.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": name}, "spec": spec}, "shop")
        budget = copy.deepcopy(self.objects.get(POD_DISRUPTION_BUDGETS, "shop", name))
        budget["status"] = {
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": healthy,
            "observedGeneration": observed,
            **status,
        }
        self.objects.update(POD_DISRUPTION_BUDGETS, budget)

    def evict(self, name="web-1", dry_run=False, **body):
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": "shop"},
            **body,
        }
        return self.api.create_subresource(PODS, name, "eviction", body, "shop", WriteOptions(dry_run=dry_run))

    def refused(self, **body):
        with pytest.raises(Fault) as caught:
            self.evict(**body)
        return caught.value

    @property
    def terminating(self):
        pod = self.objects.get(PODS, "shop", "web-1")
        return pod is None or "deletionTimestamp" in pod["metadata"]

    def status(self, name="web"):
        return self.objects.get(POD_DISRUPTION_BUDGETS, "shop", name)["status"]


@pytest.fixture
def server():
    return Server()


def test_accepted(server):
    server.pod()
    server.budget()
    answer = server.evict()
    assert answer.code == 201
    assert answer.object == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    assert server.terminating
    # The budget is charged at once, before any controller looks.
    assert server.status()["disruptionsAllowed"] == 0
    assert server.status()["disruptedPods"] == {"web-1": server.clock.timestamp()}
    conditions = server.objects.get(PODS, "shop", "web-1")["status"]["conditions"]
    assert [(each["type"], each["reason"]) for each in conditions if each["type"] == "DisruptionTarget"] == [
        ("DisruptionTarget", "EvictionByEvictionAPI")
    ]


def test_refused_by_the_budget(server):
    server.pod()
    server.budget(allowed=0, healthy=8, desired=8)
    fault = server.refused()
    assert fault.code == 429
    assert "Retry-After" not in fault.headers
    assert fault.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": MESSAGE,
        "reason": "TooManyRequests",
        "details": {
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget web needs 8 healthy pods and has 8 currently",
                }
            ]
        },
        "code": 429,
    }
    assert not server.terminating
    assert server.status()["disruptionsAllowed"] == 0


def test_refused_while_the_status_is_behind(server):
    server.pod()
    server.budget(observed=0)
    fault = server.refused()
    assert fault.code == 429
    assert fault.headers["Retry-After"] == "10"
    assert fault.body["details"]["retryAfterSeconds"] == 10
    assert fault.body["details"]["causes"] == [
        {"reason": "DisruptionBudget", "message": "The disruption budget web is still being processed by the server."}
    ]


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ({"healthy": 5, "desired": 2}, "The disruption budget web does not allow evicting pods currently"),
        (
            {
                "conditions": [
                    {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale"}
                ]
            },
            "The disruption budget web does not allow evicting pods currently because it failed sync: no scale",
        ),
    ],
)
def test_other_words_of_refusal(server, status, cause):
    server.pod()
    server.budget(allowed=0, **status)
    assert server.refused().body["details"]["causes"][0]["message"] == cause


def test_two_budgets(server):
    server.pod()
    server.budget("one")
    server.budget("two", selector={})
    fault = server.refused()
    assert fault.code == 500
    assert "reason" not in fault.body
    assert fault.body["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_budgets_do_not_matter_to_pods_that_do_not_run(server, phase):
    server.pod(phase=phase, ready=False)
    server.budget("one", allowed=0)
    server.budget("two", allowed=0)
    assert server.evict().code == 201
    assert server.terminating
    assert "disruptedPods" not in server.status("one")


def test_a_terminating_pod_is_evicted_again_and_again(server):
    server.pod()
    server.budget(allowed=0)
    server.api.delete(PODS, "web-1", "shop", DeleteOptions())
    revision = server.objects.revision
    assert server.evict().code == 201
    assert server.evict().code == 201
    assert server.objects.revision == revision


@pytest.mark.parametrize(
    ("policy", "healthy", "desired", "allowed", "code"),
    [
        (None, 2, 2, 0, 201),
        ("IfHealthyBudget", 2, 2, 0, 201),
        ("IfHealthyBudget", 1, 2, 0, 429),
        ("IfHealthyBudget", 0, 0, 0, 429),
        ("AlwaysAllow", 1, 2, 0, 201),
    ],
)
def test_pods_that_run_but_are_not_ready(server, policy, healthy, desired, allowed, code):
    server.pod(ready=False)
    server.budget(allowed=allowed, healthy=healthy, desired=desired, policy=policy)
    if code == 429:
        assert server.refused().code == 429
    else:
        assert server.evict().code == 201
        assert server.status()["disruptionsAllowed"] == 0
        assert "disruptedPods" not in server.status()


def test_missing_pod(server):
    fault = server.refused()
    assert (fault.code, fault.message) == (404, 'pods "web-1" not found')


def test_uid_precondition(server):
    server.pod()
    server.budget()
    fault = server.refused(deleteOptions={"preconditions": {"uid": "another"}})
    assert (fault.code, fault.reason) == (409, "Conflict")
    assert fault.body["details"]["kind"] == "Pod"
    assert server.status()["disruptionsAllowed"] == 1
    uid = server.objects.get(PODS, "shop", "web-1")["metadata"]["uid"]
    assert server.evict(deleteOptions={"preconditions": {"uid": uid}}).code == 201


def test_names_must_agree(server):
    server.pod()
    fault = server.refused(metadata={"name": "other", "namespace": "shop"})
    assert fault.code == 400
    assert not server.terminating


def test_the_beta_version_is_still_accepted(server):
    server.pod()
    assert server.evict(apiVersion="policy/v1beta1").code == 201


@pytest.mark.parametrize("how", [{"dry_run": True}, {"deleteOptions": {"dryRun": ["All"]}}])
def test_dry_run(server, how):
    server.pod()
    server.budget()
    revision = server.objects.revision
    assert server.evict(**how).code == 201
    assert server.objects.revision == revision


def test_dry_run_is_refused_as_the_real_one(server):
    server.pod()
    server.budget(allowed=0)
    assert server.refused(dry_run=True).code == 429


def test_ten_calls_share_two_permissions(server):
    server.pod()
    server.budget(allowed=2, healthy=10, desired=8)
    for number in range(10):
        pod = copy.deepcopy(server.objects.get(PODS, "shop", "web-1"))
        pod["metadata"] = {**pod["metadata"], "name": f"more-{number}", "uid": f"uid-{number}"}
        server.objects.create(PODS, pod)
    codes = []
    for number in range(10):
        try:
            codes.append(server.evict(f"more-{number}").code)
        except Fault as fault:
            codes.append(fault.code)
    assert codes == [201, 201] + [429] * 8
    assert sorted(server.status()["disruptedPods"]) == ["more-0", "more-1"]
