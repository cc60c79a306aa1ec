# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The scale subresource: the number of replicas of anything that has one, in one shape."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import Answer, SubresourceCall
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause, invalid, not_found

SCALABLE: tuple[Resource, ...] = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, REPLICATION_CONTROLLERS)
_WORDS = {"In": "in", "NotIn": "notin"}


def scale_of(obj: Object) -> Object:
    """The Scale of an object."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": int((obj.get("status") or {}).get("replicas") or 0)}
    selector = selector_text(spec.get("selector"))
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": int(spec.get("replicas", 1))},
        "status": status,
    }


def selector_text(selector: t.Any) -> str:
    """A ``LabelSelector``, or a ReplicationController's plain map, as a query would spell it."""
    if not selector:
        return ""
    plain = "matchLabels" not in selector and "matchExpressions" not in selector
    labels = selector if plain else selector.get("matchLabels") or {}
    parts = [f"{key}={value}" for key, value in sorted(labels.items())]
    for each in () if plain else selector.get("matchExpressions") or ():
        if each["operator"] in _WORDS:
            parts.append(f"{each['key']} {_WORDS[each['operator']]} ({','.join(sorted(each.get('values') or ()))})")
        else:
            parts.append(each["key"] if each["operator"] == "Exists" else f"!{each['key']}")
    return ",".join(parts)


def scale(server: ApiServer, resource: Resource, call: SubresourceCall) -> Answer:
    """GET and PUT of a scale. Raises a ``Fault``: 404, 409 for a stale version, 422 for a bad number."""
    obj = server.objects.get(resource, call.namespace, call.name)
    if obj is None:
        raise not_found(resource, call.name)
    if call.verb == "get":
        return Answer(200, scale_of(obj))
    wanted = (call.body.get("spec") or {}).get("replicas") or 0
    if not isinstance(wanted, int) or wanted < 0:
        cause = Cause(
            "FieldValueInvalid",
            f"Invalid value: {wanted}: must be greater than or equal to 0",
            "spec.replicas",
        )
        raise invalid("Scale", "autoscaling", call.name, [cause])
    metadata = dict(obj["metadata"])
    version = (call.body.get("metadata") or {}).get("resourceVersion")
    if version:
        metadata["resourceVersion"] = version
    changed = {**obj, "metadata": metadata, "spec": {**(obj.get("spec") or {}), "replicas": wanted}}
    answer = server.replace(resource, call.name, changed, call.namespace, call.options)
    return Answer(200, scale_of(answer.object))


def register_scales(server: ApiServer) -> None:
    """Let the API server answer the scale of the built-in workloads."""
    for resource in SCALABLE:

        def handler(call: SubresourceCall, resource: Resource = resource) -> Answer:
            return scale(server, resource, call)

        server.register_subresource(resource.plural, "scale", handler, group=resource.group)
