# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which nodes would take a pod, roughly as the scheduler judges: labels, taints, and room (hazards.md B42).

Left out on purpose: preferences, spread, priorities, devices, and volumes' own topology. What is answered
here decides between two ways of moving a pod; the scheduler has the last word either way.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import condition, labels_of, metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.quantity import amount

PodSpec = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Room:
    """CPU in cores, memory in bytes, and a number of pods."""

    cpu: float = 0.0
    memory: float = 0.0
    pods: float = 0.0

    def __add__(self, other: Room) -> Room:
        return Room(self.cpu + other.cpu, self.memory + other.memory, self.pods + other.pods)

    def __sub__(self, other: Room) -> Room:
        return Room(self.cpu - other.cpu, self.memory - other.memory, self.pods - other.pods)

    def holds(self, other: Room) -> bool:
        return self.cpu >= other.cpu and self.memory >= other.memory and self.pods >= other.pods


@dataclass(frozen=True)
class NodeFacts:
    """What matters of a node for the pods that are to run on it; ``allocatable`` None means it does not say."""

    name: str
    labels: t.Mapping[str, str]
    pool_labels: t.Mapping[str, str]
    """Those that the selectors of pools are matched against."""
    taints: tuple[tuple[str, str, str], ...]
    cordoned: bool
    ready: bool
    allocatable: Room | None

    @property
    def usable(self) -> bool:
        return self.ready and not self.cordoned


def node_facts(node: Object) -> NodeFacts:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    given = status.get("allocatable")
    allocatable = None
    if given:
        pods = amount(given["pods"]) if "pods" in given else float("inf")
        allocatable = Room(
            amount(given["cpu"]) if "cpu" in given else float("inf"),
            amount(given["memory"]) if "memory" in given else float("inf"),
            pods,
        )
    taints = tuple(
        (str(taint.get("key") or ""), str(taint.get("value") or ""), str(taint.get("effect") or ""))
        for taint in spec.get("taints") or ()
    )
    ready = condition(node, "Ready")
    return NodeFacts(
        name=str(metadata_of(node)["name"]),
        labels=labels_of(node),
        pool_labels=calico_labels(node),
        taints=taints,
        cordoned=bool(spec.get("unschedulable")),
        # A node that has said nothing yet is given the benefit of the doubt.
        ready=not ready or ready.get("status") == "True",
        allocatable=allocatable,
    )


def takes(node: NodeFacts, pod_spec: PodSpec, *, cordon: bool = True, occasional: bool = False) -> bool:
    """Whether labels and taints of the node let the pod in.

    ``cordon`` False looks past cordons, as DaemonSets do. ``occasional`` True looks past taints of the kind
    a node gets and loses by itself, which also have the prefix ``node.kubernetes.io/``.
    """
    if cordon and node.cordoned:
        return False
    if any(node.labels.get(key) != value for key, value in (pod_spec.get("nodeSelector") or {}).items()):
        return False
    if pod_spec.get("nodeName") and pod_spec["nodeName"] != node.name:
        return False
    required = ((pod_spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if required and not any(_term(term, node) for term in required.get("nodeSelectorTerms") or ()):
        return False
    tolerations = pod_spec.get("tolerations") or ()
    return all(
        effect == "PreferNoSchedule"
        or ((occasional or not cordon) and key.startswith("node.kubernetes.io/"))
        or any(_tolerates(toleration, key, value, effect) for toleration in tolerations)
        for key, value, effect in node.taints
    )


def requests_of(pod_spec: PodSpec) -> Room:
    """What a pod reserves: the sum of its containers, or what its init containers need where that is more.

    Init containers run one after the other; those that are restarted always stay beside what comes later.
    """
    beside, first = Room(), Room()
    for container in pod_spec.get("initContainers") or ():
        one = _requests(container)
        if container.get("restartPolicy") == "Always":
            beside += one
        else:
            first = _larger(first, beside + one)
    total = beside
    for container in pod_spec.get("containers") or ():
        total += _requests(container)
    overhead = pod_spec.get("overhead") or {}
    total = _larger(total, first)
    return Room(total.cpu + amount(overhead.get("cpu")), total.memory + amount(overhead.get("memory")), 1.0)


def _larger(one: Room, other: Room) -> Room:
    return Room(max(one.cpu, other.cpu), max(one.memory, other.memory))


def _requests(container: t.Mapping[str, t.Any]) -> Room:
    resources = container.get("resources") or {}
    # A limit without a request counts as a request.
    wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return Room(amount(wanted.get("cpu")), amount(wanted.get("memory")))


def _term(term: t.Mapping[str, t.Any], node: NodeFacts) -> bool:
    rules = [(each, node.labels) for each in term.get("matchExpressions") or ()]
    rules += [(each, {"metadata.name": node.name}) for each in term.get("matchFields") or ()]
    return bool(rules) and all(_rule(rule, labels) for rule, labels in rules)


def _rule(rule: t.Mapping[str, t.Any], labels: t.Mapping[str, str]) -> bool:
    key, operator, values = str(rule["key"]), rule.get("operator"), [str(value) for value in rule.get("values") or ()]
    have = labels.get(key)
    if operator in ("Exists", "DoesNotExist"):
        return bool((have is not None) == (operator == "Exists"))
    if operator in ("In", "NotIn"):
        return bool((have in values) == (operator == "In"))
    if operator in ("Gt", "Lt") and have is not None and values:
        first, second = amount(have), amount(values[0])
        return first > second if operator == "Gt" else first < second
    return False


def _tolerates(toleration: t.Mapping[str, t.Any], key: str, value: str, effect: str) -> bool:
    if toleration.get("effect") and toleration["effect"] != effect:
        return False
    if toleration.get("key") and toleration["key"] != key:
        return False
    return toleration.get("operator") == "Exists" or (toleration.get("value") or "") == value
