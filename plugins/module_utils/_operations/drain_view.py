# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The part of the cluster a drain looks at, kept up to date by the changes it is fed.

Only facts are kept of pods, not the objects: a cluster has thousands of them.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import (
    Budget,
    matches_labels,
    parse_budget,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    addresses,
    annotations_of,
    is_finished,
    is_ready,
    is_terminating,
    labels_of,
    metadata_of,
    on_host_network,
    trouble,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import PREFIX


@dataclass(frozen=True)
class Source:
    """A list the view is fed from; ``optional`` ones may be unreadable for the user."""

    name: str
    resource: Resource
    field_selector: str | None = None
    optional: bool = False


SOURCES = (
    Source("pods", PODS),
    Source("Deployment", DEPLOYMENTS),
    Source("StatefulSet", STATEFUL_SETS),
    Source("DaemonSet", DAEMON_SETS),
    Source("ReplicationController", REPLICATION_CONTROLLERS, optional=True),
    Source("budgets", POD_DISRUPTION_BUDGETS),
    Source("namespaces", NAMESPACES, optional=True),
    Source("events", EVENTS, "reason=FailedCreatePodSandBox", optional=True),
)


@dataclass(frozen=True)
class PodFacts:
    """What a drain needs to know of a pod on the pod network that has not finished."""

    uid: str
    namespace: str
    name: str
    owner: Owner | None
    in_pool: bool
    addressed: bool
    ready: bool
    running: bool
    terminating: bool
    labels: t.Mapping[str, str]
    pins: t.Mapping[str, str]
    node: str
    trouble: str
    deleted_at: str

    @property
    def ordinal(self) -> int:
        """The number a StatefulSet's pod ends with; -1 for names without one."""
        found = re.search(r"-(\d+)$", self.name)
        return int(found.group(1)) if found else -1

    @property
    def short(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class View:
    """Pods, workloads, budgets and sandbox failures of the namespaces concerned."""

    owners: Owners
    pool: str
    network: Network
    namespaces: frozenset[str] = frozenset()
    pods: dict[str, PodFacts] = field(default_factory=dict)
    """By uid."""
    workloads: dict[Owner, Object] = field(default_factory=dict)
    budgets: dict[str, dict[str, Budget]] = field(default_factory=dict)
    """By namespace and name."""
    namespace_pins: dict[str, dict[str, str]] = field(default_factory=dict)
    """Calico's annotations of each namespace, which hold for its pods unless they have their own."""
    first_seen: set[str] = field(default_factory=set)
    """uids of all pods that were there when the lists were first complete."""
    complete: bool = False
    revision: int = 0
    """Grows with every change of a workload or a budget."""
    _of: dict[Owner | None, dict[str, PodFacts]] = field(default_factory=dict)
    _in: dict[str, dict[str, PodFacts]] = field(default_factory=dict)
    _sandbox: dict[str, str] = field(default_factory=dict)

    def apply(self, source: str, kind: str, thing: Object) -> None:
        """Take in one change (ADDED, MODIFIED or DELETED) of one of the ``SOURCES``."""
        metadata = metadata_of(thing)
        namespace = str(metadata["name"] if source == "namespaces" else metadata.get("namespace") or "")
        if self.namespaces and namespace not in self.namespaces:
            return
        gone = kind == "DELETED"
        self.revision += source not in ("pods", "events")
        if source == "pods":
            self._apply_pod(thing, gone)
        elif source == "budgets":
            here = self.budgets.setdefault(namespace, {})
            name = str(metadata["name"])
            if gone:
                here.pop(name, None)
            else:
                here[name] = parse_budget(thing)
        elif source == "namespaces":
            self.namespace_pins[namespace] = _pins(thing)
        elif source == "events":
            involved = thing.get("involvedObject") or {}
            if not gone:
                self._sandbox[str(involved.get("uid") or "")] = " ".join(str(thing.get("message") or "").split())
        else:
            self._apply_workload(Owner(namespace, str(metadata["name"]), source), thing, gone)

    def finish_loading(self) -> None:
        """All lists are in: pods that turn up from now on are new."""
        self.first_seen = set(self.pods)
        self.complete = True

    def put(self, owner: Owner, thing: Object | None) -> None:
        """Take in a workload that was read or written directly, ahead of its watch."""
        if thing is None:
            self.workloads.pop(owner, None)
            return
        thing.setdefault("kind", owner.kind)
        self.revision += 1
        self._apply_workload(owner, thing, False)

    def pods_of(self, owner: Owner | None) -> list[PodFacts]:
        return list(self._of.get(owner, {}).values())

    def in_pool(self) -> list[PodFacts]:
        """Pods with an address in the pool, by namespace and name."""
        found = (pod for pod in self.pods.values() if pod.in_pool)
        return sorted(found, key=lambda pod: (pod.namespace, pod.name, pod.uid))

    def budgets_of(self, pods: t.Iterable[PodFacts]) -> list[Budget]:
        """The budgets that match at least one of the pods."""
        labels = {(pod.namespace, tuple(sorted(pod.labels.items()))) for pod in pods}
        found: dict[str, Budget] = {}
        for namespace, pairs in labels:
            for budget in self.budgets.get(namespace, {}).values():
                if matches_labels(budget.selector, dict(pairs)):
                    found[budget.label] = budget
        return [found[label] for label in sorted(found)]

    def matched(self, budget: Budget) -> list[PodFacts]:
        """The pods a budget counts."""
        return [
            pod for pod in self._in.get(budget.namespace, {}).values() if matches_labels(budget.selector, pod.labels)
        ]

    def sandbox_failure(self, pod: PodFacts) -> str:
        """Why the pod gets no address, in the words of its last event; ``""`` once it has one."""
        return "" if pod.addressed else self._sandbox.get(pod.uid, "")

    def _apply_workload(self, owner: Owner, thing: Object, gone: bool) -> None:
        known = self.workloads.get(owner)
        if gone:
            # A deletion that the watch reports late must not hide the workload that came after.
            if known is not None and uid_of(known) == uid_of(thing):
                del self.workloads[owner]
        elif known is None or uid_of(known) != uid_of(thing) or _version(thing) >= _version(known):
            self.workloads[owner] = thing

    def _apply_pod(self, thing: Object, gone: bool) -> None:
        uid = uid_of(thing)
        old = self.pods.pop(uid, None)
        if old is not None:
            self._of[old.owner].pop(uid, None)
            self._in[old.namespace].pop(uid, None)
        if gone or is_finished(thing) or on_host_network(thing):
            return
        facts = self._facts(thing, uid, old)
        self.pods[uid] = facts
        self._of.setdefault(facts.owner, {})[uid] = facts
        self._in.setdefault(facts.namespace, {})[uid] = facts

    def _facts(self, thing: Object, uid: str, old: PodFacts | None) -> PodFacts:
        metadata = metadata_of(thing)
        found = addresses(thing)
        owner = old.owner if old is not None and old.owner is not None else self.owners.of(thing)
        return PodFacts(
            uid=uid,
            namespace=str(metadata["namespace"]),
            name=str(metadata["name"]),
            owner=owner,
            in_pool=any(self._holds(address) for address in found),
            addressed=bool(found),
            ready=is_ready(thing),
            running=(thing.get("status") or {}).get("phase") == "Running",
            terminating=is_terminating(thing),
            labels=labels_of(thing),
            pins=_pins(thing),
            node=str((thing.get("spec") or {}).get("nodeName") or ""),
            trouble=trouble(thing),
            deleted_at=str(metadata.get("deletionTimestamp") or ""),
        )

    def _holds(self, text: str) -> bool:
        try:
            return self.network.contains(parse_address(text))
        except InvalidInput:
            return False


def load_view(api: KubeApi, view: View) -> None:
    """Fill a view from lists, for plans that are only shown."""
    for source in SOURCES:
        try:
            listing = api.list(source.resource, scope(view.namespaces), field_selector=source.field_selector)
        except (Forbidden, UnknownResource):
            if not source.optional:
                raise
            continue
        for item in listing.items:
            view.apply(source.name, "ADDED", item)
    view.finish_loading()


def scope(namespaces: t.Collection[str]) -> str | None:
    """The namespace to ask for; ``None`` is all of them, and several are filtered here."""
    return next(iter(namespaces)) if len(namespaces) == 1 else None


def _pins(thing: Object) -> dict[str, str]:
    return {name: value for name, value in annotations_of(thing).items() if name.startswith(PREFIX)}


def _version(thing: Object) -> int:
    # Opaque by contract, a growing number in fact; where it is not, the newest to arrive wins.
    text = str(metadata_of(thing).get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0
