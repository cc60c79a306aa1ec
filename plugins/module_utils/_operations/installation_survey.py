# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Everything that can be found out about an installation of Calico through the API (spec ippool.md §7).

``detect`` tells what is needed before a write; this asks the rest, about twenty requests more.
What cannot be read becomes unknown, with the reason as its source.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import (
    CRD_V3,
    ETCD,
    NONE,
    in_v3,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import (
    readable,
    readable_object,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import (
    CALICO_IPAM,
    CAPABILITIES,
    Fact,
    Installation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_location import (
    V3_GROUP,
    calico_node_env,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V3,
    CONFIG_MAPS,
    DAEMON_SETS,
    INSTALLATIONS,
    IP_POOLS,
    IPAM_BLOCKS,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import Schema, served_schema
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import (
    Ranges,
    ipam_sources,
    pod_ranges,
    service_ranges,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import CniPlace
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.declared_by import declarers
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_windows
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ebpf import ebpf
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings_facts import IMAGE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import (
    CALICO_NODE,
    CONFIGURATION,
    OPENSHIFT_NETWORKS,
    SERVICE_CIDRS,
    openshift_cidrs,
)

API_SERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", False)
CONTROL_PLANE = "component in (kube-apiserver, kube-controller-manager)"


@dataclass(frozen=True)
class Configuration:
    """What the cluster was set up with, as ``cluster_settings`` wants it; ``unreadable`` is what we may not see."""

    config_maps: t.Mapping[tuple[str, str], t.Mapping[str, str]]
    pods: t.Sequence[Object]
    service_cidrs: t.Sequence[str]
    openshift_cidrs: t.Sequence[str]
    operator_spec: t.Mapping[str, t.Any]
    calico_node_env: t.Mapping[str, str]
    unreadable: t.Sequence[str]
    cni_places: t.Sequence[CniPlace] = ()

    def nothing(self) -> str:
        """Why a question has no answer here."""
        if not self.unreadable:
            return "no configuration in the cluster says so"
        return f"no configuration that may be read says so; no right to read {', '.join(self.unreadable)}"


def survey(api: KubeApi) -> Installation:
    """``detect``, with every fact asked for. Raises what the API raises, but for rights that are missing."""
    calico = calico_api(api)
    found = detect(calico)
    configuration = read_configuration(calico.raw, found)
    nodes = readable(calico.raw, NODES)
    pools = None if found.mode.value == NONE or not found.connected else _pools(calico, found)
    return replace(
        found,
        version=found.version if found.version.value is not None else _image_version(calico.raw, found.version),
        api_service=_api_service(calico),
        capabilities=_capabilities(calico, found),
        ipam=_ipam(calico, found, configuration),
        pod_cidrs=_pod_cidrs(configuration, nodes, pools),
        service_cidrs=_ranges(service_ranges(configuration), configuration),
        windows_nodes=_windows_nodes(nodes),
        ebpf=ebpf(calico, found),
        declared_by=declarers(found, pools, readable_object(calico.raw, INSTALLATIONS, "default")[0]),
    )


def read_configuration(api: KubeApi, found: Installation) -> Configuration:
    """What the cluster was set up with, as far as it may be read. ``api`` is asked for nothing of Calico's own."""
    unreadable: list[str] = []

    def listed(resource: Resource, **options: t.Any) -> list[Object]:
        try:
            return api.list(resource, **options).items
        except (NotFound, UnknownResource):
            return []
        except Forbidden:
            unreadable.append(resource.plural)
            return []

    maps: dict[tuple[str, str], t.Mapping[str, str]] = {}
    for namespace, name in CONFIGURATION:
        thing, source = readable_object(api, CONFIG_MAPS, name, namespace)
        if thing is not None:
            maps[(namespace, name)] = thing.get("data") or {}
        elif source.startswith("no right"):
            unreadable.append(f"ConfigMap {namespace}/{name}")
    env, source = calico_node_env(api)
    if env is None and source.startswith("no right"):
        unreadable.append("DaemonSet calico-node")
    operator, source = readable_object(api, INSTALLATIONS, "default")
    if source.startswith("no right"):
        unreadable.append("Installation default")
    service_cidrs = [
        str(cidr) for thing in listed(SERVICE_CIDRS) for cidr in (thing.get("spec") or {}).get("cidrs") or []
    ]
    networks = listed(OPENSHIFT_NETWORKS) if found.openshift.value else []
    return Configuration(
        config_maps=maps,
        pods=listed(PODS, namespace="kube-system", label_selector=CONTROL_PLANE),
        service_cidrs=service_cidrs,
        openshift_cidrs=tuple(openshift_cidrs(networks)),
        operator_spec=_operator_spec(operator),
        calico_node_env=env or {},
        unreadable=tuple(unreadable),
    )


def _operator_spec(operator: Object | None) -> t.Mapping[str, t.Any]:
    """The spec, with the CNI that the operator worked out where the spec leaves it open."""
    spec = (operator or {}).get("spec") or {}
    computed = ((operator or {}).get("status") or {}).get("computed") or {}
    return {**spec, "cni": spec.get("cni") or computed.get("cni") or {}}


def _pools(calico: CalicoApi, found: Installation) -> list[Object] | None:
    return readable(calico.raw if found.api_server_down.value else calico, IP_POOLS)


def _image_version(api: KubeApi, unknown: Fact[str | None]) -> Fact[str | None]:
    """§7.2, the third source: the tag of calico-node's image, which may also be a digest."""
    for namespace, name in CALICO_NODE:
        thing, source = readable_object(api, DAEMON_SETS, name, namespace)
        pod = ((((thing or {}).get("spec") or {}).get("template") or {}).get("spec")) or {}
        for container in pod.get("containers") or []:
            image = str(container.get("image") or "")
            match = IMAGE.match(image.rpartition("/")[2])
            if container.get("name") == "calico-node" and match:
                return Fact(image.rpartition(":")[2], f"the image of {source}")
    return Fact(None, f"{unknown.source}; no image of a DaemonSet calico-node tells it")


def _api_service(calico: CalicoApi) -> Fact[str | None]:
    if V3_GROUP not in (calico.location.served or {V3_GROUP}):
        return Fact(None, f"the API does not list {V3_GROUP}")
    thing, source = readable_object(calico.raw, API_SERVICES, f"v3.{CALICO_V3}")
    if thing is None:
        return Fact(None, source)
    service = (thing.get("spec") or {}).get("service")
    if not service:
        return Fact("custom resources", source)
    for condition in (thing.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Available" and condition.get("status") != "True":
            words = condition.get("message") or condition.get("reason") or "no reason given"
            source = f"{source}, which is not available: {words}"
    return Fact(f"Service {service.get('namespace')}/{service.get('name')}", source)


def _capabilities(calico: CalicoApi, found: Installation) -> Fact[tuple[str, ...] | None]:
    """§7.2, the fourth source. Behind an API server, the definition of the v1 group is what limits a pool."""
    if found.mode.value == ETCD:
        return Fact(None, "there is no definition of pools in an etcd")
    resource = in_v3(IP_POOLS) if found.mode.value == CRD_V3 else IP_POOLS
    schema = served_schema(calico.raw, resource)
    if schema is None:
        return Fact(None, f"the definition of {resource.plural}.{resource.group} cannot be read")
    has = _schema_has(schema)
    return Fact(tuple(each for each in CAPABILITIES if has(each)), f"{resource.plural}.{resource.group}")


def _schema_has(schema: Schema) -> t.Callable[[str], bool]:
    top: t.Mapping[str, t.Any] = schema.get("properties") or {}
    spec: t.Mapping[str, t.Any] = top.get("spec") or {}
    fields: t.Mapping[str, t.Any] = spec.get("properties") or {}
    uses = ((fields.get("allowedUses") or {}).get("items") or {}).get("enum") or ()
    found = {name for name in CAPABILITIES if name in fields}
    found |= {"LoadBalancer"} if "LoadBalancer" in uses else set()
    found |= {"status"} if "status" in top else set()
    found |= {"rules"} if spec.get("x-kubernetes-validations") else set()
    return lambda name: name in found


def _ipam(calico: CalicoApi, found: Installation, configuration: Configuration) -> Fact[str | None]:
    for source, name in ipam_sources(configuration):
        if name:
            return Fact(name, source)
    if found.mode.value != NONE and found.connected and _has_blocks(calico):
        return Fact(CALICO_IPAM, "there are IPAM blocks")
    return Fact(None, f"{configuration.nothing()}, and there is no IPAM block that may be read")


def _has_blocks(calico: CalicoApi) -> bool:
    try:
        return any(page.items for page in calico.pages(IPAM_BLOCKS, limit=1))
    except (Forbidden, UnknownResource):
        return False


def _ranges(found: t.Iterator[Ranges], configuration: Configuration) -> Fact[tuple[Network, ...] | None]:
    first = next(found, None)
    return Fact(None, configuration.nothing()) if first is None else Fact(first.networks, first.source)


def _pod_cidrs(
    configuration: Configuration, nodes: list[Object] | None, pools: list[Object] | None
) -> Fact[tuple[Network, ...] | None]:
    """§7.4. What the nodes have is a lower bound, and what the pools have is the last resort; both are said so."""
    named = _ranges(pod_ranges(configuration), configuration)
    if named.value is not None:
        return named
    slices = [
        str(text)
        for node in nodes or ()
        for text in (node.get("spec") or {}).get("podCIDRs") or [(node.get("spec") or {}).get("podCIDR")]
        if text
    ]
    networks = _networks(slices)
    if networks:
        return Fact(networks, f"spec.podCIDRs of {len(nodes or ())} nodes, which are parts of it")
    specs = [pool.get("spec") or {} for pool in pools or ()]
    enabled = [
        str(spec.get("cidr"))
        for spec in specs
        if not spec.get("disabled") and "Workload" in (spec.get("allowedUses") or ["Workload"])
    ]
    networks = _networks(enabled)
    return Fact(networks, "the enabled pools, for want of anything better") if networks else named


def _networks(texts: t.Iterable[str]) -> tuple[Network, ...]:
    networks = []
    for text in texts:
        try:
            networks.append(parse_network(text, strict=False))
        except InvalidInput:
            continue
    return tuple(dict.fromkeys(networks))


def _windows_nodes(nodes: list[Object] | None) -> Fact[tuple[str, ...] | None]:
    if nodes is None:
        return Fact(None, "no right to list nodes")
    names = sorted(node["metadata"]["name"] for node in nodes if is_windows(node))
    return Fact(tuple(names), f"operatingSystem of {len(nodes)} nodes")
