# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The binding subresource of pods: how a scheduler says where a pod runs, once."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_terminating,
    node_of,
    with_condition,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import Answer, SubresourceCall
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    bad_request,
    conflict,
    not_found,
    success,
)


def bind(server: ApiServer, call: SubresourceCall) -> Answer:
    """POST to pods/binding: sets ``spec.nodeName`` and the condition PodScheduled.

    Raises a ``Fault``: 404 for a missing pod, 409 when it is bound already or going away.
    """
    target = (call.body.get("target") or {}).get("name") or ""
    if not target:
        raise bad_request("target.name: Required value")
    pod = server.objects.get(PODS, call.namespace, call.name)
    if pod is None:
        raise not_found(PODS, call.name)
    wanted = (call.body.get("metadata") or {}).get("uid")
    if wanted and wanted != pod["metadata"]["uid"]:
        found = pod["metadata"]["uid"]
        raise conflict(
            PODS, call.name, f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        )
    if is_terminating(pod):
        raise conflict(PODS, call.name, f"pod {call.name} is being deleted, cannot be assigned to a host")
    if node_of(pod):
        raise conflict(PODS, call.name, f'pod {call.name} is already assigned to node "{node_of(pod)}"')
    status = pod.get("status") or {}
    conditions = with_condition(status.get("conditions") or (), "PodScheduled", "True", server.clock.timestamp())
    if not call.options.dry_run:
        server.objects.update(
            PODS,
            {
                **pod,
                "spec": {**pod["spec"], "nodeName": target},
                "status": {**status, "phase": status.get("phase") or "Pending", "conditions": conditions},
            },
        )
    return Answer(201, success(code=201))


def register_bindings(server: ApiServer) -> None:
    """Let the API server answer pods/binding."""
    server.register_subresource("pods", "binding", lambda call: bind(server, call))
