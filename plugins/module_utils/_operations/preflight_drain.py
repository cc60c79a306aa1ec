# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The drain's own plan, made from the preflight's view: the two cannot say different things.

The drain reads the cluster through ``KubeApi``; here that is answered out of what the preflight has read
already, so nothing is asked twice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    IP_POOLS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SERVICES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import deployment_bounds
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import plan_drain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    RESTART,
    SURGE,
    DrainOptions,
    DrainResult,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import (
    WORKLOADS,
)


def planned_drain(now: Situation) -> DrainResult | None:
    """How the drain would move the pods of the old pool; None for a procedure that moves none.

    It is the drain with its default limits: they decide how fast it goes, hardly ever whether it can.
    """
    if now.source is None or now.source.pool is None or now.target is None:
        return None
    if "drain" not in now.known:
        api = t.cast(KubeApi, _ViewApi(now))
        options = DrainOptions(now.source.name, consent=tuple(now.request.consent))
        now.known["drain"] = plan_drain(api, now.source.pool.cidr, options, SystemClock())
    return t.cast(DrainResult, now.known["drain"])


def added_first(now: Situation) -> frozenset[str]:
    """The workloads, by their names in sentences, whose new pods are there before old ones go."""
    if "added_first" not in now.known:
        now.known["added_first"] = frozenset(_added_first(now))
    return t.cast("frozenset[str]", now.known["added_first"])


def _added_first(now: Situation) -> t.Iterator[str]:
    plan = planned_drain(now)
    ways = {treated.owner: treated.way for treated in plan.workloads} if plan is not None else {}
    for workload in now.view.workloads:
        way = ways.get(str(workload)) if workload.kind == "Deployment" else None
        if way == SURGE or (way == RESTART and deployment_bounds(workload.thing).unavailable == 0):
            yield str(workload)


@dataclass(frozen=True)
class _ViewApi:
    """The reading half of ``KubeApi`` on a view; what the view does not have is not served.

    The pools are those that there are while the pods move: the new one among them, the old one disabled.
    """

    now: Situation

    def list(self, resource: Resource, namespace: str | None = None, **_selectors: t.Any) -> Listing:
        items = self._items(resource)
        if namespace is not None:
            items = [item for item in items if item["metadata"].get("namespace") == namespace]
        return Listing(list(items), "")

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        for item in self._items(resource):
            if item["metadata"]["name"] == name and item["metadata"].get("namespace") == namespace:
                return item
        raise NotFound(f"{resource.kind} {name} is not there.", 404)

    def _items(self, resource: Resource) -> t.Sequence[Object]:
        found = self._known.get(resource)
        if found is None:
            found = self.now.view.surroundings.things.get(resource)
        if found is None:
            raise UnknownResource(f"The preflight has not read {resource.plural}.", 404)
        return found

    @cached_property
    def _known(self) -> dict[Resource, t.Sequence[Object]]:
        view = self.now.view
        by_kind: dict[str, list[Object]] = {}
        for workload in view.workloads:
            by_kind.setdefault(workload.kind, []).append(workload.thing)
        return {
            IP_POOLS: list(self._pools()),
            # Manifests of pods that an earlier drain did not create again are its own affair.
            CONFIG_MAPS: (),
            PODS: view.pods,
            NODES: view.nodes,
            NAMESPACES: view.namespaces,
            SERVICES: view.services,
            POD_DISRUPTION_BUDGETS: view.budgets,
            **{resource: by_kind.get(resource.kind, ()) for resource, _path in WORKLOADS},
        }

    def _pools(self) -> t.Iterator[Object]:
        wanted = {pool.name: pool for pool in (self.now.source, self.now.target) if pool is not None}
        for stored in self.now.view.pools:
            if stored.name not in wanted:
                yield stored.thing
        for pool in wanted.values():
            yield {"metadata": {"name": pool.name}, "spec": {**pool.spec, "disabled": pool.leaves}}
