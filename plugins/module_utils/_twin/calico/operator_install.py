# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What an installation by the Tigera operator has besides the scenario: its resources, its pod, its Installation.

Source: spec ippool.md 10 and 7.1. The pools of the scenario become the operator's own.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    DAEMON_SETS,
    INSTALLATIONS,
    IP_POOLS,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_form import shown, stored_form
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator_pools import (
    ENCAPSULATIONS,
    MOST_ENTRIES,
    OWNER,
    OWNER_LABEL,
    entry_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import Scenario

NAMESPACE = "tigera-operator"
NAME = "tigera-operator"
API_SERVERS = Resource(INSTALLATIONS.group, "v1", "apiservers", "APIServer", False)
_APP = {"k8s-app": NAME}
_FREE: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_USES = ("Workload", "Tunnel", "LoadBalancer")


def with_operator(scenario: Scenario, installation: str) -> Scenario:
    """The scenario as the operator would have installed it.

    An Installation of the scenario's own stays as it is, and the pools with it.
    """
    objects = [_told(item) for item in scenario.objects]
    entries: list[Object] = []
    if not any(_is(item, INSTALLATIONS) for item in objects):
        entries = [entry_of(_name(item), item["spec"]) for item in objects if _becomes_owned(item)]
        objects = [_owned(item) if _becomes_owned(item) else item for item in objects]
        # Without pools there is no list either: the operator makes the first one.
        network: Object = {"bgp": "Enabled", **({"ipPools": entries} if entries else {})}
        spec = {"variant": "Calico", "cni": {"type": "Calico", "ipam": {"type": "Calico"}}, "calicoNetwork": network}
        status = {"variant": "Calico", "calicoVersion": scenario.calico_version}
        objects.append({**_object(INSTALLATIONS, "default"), "spec": spec, "status": status})
    own = {(item["apiVersion"], item["kind"], item["metadata"].get("namespace"), _name(item)) for item in objects}
    added = [
        item
        for item in _objects(installation)
        if (item["apiVersion"], item["kind"], item["metadata"].get("namespace"), _name(item)) not in own
    ]
    return replace(scenario, objects=(*_definitions(), *objects, *added))


def _is(item: Object, resource: Resource) -> bool:
    return bool((item["apiVersion"], item["kind"]) == (resource.api_version, resource.kind))


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _object(resource: Resource, name: str) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}


def _becomes_owned(item: Object) -> bool:
    """What an Installation has no words for is somebody else's pool."""
    return _is(item, IP_POOLS) and not (item.get("spec") or {}).get("namespaceSelector")


def _owned(item: Object) -> Object:
    """As the operator writes pools, by Calico's client: the label is in the packed metadata."""
    view = shown(item, CRD_V3.pools)
    metadata = {**view["metadata"], "labels": {**labels_of(item), OWNER_LABEL: OWNER}}
    return stored_form({**view, "metadata": metadata}, IP_POOLS)


def _told(item: Object) -> Object:
    """calico-node makes no pools of its own, and the cluster's record tells of the operator."""
    if _is(item, CLUSTER_INFORMATIONS):
        words = [each for each in str(item["spec"].get("clusterType") or "k8s").split(",") if each]
        if "operator" not in words:
            words.insert(1, "operator")
        return {**item, "spec": {**item["spec"], "clusterType": ",".join(words)}}
    if not _is(item, DAEMON_SETS) or _name(item) != "calico-node":
        return item
    template = item["spec"]["template"]
    containers = [_without_default_pools(each) for each in template["spec"].get("containers") or []]
    pod_spec = {**template["spec"], "containers": containers}
    return {**item, "spec": {**item["spec"], "template": {**template, "spec": pod_spec}}}


def _without_default_pools(container: Object) -> Object:
    if container.get("name") != "calico-node":
        return container
    environment = [each for each in container.get("env") or [] if each.get("name") != "NO_DEFAULT_POOLS"]
    return {**container, "env": [*environment, {"name": "NO_DEFAULT_POOLS", "value": "true"}]}


def _objects(installation: str) -> list[Object]:
    """The pod is on the network of its node, so that the same addresses are in use as without an operator."""
    pod_spec = {
        "hostNetwork": True,
        "serviceAccountName": NAME,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": NAME, "image": "quay.io/tigera/operator:v1.44.0"}],
    }
    deployment = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": _APP},
        "template": {"metadata": {"labels": _APP}, "spec": pod_spec},
    }
    found: list[Object] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (NAMESPACE, "calico-system")
    ]
    found.append(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}},
    )
    found.append(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _APP},
            "spec": deployment,
        }
    )
    if installation == "apiserver":
        found.append({**_object(API_SERVERS, "default"), "spec": {}})
    return found


def _definitions() -> list[Object]:
    """The resources, with as much of a schema as matters to pools."""
    entry: Object = {
        "type": "object",
        "required": ["cidr"],
        "properties": {
            "name": {"type": "string"},
            "cidr": {"type": "string"},
            "encapsulation": {"type": "string", "enum": [*ENCAPSULATIONS, ""]},
            "natOutgoing": {"type": "string", "enum": ["Enabled", "Disabled", ""]},
            "nodeSelector": {"type": "string"},
            "blockSize": {"type": "integer", "format": "int32"},
            "disableBGPExport": {"type": "boolean"},
            "disableNewAllocations": {"type": "boolean"},
            "allowedUses": {"type": "array", "items": {"type": "string", "enum": list(_USES)}},
            "assignmentMode": {"type": "string", "enum": ["Automatic", "Manual"]},
        },
    }
    pools = {"type": "array", "maxItems": MOST_ENTRIES, "x-kubernetes-list-type": "atomic", "items": entry}
    installation = {**_FREE, "properties": {"calicoNetwork": {**_FREE, "properties": {"ipPools": pools}}}}
    return [
        _definition(INSTALLATIONS, installation),
        _definition(TIGERA_STATUSES, _FREE),
        _definition(API_SERVERS, _FREE),
    ]


def _definition(resource: Resource, spec: Object) -> Object:
    texts: t.Mapping[str, Object] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    properties = {**texts, "metadata": {"type": "object"}, "spec": spec, "status": _FREE}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {"status": {}},
    }
    names = {
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {"group": resource.group, "names": names, "scope": "Cluster", "versions": [version]},
    }
