# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether one more pod of a workload can run beside those it has (hazards.md B42)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import matches_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import (
    NodeFacts,
    Room,
    requests_of,
    takes,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.quotas import Quota
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PERSISTENT_VOLUME_CLAIMS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import desired_count
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import template_of

SHARED_MODES = ("ReadWriteMany", "ReadOnlyMany")


def surge_obstacle(
    api: KubeApi,
    workload: Object,
    nodes: t.Collection[NodeFacts] | None,
    used: t.Mapping[str, Room] | None = None,
    quotas: t.Iterable[Quota] = (),
) -> str | None:
    """Why an extra pod could not run, as the end of a sentence; ``None`` when nothing speaks against it.

    ``nodes`` is None where they may not be read; ``used`` is what the pods of each node reserve, None where
    not all pods are known; ``quotas`` are those of its namespace.
    """
    pod_spec = template_of(workload)
    return (
        _host_ports(pod_spec)
        or _volumes(api, pod_spec, str(metadata_of(workload)["namespace"]))
        or next(filter(None, (quota.why_not(pod_spec) for quota in quotas)), None)
        or _anti_affinity(workload, pod_spec, nodes)
        or _room(pod_spec, nodes, used)
    )


def _host_ports(pod_spec: t.Mapping[str, t.Any]) -> str | None:
    for container in pod_spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                return f"it uses host port {port['hostPort']}"
    return None


def _volumes(api: KubeApi, pod_spec: t.Mapping[str, t.Any], namespace: str) -> str | None:
    for volume in pod_spec.get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if not claim:
            continue
        try:
            modes = (api.get(PERSISTENT_VOLUME_CLAIMS, claim, namespace).get("spec") or {}).get("accessModes") or ()
        except (NotFound, Forbidden, UnknownResource):
            return f"its volume claim {claim} cannot be read"
        if not any(mode in SHARED_MODES for mode in modes):
            return f"its volume claim {claim} is for one node only ({', '.join(modes) or 'no access mode'})"
    return None


def _anti_affinity(
    workload: Object, pod_spec: t.Mapping[str, t.Any], nodes: t.Collection[NodeFacts] | None
) -> str | None:
    metadata = ((workload.get("spec") or {}).get("template") or {}).get("metadata") or {}
    own = metadata.get("labels") or {}
    anti = (pod_spec.get("affinity") or {}).get("podAntiAffinity") or {}
    for term in anti.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        if not matches_labels(term.get("labelSelector"), own):
            continue
        key = str(term["topologyKey"])
        if nodes is None:
            return "it keeps its pods apart and the nodes may not be listed"
        places = {node.labels.get(key) for node in nodes if node.ready and takes(node, pod_spec)} - {None}
        if len(places) <= desired_count(workload):
            return f"it keeps its pods apart by {key} and there are only {len(places)} places for them"
    return None


def _room(
    pod_spec: t.Mapping[str, t.Any], nodes: t.Collection[NodeFacts] | None, used: t.Mapping[str, Room] | None
) -> str | None:
    if not nodes or used is None:
        return None
    fitting = [node for node in nodes if node.ready and takes(node, pod_spec)]
    if not fitting:
        return "no ready node takes its pods by its labels and taints"
    wanted = requests_of(pod_spec)
    for node in fitting:
        if node.allocatable is None or (node.allocatable - used.get(node.name, Room())).holds(wanted):
            return None
    return f"none of the {len(fitting)} nodes that take its pods has room for one more"
