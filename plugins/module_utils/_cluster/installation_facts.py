# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What can be said of an installation of Calico, each thing with the place that said it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network

T_co = t.TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Fact(t.Generic[T_co]):
    """``source`` is where the value was read, or why it is not known."""

    value: T_co
    source: str


#: The word of a CNI configuration for Calico's own IPAM.
CALICO_IPAM = "calico-ipam"
#: What ``capabilities`` may hold: fields of a pool, its status, the use LoadBalancer, and the rules that the API server
#: itself checks.
CAPABILITIES = ("allowedUses", "assignmentMode", "namespaceSelector", "LoadBalancer", "status", "rules")
NOT_ASKED = "not asked for"
_NOTHING: Fact[None] = Fact(None, NOT_ASKED)
_NO: Fact[bool] = Fact(False, NOT_ASKED)


@dataclass(frozen=True)
class Location:
    """Where Calico keeps its kinds: what has to be known before the first of them is asked for.

    ``mode`` is one of ``calico_places``; ``served`` are the group versions of the API, such as
    ``crd.projectcalico.org/v1``, None where they cannot be read; ``migration`` is the phase of a
    DatastoreMigration, "" without one and None where it could not be read. ``connected`` is False
    when the data is in an etcd that no option leads to. ``undecided``: custom resources of both groups
    are served, and what would tell which of them are live may not be read.
    """

    mode: Fact[str]
    api_server_down: Fact[bool] = _NO
    migration: Fact[str | None] = Fact("", NOT_ASKED)
    served: frozenset[str] | None = None
    connected: bool = True
    undecided: Fact[bool] = _NO


@dataclass(frozen=True)
class Installation:
    """How Calico is installed (spec ippool.md §7). A value of None is not known; the source says why.

    The first part is known to every module that changes pools. The second, from ``api_service``
    on, is asked for by ``survey`` only.
    """

    mode: Fact[str]
    connected: bool = True
    api_server_down: Fact[bool] = _NO
    migration: Fact[str | None] = Fact("", NOT_ASKED)
    # Both groups are served, and which of them Calico uses may not be read: ``mode`` is the likelier one.
    undecided: Fact[bool] = _NO
    # Whether the Tigera operator manages pools: it says so on a pool, or lists pools in its Installation.
    operator: Fact[bool] = _NO
    # The names of the pools that carry its label, then the names, or CIDRs, of the listed ones.
    operator_pools: Fact[tuple[str, ...]] = Fact((), NOT_ASKED)
    # The entries of spec.calicoNetwork.ipPools of Installation default; None when there is no such list.
    operator_entries: Fact[tuple[Object, ...] | None] = _NOTHING
    # What Installation default says of the CNI plugin, {} when that is left open; None without such an object.
    operator_cni: Fact[Object | None] = _NOTHING
    version: Fact[str | None] = _NOTHING
    # The words of clusterType, such as k8s, operator, kubespray, typha, kdd.
    cluster_type: Fact[tuple[str, ...] | None] = _NOTHING
    openshift: Fact[bool] = _NO
    # datastoreReady: false in a ClusterInformation.
    locked: Fact[bool | None] = _NO

    # Who answers for projectcalico.org/v3: "custom resources", or the Service of an API server.
    api_service: Fact[str | None] = _NOTHING
    # What the served definition of a pool knows, see ``CAPABILITIES``.
    capabilities: Fact[tuple[str, ...] | None] = _NOTHING
    ipam: Fact[str | None] = _NOTHING
    pod_cidrs: Fact[tuple[Network, ...] | None] = _NOTHING
    service_cidrs: Fact[tuple[Network, ...] | None] = _NOTHING
    windows_nodes: Fact[tuple[str, ...] | None] = _NOTHING
    ebpf: Fact[bool | None] = _NOTHING
    # Others that write pools, such as "Helm release calico in tigera-operator".
    declared_by: Fact[tuple[str, ...] | None] = _NOTHING
