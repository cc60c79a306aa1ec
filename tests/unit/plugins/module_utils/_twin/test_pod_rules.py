# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import find_builtin_by_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.schema import SchemaRegistry
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

POD = find_builtin_by_name("v1", "Pod")
REGISTRY = SchemaRegistry()
GOOD = {"name": "c", "image": "i:1"}


def a_pod(**spec):
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": [GOOD], **spec},
    }


def refusals(obj, old=None, **options):
    try:
        REGISTRY.admit(POD, obj, old, **options)
    except Fault as fault:
        assert fault.code == 422
        return [f"{each['field']}: {each['message']}" for each in fault.body["details"]["causes"]]
    return []


@pytest.mark.parametrize(
    ("spec", "start"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        ({"containers": [{"image": "i"}]}, "spec.containers[0].name: Required value"),
        ({"containers": [{"name": "c"}]}, "spec.containers[0].image: Required value"),
        (
            {"containers": [{"name": "C", "image": "i"}]},
            'spec.containers[0].name: Invalid value: "C": a lowercase RFC 1123',
        ),
        ({"containers": [{"name": "c" * 64, "image": "i"}]}, "spec.containers[0].name: Invalid value: "),
        ({"containers": [GOOD, GOOD]}, 'spec.containers[1].name: Duplicate value: "c"'),
        ({"initContainers": [GOOD]}, 'spec.containers[0].name: Duplicate value: "c"'),
        (
            {"restartPolicy": "Sometimes"},
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always"',
        ),
        ({"dnsPolicy": "None?"}, "spec.dnsPolicy: Unsupported value"),
        ({"terminationGracePeriodSeconds": -5}, "spec.terminationGracePeriodSeconds: Invalid value: -5"),
        ({"containers": [{**GOOD, "imagePullPolicy": "x"}]}, "spec.containers[0].imagePullPolicy: Unsupported value"),
        (
            {"containers": [{**GOOD, "ports": [{"containerPort": 0}]}]},
            "spec.containers[0].ports[0].containerPort: Invalid value: 0",
        ),
        ({"containers": [{**GOOD, "ports": [{}]}]}, "spec.containers[0].ports[0].containerPort: Required value"),
        (
            {"containers": [{**GOOD, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        ({"containers": [{**GOOD, "env": [{"value": "v"}]}]}, "spec.containers[0].env[0].name: Required value"),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, 'spec.volumes[1].name: Duplicate value: "v"'),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
            "spec.volumes[0].hostPath: Forbidden: may not specify more",
        ),
        ({"tolerations": [{"operator": "Equal"}]}, 'spec.tolerations[0].operator: Invalid value: "Equal"'),
        (
            {"tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]},
            "spec.tolerations[0].operator: Invalid value",
        ),
        ({"tolerations": [{"key": "k", "effect": "x"}]}, "spec.tolerations[0].effect: Unsupported value"),
    ],
)
def test_refused_on_create(spec, start):
    found = refusals(a_pod(**spec))
    assert len(found) == 1 and found[0].startswith(start), found


def test_a_pod_without_spec():
    pod = a_pod()
    del pod["spec"]
    assert "spec.containers: Required value" in refusals(pod)[0]


STORED = REGISTRY.admit(POD, a_pod(nodeName="n1"), None)[0]


def changed(change):
    new = copy.deepcopy(STORED)
    change(new)
    return new


@pytest.mark.parametrize(
    "change",
    [
        lambda pod: pod["metadata"].update(labels={"a": "b"}),
        lambda pod: pod["spec"]["containers"][0].update(image="i:2"),
        lambda pod: pod["spec"].update(activeDeadlineSeconds=5),
        lambda pod: pod["spec"]["tolerations"].append({"key": "k", "operator": "Exists"}),
    ],
)
def test_what_may_change(change):
    assert refusals(changed(change), STORED) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda pod: pod["spec"].update(nodeName="n2"),
        lambda pod: pod["spec"]["containers"][0].update(command=["x"]),
        lambda pod: pod["spec"]["tolerations"].pop(),
        lambda pod: pod["spec"].update(terminationGracePeriodSeconds=1),
        lambda pod: pod["spec"].update(nodeSelector={"a": "b"}),
        lambda pod: pod["spec"].update(priority=5),
    ],
)
def test_the_rest_of_the_spec_may_not(change):
    (found,) = refusals(changed(change), STORED)
    assert found.startswith("spec: Forbidden: pod updates may not change fields other than")


def test_containers_cannot_be_added():
    new = changed(lambda pod: pod["spec"]["containers"].append({"name": "d", "image": "i"}))
    assert refusals(new, STORED) == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


def test_a_binding_sets_the_node_once():
    unbound = REGISTRY.admit(POD, a_pod(), None)[0]
    bound = {**unbound, "spec": {**unbound["spec"], "nodeName": "n1"}}
    assert refusals(bound, unbound, subresource="binding") == []
    assert refusals(bound, unbound) != []
    assert refusals({**bound, "spec": {**bound["spec"], "nodeName": "n2"}}, bound, subresource="binding") != []
