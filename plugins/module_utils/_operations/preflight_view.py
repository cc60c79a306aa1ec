# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Everything the preflight checks look at: they are functions over a ``ClusterView`` and never ask the cluster.

``preflight_fetch`` reads it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import (
    Installation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import Schema
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Address,
    Network,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import Holder
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import CniPlace
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    Journal,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_calico import (
    CalicoFacts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    Surroundings,
)

# Kinds whose objects have a pod template, with the path to it.
WORKLOADS: tuple[tuple[Resource, tuple[str, ...]], ...] = (
    (DEPLOYMENTS, ("spec", "template")),
    (STATEFUL_SETS, ("spec", "template")),
    (DAEMON_SETS, ("spec", "template")),
    (REPLICA_SETS, ("spec", "template")),
    (REPLICATION_CONTROLLERS, ("spec", "template")),
    (JOBS, ("spec", "template")),
    (CRON_JOBS, ("spec", "jobTemplate", "spec", "template")),
)


class Allocation(t.NamedTuple):
    """One address of a block that is in use, with its holder."""

    address: Address
    holder: Holder


@dataclass(frozen=True)
class BlockFact:
    """One block: its range, who owns it (``host:<node>``, or "" without an owner), who holds its addresses."""

    cidr: Network
    owner: str
    in_use: int
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True)
class AffinityFact:
    """One affinity row; ``confirmed`` when its state says so."""

    cidr: Network
    host: str
    kind: str
    confirmed: bool


@dataclass(frozen=True)
class Workload:
    """One owner of pods with its pod template."""

    kind: str
    namespace: str
    name: str
    thing: Object
    template: Object

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class ClusterView:
    """The cluster at one moment.

    ``unreadable`` names what we were not allowed to see, ``damaged`` the IPAM records without a
    range that makes sense; they are left out of ``blocks`` and ``affinities``.
    """

    installation: Installation
    pools: t.Sequence[StoredPool] = ()
    blocks: t.Sequence[BlockFact] = ()
    affinities: t.Sequence[AffinityFact] = ()
    reservations: t.Sequence[Network] = ()
    # The same, each with the name of its IPReservation.
    reserved: t.Sequence[tuple[str, Network]] = ()
    settings: t.Mapping[str, t.Any] = field(default_factory=dict)
    nodes: t.Sequence[Object] = ()
    namespaces: t.Sequence[Object] = ()
    pods: t.Sequence[Object] = ()
    workloads: t.Sequence[Workload] = ()
    services: t.Sequence[Object] = ()
    budgets: t.Sequence[Object] = ()
    service_cidrs: t.Sequence[str] = ()
    config_maps: t.Mapping[tuple[str, str], t.Mapping[str, str]] = field(default_factory=dict)
    cni_places: t.Sequence[CniPlace] = ()
    calico_node_env: t.Mapping[str, str] = field(default_factory=dict)
    operator_spec: t.Mapping[str, t.Any] = field(default_factory=dict)
    openshift_cidrs: t.Sequence[str] = ()
    ebpf: bool = False
    # The whole object that operator_spec is the spec of.
    operator: Object | None = None
    calico: CalicoFacts = field(default_factory=CalicoFacts)
    surroundings: Surroundings = field(default_factory=Surroundings)
    journal: Journal | None = None
    unreadable: t.Sequence[str] = ()
    damaged: t.Sequence[str] = ()
    # The definitions of custom resources that are written, as far as they may be read, by plural name.
    schemas: t.Mapping[str, Schema] = field(default_factory=dict)

    def workload(self, kind: str, namespace: str, name: str) -> Workload | None:
        return self._by_key.get((kind, namespace, name))

    @cached_property
    def owners(self) -> dict[tuple[str, str, str], Workload | None]:
        """What ``demand.owner_of`` has found out, by kind, namespace and name of the controller of a pod."""
        return {}

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str], Workload]:
        return {workload.key: workload for workload in self.workloads}
