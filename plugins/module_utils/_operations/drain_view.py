# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The part of the cluster a drain looks at, kept up to date by the changes it is fed.

Only facts are kept of pods, not the objects: a cluster has thousands of them.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api_services import (
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
    is_finished,
    labels_of,
    metadata_of,
    on_host_network,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.quotas import Quota, parse_quota
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_places import Places
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import (
    Labels,
    PodFacts,
    pins_of,
    read_pod,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import SOURCES, scope


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
    quotas: dict[str, dict[str, Quota]] = field(default_factory=dict)
    """Likewise."""
    nodes: dict[str, NodeFacts] = field(default_factory=dict)
    namespace_pins: dict[str, dict[str, str]] = field(default_factory=dict)
    """Calico's annotations of each namespace, which hold for its pods unless they have their own."""
    namespace_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    places: Places = field(default_factory=lambda: Places("", 4))
    """The pools that give addresses to pods of the family that is drained, and what they have left."""
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
    _serve_at: tuple[int, int] = (-1, -1)
    _unserved: dict[str, frozenset[str]] = field(default_factory=dict)
    _pools_of: dict[str, frozenset[str]] = field(default_factory=dict)
    _places_at: int = 0

    def apply(self, source: str, kind: str, thing: Object) -> None:
        """Take in one change (ADDED, MODIFIED or DELETED) of one of the ``SOURCES``."""
        gone = kind == "DELETED"
        if source == "nodes":
            self._apply_node(thing, gone)
            return
        if source == "apiservices":
            self._apply_api_service(thing, gone)
            return
        if source == "pools":
            self.places.apply_pool(thing, gone)
            return
        if source == "blocks":
            self.places.apply_block(thing, gone)
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
        elif source == "quotas":
            found = None if gone else parse_quota(thing)
            self.quotas.setdefault(namespace, {}).pop(str(metadata["name"]), None)
            if found is not None:
                self.quotas[namespace][found.name] = found
        elif source == "namespaces":
            self.namespace_pins[namespace] = pins_of(thing)
            if self.namespace_labels.get(namespace) != labels_of(thing):
                self.namespace_labels[namespace] = labels_of(thing)
                self._serve_at = (-1, -1)
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
        """The names of the pools that give addresses to pods of the namespace on the node, full or not."""
        now = (self.node_revision, self.places.pools_revision)
        if self._serve_at != now:
            self._serve.clear()
            self._unserved.clear()
            self._pools_of.clear()
            self._serve_at = now
        key = (node, namespace)
        if key not in self._serve:
            self._serve[key] = self.places.serving(self.nodes.get(node), self.namespace_labels.get(namespace, {}))
        return self._serve[key]

    def pools_of(self, namespace: str) -> frozenset[str]:
        """The names of the pools that give addresses to pods of the namespace on any node that takes pods."""
        self.pools_for("", namespace)
        if namespace not in self._pools_of:
            usable = [node.name for node in self.nodes.values() if node.usable] or [""]
            self._pools_of[namespace] = frozenset[str]().union(*(self.pools_for(node, namespace) for node in usable))
        return self._pools_of[namespace]

    def unserved(self, namespace: str) -> frozenset[str]:
        """The nodes on which no pod of the namespace would get an address unless it asks for a pool by name."""
        if not self.places.pools:
            return frozenset()
        self.pools_for("", namespace)
        if namespace not in self._unserved:
            self._unserved[namespace] = self._find_unserved(namespace)
        return self._unserved[namespace]

    def look_at_places(self) -> None:
        """After changes of pools and blocks: nodes that can, or cannot any more, get an address count as changed."""
        if self._places_at == self.places.revision:
            return
        self._places_at = self.places.revision
        before, self._unserved = self._unserved, {}
        if any(self.unserved(namespace) != nodes for namespace, nodes in before.items()):
            self.node_revision += 1

    def _find_unserved(self, namespace: str) -> frozenset[str]:
        by_pools: dict[frozenset[str], list[NodeFacts]] = {}
        for node in self.nodes.values():
            by_pools.setdefault(self.pools_for(node.name, namespace), []).append(node)
        found = {node.name for node in by_pools.pop(frozenset(), ())}
        return frozenset(found.union(*(self.places.full(names, nodes) for names, nodes in by_pools.items())))

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
        owner = old.owner if old is not None and old.owner is not None else self._owner(thing)
        facts = read_pod(thing, owner, self.network, old)
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

    def _owner(self, thing: Object) -> Owner | None:
        owner = self.owners.of(thing)
        metadata = metadata_of(thing)
        if owner is None and self.bare_owned(str(metadata["namespace"])):
            return Owner(str(metadata["namespace"]), str(metadata["name"]), "Pod")
        return owner


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


def _version(thing: Object) -> int:
    # Opaque by contract, a growing number in fact; where it is not, the newest to arrive wins.
    text = str(metadata_of(thing).get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0
