# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What stands around the pods of a cluster and may go by their addresses, read once for the preflight.

Kinds that not every cluster has are asked for only where discovery names their group, so whoever has no
right to them is not told of a missing right on a cluster without them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import group_versions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CALICO_V3,
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
)

NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True)
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress", True)
MUTATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False
)
VALIDATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False
)
API_SERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", False)
CSI_DRIVERS = Resource("storage.k8s.io", "v1", "csidrivers", "CSIDriver", False)
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False)
PERSISTENT_VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", False)

CALICO_NETWORK_POLICIES = Resource(CALICO_V1, "v1", "networkpolicies", "NetworkPolicy", True)
GLOBAL_NETWORK_POLICIES = Resource(CALICO_V1, "v1", "globalnetworkpolicies", "GlobalNetworkPolicy", False)
NETWORK_SETS = Resource(CALICO_V1, "v1", "networksets", "NetworkSet", True)
GLOBAL_NETWORK_SETS = Resource(CALICO_V1, "v1", "globalnetworksets", "GlobalNetworkSet", False)
BGP_PEERS = Resource(CALICO_V1, "v1", "bgppeers", "BGPPeer", False)
BGP_FILTERS = Resource(CALICO_V1, "v1", "bgpfilters", "BGPFilter", False)

_ADMIN_POLICY = "policy.networking.k8s.io"
ADMIN_NETWORK_POLICIES = Resource(_ADMIN_POLICY, "v1alpha1", "adminnetworkpolicies", "AdminNetworkPolicy", False)
BASELINE_ADMIN_NETWORK_POLICIES = Resource(
    _ADMIN_POLICY, "v1alpha1", "baselineadminnetworkpolicies", "BaselineAdminNetworkPolicy", False
)
CLUSTER_NETWORK_POLICIES = Resource(_ADMIN_POLICY, "v1alpha2", "clusternetworkpolicies", "ClusterNetworkPolicy", False)
VIRTUAL_MACHINES = Resource("kubevirt.io", "v1", "virtualmachines", "VirtualMachine", True)
SUBMARINER_CLUSTERS = Resource("submariner.io", "v1", "clusters", "Cluster", True)
SUBMARINER_ENDPOINTS = Resource("submariner.io", "v1", "endpoints", "Endpoint", True)
SPIDER_COORDINATORS = Resource("spiderpool.spidernet.io", "v2beta1", "spidercoordinators", "SpiderCoordinator", False)
EGRESS_CLUSTER_INFOS = Resource(
    "egressgateway.spidernet.io", "v1beta1", "egressclusterinfos", "EgressClusterInfo", False
)

#: In every cluster.
COMMON = (
    NETWORK_POLICIES,
    INGRESSES,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
    API_SERVICES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    CSI_DRIVERS,
    STORAGE_CLASSES,
)
#: Calico's, in whichever group or datastore it keeps them.
CALICO = (
    CALICO_NETWORK_POLICIES,
    GLOBAL_NETWORK_POLICIES,
    NETWORK_SETS,
    GLOBAL_NETWORK_SETS,
    BGP_PEERS,
    BGP_FILTERS,
)
#: Only where their group is served; in the version that is.
OPTIONAL = (
    ADMIN_NETWORK_POLICIES,
    BASELINE_ADMIN_NETWORK_POLICIES,
    CLUSTER_NETWORK_POLICIES,
    VIRTUAL_MACHINES,
    SUBMARINER_CLUSTERS,
    SUBMARINER_ENDPOINTS,
    SPIDER_COORDINATORS,
    EGRESS_CLUSTER_INFOS,
)


@dataclass(frozen=True)
class Surroundings:
    """``things`` by the constants above; ``groups`` are the API groups that are served, without versions.

    ``config_maps`` are those of the namespaces that the user wants searched. ``unreadable`` names what
    we were not allowed to see.
    """

    things: t.Mapping[Resource, t.Sequence[Object]] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    config_maps: t.Sequence[Object] = ()
    unreadable: t.Sequence[str] = ()

    def of(self, *resources: Resource) -> t.Iterator[Object]:
        for resource in resources:
            yield from self.things.get(resource, ())


def fetch_surroundings(api: KubeApi, mode: str, config_map_namespaces: t.Collection[str] = ()) -> Surroundings:
    """Read them. ``mode`` is how Calico is installed; raises what the API raises, but for missing rights.

    With ``"*"`` among ``config_map_namespaces``, the ConfigMaps of all namespaces are read.
    """
    calico = calico_api(api)
    served = calico.location.served or group_versions(calico.raw)
    unreadable: list[str] = []
    things: dict[Resource, t.Sequence[Object]] = {}

    def read(kind: Resource, place: Resource, at: KubeApi) -> None:
        try:
            things[kind] = at.list(place).items
        except (NotFound, UnknownResource):
            things[kind] = ()
        except Forbidden:
            # Two groups have networkpolicies.
            unreadable.append(f"{place.plural}.{place.group}" if kind in CALICO else place.plural)

    for kind in COMMON:
        read(kind, kind, calico.raw)
    for kind in CALICO:
        read(kind, _in_group(kind, mode), _home(calico))
    for kind in OPTIONAL:
        place = _served_as(kind, served)
        if place is not None:
            read(kind, place, calico.raw)
    config_maps = list(_config_maps(calico.raw, config_map_namespaces, unreadable))
    groups = frozenset(version.partition("/")[0] for version in served or ())
    return Surroundings(things, groups, config_maps, tuple(unreadable))


def _home(calico: CalicoApi) -> KubeApi:
    return calico.raw if calico.elsewhere is None else calico.elsewhere


def _in_group(kind: Resource, mode: str) -> Resource:
    # Calico's own API server may be among the pods that move, so its store is read rather than its answers.
    return replace(kind, group=CALICO_V3, version="v3") if mode == CRD_V3 else kind


def _served_as(kind: Resource, served: frozenset[str] | None) -> Resource | None:
    """The resource in a version that is served; None when its group is not."""
    if served is None or kind.api_version in served:
        return kind
    versions = sorted(entry.partition("/")[2] for entry in served if entry.partition("/")[0] == kind.group)
    return replace(kind, version=versions[-1]) if versions else None


def _config_maps(api: KubeApi, namespaces: t.Collection[str], unreadable: list[str]) -> t.Iterator[Object]:
    for namespace in [None] if "*" in namespaces else sorted(namespaces):
        try:
            yield from api.list(CONFIG_MAPS, namespace).items
        except Forbidden:
            unreadable.append(f"configmaps of {'all namespaces' if namespace is None else f'namespace {namespace}'}")
