# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import find_builtin_by_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.schema import SchemaRegistry
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.workload_rules import selector_matches

REGISTRY = SchemaRegistry()
CONTAINERS = [{"name": "c", "image": "i:1"}]
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS}}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
ONCE = {"spec": {"containers": CONTAINERS, "restartPolicy": "Never"}}
VERSIONS = {"Job": "batch/v1", "CronJob": "batch/v1", "PodDisruptionBudget": "policy/v1", "ReplicationController": "v1"}
VERSIONS["HorizontalPodAutoscaler"] = "autoscaling/v2"


def an_object(kind, spec):
    version = VERSIONS.get(kind, "apps/v1")
    return {"kind": kind, "apiVersion": version, "metadata": {"name": "x", "namespace": "n", "uid": "u"}, "spec": spec}


def stored(kind, spec):
    found = find_builtin_by_name(VERSIONS.get(kind, "apps/v1"), kind)
    return REGISTRY.admit(found, an_object(kind, spec), None)[0]


def refusals(kind, spec, old=None):
    found = find_builtin_by_name(VERSIONS.get(kind, "apps/v1"), kind)
    try:
        REGISTRY.admit(found, an_object(kind, spec), old)
    except Fault as fault:
        assert fault.code == 422
        return [f"{each['field']}: {each['message']}" for each in fault.body["details"]["causes"]]
    return []


def rolling(**values):
    return {**SELECTED, "strategy": {"type": "RollingUpdate", "rollingUpdate": values}}


def daemons(**values):
    return {**SELECTED, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": values}}


@pytest.mark.parametrize(
    ("kind", "spec", "start"),
    [
        ("Deployment", {"template": TEMPLATE}, "spec.selector: Required value"),
        ("Deployment", {"selector": {"matchLabels": {"a": "b"}}}, "spec.template: Required value"),
        ("Deployment", {**SELECTED, "selector": {}}, "spec.selector: Invalid value: {}: empty selector"),
        (
            "Deployment",
            {**SELECTED, "selector": {"matchLabels": {"a": "c"}}},
            'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
        ),
        (
            "Deployment",
            {**SELECTED, "replicas": -1},
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "Deployment",
            {**SELECTED, "progressDeadlineSeconds": 5, "minReadySeconds": 5},
            "spec.progressDeadlineSeconds: Invalid value: 5",
        ),
        ("Deployment", {**SELECTED, "strategy": {"type": "Blue"}}, 'spec.strategy.type: Unsupported value: "Blue"'),
        (
            "Deployment",
            {**SELECTED, "strategy": {"type": "Recreate", "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate: Forbidden",
        ),
        (
            "Deployment",
            rolling(maxSurge=0, maxUnavailable=0),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0",
        ),
        (
            "Deployment",
            rolling(maxSurge="0%", maxUnavailable="0%"),
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%"',
        ),
        (
            "Deployment",
            rolling(maxUnavailable="101%"),
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater',
        ),
        (
            "Deployment",
            rolling(maxSurge="many"),
            'spec.strategy.rollingUpdate.maxSurge: Invalid value: "many": a valid percent',
        ),
        (
            "Deployment",
            {**SELECTED, "template": {**TEMPLATE, "spec": {"containers": CONTAINERS, "restartPolicy": "Never"}}},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        (
            "Deployment",
            {**SELECTED, "template": {**TEMPLATE, "spec": {"containers": []}}},
            "spec.template.spec.containers: Required value",
        ),
        (
            "ReplicaSet",
            {**SELECTED, "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            "spec.selector.matchExpressions[0].values: Required value",
        ),
        ("ReplicaSet", {**SELECTED, "replicas": -1}, "spec.replicas: Invalid value"),
        (
            "DaemonSet",
            daemons(maxSurge=0, maxUnavailable=0),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0",
        ),
        (
            "DaemonSet",
            daemons(maxSurge=1, maxUnavailable=1),
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set",
        ),
        ("StatefulSet", {**SELECTED, "podManagementPolicy": "x"}, "spec.podManagementPolicy: Unsupported value"),
        ("ReplicationController", {"template": {"spec": {"containers": CONTAINERS}}}, "spec.selector: Required value"),
        (
            "Job",
            {"template": TEMPLATE},
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        ("Job", {"template": ONCE, "parallelism": -1}, "spec.parallelism: Invalid value"),
        ("CronJob", {"jobTemplate": {"spec": {"template": ONCE}}}, "spec.schedule: Required value"),
        (
            "CronJob",
            {"schedule": "* *", "jobTemplate": {"spec": {"template": ONCE}}},
            'spec.schedule: Invalid value: "* *"',
        ),
        (
            "PodDisruptionBudget",
            {"minAvailable": 1, "maxUnavailable": 1},
            "spec: Invalid value: minAvailable and maxUnavailable cannot be both set",
        ),
        ("PodDisruptionBudget", {"minAvailable": "half"}, 'spec.minAvailable: Invalid value: "half"'),
        (
            "PodDisruptionBudget",
            {"unhealthyPodEvictionPolicy": "x"},
            "spec.unhealthyPodEvictionPolicy: Unsupported value",
        ),
        (
            "HorizontalPodAutoscaler",
            {"maxReplicas": 0, "scaleTargetRef": {"kind": "D", "name": "d"}},
            "spec.maxReplicas: Invalid value: 0",
        ),
    ],
)
def test_refused_on_create(kind, spec, start):
    found = refusals(kind, spec)
    assert len(found) == 1 and found[0].startswith(start), found


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_the_selector_is_immutable(kind):
    labels = {"a": "b", "c": "d"}
    new = {"selector": {"matchLabels": labels}, "template": {**TEMPLATE, "metadata": {"labels": labels}}}
    (found,) = refusals(kind, new, stored(kind, SELECTED))
    assert found.startswith("spec.selector: Invalid value: ") and found.endswith("field is immutable")


def test_what_may_change_in_a_stateful_set():
    old = stored("StatefulSet", {**SELECTED, "serviceName": "s"})
    assert refusals("StatefulSet", {**SELECTED, "serviceName": "s", "replicas": 4}, old) == []
    (found,) = refusals("StatefulSet", {**SELECTED, "serviceName": "t"}, old)
    assert found.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas'")


def test_the_template_of_a_job_is_immutable():
    old = stored("Job", {"template": ONCE})
    assert refusals("Job", {**old["spec"], "parallelism": 2}, old) == []
    (found,) = refusals(
        "Job", {**old["spec"], "template": {**old["spec"]["template"], "metadata": {"labels": {}}}}, old
    )
    assert found.startswith("spec.template: Invalid value") and found.endswith("field is immutable")


def test_old_mistakes_do_not_block_metadata():
    old = an_object("Deployment", {"replicas": -1})
    assert refusals("Deployment", old["spec"], old) == []


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
        ({"matchLabels": {"a": "b"}}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}, {"a": "c"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {"a": "b"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
    ],
)
def test_selectors(selector, labels, matches):
    assert selector_matches(selector, labels) is matches
