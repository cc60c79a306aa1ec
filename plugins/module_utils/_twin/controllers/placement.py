# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""May this pod run on this node: selectors, affinity, taints. Shared by scheduler and DaemonSets."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"


def node_labels(node: Object) -> dict[str, str]:
    return dict(node["metadata"].get("labels") or {})


def matches_node(spec: Object, node: Object) -> bool:
    """Whether ``nodeSelector`` and the required node affinity of a pod's spec select the node."""
    labels = node["metadata"].get("labels") or {}
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def preference(spec: Object, node: Object) -> int:
    """The sum of the weights of the preferred node affinity that the node satisfies."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return sum(
        int(each.get("weight") or 0)
        for each in affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        if _term_matches(each.get("preference") or {}, node)
    )


def _term_matches(term: Object, node: Object) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    by_field = {"metadata.name": node["metadata"]["name"]}
    return all(_holds(each, labels) for each in expressions) and all(_holds(each, by_field) for each in fields)


def _holds(expression: Object, labels: t.Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], list(expression.get("values") or ())
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    if operator in ("Gt", "Lt"):
        try:
            have, bound = int(labels.get(key, "")), int(values[0])
        except (ValueError, IndexError):
            return False
        return have > bound if operator == "Gt" else have < bound
    return False


def node_taints(node: Object) -> list[Object]:
    """The node's taints; a cordoned node has the one for it even before the node controller wrote it."""
    spec = node.get("spec") or {}
    taints: list[Object] = list(spec.get("taints") or ())
    if spec.get("unschedulable") and all(each.get("key") != UNSCHEDULABLE_TAINT for each in taints):
        taints.append({"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule"})
    return taints


def untolerated(tolerations: t.Iterable[Object], node: Object) -> Object | None:
    """The first taint that keeps a pod with these tolerations off the node, or None."""
    tolerated = list(tolerations)
    for taint in node_taints(node):
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not any(
            _tolerates(each, taint) for each in tolerated
        ):
            return taint
    return None


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    operator = toleration.get("operator") or "Equal"
    key = toleration.get("key") or ""
    if not key:
        return bool(operator == "Exists")
    if key != taint.get("key"):
        return False
    return operator == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")
