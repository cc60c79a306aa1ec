# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What else can be found out, against clusters of a table (spec ippool.md §7.2 to §7.5) and against twins."""

from __future__ import annotations

import typing as t

import pytest
from cluster_tables import (
    AGGREGATED,
    CONFIG_MAPS,
    DENIED,
    DOWN,
    INFORMATION,
    INSTALLATIONS,
    MANIFEST,
    NODE,
    OPENSHIFT,
    OWNED,
    V1,
    V3,
    V3_CRDS,
    api_of,
    default,
    in_etcd,
    node,
    pool,
)
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_report import (
    installation_info,
    shown,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_survey import survey
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi

BLOCKS = "ipamblocks.crd.projectcalico.org"
NODES = "nodes."
PODS = "pods."
SERVICE_CIDRS = "servicecidrs.networking.k8s.io"
NETWORKS = "networks.config.openshift.io"
FELIX = "felixconfigurations.crd.projectcalico.org"
V3_FELIX = "felixconfigurations.projectcalico.org"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
API_SERVICES = "apiservices.apiregistration.k8s.io"

CONFLIST = '{"plugins": [{"type": "calico", "mtu": __CNI_MTU__, "ipam": {"type": "%s"}}, {"type": "portmap"}]}'


def config_map(name: str, key: str, text: str, namespace: str = "kube-system") -> dict[str, t.Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "data": {key: text}}


def conflist(ipam: str) -> dict[str, t.Any]:
    return config_map("calico-config", "cni_network_config", CONFLIST % ipam)


def operator_cni(kind: str, ipam: str | None) -> list[dict[str, t.Any]]:
    return default(cni={"type": kind, **({"ipam": {"type": ipam}} if ipam else {})})


def nodes(*specs: dict[str, t.Any], system: str = "linux") -> list[dict[str, t.Any]]:
    status = {"nodeInfo": {"operatingSystem": system}}
    return [{"metadata": {"name": f"n{index}"}, "spec": spec, "status": status} for index, spec in enumerate(specs)]


def control_plane(component: str, *command: str) -> dict[str, t.Any]:
    metadata = {"name": component, "namespace": "kube-system", "labels": {"component": component}}
    return {"metadata": metadata, "spec": {"containers": [{"command": [component, *command]}]}}


def fact(served: dict[str, t.Any], name: str) -> tuple[t.Any, str]:
    found = shown(survey(api_of({**MANIFEST, **served})))[name]
    return found["value"], found["source"]


@pytest.mark.parametrize(
    ("served", "ipam", "source"),
    [
        ({INSTALLATIONS: operator_cni("Calico", "Calico")}, "calico-ipam", "Installation default"),
        ({INSTALLATIONS: operator_cni("Calico", None)}, "calico-ipam", "Installation default"),
        ({INSTALLATIONS: operator_cni("Calico", "HostLocal")}, "HostLocal IPAM of the CNI plugin Calico", "spec.cni"),
        ({INSTALLATIONS: operator_cni("AmazonVPC", "AmazonVPC")}, "AmazonVPC IPAM of", "spec.cni"),
        ({INSTALLATIONS: operator_cni("GKE", "HostLocal")}, "HostLocal IPAM of the CNI plugin GKE", "spec.cni"),
        (
            {
                INSTALLATIONS: default(
                    status={"computed": {"cni": {"type": "AzureVNET", "ipam": {"type": "AzureVNET"}}}}
                )
            },
            "AzureVNET IPAM of",
            "Installation",
        ),
        (
            {
                CONFIG_MAPS: [
                    config_map(
                        "cni-config", "config", CONFLIST.replace("__CNI_MTU__", "0") % "host-local", "calico-system"
                    ),
                    conflist("calico-ipam"),
                ]
            },
            "host-local",
            "calico-system/cni-config",
        ),
        ({CONFIG_MAPS: [conflist("calico-ipam")]}, "calico-ipam", "kube-system/calico-config"),
        ({CONFIG_MAPS: [conflist("host-local")]}, "host-local", "kube-system/calico-config"),
        (
            {CONFIG_MAPS: [config_map("canal-config", "cni_network_config", CONFLIST % "host-local")]},
            "host-local",
            "canal-config",
        ),
        (
            {CONFIG_MAPS: [config_map("calico-config", "cni_network_config", '{"plugins": [{"type": "flannel"}]}')]},
            "a CNI plugin other than calico",
            "calico-config",
        ),
        ({NODE: node(USE_POD_CIDR="true")}, "host-local with the nodes' podCIDR", "USE_POD_CIDR"),
        ({BLOCKS: pool()}, "calico-ipam", "there are IPAM blocks"),
        ({BLOCKS: []}, None, "no configuration in the cluster says so"),
        ({BLOCKS: DENIED, CONFIG_MAPS: DENIED}, None, "no right to read ConfigMap kube-system/kubeadm-config"),
        ({CONFIG_MAPS: [config_map("calico-config", "cni_network_config", "{nonsense")]}, None, "no configuration"),
    ],
)
def test_which_ipam(served: dict[str, t.Any], ipam: str | None, source: str) -> None:
    value, said = fact(served, "ipam")
    assert value == ipam if ipam is None else value.startswith(ipam)
    assert source in said
    reason = writable(survey(api_of({**MANIFEST, **served})))
    assert (reason is None) is (ipam in (None, "calico-ipam"))
    assert reason is None or "not from Calico's IP pools" in reason


KUBEADM = config_map("kubeadm-config", "ClusterConfiguration", "networking:\n  podSubnet: 10.1.0.0/16,fd00::/48\n")
KUBE_PROXY = config_map("kube-proxy", "config.conf", "clusterCIDR: 10.2.0.0/16\n")
MANAGER = control_plane("kube-controller-manager", "--allocate-node-cidrs", "--cluster-cidr=10.3.0.0/16")
SLICES = nodes({"podCIDRs": ["10.5.0.0/24", "fd05::/64"]}, {"podCIDR": "10.5.1.0/24"})


@pytest.mark.parametrize(
    ("served", "value", "source"),
    [
        ({CONFIG_MAPS: [KUBEADM, KUBE_PROXY]}, ["10.1.0.0/16", "fd00::/48"], "kubeadm-config"),
        ({CONFIG_MAPS: [KUBE_PROXY], PODS: [MANAGER]}, ["10.2.0.0/16"], "kube-proxy"),
        (
            {
                CONFIG_MAPS: [config_map("kube-proxy", "config.conf", 'clusterCIDR: ""\n')],
                PODS: [MANAGER],
                NODES: SLICES,
            },
            ["10.3.0.0/16"],
            "--cluster-cidr",
        ),
        (
            {
                OPENSHIFT: [],
                NETWORKS: [
                    {
                        "metadata": {"name": "cluster"},
                        "spec": {"clusterNetwork": [{"cidr": "10.9.0.0/16"}]},
                        "status": {"clusterNetwork": [{"cidr": "10.4.0.0/16"}]},
                    }
                ],
                NODES: SLICES,
            },
            ["10.4.0.0/16"],
            "Network cluster",
        ),
        ({NODES: SLICES}, ["10.5.0.0/24", "fd05::/64", "10.5.1.0/24"], "parts of it"),
        ({NODES: nodes({})}, ["10.0.0.0/16"], "for want of anything better"),
        ({V1: [], NODES: DENIED, CONFIG_MAPS: DENIED}, None, "no right to read"),
        ({V1: []}, None, "no configuration in the cluster says so"),
    ],
)
def test_the_pod_range(served: dict[str, t.Any], value: list[str] | None, source: str) -> None:
    found, said = fact(served, "pod_cidrs")
    assert found == value
    assert source in said


def test_the_service_range() -> None:
    objects = [{"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/12"]}}]
    assert fact({SERVICE_CIDRS: objects}, "service_cidrs") == (["10.96.0.0/12"], "the ServiceCIDR objects")
    server = control_plane("kube-apiserver", "--service-cluster-ip-range", "10.97.0.0/16,fd97::/112")
    assert fact({PODS: [server]}, "service_cidrs")[0] == ["10.97.0.0/16", "fd97::/112"]
    assert fact({SERVICE_CIDRS: DENIED}, "service_cidrs") == (
        None,
        "no configuration that may be read says so; no right to read servicecidrs",
    )


