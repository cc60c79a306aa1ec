# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import find_builtin_by_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.schema import SchemaRegistry
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

REGISTRY = SchemaRegistry()
RBAC = "rbac.authorization.k8s.io/v1"


def refusals(api_version, kind, new, old=None, name="x"):
    def made(parts):
        metadata = {"name": name, "namespace": "n", **parts.get("metadata", {})}
        return {"kind": kind, "apiVersion": api_version, **parts, "metadata": metadata}

    found = find_builtin_by_name(api_version, kind)
    try:
        REGISTRY.admit(found, made(new), None if old is None else made(old))
    except Fault as fault:
        assert fault.code == 422
        return [f"{each.get('field', '')}: {each['message']}" for each in fault.body["details"]["causes"]]
    return []


def crd(**spec):
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": "ts", "kind": "T"}
    return {"spec": {"group": "g.io", "scope": "Cluster", "names": names, "versions": [version], **spec}}


BINDING = {"roleRef": {"kind": "ClusterRole", "name": "r"}}
PORT = {"port": 80}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}


@pytest.mark.parametrize(
    ("api_version", "kind", "new", "old", "start"),
    [
        ("v1", "ConfigMap", {"data": {"bad key": "x"}}, None, 'data[bad key]: Invalid value: "bad key"'),
        ("v1", "ConfigMap", {"data": {"k": "x" * 1048577}}, None, ": Too long: may not be more than 1048576 bytes"),
        (
            "v1",
            "ConfigMap",
            {"data": {"k": "y"}, "immutable": True},
            {"data": {"k": "x"}, "immutable": True},
            "data: Forbidden",
        ),
        ("v1", "ConfigMap", {"data": {"k": "x"}}, {"data": {"k": "x"}, "immutable": True}, "immutable: Forbidden"),
        ("v1", "Secret", {"type": "b"}, {"type": "a"}, 'type: Invalid value: "b": field is immutable'),
        ("v1", "Service", {"spec": {}}, None, "spec.ports: Required value"),
        ("v1", "Service", {"spec": {"type": "ExternalName"}}, None, "spec.externalName: Required value"),
        ("v1", "Service", {"spec": {"type": "Odd", "ports": [PORT]}}, None, 'spec.type: Unsupported value: "Odd"'),
        ("v1", "Service", {"spec": {"ports": [{"port": 0}]}}, None, "spec.ports[0].port: Invalid value: 0"),
        (
            "v1",
            "Service",
            {"spec": {"ports": [PORT, {"port": 81, "name": "b"}]}},
            None,
            "spec.ports[0].name: Required value",
        ),
        ("v1", "Service", {"spec": {"ports": [PORT], "clusterIP": "x"}}, None, 'spec.clusterIPs: Invalid value: ["x"]'),
        (
            "v1",
            "Service",
            {"spec": {"ports": [PORT], "clusterIP": "10.96.0.9"}},
            {"spec": {"ports": [PORT], "clusterIP": "10.96.0.8"}},
            'spec.clusterIPs[0]: Invalid value: ["10.96.0.9"]: may not change once set',
        ),
        (
            "v1",
            "Node",
            {"spec": {"taints": [{"key": "a", "effect": "x"}]}},
            None,
            "spec.taints[0].effect: Unsupported value",
        ),
        ("v1", "Node", {"spec": {"podCIDR": "nope"}}, None, 'spec.podCIDRs[0]: Invalid value: "nope"'),
        ("v1", "Node", {"spec": {"providerID": "b"}}, {"spec": {"providerID": "a"}}, "spec.providerID: Forbidden"),
        (
            "v1",
            "Event",
            {"involvedObject": {"namespace": "other"}},
            None,
            'involvedObject.namespace: Invalid value: "other"',
        ),
        (
            "coordination.k8s.io/v1",
            "Lease",
            {"spec": {"leaseDurationSeconds": 0}},
            None,
            "spec.leaseDurationSeconds: Invalid value: 0",
        ),
        (
            RBAC,
            "ClusterRoleBinding",
            {"roleRef": {"kind": "Rule", "name": "r"}},
            None,
            'roleRef.kind: Unsupported value: "Rule"',
        ),
        (
            RBAC,
            "ClusterRoleBinding",
            {**BINDING, "subjects": [{"kind": "ServiceAccount", "name": "s"}]},
            None,
            "subjects[0].namespace: Required",
        ),
        (RBAC, "RoleBinding", {"roleRef": {"kind": "Role", "name": "r"}}, BINDING, "roleRef: Invalid value"),
        (RBAC, "Role", {"rules": [{"apiGroups": [""], "resources": ["pods"]}]}, None, "rules[0].verbs: Required value"),
        (
            RBAC,
            "ClusterRole",
            {"rules": [{"verbs": ["get"], "resources": ["pods"]}]},
            None,
            "rules[0].apiGroups: Required value",
        ),
        ("scheduling.k8s.io/v1", "PriorityClass", {"value": 2}, {"value": 1}, "value: Forbidden"),
        ("storage.k8s.io/v1", "StorageClass", {}, None, "provisioner: Required value"),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"spec": {"podSelector": {}, "policyTypes": ["In"]}},
            None,
            "spec.policyTypes[0]: Unsupported",
        ),
        (
            "v1",
            "ConfigMap",
            {"metadata": {"ownerReferences": [{**OWNER, "uid": ""}]}},
            None,
            "metadata.ownerReferences[0].uid: Invalid value",
        ),
        (
            "v1",
            "ConfigMap",
            {"metadata": {"ownerReferences": [OWNER, {**OWNER, "name": "q", "uid": "v"}]}},
            None,
            "metadata.ownerReferences: Invalid value",
        ),
    ],
)
def test_refused(api_version, kind, new, old, start):
    found = refusals(api_version, kind, new, old)
    assert len(found) == 1 and found[0].startswith(start), found


CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@pytest.mark.parametrize(
    ("new", "start"),
    [
        (crd(scope="World"), 'spec.scope: Unsupported value: "World"'),
        (crd(versions=[]), "spec.versions: Invalid value: []: must have exactly one version"),
        (
            crd(versions=[{"name": "v1", "served": True, "storage": True}]),
            "spec.versions[0].schema.openAPIV3Schema: Required value",
        ),
        (
            crd(
                versions=[
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {"type": "object", "x-kubernetes-validations": [{"rule": "self."}]}
                        },
                    }
                ]
            ),
            "spec.versions[0].schema.openAPIV3Schema: Invalid value: compilation failed",
        ),
    ],
)
def test_definitions_that_are_refused(new, start):
    found = refusals(*CRD, new, name="ts.g.io")
    assert len(found) == 1 and found[0].startswith(start), found


def test_definitions():
    assert refusals(*CRD, crd(), name="ts.g.io") == []
    assert refusals(*CRD, crd(), name="other") == [
        'metadata.name: Invalid value: "other": must be spec.names.plural+"."+spec.group'
    ]
    assert refusals(*CRD, crd(scope="Namespaced"), crd(), name="ts.g.io") == [
        'spec.scope: Invalid value: "Namespaced": field is immutable'
    ]
