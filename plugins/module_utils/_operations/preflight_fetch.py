# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Reading the cluster, each kind once, for the checks of the preflight."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import (
    APISERVER,
    CRD_V1,
    CRD_V3,
    in_v3,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import (
    Installation,
    calico_api,
    examine,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CONFIG_MAPS,
    DAEMON_SETS,
    INSTALLATIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SERVICES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import Schema, served_schema
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Network,
    parse_network,
    parse_range,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import UNKNOWN, Holder, classify
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import CniPlace, cni_places
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    NAMESPACE,
    read_journal,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_calico import (
    fetch_calico_facts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    fetch_surroundings,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import (
    WORKLOADS,
    AffinityFact,
    Allocation,
    BlockFact,
    ClusterView,
    Workload,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire import decode_settings

SERVICE_CIDRS = Resource("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", False)
OPENSHIFT_NETWORKS = Resource("config.openshift.io", "v1", "networks", "Network", False)

# ConfigMaps that say how the cluster was set up (spec ippool.md §7.3, §7.4).
CONFIGURATION = (
    ("kube-system", "kubeadm-config"),
    ("kube-system", "kube-proxy"),
    ("kube-system", "calico-config"),
    ("kube-system", "canal-config"),
    ("calico-system", "cni-config"),
)
CALICO_NODE = (("kube-system", "calico-node"), ("calico-system", "calico-node"))
# Those that write the CNI configuration on nodes, where the DaemonSets are not listed anyhow.
_CNI_WRITERS = (*CALICO_NODE, ("kube-system", "canal"), ("kube-system", "rke2-canal"))


def fetch_view(
    api: PagedApi, pool: str | None, namespace: str = NAMESPACE, config_map_namespaces: t.Collection[str] = ()
) -> ClusterView:
    """Read the cluster. ``pool`` is the pool whose journal is wanted.

    ``config_map_namespaces`` are those whose ConfigMaps are to be searched, ``"*"`` for all.
    Raises what the API raises, but for rights that are missing: those become ``unreadable``.
    """
    installation, pools, operator = examine(api)
    # Calico's store answers even while the API server in front of it does not.
    reader = _Reader(t.cast("PagedApi", calico_api(api).raw) if installation.api_server_down.value else api)
    if pools is None:
        reader.may_not(IP_POOLS)
    if operator.source.startswith("no right"):
        reader.may_not(INSTALLATIONS)
    workloads = tuple(reader.workloads())
    places = cni_places(each.thing for each in workloads if each.kind == "DaemonSet")
    surroundings = fetch_surroundings(api, installation.mode.value, config_map_namespaces)
    settings = [thing for thing in reader.all(IPAM_CONFIGS) if thing["metadata"]["name"] == "default"]
    reserved = tuple(_reservations(reader.all(IP_RESERVATIONS)))
    # Pods are read after blocks and handles: one that is seen later cannot have lost its address before.
    calico = fetch_calico_facts(calico_api(api), installation)
    return ClusterView(
        installation=installation,
        pools=tuple(
            sorted((StoredPool(thing["metadata"]["name"], thing) for thing in pools or ()), key=lambda pool: pool.name)
        ),
        blocks=tuple(reader.blocks()),
        affinities=tuple(reader.affinities()),
        reservations=tuple(network for _name, network in reserved),
        reserved=reserved,
        settings=reader.settings(settings[0]) if settings else {},
        nodes=tuple(reader.all(NODES)),
        namespaces=tuple(reader.all(NAMESPACES)),
        pods=tuple(reader.all(PODS)),
        workloads=workloads,
        services=tuple(reader.all(SERVICES)),
        budgets=tuple(reader.all(POD_DISRUPTION_BUDGETS)),
        service_cidrs=tuple(
            cidr for thing in reader.all(SERVICE_CIDRS) for cidr in (thing.get("spec") or {}).get("cidrs") or []
        ),
        config_maps=reader.config_maps(places),
        cni_places=places,
        calico_node_env=_calico_node_env(workloads),
        operator_spec=(operator.value or {}).get("spec") or {},
        operator=operator.value,
        openshift_cidrs=tuple(openshift_cidrs(reader.all(OPENSHIFT_NETWORKS))) if installation.openshift.value else (),
        ebpf=calico.felix.get("bpfEnabled") is True,
        calico=calico,
        surroundings=surroundings,
        journal=read_journal(api, pool, namespace) if pool else None,
        unreadable=(*reader.unreadable, *calico.unreadable, *surroundings.unreadable),
        damaged=tuple(reader.damaged),
        schemas=_schemas(calico_api(api), installation),
    )


def _schemas(calico: CalicoApi, installation: Installation) -> dict[str, Schema]:
    wanted = [INSTALLATIONS] if installation.operator.value else []
    mode = installation.mode.value
    if mode in (CRD_V1, APISERVER, CRD_V3):
        # Behind an API server, the definition of the v1 group is what limits a pool.
        wanted.append(in_v3(IP_POOLS) if mode == CRD_V3 else IP_POOLS)
    found = {resource.plural: served_schema(calico.raw, resource) for resource in wanted}
    return {plural: schema for plural, schema in found.items() if schema is not None}


def fetch_requests_view(api: PagedApi, installation: Installation) -> ClusterView:
    """Of the cluster only what may ask for pools: namespaces, pods, workloads and the CNI configuration."""
    reader = _Reader(api)
    workloads = tuple(reader.workloads())
    places = cni_places(each.thing for each in workloads if each.kind == "DaemonSet")
    return ClusterView(
        installation=installation,
        namespaces=tuple(reader.all(NAMESPACES)),
        pods=tuple(reader.all(PODS)),
        workloads=workloads,
        services=tuple(reader.all(SERVICES)),
        config_maps=reader.config_maps(places),
        cni_places=places,
        unreadable=tuple(reader.unreadable),
    )


def fetch_config_maps(
    api: PagedApi,
) -> tuple[dict[tuple[str, str], t.Mapping[str, str]], tuple[CniPlace, ...], tuple[str, ...]]:
    """The ConfigMaps that say how the cluster was set up, where among them the CNI configuration is, as far as that
    can be seen, and what of them we were not allowed to see."""
    reader = _Reader(api)
    found = (readable_object(api, DAEMON_SETS, name, namespace)[0] for namespace, name in _CNI_WRITERS)
    places = cni_places(thing for thing in found if thing is not None)
    return reader.config_maps(places), places, tuple(reader.unreadable)


class _Reader:
    """Lists that may not be served (then they are empty) or not be allowed (then that is noted)."""

    def __init__(self, api: PagedApi) -> None:
        self._api = api
        self.unreadable: list[str] = []
        self.damaged: list[str] = []

    def all(self, resource: Resource) -> list[Object]:
        try:
            return self._api.list(resource).items
        except UnknownResource:
            return []
        except Forbidden:
            self.may_not(resource)
            return []

    def blocks(self) -> t.Iterator[BlockFact]:
        try:
            for page in self._api.pages(IPAM_BLOCKS):
                for thing in page.items:
                    cidr = self._range(thing)
                    if cidr is not None:
                        spec = thing["spec"]
                        in_use = cidr.size - len(spec.get("unallocated") or [])
                        yield BlockFact(cidr, spec.get("affinity") or "", in_use, tuple(_allocations(cidr, spec)))
        except UnknownResource:
            return
        except Forbidden:
            self.may_not(IPAM_BLOCKS)

    def may_not(self, resource: Resource) -> None:
        """Note what this cluster calls a resource, so that the right to read it can be asked for."""
        place = self._api.place(resource) if isinstance(self._api, CalicoApi) else resource
        self.unreadable.append(place.plural)

    def affinities(self) -> t.Iterator[AffinityFact]:
        for thing in self.all(BLOCK_AFFINITIES):
            cidr = None if _deleted(thing) else self._range(thing)
            if cidr is not None:
                spec = thing["spec"]
                confirmed = spec.get("state") == "confirmed"
                yield AffinityFact(cidr, spec.get("node") or "", spec.get("type") or "host", confirmed)

    def settings(self, thing: Object) -> t.Mapping[str, t.Any]:
        """The IPAM settings, with what Calico reads where nothing is stored for the blocks that nodes may take."""
        group = str(thing.get("apiVersion") or "").partition("/")[0]
        try:
            automatic = decode_settings(thing, group).auto_allocate_blocks
        except CorruptRecord:
            self.damaged.append(f"{thing['kind']} {thing['metadata']['name']}")
            return {}
        return {**(thing.get("spec") or {}), "autoAllocateBlocks": automatic}

    def _range(self, thing: Object) -> Network | None:
        """The range of an IPAM record; None, and noted, when it has none that makes sense."""
        spec = thing.get("spec")
        text = spec.get("cidr") if isinstance(spec, dict) else None
        try:
            return parse_network(text, strict=False)
        except InvalidInput:
            self.damaged.append(f"{thing['kind']} {thing['metadata']['name']}")
            return None

    def workloads(self) -> t.Iterator[Workload]:
        for resource, path in WORKLOADS:
            for thing in self.all(resource):
                metadata = thing["metadata"]
                yield Workload(resource.kind, metadata["namespace"], metadata["name"], thing, _at(thing, path))

    def config_maps(self, places: t.Iterable[CniPlace]) -> dict[tuple[str, str], t.Mapping[str, str]]:
        wanted = (*CONFIGURATION, *((place.namespace, place.name) for place in places if not place.text))
        return {key: data for key in dict.fromkeys(wanted) for data in self.config_map(*key)}

    def config_map(self, namespace: str, name: str) -> t.Iterator[t.Mapping[str, str]]:
        try:
            yield self._api.get(CONFIG_MAPS, name, namespace).get("data") or {}
        except NotFound:
            return
        except Forbidden:
            self.unreadable.append(f"ConfigMap {namespace}/{name}")


def _allocations(cidr: Network, spec: t.Mapping[str, t.Any]) -> t.Iterator[Allocation]:
    known = [classify(attribute) for attribute in spec.get("attributes") or ()]
    for ordinal, index in enumerate(spec.get("allocations") or ()):
        if index is None or ordinal >= cidr.size:
            continue
        inside = isinstance(index, int) and 0 <= index < len(known)
        yield Allocation(cidr.address(ordinal), known[index] if inside else Holder(UNKNOWN))


def openshift_cidrs(networks: t.Iterable[Object]) -> t.Iterator[str]:
    """The pod range that is in effect on OpenShift, else the one that is asked for (spec ippool.md §7.4)."""
    for thing in networks:
        for part in ("status", "spec"):
            entries = (thing.get(part) or {}).get("clusterNetwork") or []
            if thing["metadata"]["name"] == "cluster" and entries:
                yield from (str(entry.get("cidr")) for entry in entries)
                return


def _at(thing: Object, path: t.Iterable[str]) -> Object:
    for key in path:
        thing = thing.get(key) or {}
    return thing


def _deleted(thing: Object) -> bool:
    return str((thing.get("spec") or {}).get("deleted")).lower() == "true"


def _reservations(things: t.Iterable[Object]) -> t.Iterator[tuple[str, Network]]:
    for thing in things:
        for text in (thing.get("spec") or {}).get("reservedCIDRs") or []:
            try:
                yield thing["metadata"]["name"], parse_range(text)
            except InvalidInput:
                continue  # Calico ignores it too.


def _calico_node_env(workloads: t.Iterable[Workload]) -> dict[str, str]:
    for workload in workloads:
        if workload.kind == "DaemonSet" and (workload.namespace, workload.name) in CALICO_NODE:
            for container in (workload.template.get("spec") or {}).get("containers") or []:
                if container.get("name") == "calico-node":
                    return {entry["name"]: entry.get("value") or "" for entry in container.get("env") or []}
    return {}
