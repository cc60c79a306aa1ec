# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Put a scenario's objects into an empty cluster, through the API server and its validation."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V3,
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.translation import translated
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import Scenario

SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
CALICO = f"{CALICO_V3}/v3"
_MIRROR = "kubernetes.io/config.mirror"


def load_scenario(
    api: LocalApi,
    scenario: Scenario,
    places: CalicoPlaces = CRD_V1,
    installed: t.Sequence[Object] = (),
    elsewhere: t.Callable[[Object], None] | None = None,
) -> None:
    """Create Calico's resource definitions, the system namespaces, and everything in the scenario.

    Objects of Calico are written in the v1 group and stored as the installation keeps them.
    ``installed`` is what the installation brings along, where the scenario has no such object itself.
    ``elsewhere`` takes in Calico's objects where the API does not serve them.
    Raises ``InvalidInput`` naming the object that was refused.
    """
    for crd in calico_crds(places.definitions) if places.definitions else ():
        _create(api, CUSTOM_RESOURCE_DEFINITIONS, crd, scenario)
    for name in SYSTEM_NAMESPACES:
        _create(api, NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, scenario)
    own = {_identity(item) for item in scenario.objects}
    for written in [*scenario.objects, *(item for item in installed if _identity(item) not in own)]:
        item = translated(written, places)
        if elsewhere is not None and item["apiVersion"] == CALICO:
            _load_elsewhere(elsewhere, item, scenario)
            continue
        resource = _resource(api, item, scenario)
        already = item["kind"] == "Namespace" and item["metadata"]["name"] in SYSTEM_NAMESPACES
        if already:
            _update(api, resource, item, scenario)
        else:
            _create(api, resource, _owned(api, item), scenario)


def carry_out_afterwards(api: LocalApi, scenario: Scenario) -> None:
    """Do what the scenario wants done once its cluster rests. Raises ``InvalidInput`` naming the object."""
    for entry in scenario.afterwards:
        metadata = {"name": entry.name, **({"namespace": entry.namespace} if entry.namespace else {})}
        item: Object = {"apiVersion": entry.api_version, "kind": entry.kind, "metadata": metadata}
        resource = _resource(api, item, scenario)
        namespace = _namespace(resource, item)
        try:
            if entry.patch is None:
                api.delete(resource, entry.name, namespace)
            else:
                api.patch(resource, entry.name, entry.patch, namespace)
        except ApiError as error:
            raise _refusal(scenario, item, error.message) from None


def _load_elsewhere(elsewhere: t.Callable[[Object], None], item: Object, scenario: Scenario) -> None:
    try:
        elsewhere(item)
    except AlreadyExists:
        raise _refusal(scenario, item, "it is there twice") from None
    except (ApiError, InvalidInput) as error:
        raise _refusal(scenario, item, error.message) from None


def _identity(item: Object) -> tuple[str, str, str, str]:
    metadata = item["metadata"]
    return (item["apiVersion"], item["kind"], str(metadata.get("namespace") or ""), metadata["name"])


def _resource(api: LocalApi, item: Object, scenario: Scenario) -> Resource:
    for kind in api.server.served.all():
        resource = kind.resource
        if (resource.api_version, resource.kind) == (item["apiVersion"], item["kind"]):
            return resource
    raise _refusal(scenario, item, f"the twin does not serve kind {item['kind']} of {item['apiVersion']}")


def _create(api: LocalApi, resource: Resource, item: Object, scenario: Scenario) -> None:
    try:
        api.create(resource, item, _namespace(resource, item))
        status = item.get("status")
        if status and resource not in (NODES, CUSTOM_RESOURCE_DEFINITIONS):
            stored = api.get(resource, item["metadata"]["name"], _namespace(resource, item))
            api.replace(resource, {**stored, "status": status}, _namespace(resource, item), subresource="status")
    except AlreadyExists:
        raise _refusal(scenario, item, "it is there twice") from None
    except ApiError as error:
        raise _refusal(scenario, item, error.message) from None


def _update(api: LocalApi, resource: Resource, item: Object, scenario: Scenario) -> None:
    metadata = {key: value for key, value in item["metadata"].items() if key in ("labels", "annotations")}
    try:
        api.patch(resource, item["metadata"]["name"], {"metadata": metadata})
    except ApiError as error:
        raise _refusal(scenario, item, error.message) from None


def _namespace(resource: Resource, item: Object) -> str | None:
    return str(item["metadata"].get("namespace") or "default") if resource.namespaced else None


def _owned(api: LocalApi, item: Object) -> Object:
    """Mirror pods belong to their node, whose uid no scenario can know."""
    metadata = item["metadata"]
    name = (item.get("spec") or {}).get("nodeName")
    if item["kind"] != PODS.kind or not name or _MIRROR not in (metadata.get("annotations") or {}):
        return item
    node = api.server.objects.get(NODES, None, name)
    if node is None or metadata.get("ownerReferences"):
        return item
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"], "controller": True}
    return {**item, "metadata": {**metadata, "ownerReferences": [owner]}}


def _refusal(scenario: Scenario, item: Object, why: str) -> InvalidInput:
    metadata = item["metadata"]
    place = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
    value: t.Any = metadata["name"]
    return InvalidInput(f"Scenario {scenario.name}: {item['kind']} {place} was refused: {why}", "scenario", value)
