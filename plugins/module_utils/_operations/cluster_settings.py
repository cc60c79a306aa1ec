# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the cluster's own configuration says about pod and Service ranges and about IPAM.

Sources and their order: spec ippool.md §7.3 (which IPAM) and §7.4 (pod range).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import CALICO_IPAM
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import (
    CniConfig,
    CniPlace,
    ConfigMaps,
    cni_configs_in,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.libraries import load_yaml


class Sources(t.Protocol):
    """What a cluster was set up with, as far as it could be read.

    ``config_maps`` are the data of ConfigMaps by namespace and name, ``pods`` those of the control
    plane at least, ``operator_spec`` is the spec of Installation default, and ``calico_node_env``
    the environment of calico-node. ``cni_places`` are where the CNI configuration is taken from, as far as that
    can be seen.
    """

    @property
    def config_maps(self) -> ConfigMaps: ...

    @property
    def cni_places(self) -> t.Sequence[CniPlace]: ...

    @property
    def pods(self) -> t.Sequence[Object]: ...

    @property
    def service_cidrs(self) -> t.Sequence[str]: ...

    @property
    def openshift_cidrs(self) -> t.Sequence[str]: ...

    @property
    def operator_spec(self) -> t.Mapping[str, t.Any]: ...

    @property
    def calico_node_env(self) -> t.Mapping[str, str]: ...


@dataclass(frozen=True)
class Ranges:
    """Networks together with the place that named them."""

    networks: tuple[Network, ...]
    source: str


def pod_ranges(view: Sources) -> t.Iterator[Ranges]:
    """Every source that names the cluster's pod range, the most trustworthy first."""
    yield from _from_text(
        _kubeadm(view).get("podSubnet"), "networking.podSubnet of ConfigMap kube-system/kubeadm-config"
    )
    yield from _from_text(
        _yaml(view, ("kube-system", "kube-proxy"), "config.conf").get("clusterCIDR"),
        "clusterCIDR of ConfigMap kube-system/kube-proxy",
    )
    yield from _from_text(_flag(view, "kube-proxy", "--cluster-cidr"), "--cluster-cidr of kube-proxy")
    yield from _from_text(
        _flag(view, "kube-controller-manager", "--cluster-cidr"), "--cluster-cidr of kube-controller-manager"
    )
    yield from _from_text(",".join(view.openshift_cidrs), "clusterNetwork of Network cluster")


def service_ranges(view: Sources) -> t.Iterator[Ranges]:
    """Every source that names the cluster's Service range."""
    yield from _from_text(",".join(view.service_cidrs), "the ServiceCIDR objects")
    yield from _from_text(
        _kubeadm(view).get("serviceSubnet"), "networking.serviceSubnet of ConfigMap kube-system/kubeadm-config"
    )
    yield from _from_text(
        _flag(view, "kube-apiserver", "--service-cluster-ip-range"), "--service-cluster-ip-range of kube-apiserver"
    )


#: How kube-proxy tells traffic of pods from other traffic when nothing is configured.
BY_CLUSTER_CIDR = "ClusterCIDR"


def control_plane_flag(view: Sources, component: str, flag: str) -> str:
    """A command line flag of a control plane component that runs as a pod; "" where it is not to be seen."""
    return _flag(view, component, flag)


def local_traffic_mode(view: Sources) -> str:
    """kube-proxy's ``detectLocalMode``: only with ``ClusterCIDR`` does its range matter (hazard B23)."""
    configured = _yaml(view, ("kube-system", "kube-proxy"), "config.conf").get("detectLocalMode")
    return str(configured or _flag(view, "kube-proxy", "--detect-local-mode") or BY_CLUSTER_CIDR)


def calico_backend(view: Sources) -> tuple[str, str]:
    """``bird``, ``vxlan`` or ``none``, and where that is said; "" when nothing says it (hazard B13)."""
    bgp = (view.operator_spec.get("calicoNetwork") or {}).get("bgp")
    if bgp in ("Enabled", "Disabled"):
        return ("bird" if bgp == "Enabled" else "vxlan"), f"spec.calicoNetwork.bgp {bgp} of Installation default"
    usual = (("kube-system", "calico-config"), ("kube-system", "canal-config"))
    for namespace, name in dict.fromkeys((*((place.namespace, place.name) for place in view.cni_places), *usual)):
        backend = view.config_maps.get((namespace, name), {}).get("calico_backend")
        if backend:
            return str(backend), f"calico_backend {backend} of ConfigMap {namespace}/{name}"
    backend = view.calico_node_env.get("CALICO_NETWORKING_BACKEND") or ""
    return backend, f"CALICO_NETWORKING_BACKEND {backend} of DaemonSet calico-node" if backend else ""


def cni_configs(view: Sources) -> t.Iterator[CniConfig]:
    """The CNI configurations that nodes are given; those that do not parse are left out."""
    return cni_configs_in(view.config_maps, view.cni_places)


def ipam_sources(view: Sources) -> t.Iterator[tuple[str, str]]:
    """What says which IPAM gives pods their addresses, with the IPAM's name; "" where the source leaves it open."""
    cni = view.operator_spec.get("cni") or {}
    if cni:
        kind, ipam = cni.get("type") or "Calico", (cni.get("ipam") or {}).get("type") or "Calico"
        name = CALICO_IPAM if (kind, ipam) == ("Calico", "Calico") else f"{ipam} IPAM of the CNI plugin {kind}"
        yield "Installation default, spec.cni", name
    for config in cni_configs(view):
        if config.calico is None:
            yield config.source, "a CNI plugin other than calico"
        else:
            yield config.source, str(config.ipam.get("type") or "")
    if view.calico_node_env.get("USE_POD_CIDR", "").lower() == "true":
        yield "USE_POD_CIDR of DaemonSet calico-node", "host-local with the nodes' podCIDR"


def _kubeadm(view: Sources) -> dict[str, t.Any]:
    networking = _yaml(view, ("kube-system", "kubeadm-config"), "ClusterConfiguration").get("networking")
    return networking if isinstance(networking, dict) else {}


def _yaml(view: Sources, config_map: tuple[str, str], key: str) -> dict[str, t.Any]:
    text = view.config_maps.get(config_map, {}).get(key)
    if not text:
        return {}
    yaml = load_yaml()
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _flag(view: Sources, component: str, flag: str) -> str:
    """The value of a command line flag of a control plane component that runs as a pod."""
    for pod in view.pods:
        labels = pod["metadata"].get("labels") or {}
        if component not in (labels.get("component"), labels.get("k8s-app")):
            continue
        for container in pod["spec"].get("containers") or []:
            words = [*(container.get("command") or []), *(container.get("args") or [])]
            for position, word in enumerate(words):
                if word.startswith(flag + "="):
                    return str(word.partition("=")[2])
                if word == flag and position + 1 < len(words):
                    return str(words[position + 1])
    return ""


def _from_text(text: t.Any, source: str) -> t.Iterator[Ranges]:
    networks = []
    for part in str(text or "").split(","):
        try:
            networks.append(parse_network(part.strip(), strict=False))
        except InvalidInput:
            continue
    if networks:
        yield Ranges(tuple(networks), source)


def pod_annotations(thing: Object) -> dict[str, str]:
    """The annotations of a pod, namespace or pod template."""
    return dict((thing.get("metadata") or {}).get("annotations") or {})
