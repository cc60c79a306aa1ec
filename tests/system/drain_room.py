# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster to drain a pool of in virtual time, in this process."""

from __future__ import annotations

import random
import typing as t

from drain_lab import NEW, OLD, POOLS, scenario
from simulation import SimulatedApi, SimulatedClock
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, NAMESPACES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions, DrainResult

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

SPACE = "shop"


class Lab:
    def __init__(self, seed: int) -> None:
        self.twin: Twin = local_twin(scenario(), seed=seed)
        self.admin = SimulatedApi(self.twin)
        self.allow("old")
        self.create(NAMESPACES, {"metadata": {"name": SPACE}}, None)

    def allow(self, pool: str) -> None:
        for name in POOLS:
            self.admin.patch(IP_POOLS, name, {"spec": {"disabled": name != pool}})

    def create(self, resource: Resource, thing: Object, namespace: str | None = SPACE) -> None:
        self.admin.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **thing}, namespace)

    def begin(self) -> None:
        assert self.twin.settle() == []
        self.allow("new")
        self.twin.recorder.restart()

    def drain(
        self,
        seed: int = 1,
        timeout: float = 600,
        *,
        api: SimulatedApi | None = None,
        report: t.Callable[[object], None] = lambda event: None,
        check_mode: bool = False,
        **options: t.Any,
    ) -> DrainResult:
        api = api or SimulatedApi(self.twin, lag=random.Random(seed))
        api.ticks = self.admin.ticks
        given = DrainOptions(pool="old", timeout=timeout, **options)
        return drain_pool(api, given, SimulatedClock(api), report, lambda text: None, check_mode=check_mode)

    def full(self) -> None:
        """Give out no address at all."""
        for name in POOLS:
            self.admin.patch(IP_POOLS, name, {"spec": {"disabled": True}})

    def left(self) -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in self.admin.list(PODS, SPACE).items
            # One that is being deleted and whose containers have ended has given its address back.
            if pod["status"]["phase"] != "Succeeded"
            and OLD.contains(parse_address(pod["status"].get("podIP") or str(NEW.first)))
        ]

    def unharmed(self) -> None:
        record = self.twin.recorder.record()
        assert record["outages"] == []
        assert record["budget_violations"] == []
