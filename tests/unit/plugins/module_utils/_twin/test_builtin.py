# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import builtin_types
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin import decode, decode_metadata
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import builtin_kinds, find_builtin_by_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault


def kind(api_version, name):
    found = find_builtin_by_name(api_version, name)
    assert found is not None
    return found


POD, SECRET, CONFIG_MAP = kind("v1", "Pod"), kind("v1", "Secret"), kind("v1", "ConfigMap")
DEPLOYMENT, NODE = kind("apps/v1", "Deployment"), kind("v1", "Node")


def made(of, **parts):
    return {"kind": of.resource.kind, "apiVersion": of.resource.api_version, "metadata": {"name": "x"}, **parts}


def test_every_builtin_kind_has_its_fields():
    for each in builtin_kinds():
        found = builtin_types.struct_of(each.resource.api_version, each.resource.kind)
        assert found is not None, each.resource
        assert "metadata" in found.fields


def test_every_type_referred_to_exists():
    done, todo = set(), ["V1Pod", "V1Deployment", "V1CustomResourceDefinition", "V2HorizontalPodAutoscaler"]
    while todo:
        name = todo.pop()
        done.add(name)
        for shape in builtin_types.struct(name).fields.values():
            while shape.item is not None:
                shape = shape.item
            if shape.code == "@" and shape.struct not in done:
                todo.append(shape.struct)
    assert len(done) > 150


@pytest.mark.parametrize(
    ("of", "parts", "kept", "unknown"),
    [
        pytest.param(
            POD, {"spec": {"nodeName": "n", "bogus": 1}}, {"spec": {"nodeName": "n"}}, ["spec.bogus"], id="field"
        ),
        pytest.param(POD, {"bogus": 1}, {}, ["bogus"], id="top"),
        pytest.param(
            POD,
            {"spec": {"containers": [{"name": "a"}, {"name": "b", "imag": "x", "env": [{"nam": "y"}]}]}},
            {"spec": {"containers": [{"name": "a"}, {"name": "b", "env": [{}]}]}},
            ["spec.containers[1].imag", "spec.containers[1].env[0].nam"],
            id="in lists",
        ),
        pytest.param(
            POD, {"spec": {"nodeName": None, "tolerations": [], "nodeSelector": {}}}, {"spec": {}}, [], id="empty"
        ),
        pytest.param(POD, {"spec": {"containers": []}}, {"spec": {"containers": []}}, [], id="empty but required"),
        pytest.param(
            POD,
            {"spec": {"securityContext": {}, "hostNetwork": False}},
            {"spec": {"securityContext": {}, "hostNetwork": False}},
            [],
            id="kept",
        ),
        pytest.param(
            POD,
            {"spec": {"overhead": {"cpu": 1, "memory": "1Gi"}}},
            {"spec": {"overhead": {"cpu": "1", "memory": "1Gi"}}},
            [],
            id="quantities are text",
        ),
        pytest.param(CONFIG_MAP, {"data": {"a": None, "b": ""}}, {"data": {"a": "", "b": ""}}, [], id="null in a map"),
        pytest.param(
            kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "x-z": 1}}}]}},
            {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "x-z": 1}}}]}},
            [],
            id="schemas are not looked into",
        ),
        pytest.param(
            POD,
            {"metadata": {"name": "x", "lables": {}, "ownerReferences": [{"name": "o", "kid": "p"}]}},
            {"metadata": {"name": "x", "ownerReferences": [{"name": "o"}]}},
            ["metadata.lables", "metadata.ownerReferences[0].kid"],
            id="metadata",
        ),
    ],
)
def test_what_is_kept(of, parts, kept, unknown):
    given = made(of, **parts)
    before = copy.deepcopy(given)
    assert decode(of, given, None) == (made(of, **kept), unknown)
    assert given == before


@pytest.mark.parametrize(
    ("of", "parts", "why"),
    [
        (
            CONFIG_MAP,
            {"data": {"a": 1}},
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (CONFIG_MAP, {"data": []}, None),
        (
            CONFIG_MAP,
            {"data": ["a"]},
            "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": "3"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": 3.0}},
            "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": 3},
            "json: cannot unmarshal number into Go struct field Deployment.spec of type DeploymentSpec",
        ),
        (
            POD,
            {"spec": {"terminationGracePeriodSeconds": True}},
            "json: cannot unmarshal bool into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        (
            POD,
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []Container",
        ),
        (
            POD,
            {"spec": {"containers": [{"ports": [{"containerPort": "80"}]}]}},
            "json: cannot unmarshal string into Go struct field "
            "ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            POD,
            {"spec": {"overhead": {"cpu": "lots"}}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            POD,
            {"spec": {"hostNetwork": "yes"}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (SECRET, {"data": {"a": "not base64"}}, "illegal base64 data at input byte 0"),
        (
            NODE,
            {"status": {"conditions": [{"lastHeartbeatTime": "yesterday"}]}},
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
        ),
        (
            DEPLOYMENT,
            {"spec": {"strategy": {"rollingUpdate": {"maxSurge": {}}}}},
            "json: cannot unmarshal object into Go struct field "
            "RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type intstr.IntOrString",
        ),
    ],
)
def test_wrong_json_types_are_400(of, parts, why):
    if why is None:
        decode(of, made(of, **parts), None)
        return
    with pytest.raises(Fault) as caught:
        decode(of, made(of, **parts), None)
    assert caught.value.code == 400
    name = of.resource.kind
    assert caught.value.message == f'{name} in version "v1" cannot be handled as a {name}: {why}'


def test_parts_equal_to_the_old_object_are_taken_from_there():
    old = made(POD, spec={"nodeName": "n", "containers": [{"name": "a"}]}, status={"phase": "Running"})
    new = copy.deepcopy(old)
    new["status"]["phase"] = "Failed"
    decoded, _unknown = decode(POD, new, old)
    assert decoded["spec"] is old["spec"]
    assert decoded["status"] == {"phase": "Failed"}


def test_metadata_of_custom_resources():
    assert decode_metadata(POD, {"name": "x", "bogus": 1}) == ({"name": "x"}, ["metadata.bogus"])
    with pytest.raises(Fault) as caught:
        decode_metadata(POD, {"finalizers": [1]})
    assert "Go struct field ObjectMeta.metadata.finalizers of type string" in caught.value.message