def image(name: str) -> list[dict[str, t.Any]]:
    container = {"name": "calico-node", "image": name}
    metadata = {"name": "calico-node", "namespace": "calico-system"}
    return [{"metadata": metadata, "spec": {"template": {"spec": {"containers": [container]}}}}]


@pytest.mark.parametrize(
    ("served", "version", "source"),
    [
        ({NODE: image("docker.io/calico/node:v3.31.2")}, "v3.31.2", "the image of DaemonSet calico-system/calico-node"),
        ({NODE: image("quay.io:5000/calico/node:v3.32.0-amd64")}, "v3.32.0-amd64", "the image of"),
        ({NODE: image("calico/node@sha256:0123")}, None, "no image"),
        ({INFORMATION: default(calicoVersion="v3.33.0"), NODE: image("calico/node:v3.31.2")}, "v3.33.0", "Information"),
    ],
)
def test_the_version_of_the_image(served: dict[str, t.Any], version: str | None, source: str) -> None:
    value, said = fact(served, "version")
    assert value == version
    assert source in said


def definition(spec: dict[str, t.Any], **top: t.Any) -> list[dict[str, t.Any]]:
    schema = {"properties": {"spec": spec, **top}}
    version = {"name": "v1", "schema": {"openAPIV3Schema": schema}}
    return [{"metadata": {"name": "ippools.crd.projectcalico.org"}, "spec": {"versions": [version]}}]


