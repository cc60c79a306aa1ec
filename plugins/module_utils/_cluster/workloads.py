# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whose pod is it: from a pod up its chain of owners to the workload that a person would name."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import resources_in
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    ServerError,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    OwnerRef,
    controller_of,
    is_mirror,
    metadata_of,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)

# Kinds that can be restarted by a change of their template.
ROLLED = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS, "DaemonSet": DAEMON_SETS}
# Kinds whose object says how many pods there are to be.
COUNTED = {**ROLLED, "ReplicaSet": REPLICA_SETS, "ReplicationController": REPLICATION_CONTROLLERS}
# Pods of these run to an end of their own.
FINITE = ("Job", "CronJob")
_BETWEEN = {"ReplicaSet": REPLICA_SETS, "Job": JOBS}
# Kinds whose owners are nobody's business here: a machine's pod is the machine's, whoever made that.
FAMILIAR = ("VirtualMachineInstance",)
# More links than anybody has; owners in a circle must not be followed for ever.
LONGEST_CHAIN = 8


@dataclass(frozen=True, order=True)
class Owner:
    """A workload; sorts by namespace and name."""

    namespace: str
    name: str
    kind: str

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def short(self) -> str:
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return self.label


class Owners:
    """Resolves pods to their workloads; remembers the objects in between, whose owners never change.

    The chain is followed up to the first kind that has a rollout of its own, or else to its top, also through
    kinds that somebody added to the cluster, as far as they may be read.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._above: dict[str, OwnerRef | None] = {}
        self._resources: dict[tuple[str, str], Resource | None] = {}

    def learn(self, resource: Resource, namespace: str | None = None) -> None:
        """Read all objects of a type at once, which is cheaper than one by one for a whole cluster."""
        for item in self._api.list(resource, namespace).items:
            self._above[uid_of(item)] = controller_of(item)

    def of(self, pod: Object) -> Owner | None:
        """The workload of a pod; ``None`` for bare pods. Static pods belong to their Node."""
        namespace = str(metadata_of(pod)["namespace"])
        owner = controller_of(pod)
        if owner is None or is_mirror(pod):
            return Owner(namespace, str(metadata_of(pod)["name"]), "Node") if is_mirror(pod) else None
        for _level in range(LONGEST_CHAIN):
            above = None if _ends_chain(owner) else self._parent(owner, namespace)
            if above is None:
                break
            owner = above
        return Owner(namespace, owner.name, owner.kind)

    def _parent(self, owner: OwnerRef, namespace: str) -> OwnerRef | None:
        if owner.uid not in self._above:
            resource = self._resource(owner)
            if resource is None:
                self._above[owner.uid] = None
                return None
            try:
                thing = self._api.get(resource, owner.name, namespace if resource.namespaced else None)
            except NotFound:
                if not _is_built_in(owner):
                    self._above[owner.uid] = None
                # Its pods are about to go as well; not remembered, for a cached reader it may only be late.
                return None
            except (Forbidden, ServerError, UnknownResource):
                # A kind whose conversion webhook is down can be read by nobody, for as long as it is.
                if _is_built_in(owner):
                    raise
                self._above[owner.uid] = None
                return None
            self._above[owner.uid] = controller_of(thing)
        return self._above[owner.uid]

    def _resource(self, owner: OwnerRef) -> Resource | None:
        if owner.kind in _BETWEEN and _is_built_in(owner):
            return _BETWEEN[owner.kind]
        key = (owner.api_version, owner.kind)
        if key not in self._resources:
            self._resources[key] = _find_resource(self._api, owner)
        return self._resources[key]


def _ends_chain(owner: OwnerRef) -> bool:
    if owner.kind in FAMILIAR:
        return True
    return _is_built_in(owner) and owner.kind not in _BETWEEN


def _find_resource(api: KubeApi, owner: OwnerRef) -> Resource | None:
    """The resource of a custom kind; its plural is looked up where discovery can be read, or else the usual one."""
    group, slash, version = owner.api_version.partition("/")
    if not slash:
        return None
    kind = owner.kind.lower()
    plurals = [f"{kind}s", f"{kind}es", f"{kind[:-1]}ies", kind]
    try:
        served = resources_in(api, group, version)
    except ServerError:
        return None
    for plural in plurals:
        if served is None or plural in served:
            return Resource(group, version, plural, owner.kind, True)
    return None


def _is_built_in(owner: OwnerRef) -> bool:
    return owner.api_version.partition("/")[0] in ("apps", "batch")


def read_counted(api: KubeApi, owner: Owner) -> Object | None:
    """The workload's object, for kinds that say how many pods they want; ``None`` for others or when it is gone."""
    resource = COUNTED.get(owner.kind)
    if resource is None:
        return None
    try:
        thing = api.get(resource, owner.name, owner.namespace)
    except NotFound:
        return None
    thing.setdefault("kind", owner.kind)
    return thing


def template_of(workload: Object) -> dict[str, t.Any]:
    """The pod spec in a workload's template."""
    found: dict[str, t.Any] = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return found
