# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with Calico installed in one of its ways, and the operations on pools, in virtual time."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from procedures import Procedure
from simulation import SimulatedApi, SimulatedClock, Write, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import places_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    IP_POOLS,
    IPAM_BLOCKS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    find,
    read_pools,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import PoolWrite, ensure_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

DEFAULT = "default-ipv4-ippool"


@dataclass(frozen=True)
class Mode:
    """One way of installing Calico; ``installation`` and ``operator`` are options of the twin."""

    installation: str
    operator: bool = False

    def __str__(self) -> str:
        return f"{self.installation}-operator" if self.operator else self.installation


class Lab:
    """The small cluster of one mode. Whatever is done to it by ``admin`` goes past our operations."""

    def __init__(self, mode: Mode, before: t.Callable[[Write], None] | None = None) -> None:
        self.mode = mode
        self.twin: Twin = local_twin("small", installation=mode.installation, operator=mode.operator)
        self.simulated = SimulatedApi(self.twin, before=before)
        self.api: CalicoApi = with_calico(self.simulated)
        self.admin: CalicoApi = with_calico(SimulatedApi(self.twin))
        self.clock = SimulatedClock(self.simulated)
        self.events: list[str] = []

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exception: object) -> None:
        self.twin.close()

    def present(self, name: str, *, check: bool = False, timeout: float = 60, **params: t.Any) -> PoolWrite:
        return ensure_pool(
            self.api,
            pool_request({"name": name, **params}),
            check_mode=check,
            timeout=timeout,
            clock=self.clock,
            report=lambda event: self.events.append(str(event)),
        )

    def absent(self, name: str, *, check: bool = False, timeout: float = 60, cidr: str | None = None) -> Plan:
        stores = open_stores(self.api)
        return delete_pool(
            self.api,
            stores.records,
            name,
            network=None if cidr is None else parse_network(cidr),
            timeout=timeout,
            clock=self.clock,
            report=lambda event: self.events.append(str(event)),
            check_mode=check,
            watched=stores.watched,
        )

    def procedure(self) -> Procedure:
        return Procedure(self.api)

    def advance(self, seconds: float) -> None:
        self.twin.clock.advance(seconds)

    def pool(self, name: str) -> StoredPool | None:
        return find(read_pools(self.admin), name)

    def stored(self, name: str) -> Object:
        found = self.pool(name)
        assert found is not None, name
        return found.thing

    def put(self, name: str, labels: dict[str, str] | None = None, **spec: t.Any) -> None:
        """Create a pool as kubectl does, without any of Calico's own checks."""
        metadata = {"name": name, **({"labels": labels} if labels else {})}
        body = {"apiVersion": IP_POOLS.api_version, "kind": IP_POOLS.kind, "metadata": metadata, "spec": spec}
        self.admin.create(IP_POOLS, body)

    def store(self, name: str, **spec: t.Any) -> None:
        """Change what is stored of a pool past every check, as a release of Calico before those did."""
        if self.mode.installation == "etcd":
            self.edit(name, **spec)  # Nobody checks anything there.
            return
        place = places_of(self.mode.installation)[IPAM_BLOCKS]
        pools = replace(IP_POOLS, group=place.group, version=place.version)
        thing = self.twin.server.objects.get(pools, None, name)
        assert thing is not None, name
        self.twin.server.objects.update(pools, {**thing, "spec": {**thing["spec"], **spec}})

    def edit(self, name: str, **spec: t.Any) -> None:
        self.admin.patch(IP_POOLS, name, {"spec": spec})

    def blocks_in(self, cidr: str) -> list[str]:
        network = parse_network(cidr)
        found = [str(item["spec"]["cidr"]) for item in self.admin.list(IPAM_BLOCKS).items]
        return [text for text in found if network.overlaps(parse_network(text))]

    def affinities_in(self, cidr: str) -> list[str]:
        network = parse_network(cidr)
        found = [str(item["spec"]["cidr"]) for item in self.admin.list(BLOCK_AFFINITIES).items]
        return [text for text in found if network.overlaps(parse_network(text))]

    def writes(self) -> list[str]:
        """What our operations have sent, as ``verb kind name``."""
        return [f"{write.verb} {write.resource.kind} {write.name}" for write in self.simulated.writes]

    def pod_addresses(self) -> list[str]:
        return [pod["status"]["podIP"] for pod in self.admin.list(PODS).items if not pod["spec"].get("hostNetwork")]