def test_what_the_definition_of_a_pool_knows() -> None:
    uses = {"items": {"enum": ["Workload", "Tunnel", "LoadBalancer"]}}
    newest = {
        "properties": {"cidr": {}, "allowedUses": uses, "assignmentMode": {}, "namespaceSelector": {}},
        "x-kubernetes-validations": [{"rule": "true"}],
    }
    everything = ["allowedUses", "assignmentMode", "namespaceSelector", "LoadBalancer", "status", "rules"]
    assert fact({CRDS: definition(newest, status={})}, "capabilities")[0] == everything
    oldest = {"properties": {"cidr": {}, "allowedUses": {"items": {"type": "string"}}}}
    assert fact({CRDS: definition(oldest)}, "capabilities")[0] == ["allowedUses"]
    assert fact({CRDS: DENIED}, "capabilities") == (
        None,
        "the definition of ippools.crd.projectcalico.org cannot be read",
    )


def test_who_answers_for_the_v3_group() -> None:
    service = {"service": {"namespace": "calico-system", "name": "calico-api"}}
    condition = {"type": "Available", "status": "False", "message": "no endpoints"}
    thing = {"metadata": {"name": "v3.projectcalico.org"}, "spec": service, "status": {"conditions": [condition]}}
    value, source = fact({**AGGREGATED, API_SERVICES: [thing]}, "api_service")
    assert value == "Service calico-system/calico-api"
    assert source.endswith("which is not available: no endpoints")
    thing = {"metadata": {"name": "v3.projectcalico.org"}, "spec": {}}
    assert fact({**V3_CRDS, API_SERVICES: [thing]}, "api_service")[0] == "custom resources"
    assert fact({**V3_CRDS, API_SERVICES: DENIED}, "api_service")[0] is None
    assert fact({}, "api_service") == (None, "the API does not list projectcalico.org/v3")


