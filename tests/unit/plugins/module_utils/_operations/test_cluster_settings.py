# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import (
    calico_backend,
    local_traffic_mode,
    pod_ranges,
    service_ranges,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView

KUBEADM = "networking:\n  podSubnet: 10.0.0.0/16,fd00::/48\n  serviceSubnet: 10.96.0.0/12\n"
PROXY = "kind: KubeProxyConfiguration\nclusterCIDR: 10.1.0.0/16\n"


def control_plane(component: str, *command: str) -> dict[str, t.Any]:
    return {"metadata": {"labels": {"component": component}}, "spec": {"containers": [{"command": list(command)}]}}


def view(**parts: t.Any) -> ClusterView:
    maps = {(("kube-system"), name): data for name, data in parts.pop("maps", {}).items()}
    return ClusterView(Installation(Fact("crd_v1", "")), config_maps=maps, **parts)


def said(ranges: t.Iterable[t.Any]) -> list[tuple[list[str], str]]:
    return [([str(network) for network in entry.networks], entry.source.split(" ")[0]) for entry in ranges]


def test_pod_ranges_come_in_the_order_of_trust() -> None:
    cluster = view(
        maps={"kubeadm-config": {"ClusterConfiguration": KUBEADM}, "kube-proxy": {"config.conf": PROXY}},
        pods=(control_plane("kube-controller-manager", "kcm", "--cluster-cidr=10.2.0.0/16"),),
        openshift_cidrs=("10.3.0.0/16",),
    )
    assert said(pod_ranges(cluster)) == [
        (["10.0.0.0/16", "fd00::/48"], "networking.podSubnet"),
        (["10.1.0.0/16"], "clusterCIDR"),
        (["10.2.0.0/16"], "--cluster-cidr"),
        (["10.3.0.0/16"], "clusterNetwork"),
    ]


def test_how_kube_proxy_tells_pods_apart() -> None:
    """B23: only by ClusterCIDR does its range matter, which is what it does when nobody says anything."""
    flagged = {
        "metadata": {"labels": {"k8s-app": "kube-proxy"}},
        "spec": {"containers": [{"command": ["kube-proxy"], "args": ["--detect-local-mode=NodeCIDR"]}]},
    }
    assert local_traffic_mode(view()) == "ClusterCIDR"
    assert (
        local_traffic_mode(view(maps={"kube-proxy": {"config.conf": PROXY + 'detectLocalMode: ""'}})) == "ClusterCIDR"
    )
    assert local_traffic_mode(view(pods=(flagged,))) == "NodeCIDR"
    configured = {"kube-proxy": {"config.conf": PROXY + "detectLocalMode: BridgeInterface"}}
    assert local_traffic_mode(view(maps=configured, pods=(flagged,))) == "BridgeInterface"
    ranged = control_plane("kube-proxy", "kube-proxy", "--cluster-cidr", "10.4.0.0/16")
    assert said(pod_ranges(view(pods=(ranged,)))) == [(["10.4.0.0/16"], "--cluster-cidr")]


@pytest.mark.parametrize(
    ("parts", "backend", "where"),
    [
        ({}, "", ""),
        ({"operator_spec": {"calicoNetwork": {"bgp": "Enabled"}}}, "bird", "Installation default"),
        ({"operator_spec": {"calicoNetwork": {"bgp": "Disabled"}}}, "vxlan", "Installation default"),
        ({"maps": {"calico-config": {"calico_backend": "none"}}}, "none", "ConfigMap kube-system/calico-config"),
        ({"calico_node_env": {"CALICO_NETWORKING_BACKEND": "vxlan"}}, "vxlan", "DaemonSet calico-node"),
    ],
)
def test_the_backend_of_calico_node(parts: dict[str, t.Any], backend: str, where: str) -> None:
    found, source = calico_backend(view(**parts))
    assert (found, source.endswith(where)) == (backend, True)


def test_service_ranges() -> None:
    cluster = view(
        maps={"kubeadm-config": {"ClusterConfiguration": KUBEADM}},
        service_cidrs=("10.97.0.0/16",),
        pods=(control_plane("kube-apiserver", "kube-apiserver", "--service-cluster-ip-range", "10.98.0.0/16"),),
    )
    assert [networks for networks, _source in said(service_ranges(cluster))] == [
        ["10.97.0.0/16"],
        ["10.96.0.0/12"],
        ["10.98.0.0/16"],
    ]


@pytest.mark.parametrize("text", ["", "networking: [", "just text", "networking: text", "networking:\n  podSubnet: ''"])
def test_what_cannot_be_read_says_nothing(text: str) -> None:
    cluster = view(maps={"kubeadm-config": {"ClusterConfiguration": text}, "kube-proxy": {"config.conf": text}})
    assert list(pod_ranges(cluster)) == []
