# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""ResourceQuotas: what a namespace may still have of pods, CPU and memory (hazards.md B42).

Quotas with a scope, which count some pods only, are left out: whether they count a pod cannot be told as simply.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import PodSpec, requests_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.quantity import amount


@dataclass(frozen=True)
class Quota:
    """One quota; ``left`` is what it still allows of each resource that it limits, in Kubernetes' spelling."""

    namespace: str
    name: str
    left: t.Mapping[str, float]

    def why_not(self, pod_spec: PodSpec) -> str | None:
        """Why it does not allow one more such pod, as the end of a sentence; ``None`` when it does."""
        for resource, wanted in _wanted(pod_spec).items():
            left = self.left.get(resource)
            if left is not None and wanted > left:
                return f"ResourceQuota {self.namespace}/{self.name} has no room for one more ({resource})"
        return None


def parse_quota(thing: Object) -> Quota | None:
    """A quota for all pods of its namespace; ``None`` for one with a scope, or that nobody has counted yet."""
    spec, status = thing.get("spec") or {}, thing.get("status") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        return None
    hard, used = status.get("hard") or {}, status.get("used") or {}
    metadata = metadata_of(thing)
    left = {name: amount(hard[name]) - amount(used[name]) for name in hard if name in used}
    return Quota(str(metadata["namespace"]), str(metadata["name"]), left)


def _wanted(pod_spec: PodSpec) -> dict[str, float]:
    requests, limits = requests_of(pod_spec), requests_of(_limits_as_requests(pod_spec))
    return {
        "pods": 1.0,
        "count/pods": 1.0,
        "cpu": requests.cpu,
        "requests.cpu": requests.cpu,
        "memory": requests.memory,
        "requests.memory": requests.memory,
        "limits.cpu": limits.cpu,
        "limits.memory": limits.memory,
    }


def _limits_as_requests(pod_spec: PodSpec) -> dict[str, t.Any]:
    def turned(container: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {**container, "resources": {"requests": (container.get("resources") or {}).get("limits") or {}}}

    return {
        **pod_spec,
        **{
            kind: [turned(container) for container in pod_spec.get(kind) or ()]
            for kind in ("containers", "initContainers")
        },
    }
