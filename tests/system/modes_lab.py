# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with Calico installed in one of its ways, and the operations on pools, in virtual time."""

from __future__ import annotations

import atexit
import functools
import tempfile
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from etcd_fixture import EtcdServer, start_etcd
from procedures import Procedure
from simulation import SimulatedApi, SimulatedClock, Write, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import places_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    INSTALLATIONS,
    IP_POOLS,
    IPAM_BLOCKS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import edited
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_decision import PoolWrite
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    find,
    read_pools,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_operator import entries_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool
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


@functools.cache
def _etcd() -> EtcdServer:
    """One for all the labs of a test process: to start one takes longer than most tests."""
    directory = tempfile.TemporaryDirectory(prefix="modes-etcd-")
    atexit.register(directory.cleanup)
    server = start_etcd(Path(directory.name))
    atexit.register(server.kill)
    return server


def empty_etcd(mode: Mode) -> tuple[str, ...]:
    """The endpoints of an etcd for a cluster of that mode, none where it needs none; the last cluster in it is gone."""
    if mode.installation != "etcd":
        return ()
    _etcd().wipe()
    return (_etcd().url,)


class Lab:
    """The small cluster of one mode. Whatever is done to it by ``admin`` goes past our operations.

    ``before`` and ``after`` are called around each write of ours. Of the labs with an etcd one lives at a time.
    """

    def __init__(
        self,
        mode: Mode,
        before: t.Callable[[Write], None] | None = None,
        after: t.Callable[[Write], None] | None = None,
        scenario: str = "small",
    ) -> None:
        self.mode = mode
        self.twin: Twin = local_twin(
            scenario,
            installation=mode.installation,
            operator=mode.operator,
            etcd_endpoints=empty_etcd(mode),
        )
        self.simulated = SimulatedApi(self.twin, before=before, after=after)
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
        thing = self.twin.server.objects.get(self._below, None, name)
        assert thing is not None, name
        self.twin.server.objects.update(self._below, {**thing, "spec": {**thing["spec"], **spec}})

    def destroy(self, name: str) -> None:
        """Delete a pool past Calico's API server."""
        self.admin.raw.delete(self._below, name)

    @property
    def _below(self) -> Resource:
        """The kind in which the Kubernetes API stores pools."""
        place = places_of(self.mode.installation)[IPAM_BLOCKS]
        return replace(IP_POOLS, group=place.group, version=place.version)

    def seed(self, name: str, **spec: t.Any) -> None:
        """The same, and in the operator's list of pools, where it would be put right again."""
        if self.mode.operator:
            self.declare(name, **spec)
        self.store(name, **spec)

    def edit(self, name: str, **spec: t.Any) -> None:
        self.admin.patch(IP_POOLS, name, {"spec": spec})

    def declare(self, name: str, **spec: t.Any) -> None:
        """Change a pool where its manager keeps it, past our operations."""
        if not self.mode.operator:
            self.edit(name, **spec)
            return
        entries = self.entries()
        for index, entry in enumerate(entries):
            if entry["name"] == name:
                entries[index] = edited(entry, name, spec, {**self.stored(name)["spec"], **spec})
        self.list_pools(*entries)

    def undeclare(self, name: str) -> None:
        """Delete a pool as its manager does, past our operations."""
        if self.mode.operator:
            self.list_pools(*(entry for entry in self.entries() if entry["name"] != name))
        else:
            self.admin.delete(IP_POOLS, name)

    def entries(self) -> list[Object]:
        """The pools that the Installation lists."""
        return entries_of(self.admin.get(INSTALLATIONS, "default"))

    def list_pools(self, *entries: Object) -> None:
        self.admin.patch(INSTALLATIONS, "default", {"spec": {"calicoNetwork": {"ipPools": list(entries)}}})

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