def test_windows_and_ebpf() -> None:
    assert fact({NODES: nodes({}, {}, system="windows")}, "windows_nodes")[0] == ["n0", "n1"]
    assert fact({NODES: nodes({}, {})}, "windows_nodes") == ([], "operatingSystem of 2 nodes")
    assert fact({NODES: DENIED}, "windows_nodes") == (None, "no right to list nodes")
    assert fact({FELIX: default(bpfEnabled=True)}, "ebpf")[0] is True
    assert fact({FELIX: default()}, "ebpf") == (False, "bpfEnabled of FelixConfiguration default")
    assert fact({**AGGREGATED, V3_FELIX: default(bpfEnabled=True)}, "ebpf")[0] is True
    assert fact({}, "ebpf") == (None, "there is no FelixConfiguration default")


@pytest.mark.parametrize(
    ("served", "names"),
    [
        ({}, []),
        ({V1: pool(labels=OWNED)}, ["the Tigera operator"]),
        ({INFORMATION: default(clusterType="k8s,kubespray,bgp,kdd")}, ["Kubespray"]),
        (
            {V1: pool(annotations={"meta.helm.sh/release-name": "calico", "meta.helm.sh/release-namespace": "ops"})},
            ["Helm release ops/calico"],
        ),
        (
            {
                INSTALLATIONS: [
                    {
                        **default()[0],
                        "metadata": {"name": "default", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
                    }
                ]
            },
            ["Helm"],
        ),
        ({V1: pool(annotations={"argocd.argoproj.io/tracking-id": "net:crd/IPPool:x"})}, ["Argo CD application net"]),
        ({V1: pool(labels={"kustomize.toolkit.fluxcd.io/name": "net"})}, ["Flux Kustomization net"]),
        ({V1: pool(labels={"helm.toolkit.fluxcd.io/name": "net"})}, ["Flux HelmRelease net"]),
        (
            {V1: pool(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"})},
            ["a manifest applied with kubectl"],
        ),
    ],
)
def test_who_else_writes_pools(served: dict[str, t.Any], names: list[str]) -> None:
    value, source = fact(served, "declared_by")
    assert value == names
    assert source


def test_every_fact_has_a_source_also_when_nothing_may_be_read() -> None:
    everything = (V1, INFORMATION, CONFIG_MAPS, NODE, NODES, PODS, SERVICE_CIDRS, CRDS, FELIX, INSTALLATIONS)
    for served in ({**MANIFEST}, {**MANIFEST, V3: DOWN}, dict.fromkeys(everything, DENIED), {}):
        info = installation_info(api_of(served))
        for name, entry in info["facts"].items():
            assert entry["source"], name
            assert entry["source"] != "not asked for", name
        assert info["supported"] is (info["stop"] == "")


def test_calico_in_an_etcd() -> None:
    """Calico's kinds come from etcd, all else from the Kubernetes API."""
    kinds = {V1: pool(), BLOCKS: pool(), INFORMATION: default(calicoVersion="v3.33.0"), FELIX: default(bpfEnabled=True)}
    info = installation_info(in_etcd({NODES: nodes({}, system="windows")}, kinds))
    facts = {name: entry["value"] for name, entry in info["facts"].items()}
    assert (info["mode"], info["stop"]) == ("etcd", "")
    assert (facts["version"], facts["ipam"], facts["ebpf"]) == ("v3.33.0", "calico-ipam", True)
    assert (facts["windows_nodes"], facts["capabilities"]) == (["n0"], None)
    assert facts["pod_cidrs"] == ["10.0.0.0/16"]


@pytest.mark.parametrize("installation", ["crd_v1", "crd_v3"])
def test_on_a_twin(installation: str) -> None:
    info = installation_info(LocalApi(local_twin("small", installation=installation).server))
    facts = {name: entry["value"] for name, entry in info["facts"].items()}
    assert info["mode"] == facts["mode"] == installation
    assert facts["ipam"] == "calico-ipam"
    assert facts["locked"] is False
    assert facts["version"]
    assert facts["pod_cidrs"]
    assert "rules" in facts["capabilities"]
    assert facts["operator"] is False
