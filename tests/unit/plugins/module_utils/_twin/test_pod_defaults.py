# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pod_defaults import pod, pod_spec, qos_class
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault


def a_pod(annotations=None, **spec):
    metadata = {"name": "p", "namespace": "n", "uid": "u-1", **({"annotations": annotations} if annotations else {})}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "nginx:1"}], **spec}}


def classes(name):
    return {"high": 1000}.get(name)


def created(**spec):
    return pod(a_pod(**spec), classes)


def test_a_new_pod():
    found = created()
    spec = found["spec"]
    assert found["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert {key: spec[key] for key in spec if key not in ("containers", "volumes", "tolerations")} == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    (volume,) = spec["volumes"]
    (mount,) = spec["containers"][0]["volumeMounts"]
    assert volume["name"] == mount["name"]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == 21
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert [each["key"] for each in spec["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    assert all(each["tolerationSeconds"] == 300 for each in spec["tolerations"])


def test_defaults_again_change_nothing():
    spec = created()["spec"]
    assert pod_spec(spec) is spec


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ],
)
def test_pull_policy_by_tag(image, policy):
    assert pod_spec({"containers": [{"name": "c", "image": image}]})["containers"][0]["imagePullPolicy"] == policy


def test_mirror_pods_have_no_token():
    annotations = {"kubernetes.io/config.mirror": "x"}
    found = pod(a_pod(annotations, tolerations=[{"operator": "Exists", "effect": "NoExecute"}]), classes)
    assert "volumes" not in found["spec"]
    assert len(found["spec"]["tolerations"]) == 1


def test_no_token_where_it_is_not_wanted():
    assert "volumes" not in created(automountServiceAccountToken=False)["spec"]


def test_priority_classes():
    assert created(priorityClassName="high")["spec"]["priority"] == 1000
    assert created(priorityClassName="system-node-critical")["spec"]["priority"] == 2000001000
    with pytest.raises(Fault) as caught:
        created(priorityClassName="nope")
    assert caught.value.code == 403
    assert caught.value.message == 'pods "p" is forbidden: no PriorityClass with name nope was found'


def test_containers_in_depth():
    container = {
        "name": "c",
        "image": "i:1",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 3},
    }
    spec = pod_spec(
        {
            "containers": [container],
            "hostNetwork": True,
            "volumes": [{"name": "e"}, {"name": "s", "secret": {"secretName": "t"}}],
        }
    )
    (found,) = spec["containers"]
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert found["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert found["livenessProbe"] == {
        "tcpSocket": {"port": 80},
        "periodSeconds": 3,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert spec["volumes"] == [
        {"name": "e", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "t", "defaultMode": 420}},
    ]
    assert container["ports"] == [{"containerPort": 80}]


def test_requests_come_from_limits():
    limits = {"cpu": "1", "memory": "1Gi"}
    found = pod(
        {
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": limits}}]},
        },
        classes,
    )
    assert found["spec"]["containers"][0]["resources"] == {"limits": limits, "requests": limits}
    assert found["status"]["qosClass"] == "Guaranteed"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1"}}, {}], "Burstable"),
        ([{"limits": {"cpu": "2", "memory": "1"}, "requests": {"cpu": "1"}}], "Burstable"),
        ([{"requests": {"ephemeral-storage": "1"}}], "BestEffort"),
    ],
)
def test_qos_class(resources, expected):
    assert qos_class({"containers": [{"resources": each} for each in resources]}) == expected
