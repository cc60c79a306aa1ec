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
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api_services import (
    API_SERVICES,
    ApiService,
    parse_api_service,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import (
    Budget,
    matches_labels,
    parse_budget,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import (
    NodeFacts,
    Room,
    node_facts,
    requests_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    addresses,
    annotations_of,
    is_finished,
    is_ready,
    is_terminating,
    labels_of,
    metadata_of,
    on_host_network,
    startup_seconds,
    trouble,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import PREFIX
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import (
    selects_namespace,
    selects_node,
)


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
    Source("nodes", NODES, optional=True),
    Source("apiservices", API_SERVICES, optional=True),
)

Labels = t.Tuple[t.Tuple[str, str], ...]


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
    label_key: Labels
    pins: t.Mapping[str, str]
    node: str
    trouble: str
    deleted_at: str
    addresses: tuple[str, ...] = ()
    grace: float = 30.0
    """Seconds it has to stop."""
    finite: bool = False
    """It is not started again when it ends."""
    startup: float = 0.0
    """Seconds it took to become ready, as far as that can be told; 0 when it cannot."""

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
    """Pods, workloads, budgets, nodes and sandbox failures of the namespaces concerned.

    Everything asked for often is kept in an index, so that a change costs the same in a large cluster.
    """

    owners: Owners
    pool: str
    network: Network
    namespaces: frozenset[str] = frozenset()
    bare_owned: t.Callable[[str], bool] = lambda namespace: False
    """Whether the pods without a controller of a namespace are workloads of their own."""
    pods: dict[str, PodFacts] = field(default_factory=dict)
    """By uid."""
    workloads: dict[Owner, Object] = field(default_factory=dict)
    budgets: dict[str, dict[str, Budget]] = field(default_factory=dict)
    """By namespace and name."""
    nodes: dict[str, NodeFacts] = field(default_factory=dict)
    namespace_pins: dict[str, dict[str, str]] = field(default_factory=dict)
    """Calico's annotations of each namespace, which hold for its pods unless they have their own."""
    namespace_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    """Those that give addresses to pods of the family that is drained."""
    api_services: dict[str, ApiService] = field(default_factory=dict)
    first_seen: set[str] = field(default_factory=set)
    """uids of all pods that were there when the lists were first complete."""
    complete: bool = False
    node_revision: int = 0
    """Grows with every change of a node that matters."""
    used: dict[str, Room] = field(default_factory=dict)
    """What the pods of each node reserve, those on the host's network included."""
    starting: t.Counter[str] = field(default_factory=Counter)
    """New pods without an address, by node."""
    ended: dict[str, Owner] = field(default_factory=dict)
    """Pods that are workloads of their own, whose containers have ended while the object is still there."""
    touched: set[Owner | None] = field(default_factory=set)
    """Workloads something has happened to since the drain last looked."""
    touched_budgets: set[str] = field(default_factory=set)
    """Namespaces with budgets something has happened to, likewise."""
    _revisions: t.Counter[str] = field(default_factory=Counter)
    _in_pool: dict[str, PodFacts] = field(default_factory=dict)
    _of: dict[Owner | None, dict[str, PodFacts]] = field(default_factory=dict)
    _alike: dict[str, dict[Labels, dict[str, PodFacts]]] = field(default_factory=dict)
    _matching: dict[str, dict[Labels, tuple[str, ...]]] = field(default_factory=dict)
    _reserved: dict[str, tuple[str, Room]] = field(default_factory=dict)
    _sandbox: dict[str, str] = field(default_factory=dict)
    _serve: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _serve_at: int = -1

    def apply(self, source: str, kind: str, thing: Object) -> None:
        """Take in one change (ADDED, MODIFIED or DELETED) of one of the ``SOURCES``."""
        gone = kind == "DELETED"
        if source == "nodes":
            self._apply_node(thing, gone)
            return
        if source == "apiservices":
            self._apply_api_service(thing, gone)
            return
        metadata = metadata_of(thing)
        namespace = str(metadata["name"] if source == "namespaces" else metadata.get("namespace") or "")
        if source == "pods":
            self._apply_room(thing, gone)
        if self.namespaces and namespace not in self.namespaces:
            return
        if source == "pods":
            self._apply_pod(thing, gone)
        elif source == "budgets":
            self._apply_budget(namespace, thing, gone)
        elif source == "namespaces":
            self.namespace_pins[namespace] = _pins(thing)
            if self.namespace_labels.get(namespace) != labels_of(thing):
                self.namespace_labels[namespace] = labels_of(thing)
                self._serve_at = -1
            self._revisions[namespace] += 1
        elif source == "events":
            uid = str((thing.get("involvedObject") or {}).get("uid") or "")
            if not gone:
                self._sandbox[uid] = " ".join(str(thing.get("message") or "").split())
                if uid in self.pods:
                    self.touched.add(self.pods[uid].owner)
        else:
            self._apply_workload(Owner(namespace, str(metadata["name"]), source), thing, gone)

    def finish_loading(self) -> None:
        """All lists are in: pods that turn up from now on are new."""
        self.first_seen = set(self.pods)
        self.complete = True

    def revision(self, namespace: str) -> tuple[int, int]:
        """Changes with every change of a workload, a budget or a node that a choice may go by."""
        return self._revisions[namespace], self.node_revision

    def put(self, owner: Owner, thing: Object | None) -> None:
        """Take in a workload that was read or written directly, ahead of its watch."""
        if thing is None:
            self.workloads.pop(owner, None)
            return
        thing.setdefault("kind", owner.kind)
        self._apply_workload(owner, thing, False)

    def pods_of(self, owner: Owner | None) -> list[PodFacts]:
        return list(self._of.get(owner, {}).values())

    def in_pool(self) -> list[PodFacts]:
        """Pods with an address in the pool, by namespace and name."""
        return sorted(self._in_pool.values(), key=lambda pod: (pod.namespace, pod.name, pod.uid))

    def budgets_of(self, pods: t.Iterable[PodFacts]) -> list[Budget]:
        """The budgets that match at least one of the pods."""
        found = {}
        for namespace, key in {(pod.namespace, pod.label_key) for pod in pods}:
            for name in self._budgets_for(namespace, key):
                budget = self.budgets[namespace][name]
                found[budget.label] = budget
        return [found[label] for label in sorted(found)]

    def matched(self, budget: Budget) -> list[PodFacts]:
        """The pods a budget counts."""
        found: list[PodFacts] = []
        for key, pods in self._alike.get(budget.namespace, {}).items():
            if pods and budget.name in self._budgets_for(budget.namespace, key):
                found.extend(pods.values())
        return found

    def selected(self, namespace: str, selector: t.Mapping[str, str]) -> list[PodFacts]:
        """The pods a Service's selector picks."""
        wanted = set(selector.items())
        found: list[PodFacts] = []
        for key, pods in self._alike.get(namespace, {}).items():
            if wanted and wanted.issubset(key):
                found.extend(pods.values())
        return found

    def sandbox_failure(self, pod: PodFacts) -> str:
        """Why the pod gets no address, in the words of its last event; ``""`` once it has one."""
        return "" if pod.addressed else self._sandbox.get(pod.uid, "")

    def failing(self) -> list[tuple[PodFacts, str]]:
        """New pods that have got no address so far, with the words of the event."""
        found = []
        for uid, text in self._sandbox.items():
            pod = self.pods.get(uid)
            if pod is not None and uid not in self.first_seen and not pod.addressed and not pod.terminating:
                found.append((pod, text))
        return found

    def pools_for(self, node: str, namespace: str) -> frozenset[str]:
        """The names of the pools that give addresses to pods of the namespace on the node."""
        if self._serve_at != self.node_revision:
            self._serve.clear()
            self._serve_at = self.node_revision
        key = (node, namespace)
        if key not in self._serve:
            facts = self.nodes.get(node)
            labels = dict(facts.pool_labels) if facts is not None else {}
            spaces = self.namespace_labels.get(namespace, {})
            self._serve[key] = frozenset(pool.name for pool in self.pools if _serves(pool, labels, spaces))
        return self._serve[key]

    def unserved(self, namespace: str) -> frozenset[str]:
        """The nodes on which no pod of the namespace would get an address unless it asks for a pool by name."""
        if not self.pools:
            return frozenset()
        return frozenset(node for node in self.nodes if not self.pools_for(node, namespace))

    def _budgets_for(self, namespace: str, key: Labels) -> tuple[str, ...]:
        known = self._matching.setdefault(namespace, {})
        if key not in known:
            labels = dict(key)
            here = self.budgets.get(namespace, {}).values()
            known[key] = tuple(budget.name for budget in here if matches_labels(budget.selector, labels))
        return known[key]

    def _apply_budget(self, namespace: str, thing: Object, gone: bool) -> None:
        here = self.budgets.setdefault(namespace, {})
        name = str(metadata_of(thing)["name"])
        old = here.pop(name, None)
        new = None if gone else parse_budget(thing)
        if new is not None:
            here[name] = new
        if old is None or new is None or old.selector != new.selector:
            self._matching.pop(namespace, None)
        if old != new:
            self._revisions[namespace] += 1
            self.touched_budgets.add(namespace)

    def _apply_node(self, thing: Object, gone: bool) -> None:
        name = str(metadata_of(thing)["name"])
        old = self.nodes.pop(name, None)
        new = None if gone else node_facts(thing)
        if new is not None:
            self.nodes[name] = new
        self.node_revision += old != new

    def _apply_api_service(self, thing: Object, gone: bool) -> None:
        name = str(metadata_of(thing)["name"])
        self.api_services.pop(name, None)
        found = None if gone else parse_api_service(thing)
        if found is not None:
            self.api_services[name] = found

    def _apply_room(self, thing: Object, gone: bool) -> None:
        uid, node = uid_of(thing), str((thing.get("spec") or {}).get("nodeName") or "")
        old = self._reserved.get(uid)
        if old is not None and (gone or is_finished(thing)):
            del self._reserved[uid]
            self.used[old[0]] -= old[1]
        elif old is None and node and not gone and not is_finished(thing):
            wanted = requests_of(thing["spec"])
            self._reserved[uid] = (node, wanted)
            self.used[node] = self.used.get(node, Room()) + wanted

    def _apply_workload(self, owner: Owner, thing: Object, gone: bool) -> None:
        known = self.workloads.get(owner)
        if gone:
            # A deletion that the watch reports late must not hide the workload that came after.
            if known is not None and uid_of(known) == uid_of(thing):
                del self.workloads[owner]
        elif known is None or uid_of(known) != uid_of(thing) or _version(thing) >= _version(known):
            self.workloads[owner] = thing
        self._revisions[owner.namespace] += 1
        self.touched.add(owner)

    def _apply_pod(self, thing: Object, gone: bool) -> None:
        uid = uid_of(thing)
        old = self.pods.pop(uid, None)
        if old is not None:
            del self._of[old.owner][uid]
            del self._alike[old.namespace][old.label_key][uid]
            self._in_pool.pop(uid, None)
            self._count_start(old, -1)
            self.touched.add(old.owner)
        if gone or is_finished(thing) or on_host_network(thing):
            self._sandbox.pop(uid, None)
            if gone and uid in self.ended:
                # Its containers had ended before; only now is its name free again.
                self.touched.add(self.ended.pop(uid))
            elif not gone and old is not None and old.owner is not None and old.owner.kind == "Pod":
                self.ended[uid] = old.owner
            return
        facts = self._facts(thing, uid, old)
        self.pods[uid] = facts
        self._of.setdefault(facts.owner, {})[uid] = facts
        self._alike.setdefault(facts.namespace, {}).setdefault(facts.label_key, {})[uid] = facts
        if facts.in_pool:
            self._in_pool[uid] = facts
        self._count_start(facts, 1)
        self.touched.add(facts.owner)

    def _count_start(self, pod: PodFacts, number: int) -> None:
        if pod.node and not pod.addressed and not pod.terminating and pod.uid not in self.first_seen:
            self.starting[pod.node] += number

    def _facts(self, thing: Object, uid: str, old: PodFacts | None) -> PodFacts:
        metadata, spec = metadata_of(thing), thing.get("spec") or {}
        found = tuple(addresses(thing))
        owner = old.owner if old is not None and old.owner is not None else self._owner(thing)
        labels = labels_of(thing)
        if old is not None and found == old.addresses:
            in_pool = old.in_pool
        else:
            in_pool = any(self._holds(address) for address in found)
        return PodFacts(
            uid=uid,
            namespace=str(metadata["namespace"]),
            name=str(metadata["name"]),
            owner=owner,
            in_pool=in_pool,
            addressed=bool(found),
            ready=is_ready(thing),
            running=(thing.get("status") or {}).get("phase") == "Running",
            terminating=is_terminating(thing),
            labels=labels,
            label_key=old.label_key if old is not None and old.labels == labels else tuple(sorted(labels.items())),
            pins=_pins(thing),
            node=str(spec.get("nodeName") or ""),
            trouble=trouble(thing),
            deleted_at=str(metadata.get("deletionTimestamp") or ""),
            addresses=found,
            grace=float(metadata.get("deletionGracePeriodSeconds") or spec.get("terminationGracePeriodSeconds") or 0),
            finite=spec.get("restartPolicy") in ("Never", "OnFailure"),
            startup=old.startup if old is not None else startup_seconds(thing),
        )

    def _owner(self, thing: Object) -> Owner | None:
        owner = self.owners.of(thing)
        metadata = metadata_of(thing)
        if owner is None and self.bare_owned(str(metadata["namespace"])):
            return Owner(str(metadata["namespace"]), str(metadata["name"]), "Pod")
        return owner

    def _holds(self, text: str) -> bool:
        try:
            return self.network.contains(parse_address(text))
        except InvalidInput:
            return False


def _serves(pool: Pool, node_labels: dict[str, str], namespace_labels: dict[str, str]) -> bool:
    try:
        return selects_node(pool, node_labels) and selects_namespace(pool, namespace_labels)
    except SelectorError:
        return False


def load_view(api: KubeApi, view: View) -> None:
    """Fill a view from lists, for plans that are only shown."""
    for source in SOURCES:
        try:
            listing = api.list(
                source.resource, scope(view.namespaces, source.resource), field_selector=source.field_selector
            )
        except (Forbidden, UnknownResource):
            if not source.optional:
                raise
            continue
        for item in listing.items:
            view.apply(source.name, "ADDED", item)
    view.finish_loading()


def scope(namespaces: t.Collection[str], resource: Resource) -> str | None:
    """The namespace to ask for; ``None`` is all of them, and several are filtered here."""
    return next(iter(namespaces)) if len(namespaces) == 1 and resource.namespaced else None


def _pins(thing: Object) -> dict[str, str]:
    return {name: value for name, value in annotations_of(thing).items() if name.startswith(PREFIX)}


def _version(thing: Object) -> int:
    # Opaque by contract, a growing number in fact; where it is not, the newest to arrive wins.
    text = str(metadata_of(thing).get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0
