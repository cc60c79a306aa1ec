# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import find_builtin_by_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.schema import SchemaRegistry

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
METADATA = {"name": "x", "namespace": "n", "uid": "u-1"}
REGISTRY = SchemaRegistry()


def created(api_version, kind, **parts):
    given = {"kind": kind, "apiVersion": api_version, "metadata": dict(METADATA), **parts}
    before = copy.deepcopy(given)
    found = find_builtin_by_name(api_version, kind)
    result, warnings = REGISTRY.admit(found, given, None)
    assert given == before
    assert warnings == []
    again, _warnings = REGISTRY.admit(found, result, result)
    assert again == result, "defaults again change nothing"
    return result


def test_deployment():
    found = created("apps/v1", "Deployment", spec=SELECTED)
    assert {
        key: found["spec"][key] for key in ("replicas", "strategy", "revisionHistoryLimit", "progressDeadlineSeconds")
    } == {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    inner = found["spec"]["template"]["spec"]
    assert inner["restartPolicy"] == "Always"
    assert "enableServiceLinks" not in inner and "tolerations" not in inner
    assert found["status"] == {}


def test_a_strategy_is_completed_not_replaced():
    found = created("apps/v1", "Deployment", spec={**SELECTED, "strategy": {"rollingUpdate": {"maxSurge": 0}}})
    assert found["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "25%"},
    }
    found = created("apps/v1", "Deployment", spec={**SELECTED, "strategy": {"type": "Recreate"}})
    assert found["spec"]["strategy"] == {"type": "Recreate"}


def test_stateful_set():
    spec = created(
        "apps/v1",
        "StatefulSet",
        spec={**SELECTED, "serviceName": "s", "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {}}]},
    )["spec"]
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0]["status"] == {"phase": "Pending"}


def test_daemon_set():
    found = created("apps/v1", "DaemonSet", spec=SELECTED)
    assert found["spec"]["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
    }
    assert found["status"]["desiredNumberScheduled"] == 0


def test_job():
    template = {"spec": {"restartPolicy": "Never", "containers": TEMPLATE["spec"]["containers"]}}
    spec = created("batch/v1", "Job", spec={"template": template})["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"], spec["suspend"]) == (1, 1, 6, False)
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert spec["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "x"
    work_queue = created("batch/v1", "Job", spec={"template": template, "parallelism": 3})["spec"]
    assert "completions" not in work_queue


def test_cron_job():
    template = {"spec": {"restartPolicy": "Never", "containers": TEMPLATE["spec"]["containers"]}}
    spec = created(
        "batch/v1", "CronJob", spec={"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}
    )["spec"]
    assert (spec["concurrencyPolicy"], spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (
        "Allow",
        3,
        1,
    )
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


def test_replication_controller():
    found = created("v1", "ReplicationController", spec={"template": TEMPLATE})
    assert found["spec"]["selector"] == {"a": "b"}
    assert found["metadata"]["labels"] == {"a": "b"}
    assert found["spec"]["replicas"] == 1


def test_budget():
    found = created("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1})
    assert found["status"] == {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}


def test_namespace():
    found = created("v1", "Namespace")
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert found["spec"] == {"finalizers": ["kubernetes"]}
    assert found["status"] == {"phase": "Active"}


def test_service():
    spec = created("v1", "Service", spec={"ports": [{"port": 80}], "selector": {"a": "b"}})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["clusterIP"].startswith("10.")
    assert (spec["type"], spec["ipFamilies"], spec["internalTrafficPolicy"]) == ("ClusterIP", ["IPv4"], "Cluster")


def test_service_types():
    headless = created("v1", "Service", spec={"clusterIP": "None"})["spec"]
    assert headless["clusterIPs"] == ["None"]
    named = created("v1", "Service", spec={"type": "ExternalName", "externalName": "e.example.com"})["spec"]
    assert "clusterIP" not in named
    balanced = created("v1", "Service", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})["spec"]
    assert 30000 <= balanced["ports"][0]["nodePort"] <= 32767
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["externalTrafficPolicy"] == "Cluster"


def test_a_service_keeps_its_address_when_a_replace_leaves_it_out():
    kind = find_builtin_by_name("v1", "Service")
    old = created("v1", "Service", spec={"ports": [{"port": 80}], "clusterIP": "10.96.7.7"})
    new = {**old, "spec": {"ports": [{"port": 81}]}}
    assert REGISTRY.admit(kind, new, old)[0]["spec"]["clusterIP"] == "10.96.7.7"


def test_secret():
    found = created("v1", "Secret", stringData={"a": "hi"}, data={"b": "aGk="})
    assert found["type"] == "Opaque"
    assert found["data"] == {"a": "aGk=", "b": "aGk="}
    assert "stringData" not in found


@pytest.mark.parametrize(
    ("spec", "types"),
    [({}, ["Ingress"]), ({"egress": [{}]}, ["Ingress", "Egress"]), ({"policyTypes": ["Egress"]}, ["Egress"])],
)
def test_network_policy(spec, types):
    assert (
        created("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, **spec})["spec"]["policyTypes"]
        == types
    )


def test_rbac():
    found = created(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        roleRef={"kind": "ClusterRole", "name": "r"},
        subjects=[{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
    )
    assert found["roleRef"]["apiGroup"] == found["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    assert "apiGroup" not in found["subjects"][1]


def test_the_rest():
    assert created("v1", "PersistentVolumeClaim", spec={})["spec"] == {"volumeMode": "Filesystem"}
    assert created("storage.k8s.io/v1", "StorageClass", provisioner="p")["volumeBindingMode"] == "Immediate"
    assert created("v1", "Node", spec={"podCIDR": "10.0.0.0/24"})["spec"]["podCIDRs"] == ["10.0.0.0/24"]
    webhook = {
        "name": "w.example.com",
        "clientConfig": {"service": {"name": "s", "namespace": "n"}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    found = created("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", webhooks=[webhook])["webhooks"][
        0
    ]
    assert (found["failurePolicy"], found["timeoutSeconds"], found["reinvocationPolicy"]) == ("Fail", 10, "Never")
    assert found["clientConfig"]["service"]["port"] == 443


def test_status_writes_get_no_defaults():
    kind = find_builtin_by_name("v1", "Pod")
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": dict(METADATA),
        "spec": {"containers": []},
        "status": {"phase": "Running"},
    }
    old = {**pod, "status": {"phase": "Pending"}}
    assert REGISTRY.admit(kind, pod, old, subresource="status")[0] == pod
