# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the users of the cluster would have noticed: the availability record.

The recorder looks at every committed change and judges, independently of the controllers' own
status fields, how many replicas of each workload were ready and whether each budget was kept. A
replica counts while its pod is Ready and not being deleted, as it does for Services and budgets.

Judging starts when a workload (or budget) has been complete once, and starts anew when its size is
changed, so neither the start of a cluster nor scaling is a violation. Three things are:

* ``NoReadyReplica`` (listed under ``outages``): a workload of more than one replica had none ready;
* ``BudgetViolated`` (``budget_violations``): fewer ready pods than a PodDisruptionBudget wants;
* ``AddressOutsidePools`` (``addresses_outside_pools``): a running pod's address lies in no pool.

The record is served at ``/twin/v1/record``; a POST there starts a new one.
"""

from __future__ import annotations

import contextlib
import math
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Network,
    parse_address,
    parse_network,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import LabelSelector, selector_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

Key = t.Tuple[str, str, str]  # kind, namespace, name

_WORKLOADS: t.Dict[str, Resource] = {
    "Deployment": DEPLOYMENTS,
    "StatefulSet": STATEFUL_SETS,
    "DaemonSet": DAEMON_SETS,
    "ReplicaSet": REPLICA_SETS,
}
_OF_PLURAL = {resource.plural: kind for kind, resource in _WORKLOADS.items()}


@dataclass
class Violation:
    """Something that must not happen; ``until`` is None while it lasts. Times are virtual."""

    type: str
    object: str
    message: str
    since: str
    until: str | None = None

    def as_object(self) -> Object:
        return {
            "type": self.type,
            "object": self.object,
            "message": self.message,
            "from": self.since,
            "until": self.until,
        }


@dataclass(frozen=True)
class _Pod:
    """What the record needs to know of one pod."""

    namespace: str
    name: str
    uid: str
    labels: t.Mapping[str, str]
    ready: bool
    terminating: bool
    finished: bool
    owner: Key | None
    address: str
    on_host_network: bool

    @property
    def counts(self) -> bool:
        return self.ready and not self.terminating and not self.finished


@dataclass
class _Watched:
    """The state of one workload or budget: how many are wanted, how many are there, and the lowest seen."""

    wanted: int = 0
    present: int = 0
    lowest: int | None = None
    complete_since: str | None = None
    violations: int = 0
    open: Violation | None = None
    selector: LabelSelector | None = field(default=None, compare=False)

    def judge(self, wanted: int, present: int, now: str) -> bool:
        """Take over new figures; True when they may be judged."""
        if wanted != self.wanted:
            self.complete_since = self.lowest = None
        self.wanted, self.present = wanted, present
        if self.complete_since is None:
            if present < wanted or wanted == 0:
                return False
            self.complete_since = now
        self.lowest = present if self.lowest is None else min(self.lowest, present)
        return True


class Recorder:
    """Watches ``objects`` and keeps the record; ``start()`` begins."""

    def __init__(self, objects: ObjectStore, clock: VirtualClock, places: CalicoPlaces = CRD_V1) -> None:
        self._objects = objects
        self._places = places
        self._clock = clock
        self._started = False
        self._pods: dict[str, dict[str, _Pod]] = {}
        self._workloads: dict[Key, _Watched] = {}
        self._budgets: dict[Key, _Watched] = {}
        self._pools: list[Network] = []
        self._outside: dict[str, Violation] = {}
        self._violations: list[Violation] = []
        self._evicted: set[str] = set()
        self._counts: dict[str, int] = {}
        self._since = ""
        self._reset_counts()

    # -- life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Look at everything there is and follow what changes."""
        self._objects.subscribe(self._on_event)
        self._started = True
        self.restart()

    def restart(self) -> None:
        """Begin a new record from the present state."""
        self._pods.clear()
        self._workloads.clear()
        self._budgets.clear()
        self._outside.clear()
        self._violations.clear()
        self._evicted.clear()
        self._reset_counts()
        self._since = self._clock.timestamp()
        self._read_pools()
        for pod in self._objects.list(PODS):
            self._keep(pod)
        for kind, resource in _WORKLOADS.items():
            for item in self._objects.list(resource):
                self._judge_workload(kind, item)
        for budget in self._objects.list(POD_DISRUPTION_BUDGETS):
            self._judge_budget(budget)
        for pods in self._pods.values():
            for each in pods.values():
                self._judge_address(each)

    def _reset_counts(self) -> None:
        self._counts = {"evictionsAccepted": 0, "evictionsRefused": 0, "podsDeletedOtherwise": 0, "podsCreated": 0}

    @contextlib.contextmanager
    def evicting(self, uid: str) -> t.Iterator[None]:
        """Around an answer of the eviction API about the pod with that uid."""
        self._evicted.add(uid)
        try:
            yield
        except Fault as fault:
            self._evicted.discard(uid)
            if fault.code == 429:
                self._counts["evictionsRefused"] += 1
            raise
        self._counts["evictionsAccepted"] += 1

    # -- the record ------------------------------------------------------------------------

    def record(self) -> Object:
        """The record as plain data, see the module's text."""
        return {
            "since": self._since,
            "now": self._clock.timestamp(),
            "counts": dict(self._counts),
            "workloads": [
                {
                    "kind": kind,
                    "namespace": namespace,
                    "name": name,
                    "replicas": state.wanted,
                    "ready": state.present,
                    "minReady": state.lowest,
                    "completeSince": state.complete_since,
                    "violations": state.violations,
                }
                for (kind, namespace, name), state in sorted(self._workloads.items())
            ],
            "budgets": [
                {
                    "namespace": namespace,
                    "name": name,
                    "desiredHealthy": state.wanted,
                    "currentHealthy": state.present,
                    "minHealthy": state.lowest,
                    "satisfiedSince": state.complete_since,
                    "violations": state.violations,
                }
                for (_kind, namespace, name), state in sorted(self._budgets.items())
            ],
            "outages": self._of_type("NoReadyReplica"),
            "budget_violations": self._of_type("BudgetViolated"),
            "addresses_outside_pools": self._of_type("AddressOutsidePools"),
            "violations": [violation.as_object() for violation in self._violations],
        }

    def _of_type(self, wanted: str) -> list[Object]:
        return [violation.as_object() for violation in self._violations if violation.type == wanted]

    # -- events ----------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        resource = event.resource
        if resource == PODS:
            self._pod_changed(event)
        elif resource.plural in _OF_PLURAL and resource.group == "apps":
            self._workload_changed(_OF_PLURAL[resource.plural], event)
        elif resource == POD_DISRUPTION_BUDGETS:
            if event.type == DELETED:
                self._close(self._budgets.pop(_key("PodDisruptionBudget", event.object), None))
            else:
                self._judge_budget(event.object)
        elif resource == self._places.pools:
            self._read_pools()
            for pods in self._pods.values():
                for pod in pods.values():
                    self._judge_address(pod)

    def _pod_changed(self, event: Event) -> None:
        metadata = event.object["metadata"]
        namespace = metadata["namespace"]
        previous = self._pods.get(namespace, {}).get(metadata["name"])
        if event.type == DELETED:
            self._pods.get(namespace, {}).pop(metadata["name"], None)
            current = None
        else:
            current = self._keep(event.object)
        if previous is None and current is not None:
            self._counts["podsCreated"] += 1
        ending = current is None or current.terminating
        if ending and previous is not None and not previous.terminating and not previous.finished:
            if previous.uid in self._evicted:
                self._evicted.discard(previous.uid)
            else:
                self._counts["podsDeletedOtherwise"] += 1
        if previous == current:
            return
        self._judge_address(current or t.cast(_Pod, previous), gone=current is None)
        for owner in {pod.owner for pod in (previous, current) if pod is not None and pod.owner is not None}:
            item = self._objects.get(_WORKLOADS[owner[0]], owner[1], owner[2]) if owner[0] in _WORKLOADS else None
            if item is not None:
                self._judge_workload(owner[0], item)
        concerned = [pod.labels for pod in (previous, current) if pod is not None]
        for (_kind, budget_namespace, name), state in list(self._budgets.items()):
            if budget_namespace != namespace or state.selector is None:
                continue
            if any(state.selector.matches(labels) for labels in concerned):
                budget = self._objects.get(POD_DISRUPTION_BUDGETS, namespace, name)
                if budget is not None:
                    self._judge_budget(budget)

    def _workload_changed(self, kind: str, event: Event) -> None:
        if event.type == DELETED:
            self._close(self._workloads.pop(_key(kind, event.object), None))
        else:
            self._judge_workload(kind, event.object)
        old = event.previous
        if old is None or (old.get("spec") or {}).get("replicas") != (event.object.get("spec") or {}).get("replicas"):
            for budget in self._objects.list(POD_DISRUPTION_BUDGETS, event.object["metadata"]["namespace"]):
                self._judge_budget(budget)

    def _keep(self, pod: Object) -> _Pod:
        metadata = pod["metadata"]
        status = pod.get("status") or {}
        conditions = status.get("conditions") or []
        kept = _Pod(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            labels=metadata.get("labels") or {},
            ready=any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions),
            terminating="deletionTimestamp" in metadata,
            finished=status.get("phase") in ("Succeeded", "Failed"),
            owner=self._owner(pod),
            address=status.get("podIP") or "",
            on_host_network=bool((pod.get("spec") or {}).get("hostNetwork")),
        )
        self._pods.setdefault(kept.namespace, {})[kept.name] = kept
        return kept

    def _owner(self, pod: Object) -> Key | None:
        """The workload a pod belongs to: its controller, or for a ReplicaSet of a Deployment that Deployment."""
        namespace = pod["metadata"]["namespace"]
        controller = _controller(pod)
        if controller is None:
            return None
        if controller[0] == "ReplicaSet":
            replica_set = self._objects.get(REPLICA_SETS, namespace, controller[1])
            above = _controller(replica_set) if replica_set is not None else None
            if above is not None:
                controller = above
            elif replica_set is None:
                # The ReplicaSet may be gone while its last pod still terminates.
                known = self._pods.get(namespace, {}).get(pod["metadata"]["name"])
                return known.owner if known is not None else None
        return (controller[0], namespace, controller[1])

    # -- judging ---------------------------------------------------------------------------

    def _judge_workload(self, kind: str, item: Object) -> None:
        if kind == "ReplicaSet" and _controller(item) is not None:
            return
        key = _key(kind, item)
        if kind == "DaemonSet":
            wanted = int((item.get("status") or {}).get("desiredNumberScheduled") or 0)
        else:
            wanted = _replicas(item)
        present = sum(1 for pod in self._pods.get(key[1], {}).values() if pod.owner == key and pod.counts)
        state = self._workloads.setdefault(key, _Watched())
        judged = state.judge(wanted, present, self._clock.timestamp())
        if judged and wanted > 1 and present == 0:
            self._open(state, "NoReadyReplica", _text(key), f"None of the {wanted} replicas of {_text(key)} was ready.")
        elif present > 0 or not judged:
            self._close(state)

    def _judge_budget(self, budget: Object) -> None:
        key = _key("PodDisruptionBudget", budget)
        state = self._budgets.setdefault(key, _Watched())
        spec = budget.get("spec") or {}
        state.selector = selector_of(spec.get("selector"))
        pods = [
            pod
            for pod in self._pods.get(key[1], {}).values()
            if state.selector is not None and state.selector.matches(pod.labels) and not pod.finished
        ]
        wanted = self._desired_healthy(spec, key[1], pods)
        present = sum(1 for pod in pods if pod.counts)
        judged = state.judge(wanted, present, self._clock.timestamp())
        if judged and present < wanted:
            self._open(
                state,
                "BudgetViolated",
                _text(key),
                f"{_text(key)} wants {wanted} healthy pods and had {present}.",
            )
        else:
            self._close(state)

    def _desired_healthy(self, spec: Object, namespace: str, pods: t.Sequence[_Pod]) -> int:
        """How many ready pods a budget wants (spec kubernetes-api-behaviour.md 11)."""
        minimum, maximum = spec.get("minAvailable"), spec.get("maxUnavailable")
        if isinstance(minimum, int):
            return minimum
        expected = 0
        for owner in {pod.owner for pod in pods if pod.owner is not None}:
            if owner[0] in ("Deployment", "StatefulSet", "ReplicaSet"):
                item = self._objects.get(_WORKLOADS[owner[0]], namespace, owner[2])
                expected += _replicas(item) if item is not None else 0
        if minimum is not None:
            return _scaled(minimum, expected)
        if maximum is not None:
            return max(0, expected - _scaled(maximum, expected))
        return 0

    def _judge_address(self, pod: _Pod, gone: bool = False) -> None:
        name = f"Pod {pod.namespace}/{pod.name}"
        outside = (
            not gone
            and pod.address != ""
            and not pod.on_host_network
            and not pod.finished
            and not self._in_a_pool(pod.address)
        )
        if outside and name not in self._outside:
            violation = Violation(
                "AddressOutsidePools",
                name,
                f"{name} runs with the address {pod.address}, which lies in no pool.",
                self._clock.timestamp(),
            )
            self._outside[name] = violation
            self._violations.append(violation)
        elif not outside and name in self._outside:
            self._outside.pop(name).until = self._clock.timestamp()

    def _in_a_pool(self, address: str) -> bool:
        try:
            parsed = parse_address(address)
        except InvalidInput:
            return False
        return any(pool.contains(parsed) for pool in self._pools)

    def _read_pools(self) -> None:
        self._pools = []
        for pool in self._objects.list(self._places.pools):
            try:
                self._pools.append(parse_network(str((pool.get("spec") or {}).get("cidr")), strict=False))
            except InvalidInput:
                continue

    def _open(self, state: _Watched, kind: str, name: str, message: str) -> None:
        if state.open is None:
            state.open = Violation(kind, name, message, self._clock.timestamp())
            state.violations += 1
            self._violations.append(state.open)

    def _close(self, state: _Watched | None) -> None:
        if state is not None and state.open is not None:
            state.open.until = self._clock.timestamp()
            state.open = None


def _key(kind: str, item: Object) -> Key:
    return (kind, item["metadata"]["namespace"], item["metadata"]["name"])


def _text(key: Key) -> str:
    return f"{key[0]} {key[1]}/{key[2]}"


def _controller(item: Object) -> tuple[str, str] | None:
    for reference in item["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return (str(reference["kind"]), str(reference["name"]))
    return None


def _replicas(item: Object) -> int:
    value = (item.get("spec") or {}).get("replicas")
    return 1 if value is None else int(value)


def _scaled(value: int | str, total: int) -> int:
    if isinstance(value, int):
        return value
    return math.ceil(int(value.rstrip("%")) * total / 100)
