# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What has to be read from a cluster before it is held against a Kubespray inventory. Reads only."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    NODES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import pod_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_survey import read_configuration
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    LABEL,
    NAMESPACE,
    Journal,
    decode,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool, read_pools

CALICO_NODE = "calico-node"


@dataclass(frozen=True)
class Live:
    """The cluster as it is.

    ``settings`` are Calico's IPAM settings in its spelling, ``subnets`` the pods' ranges by the place that names
    them, ``journals`` the procedures that are under way or kept their old pool. ``rolling`` says that calico-node is
    being rolled out, in words, or is empty; ``unreadable`` is what there is no right to read.
    """

    pools: t.Sequence[StoredPool]
    mode: str = "crd_v1"
    settings: t.Mapping[str, t.Any] = field(default_factory=dict)
    subnets: t.Sequence[t.Tuple[str, t.Sequence[Network]]] = ()
    journals: t.Sequence[Journal] = ()
    rolling: str = ""
    cordoned: t.Sequence[str] = ()
    nodes: t.Sequence[str] = ()
    unreadable: t.Sequence[str] = ()

    def journal_of(self, pool: str) -> t.Optional[Journal]:
        """The journal of a procedure that was begun for this pool."""
        return next((journal for journal in self.journals if journal.pool == pool), None)

    def journal_to(self, pool: str) -> t.Optional[Journal]:
        """The journal of a procedure that moves pods to this pool."""
        return next((journal for journal in self.journals if journal.target.get("name") == pool), None)

    def all_subnets(self) -> t.Tuple[Network, ...]:
        return tuple(dict.fromkeys(network for _source, networks in self.subnets for network in networks))


def read_live(api: KubeApi, settings: t.Mapping[str, t.Any]) -> Live:
    """Read it. ``settings`` are those that ``settings_info`` returns. Raises what the API raises."""
    calico: CalicoApi = calico_api(api)
    found = detect(calico)
    configuration = read_configuration(calico.raw, found)
    unreadable: t.List[str] = list(configuration.unreadable)

    def listed(resource: t.Any, **options: t.Any) -> t.List[Object]:
        try:
            return calico.raw.list(resource, **options).items
        except (NotFound, UnknownResource):
            return []
        except Forbidden:
            unreadable.append(resource.plural)
            return []

    nodes = listed(NODES)
    journals = listed(CONFIG_MAPS, namespace=NAMESPACE, label_selector=LABEL)
    daemon_set, _source = readable_object(calico.raw, DAEMON_SETS, CALICO_NODE, "kube-system")
    return Live(
        pools=read_pools(api),
        mode=str(found.mode.value),
        settings=settings,
        subnets=tuple((ranges.source, ranges.networks) for ranges in pod_ranges(configuration)),
        journals=tuple(decode(thing) for thing in journals),
        rolling="" if daemon_set is None else rollout(daemon_set),
        cordoned=tuple(
            sorted(node["metadata"]["name"] for node in nodes if (node.get("spec") or {}).get("unschedulable"))
        ),
        nodes=tuple(sorted(node["metadata"]["name"] for node in nodes)),
        unreadable=tuple(dict.fromkeys(unreadable)),
    )


def rollout(daemon_set: Object) -> str:
    """How far a rollout has come, in words; empty when it is finished."""
    status, metadata = daemon_set.get("status") or {}, daemon_set["metadata"]
    wanted = int(status.get("desiredNumberScheduled") or 0)
    if int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0):
        return "its change has not been seen yet"
    updated, ready = int(status.get("updatedNumberScheduled") or 0), int(status.get("numberReady") or 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are new"
    return f"{ready} of {wanted} pods are ready" if ready < wanted else ""
