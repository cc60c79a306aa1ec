# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a binding is written to: the annotations of a namespace or of a workload's pod template."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of, controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NAMESPACES,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import desired_count
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import WORKLOADS

KINDS: dict[str, Resource] = {
    resource.kind: resource for resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, CRON_JOBS)
}
# Why other kinds with pods are not written to.
_NOT = {
    "Pod": "the addresses of a pod are given when it is set up, and a change of its annotations does nothing; bind its "
    "workload or its namespace",
    "Job": "the pod template of a Job cannot be changed; bind its CronJob or its namespace, or create the Job anew",
    "ReplicaSet": "a change of its template replaces no pod; bind its Deployment or its namespace",
    "ReplicationController": "a change of its template replaces no pod; bind its namespace",
}


@dataclass(frozen=True)
class Target:
    """A namespace or a workload; ``path`` leads to the object that carries the annotations."""

    resource: Resource
    name: str
    namespace: str | None = None
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name if self.namespace is None else f'{self.namespace}/{self.name}'}"

    @property
    def place(self) -> str:
        """Where the annotations stand, as the name of a diff's part."""
        return f"{self}, pod template" if self.path else str(self)

    @property
    def home(self) -> str:
        """The namespace whose annotations hold for its pods as well."""
        return self.namespace or self.name

    def read(self, api: KubeApi) -> Object | None:
        """The live object; None when there is none."""
        try:
            return api.get(self.resource, self.name, self.namespace)
        except NotFound:
            return None

    def template(self, live: Object) -> Object:
        """The part of the object that carries the annotations."""
        for key in self.path:
            live = live.get(key) or {}
        return live

    def annotations(self, live: Object) -> dict[str, str]:
        return annotations_of(self.template(live))

    def patch(self, live: Object, edits: t.Mapping[str, str | None]) -> Object:
        """A merge patch of these annotations alone, held to the version that was read."""
        body: Object = {"metadata": {"annotations": dict(edits)}}
        for key in reversed(self.path):
            body = {key: body}
        body.setdefault("metadata", {})["resourceVersion"] = live["metadata"]["resourceVersion"]
        return body


def namespace_target(name: str) -> Target:
    return Target(NAMESPACES, name)


def workload_target(kind: str, namespace: str, name: str) -> Target:
    """InvalidInput for a kind that has no pods, Refused for one whose template leads to nothing new."""
    if kind in _NOT:
        raise Refused(f"workload: {kind} {namespace}/{name} is not changed: {_NOT[kind]}.", kind=kind)
    resource = KINDS.get(kind)
    if resource is None:
        raise InvalidInput(
            f"workload.kind: {kind!r} is not one of {', '.join(KINDS)}; write the kind as Kubernetes does.",
            field="workload.kind",
            value=kind,
        )
    return Target(resource, name, namespace, dict(WORKLOADS)[resource])


def require_own_template(target: Target, live: Object) -> None:
    """Refused when somebody else writes the template, or when its pods take no address of a pool."""
    owner = controller_of(live)
    if target.path and owner is not None:
        raise Refused(
            f"{target} belongs to {owner.kind} {owner.name}, which writes its template; set the annotation there.",
            owner=f"{owner.kind} {owner.name}",
        )
    if (target.template(live).get("spec") or {}).get("hostNetwork"):
        raise Refused(f"The pods of {target} use the network of their node, so they take no address of any pool.")


def rollout_of(target: Target, live: Object) -> str:
    """What a change of the template does to the pods, as a sentence; ``""`` for a namespace."""
    if not target.path:
        return ""
    spec = live.get("spec") or {}
    kind = target.resource.kind
    if kind == "CronJob":
        return f"Jobs of {target} follow the changed template from their next run on; those under way keep their pods."
    if kind == "Deployment":
        if spec.get("paused"):
            return f"{target} is paused: its pods are replaced once it is resumed."
        how = (spec.get("strategy") or {}).get("type") or "RollingUpdate"
    else:
        how = (spec.get("updateStrategy") or {}).get("type") or "RollingUpdate"
    if how == "OnDelete":
        return f"{target} has the update strategy OnDelete: each pod is replaced when somebody deletes it."
    pods = (live.get("status") or {}).get("desiredNumberScheduled") if kind == "DaemonSet" else desired_count(live)
    return f"The pod template of {target} changes, which replaces its {pods} pods ({how})."
