# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""PodDisruptionBudgets: whom they match and what they allow (spec kubernetes-api-behaviour.md §11)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import labels_of, metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import IntOrPercent, resolve


@dataclass(frozen=True)
class Budget:
    """One budget; the four numbers are those of its status, ``current`` says that they fit its spec.

    ``min_available`` and ``max_unavailable`` are as written, at most one of them is not ``None``.
    """

    namespace: str
    name: str
    selector: t.Mapping[str, t.Any] | None
    min_available: IntOrPercent | None
    max_unavailable: IntOrPercent | None
    desired: int
    healthy: int
    expected: int
    allowed: int
    current: bool
    always_allows_unhealthy: bool

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def numbers(self) -> str:
        """The budget's state as the Eviction API words it."""
        if not self.current:
            return "its status is not up to date yet"
        return f"needs {self.desired} healthy, has {self.healthy}"

    @property
    def rule(self) -> str:
        """What the budget's author wrote."""
        if self.max_unavailable is not None:
            return f"maxUnavailable {self.max_unavailable}"
        return f"minAvailable {1 if self.min_available is None else self.min_available}"

    def matches(self, pod: Object) -> bool:
        return metadata_of(pod).get("namespace") == self.namespace and matches_labels(self.selector, labels_of(pod))

    def slack(self, pods: int) -> int:
        """How many of ``pods`` matched pods may be unhealthy at once when all others are healthy.

        Percentages of minAvailable and maxUnavailable both round up, which favours availability for
        the first and disruption for the second, as Kubernetes does.
        """
        if self.max_unavailable is not None:
            return min(resolve(self.max_unavailable, pods, round_up=True), pods)
        minimum = resolve(1 if self.min_available is None else self.min_available, pods, round_up=True)
        return max(0, pods - minimum)

    def admits(self, ready: bool) -> bool:
        """Whether an eviction of a running pod would pass, as far as the budget's status tells."""
        if not ready and (self.always_allows_unhealthy or (self.current and self.healthy >= self.desired > 0)):
            return True
        return self.current and self.allowed > 0


def parse_budget(thing: Object) -> Budget:
    metadata = metadata_of(thing)
    spec, status = thing.get("spec") or {}, thing.get("status") or {}
    observed = status.get("observedGeneration")
    return Budget(
        namespace=str(metadata["namespace"]),
        name=str(metadata["name"]),
        selector=spec.get("selector"),
        min_available=spec.get("minAvailable"),
        max_unavailable=spec.get("maxUnavailable"),
        desired=int(status.get("desiredHealthy") or 0),
        healthy=int(status.get("currentHealthy") or 0),
        expected=int(status.get("expectedPods") or 0),
        allowed=int(status.get("disruptionsAllowed") or 0),
        current=observed is not None and int(observed) >= int(metadata.get("generation") or 0),
        always_allows_unhealthy=spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow",
    )


def matches_labels(selector: t.Mapping[str, t.Any] | None, labels: t.Mapping[str, str]) -> bool:
    """A ``LabelSelector`` object against labels: an empty one matches everything, a missing one nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_matches(expression, labels) for expression in selector.get("matchExpressions") or ())


def _matches(expression: t.Mapping[str, t.Any], labels: t.Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return bool((key in labels) == (operator == "Exists"))
