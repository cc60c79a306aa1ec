# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks about pools, ranges, IPAM and Calico itself: each one with something to find, and with nothing."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    LOAD_BALANCER,
    TUNNEL,
    UNKNOWN,
    VM,
    Holder,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import entry_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import Finding, run_checks
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_calico import HandleFact
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import CHECKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    PreflightRequest,
    situation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    API_SERVICES,
    BGP_PEERS,
    Surroundings,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView

from .pool_change_objects import (
    KUBE_CONTROLLERS,
    KUBEADM,
    MOVE,
    OPERATED,
    TARGET,
    VIEW,
    asked,
    block,
    calico,
    condition,
    held,
    installed,
    namespace,
    node,
    pod_holder,
    row,
    stored,
    system_pod,
    target,
    thing,
    used,
    view,
    workload,
)

BY_ID = {check.id: check for check in CHECKS}
VXLAN = {"ipip_mode": "Never", "vxlan_mode": "Always"}
PLAIN = {"ipip_mode": "Never", "vxlan_mode": "Never"}


def declared(*pools: dict[str, t.Any], **rest: t.Any) -> PreflightRequest:
    return PreflightRequest("declare_pools", pools=pools, **rest)


def found(check: str, request: PreflightRequest = MOVE, cluster: ClusterView = VIEW) -> list[Finding]:
    return run_checks([BY_ID[check]], situation(request, cluster), known=CHECKS)


def kubeadm(*rest: tuple[str, str, str], subnets: str = KUBEADM) -> dict[str, t.Any]:
    maps: dict[tuple[str, str], dict[str, str]] = {("kube-system", "kubeadm-config"): {"ClusterConfiguration": subnets}}
    for name, key, text in rest:
        maps[("kube-system", name)] = {key: text}
    return {"config_maps": maps}


def kube_proxy(text: str) -> tuple[str, str, str]:
    return ("kube-proxy", "config.conf", text)


def backend(name: str) -> dict[str, t.Any]:
    return kubeadm(("calico-config", "calico_backend", name))


def fabric(**settings: t.Any) -> dict[str, t.Any]:
    return {"calico": calico(bgp={"nodeToNodeMeshEnabled": False}), "settings": settings}


def deployed(**changes: t.Any) -> dict[str, t.Any]:
    return {"all_workloads": (dataclasses.replace(KUBE_CONTROLLERS, **changes),)}


def controllers(**node_controller: t.Any) -> dict[str, t.Any]:
    return {"calico": calico(collector={"controllers": node_controller})}


def marked(**metadata: t.Any) -> dict[str, t.Any]:
    pool = stored()
    return {"pools": (StoredPool(pool.name, {**pool.thing, "metadata": {**pool.thing["metadata"], **metadata}}),)}


def written_by(manager: str, operation: str = "Update") -> dict[str, t.Any]:
    return marked(managedFields=[{"manager": manager, "operation": operation}])


def statused(name: str, *conditions: dict[str, t.Any], **facts: t.Any) -> dict[str, t.Any]:
    return {"installation": OPERATED, "calico": calico(statuses=(thing(name, *conditions),), **facts)}


def served_by(**spec: t.Any) -> Surroundings:
    return Surroundings({BGP_PEERS: ({"metadata": {"name": "rack"}, "spec": spec},)})


def reserved(*cidrs: str) -> dict[str, t.Any]:
    networks = tuple(parse_network(cidr) for cidr in cidrs)
    return {"reservations": networks, "reserved": tuple(("gateways", network) for network in networks)}


def tunnelled(name: str, **annotations: str) -> dict[str, t.Any]:
    found = node(name)
    found["metadata"]["annotations"] = {
        key if "/" in key else f"projectcalico.org/{key}": value for key, value in annotations.items()
    }
    return found


# What an operator before v1.34 has of an entry.
OLD_INSTALLATION = {
    "properties": {
        "spec": {
            "properties": {
                "calicoNetwork": {
                    "properties": {"ipPools": {"items": {"properties": {"name": {}, "cidr": {}, "allowedUses": {}}}}}
                }
            }
        }
    }
}


def run_by_operator(
    entry: dict[str, t.Any] | None = None, annotations: dict[str, str] | None = None
) -> dict[str, t.Any]:
    """The old pool as one of the operator's, as its list has it but for ``entry``."""
    live = stored(labels={"app.kubernetes.io/managed-by": "tigera-operator"})
    live.thing["metadata"]["annotations"] = annotations or {}
    entries = [{**entry_of("old", live.spec), **(entry or {})}]
    installation = {
        "metadata": {"name": "default", "resourceVersion": "1"},
        "spec": {"calicoNetwork": {"ipPools": entries}},
    }
    return {"installation": OPERATED, "operator": installation, "pools": (live,)}


def with_condition(**changes: t.Any) -> dict[str, t.Any]:
    new = stored("new", cidr="10.0.0.0/16")
    return {"pools": (stored(), StoredPool("new", {**new.thing, **changes}))}


DEGRADED = condition("Degraded", "True", message="Failed to update IPPool old.")
WELL = (condition("Available", "True"), condition("Degraded", "False"))
API_SERVER = {"k8s-app": "calico-apiserver"}
MOVING_API_SERVER = system_pod("api", "calico-apiserver", API_SERVER, hostNetwork=False)
MOVING_API_SERVER["status"]["podIPs"] = [{"ip": "192.168.1.9"}]
LIVE_WEB = {"blocks": (used("192.168.1.0/26", held("192.168.1.5", pod_holder("web-1-a"))),)}
WIREGUARD = {"projectcalico.org/WireguardPublicKey": "key"}
NO_NEW_BLOCKS = {"strictAffinity": True, "autoAllocateBlocks": False}
NEW_LIVE = {"pools": (stored(), stored("new", cidr="10.0.0.0/26", blockSize=28))}
ODD = {"pools": (stored(cidr="FD00:0:0:1::/64", blockSize=122, ipipMode="Never"),), "blocks": (), "affinities": ()}
VXLAN_OF_NODE_2 = Holder(TUNNEL, "", "vxlanTunnelAddress", "", "node-2")
VXLAN_OF_NODE_9 = Holder(TUNNEL, "", "vxlanTunnelAddress", "", "node-9")
FRONT = {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"loadBalancerIP": "192.168.7.1"}}
SERVICE_POOL = stored("services", cidr="10.7.0.0/24", allowedUses=["LoadBalancer"])
OPERATOR_DEPLOYMENT = workload("Deployment", "tigera-operator", namespace="tigera-operator", ready=0)

# Hazard, id of the check, what is asked for, what is different in the cluster, how bad, words of the message.
Case = t.Tuple[str, str, PreflightRequest, t.Dict[str, t.Any], str, str]
FOUND: list[Case] = [
    ("B01", "block-count", target(cidr="10.0.0.0/26", block_size=26), {}, "blocker", "1 usable block for 2 nodes"),
    ("B01", "block-count", asked(target(cidr="10.0.0.0/25", block_size=27), more_nodes=9), {}, "warning", "take"),
    ("B01", "block-count", asked(target(cidr="10.0.0.0/20"), more_nodes=90), {}, "warning", "92 are expected"),
    (
        "B01",
        "room-in-use",
        target(cidr="10.0.0.0/26", block_size=28),
        {**NEW_LIVE, "blocks": tuple(used(f"10.0.0.{start}/28", owner=f"host:other-{start}") for start in (0, 16, 32))},
        "blocker",
        "1 free block",
    ),
    ("B02", "host-block-limit", target(block_size=30), {}, "blocker", "20 blocks of 4"),
    ("B03", "ipam-settings", MOVE, {"settings": {"maxBlocksPerHost": 4}}, "note", "maxBlocksPerHost is 4"),
    ("B04", "ipam-settings", MOVE, {"settings": NO_NEW_BLOCKS}, "blocker", "no node can take a block of pool 'new'"),
    ("B04", "ipam-settings", declared(TARGET), {"settings": NO_NEW_BLOCKS}, "warning", "IPAMConfig default has auto"),
    (
        "B04",
        "block-count",
        target(cidr="10.0.0.0/26", block_size=26),
        {"settings": {"strictAffinity": True}},
        "blocker",
        "get no address at all",
    ),
    (
        "B05",
        "borrowed-addresses",
        MOVE,
        {
            **fabric(strictAffinity=True),
            "blocks": (used("192.168.1.0/26", held("192.168.1.6", pod_holder("web-1-b", "node-2"))),),
        },
        "blocker",
        "out of other nodes' blocks",
    ),
    ("B05", "borrowed-addresses", target(cidr="10.0.0.0/26", block_size=28), fabric(), "blocker", "would borrow"),
    ("B06", "ipam-consistent", MOVE, {"blocks": (block("192.168.1.0/28"),)}, "blocker", "should be /26"),
    (
        "B06",
        "ipam-consistent",
        MOVE,
        {"pools": (stored(), stored("other", cidr="10.9.0.0/16")), "blocks": (block("10.9.0.0/28"),)},
        "warning",
        "block in pool 'other' should be /26",
    ),
    (
        "B06",
        "ipam-consistent",
        MOVE,
        {"blocks": (block("192.168.0.0/19"), block("192.168.1.0/26"))},
        "blocker",
        "overlaps others",
    ),
    (
        "B07",
        "leftover-blocks",
        MOVE,
        {"blocks": (used("10.0.5.0/28", held("10.0.5.1", Holder(TUNNEL, "", "vxlan", "", "node-1"))),)},
        "blocker",
        "(1 by tunnel)",
    ),
    (
        "B07",
        "other-holders",
        MOVE,
        {
            "blocks": (
                used(
                    "192.168.1.0/26",
                    held("192.168.1.9", Holder(UNKNOWN, handle="x")),
                    held("192.168.1.8", Holder(LOAD_BALANCER, "shop", "front")),
                ),
            )
        },
        "blocker",
        "1 of kind loadbalancer, 1 of kind",
    ),
    ("B07", "other-holders", MOVE, {"services": (FRONT,)}, "blocker", "LoadBalancer address lies in pool 'old'"),
    (
        "A01",
        "other-holders",
        declared({"name": "old", "state": "absent"}),
        {"blocks": (used("192.168.1.0/26", held("192.168.1.9", Holder(VM, "shop", "vm"))),)},
        "blocker",
        "1 of kind vm",
    ),
    (
        "B33",
        "leaked-addresses",
        MOVE,
        {"blocks": (used("192.168.1.0/26", held("192.168.1.1", VXLAN_OF_NODE_9)),)},
        "warning",
        "1 tunnel address of pool 'old' of nodes that the cluster does not have",
    ),
    (
        "B08",
        "pool-allocatable",
        MOVE,
        with_condition(
            status={
                "conditions": [condition("Allocatable", "False", reason="CIDROverlap", message="overlaps IPPool old")]
            }
        ),
        "blocker",
        "says CIDROverlap (overlaps IPPool old)",
    ),
    (
        "B08",
        "leftover-blocks",
        MOVE,
        {"installation": installed("crd_v3"), "blocks": (block("10.0.5.0/28"),)},
        "blocker",
        "another size",
    ),
    (
        "A02",
        "pool-allocatable",
        MOVE,
        with_condition(metadata={"name": "new", "deletionTimestamp": "2026-01-01"}),
        "blocker",
        "is being deleted",
    ),
    ("B09", "pool-overlap", MOVE, {"pools": (stored(), stored("other", cidr="10.0.0.0/24"))}, "blocker", "other"),
    ("B09", "pool-overlap", MOVE, {"nodes": (node("node-1", "10.0.3.4"), node("node-2"))}, "blocker", "Node node-1"),
    ("B09", "pool-overlap", MOVE, {"surroundings": served_by(peerIP="10.0.0.1:179")}, "blocker", "BGPPeer rack"),
    ("B09", "pool-overlap", asked(external_ranges=(parse_network("10.0.7.0/24"),)), {}, "blocker", "10.0.7.0/24"),
    ("B09", "service-cidr", target(cidr="10.100.0.0/16"), {}, "blocker", "10.96.0.0/12"),
    (
        "B09",
        "service-cidr",
        MOVE,
        {"services": ({"metadata": {"name": "a", "namespace": "shop"}, "spec": {"externalIPs": ["10.0.0.8"]}},)},
        "blocker",
        "Service shop/a",
    ),
    (
        "B09",
        "pool-overlap",
        MOVE,
        {"nodes": (tunnelled("node-1", IPv4Address="10.0.200.4/8"), node("node-2"))},
        "blocker",
        "contains the addresses of 1 nodes",
    ),
    (
        "B09",
        "pool-overlap",
        MOVE,
        {"nodes": (tunnelled("node-1", IPv4Address="10.200.0.4/8"), node("node-2"))},
        "blocker",
        "lies in the network 10.0.0.0/8 of 1 node",
    ),
    (
        "B09",
        "pool-overlap",
        MOVE,
        {"nodes": (tunnelled("node-1", IPv4Address="10.200.0.4/8"),), "pools": (stored(cidr="10.1.0.0/16"),)},
        "warning",
        "so does the pool of today",
    ),
    (
        "B09",
        "pool-overlap",
        MOVE,
        {"calico": calico(bgp={"serviceLoadBalancerIPs": [{"cidr": "10.0.9.0/24"}]})},
        "blocker",
        "which serviceLoadBalancerIPs of BGPConfiguration default announces",
    ),
    (
        "B09",
        "service-cidr",
        MOVE,
        {
            "config_maps": {},
            "services": ({"metadata": {"name": "a", "namespace": "shop"}, "spec": {"clusterIP": "10.96.0.8"}},),
        },
        "warning",
        "Nothing in the cluster names its IPv4 Service range",
    ),
    ("B09", "outside-ranges", MOVE, {}, "note", "Confirm that 10.0.0.0/16"),
    ("B10", "non-canonical-cidr", target(cidr="fd00:0:0:2::/64"), ODD, "warning", "calicoctl cannot update it"),
    (
        "B10",
        "non-canonical-cidr",
        target(cidr="fd00:0:0:2::/64"),
        {**ODD, "installation": installed("apiserver")},
        "blocker",
        "refuses every update",
    ),
    ("B10", "non-canonical-cidr", MOVE, {"pools": (stored(cidr="192.168.0.1/16"),)}, "blocker", "host bits"),
    (
        "B10",
        "writes-accepted",
        MOVE,
        {"pools": (stored(vxlanMode="Always"),)},
        "blocker",
        "set ipip_mode or vxlan_mode to Never in the same call",
    ),
    (
        "B20",
        "writes-accepted",
        target(namespace_selector="has(x)", allowed_uses=["Workload"]),
        run_by_operator(),
        "blocker",
        "cannot have namespaceSelector",
    ),
    (
        "B20",
        "writes-accepted",
        MOVE,
        run_by_operator(annotations={"unsupported.operator.tigera.io/ignore": "true"}),
        "blocker",
        "take the annotation off",
    ),
    (
        "B20",
        "writes-accepted",
        MOVE,
        run_by_operator(entry={"cidr": "10.9.0.0/16"}),
        "blocker",
        "has the CIDR 10.9.0.0/16 and IPPool 'old' has 192.168.0.0/16",
    ),
    (
        "B20",
        "writes-accepted",
        MOVE,
        {**run_by_operator(), "schemas": {"installations": OLD_INSTALLATION}},
        "note",
        "will be stopped by a nodeSelector that matches nothing",
    ),
    (
        "B20",
        "writes-accepted",
        declared({"name": "new", "cidr": "10.0.0.0/28", "disabled": True}),
        run_by_operator(),
        "blocker",
        "smaller than one block",
    ),
    ("B11", "block-size-legal", target(block_size=32), {}, "blocker", "Blocks of a single address"),
    ("B12", "pool-field-diff", target(nat_outgoing=False), {}, "blocker", "natOutgoing is true"),
    ("B12", "pool-field-diff", target(disable_bgp_export=True), {}, "blocker", "disableBGPExport"),
    ("B12", "pool-field-diff", target(allowed_uses=["Workload"]), {}, "blocker", "use Tunnel"),
    ("B13", "encapsulation-change", target(**VXLAN), {}, "blocker", "ipipMode from Always to Never"),
    ("B13", "encapsulation-runs", target(**PLAIN), backend("vxlan"), "blocker", "no BIRD runs"),
    ("B13", "encapsulation-runs", MOVE, backend("vxlan"), "warning", "the pool of today is the same"),
    (
        "B13",
        "encapsulation-runs",
        target(**PLAIN),
        {"operator_spec": {"calicoNetwork": {"bgp": "Disabled"}}},
        "blocker",
        "bgp Disabled of Installation",
    ),
    (
        "B13",
        "encapsulation-runs",
        target(**VXLAN),
        {"calico": calico(felix={"vxlanEnabled": False})},
        "blocker",
        "vxlanEnabled: false",
    ),
    ("B13", "encapsulation-runs", MOVE, {"calico": calico(felix={"ipipEnabled": False})}, "warning", "ipipEnabled"),
    ("B14", "selector-covers-nodes", target(node_selector='rack == "1"'), {}, "blocker", "would find no pool"),
    (
        "B14",
        "selector-covers-nodes",
        target(
            node_selector='kubernetes.io/os == "linux"',
            allowed_uses=["Workload"],
            namespace_selector='kubernetes.io/metadata.name == "shop"',
        ),
        {"namespaces": (namespace(), namespace("idle"))},
        "warning",
        "1 namespace without pods",
    ),
    (
        "B16",
        "cni-config-pins-pool",
        MOVE,
        kubeadm(
            (
                "calico-config",
                "cni_network_config",
                '{"plugins": [{"type": "calico", "ipam": {"type": "calico-ipam", "ipv4_pools": ["old"]}}]}',
            )
        ),
        "blocker",
        "old",
    ),
    ("B19", "calico-ipam-in-use", MOVE, {"operator_spec": {"cni": {"type": "AmazonVPC"}}}, "blocker", "AmazonVPC"),
    (
        "B19",
        "calico-ipam-in-use",
        MOVE,
        {"calico_node_env": {"USE_POD_CIDR": "true"}, **LIVE_WEB},
        "warning",
        "USE_POD_CIDR of DaemonSet calico-node says host-local",
    ),
    (
        "B16",
        "cni-config-pins-pool",
        MOVE,
        kubeadm(("calico-config", "cni_network_config", "{% not rendered %}")),
        "blocker",
        "is no CNI configuration that can be understood",
    ),
    ("B16", "cni-config-pins-pool", MOVE, {"config_maps": {}, **LIVE_WEB}, "note", "could not be looked at"),
    (
        "D01",
        "tunnels-served",
        target(**PLAIN),
        {"nodes": (tunnelled("node-1", IPv4IPIPTunnelAddr="192.168.1.1"), node("node-2"))},
        "blocker",
        "1 node would lose the IPIP address",
    ),
    (
        "D02",
        "tunnels-served",
        target(node_selector='rack == "1"'),
        {"blocks": (used("192.168.1.0/26", held("192.168.1.1", VXLAN_OF_NODE_2)),)},
        "blocker",
        "lose the VXLAN address",
    ),
    (
        "B12",
        "tunnels-served",
        target(allowed_uses=["Workload"], **PLAIN),
        {
            "pools": (stored(ipipMode="Never"),),
            "nodes": (tunnelled("node-1", IPv4WireguardInterfaceAddr="192.168.1.2", **WIREGUARD), node("node-2")),
        },
        "blocker",
        "lose the WireGuard address",
    ),
    ("B20", "operator-healthy", MOVE, statused("monitor", DEGRADED), "warning", "TigeraStatus monitor"),
    ("B20", "operator-healthy", MOVE, statused("ippools", DEGRADED), "blocker", "Failed to update IPPool old"),
    ("B20", "operator-healthy", MOVE, statused("calico", condition("Available", "False")), "blocker", "not Available"),
    (
        "B20",
        "operator-healthy",
        MOVE,
        {"installation": OPERATED, "workloads": (OPERATOR_DEPLOYMENT,)},
        "blocker",
        "has no ready pod",
    ),
    (
        "B20",
        "operator-healthy",
        MOVE,
        {"operator": thing("default"), "calico": calico(statuses=(thing("ippools", DEGRADED),))},
        "warning",
        "is Degraded",
    ),
    ("B21", "api-server-ready", MOVE, statused("apiserver", DEGRADED), "blocker", "TigeraStatus apiserver"),
    (
        "B21",
        "api-server-ready",
        MOVE,
        {"installation": OPERATED, "calico": calico(api_server=thing("default"))},
        "blocker",
        "state unknown",
    ),
    (
        "B21",
        "api-server-ready",
        MOVE,
        {
            "installation": installed("apiserver"),
            "pods": (system_pod("api", "calico-apiserver", API_SERVER, ready=False),),
        },
        "blocker",
        "No pod of Calico's API server",
    ),
    (
        "B21",
        "api-server-ready",
        MOVE,
        {"installation": installed("apiserver"), "pods": (MOVING_API_SERVER,)},
        "warning",
        "is the one pod calico-apiserver/api, which is to move",
    ),
    (
        "B21",
        "api-server-ready",
        MOVE,
        {
            "installation": installed("apiserver"),
            "surroundings": Surroundings(
                {
                    API_SERVICES: (
                        thing("v3.projectcalico.org", condition("Available", "False", reason="MissingEndpoints")),
                    )
                }
            ),
        },
        "blocker",
        "MissingEndpoints",
    ),
    ("B22", "managed-elsewhere", MOVE, marked(annotations={"meta.helm.sh/release-name": "calico"}), "blocker", "Helm"),
    ("B22", "managed-elsewhere", MOVE, marked(labels={"argocd.argoproj.io/instance": "net"}), "blocker", "Argo CD"),
    ("B22", "managed-elsewhere", MOVE, written_by("kustomize-controller"), "blocker", "Flux"),
    ("B22", "managed-elsewhere", MOVE, written_by("Terraform"), "blocker", "Terraform"),
    ("B22", "managed-elsewhere", MOVE, written_by("kubectl", "Apply"), "warning", "applied with kubectl"),
    ("B22", "managed-elsewhere", MOVE, written_by("kubectl-client-side-apply"), "warning", "applied with kubectl"),
    (
        "B22",
        "managed-elsewhere",
        MOVE,
        {
            "installation": OPERATED,
            "operator": {"metadata": {"name": "default", "managedFields": [{"manager": "helm"}]}},
        },
        "blocker",
        "Installation default is written by Helm",
    ),
    (
        "A09",
        "managed-elsewhere",
        MOVE,
        {"installation": installed(cluster_type=("k8s", "kubespray"))},
        "warning",
        "Kubespray",
    ),
    ("B23", "pool-inside-cluster-cidr", target(cidr="172.20.0.0/16"), {}, "blocker", "kube-proxy may masquerade"),
    (
        "B23",
        "pool-inside-cluster-cidr",
        MOVE,
        kubeadm(kube_proxy("clusterCIDR: 192.168.0.0/16")),
        "blocker",
        "clusterCIDR of ConfigMap kube-system/kube-proxy",
    ),
    (
        "B23",
        "pool-inside-cluster-cidr",
        MOVE,
        kubeadm(kube_proxy("clusterCIDR: 192.168.0.0/16\ndetectLocalMode: InterfaceNamePrefix")),
        "warning",
        "by InterfaceNamePrefix",
    ),
    (
        "B23",
        "pool-inside-cluster-cidr",
        MOVE,
        {
            "config_maps": {},
            "pods": (
                system_pod(
                    "kcm",
                    "kube-system",
                    {"component": "kube-controller-manager"},
                    containers=[{"command": ["x", "--cluster-cidr=192.168.0.0/16"]}],
                ),
            ),
        },
        "blocker",
        "--cluster-cidr of kube-controller-manager",
    ),
    (
        "B23",
        "pool-inside-cluster-cidr",
        MOVE,
        kubeadm(kube_proxy("clusterCIDR: 10.0.0.0/8"), subnets="networking: {podSubnet: 192.168.0.0/16}"),
        "warning",
        "kube-proxy has it in its range",
    ),
    (
        "B24",
        "pool-inside-cluster-cidr",
        MOVE,
        {
            "installation": OPERATED,
            **kubeadm(kube_proxy("clusterCIDR: 10.0.0.0/8"), subnets="networking: {podSubnet: 192.168.0.0/16}"),
        },
        "blocker",
        "operator refuses",
    ),
    ("B24", "orchestrator-supported", MOVE, {"installation": installed(openshift=True)}, "blocker", "OpenShift"),
    (
        "B30",
        "load-balancer-pool",
        MOVE,
        {"pools": (stored(allowedUses=["LoadBalancer"]),)},
        "blocker",
        "Pool 'old' is for LoadBalancer",
    ),
    (
        "B30",
        "load-balancer-services",
        declared({"name": "services", "state": "absent"}),
        {
            "pools": (SERVICE_POOL,),
            "blocks": (used("10.7.0.0/26", held("10.7.0.1", Holder(LOAD_BALANCER, "shop", "front"))),),
        },
        "blocker",
        "front",
    ),
    ("B31", "reservations-carried", MOVE, reserved("192.168.0.0/30"), "warning", "4 addresses are reserved in 192"),
    ("B31", "reservations-carried", MOVE, reserved("10.0.0.0/30", "10.0.0.1/32"), "note", "4 of the 65536"),
    ("B31", "reservations-carried", MOVE, reserved("10.0.0.0/15"), "blocker", "65536 of the 65536"),
    (
        "B32",
        "ipam-consistent",
        MOVE,
        {"affinities": (row("192.168.1.0/26"), row("192.168.1.0/26", "node-2"))},
        "blocker",
        "more than one node",
    ),
    ("B32", "ipam-consistent", MOVE, {"affinities": (row("192.168.1.0/26", "node-2"),)}, "blocker", "another node"),
    ("B32", "ipam-consistent", MOVE, {"blocks": ()}, "warning", "without a block"),
    (
        "B32",
        "handles-consistent",
        MOVE,
        {"calico": calico(handles=(HandleFact("gone", (("192.168.1.0/26", 1),)),))},
        "warning",
        "IPAMHandle gone (0 of 1",
    ),
    (
        "A15",
        "ipam-consistent",
        MOVE,
        {"affinities": (row("192.168.1.0/26"), row("192.168.9.0/28", "node-2"))},
        "blocker",
        "their nodes would make blocks of another size",
    ),
    ("A15", "leftover-blocks", MOVE, {"affinities": (row("10.0.5.0/28"),)}, "blocker", "block affinity"),
    (
        "B33",
        "leaked-addresses",
        MOVE,
        {"blocks": (used("192.168.1.0/26", held("192.168.1.9", pod_holder("gone"))),)},
        "warning",
        "may be leaked",
    ),
    (
        "B33",
        "leaked-addresses",
        MOVE,
        {"blocks": (used("192.168.1.0/26", held("192.168.1.9", pod_holder("web-1-a"))),)},
        "warning",
        "192.168.1.9 of pod shop/web-1-a",
    ),
    (
        "B34",
        "garbage-collection",
        MOVE,
        deployed(thing={**KUBE_CONTROLLERS.thing, "status": {}}),
        "blocker",
        "has no ready pod",
    ),
    ("B34", "garbage-collection", MOVE, controllers(policy={}), "blocker", "no node controller"),
    ("B34", "garbage-collection", MOVE, controllers(node={"leakGracePeriod": "0s"}), "blocker", "leakGracePeriod 0s"),
    (
        "B34",
        "garbage-collection",
        MOVE,
        deployed(
            template={"spec": {"containers": [{"env": [{"name": "ENABLED_CONTROLLERS", "value": "policy,namespace"}]}]}}
        ),
        "blocker",
        "without the node controller",
    ),
    ("B34", "garbage-collection", MOVE, deployed(name="another"), "warning", "There is no Deployment"),
    ("B35", "calico-version", MOVE, {"installation": installed(version=None)}, "note", "is not known"),
    ("B35", "calico-version", MOVE, {"installation": installed(version="v3.99.0")}, "warning", "newer than v3.34"),
    (
        "B35",
        "calico-version",
        MOVE,
        {
            "pods": (
                system_pod(
                    "calico-node-x",
                    "kube-system",
                    {"k8s-app": "calico-node"},
                    containers=[{"image": "quay.io/calico/node:v3.29.4"}],
                ),
            )
        },
        "warning",
        "node:v3.29.4 on node-1",
    ),
    ("B36", "datastore-ready", MOVE, {"installation": installed(locked=True)}, "blocker", "datastoreReady"),
    ("A03", "last-pool", declared({"name": "old", "disabled": True}), {}, "blocker", "makes a default pool"),
    ("A07", "known-bad-version", MOVE, {"installation": installed(version="v3.20.2")}, "blocker", "calico#5044"),
    ("A12", "way-back", MOVE, {"reservations": (parse_network("192.168.0.0/16"),)}, "warning", "Going back"),
    ("A14", "host-settings", MOVE, {}, "note", "NO_PROXY"),
    ("B46", "pool-inside-cluster-cidr", target(cidr="172.20.0.0/16"), {"ebpf": True}, "warning", "eBPF"),
]

# Id of the check, what is asked for, what is different in the cluster: nothing is found.
NOT_FOUND: list[tuple[str, PreflightRequest, dict[str, t.Any]]] = [
    ("block-count", asked(target(cidr="10.0.0.0/20"), more_nodes=5), {}),
    ("room-in-use", MOVE, {}),
    ("room-in-use", target(cidr="10.0.0.0/26", block_size=28), NEW_LIVE),
    ("host-block-limit", MOVE, {}),
    ("address-capacity", MOVE, {}),
    ("way-back", MOVE, {}),
    ("ipam-settings", MOVE, {"settings": {"maxBlocksPerHost": 4, "strictAffinity": True}}),
    ("ipam-settings", MOVE, {"settings": NO_NEW_BLOCKS, "pools": (stored(), stored("new", cidr="10.0.0.0/16"))}),
    ("borrowed-addresses", MOVE, {"blocks": (used("192.168.1.0/26", held("192.168.1.6", pod_holder("b", "node-2"))),)}),
    ("borrowed-addresses", MOVE, fabric()),
    ("borrowed-addresses", target(cidr="10.0.0.0/26", block_size=28, **VXLAN), fabric()),
    ("ipam-consistent", MOVE, {}),
    (
        "handles-consistent",
        MOVE,
        {
            "blocks": (used("192.168.1.0/26", held("192.168.1.5", pod_holder("a"))),),
            "calico": calico(handles=(HandleFact("k8s-pod-network.a", (("192.168.1.0/26", 1),)),)),
        },
    ),
    ("handles-consistent", MOVE, {"calico": calico(handles=(HandleFact("far", (("10.9.0.0/26", 1), ("x", 1))),))}),
    ("leftover-blocks", MOVE, {"blocks": (*VIEW.blocks, block("10.0.5.0/26"))}),
    ("other-holders", MOVE, {"blocks": (used("192.168.1.0/26", held("192.168.1.9", Holder(TUNNEL, "", "ipip"))),)}),
    ("pool-allocatable", MOVE, with_condition(status={"conditions": [condition("Allocatable", "True")]})),
    ("pool-overlap", asked(external_ranges=(parse_network("10.1.0.0/16"),)), {"surroundings": served_by(peerIP="x")}),
    ("pool-overlap", MOVE, {"surroundings": served_by(peerIP="[fd00::1]:179")}),
    ("service-cidr", MOVE, {"services": ({"metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.0.1"}},)}),
    ("outside-ranges", asked(external_ranges=(parse_network("10.1.0.0/16"),)), {}),
    ("outside-ranges", MOVE, NEW_LIVE),
    ("host-settings", MOVE, NEW_LIVE),
    ("non-canonical-cidr", MOVE, {"installation": installed("apiserver")}),
    ("block-size-legal", target(block_size=28), {}),
    ("pool-field-diff", MOVE, {}),
    ("encapsulation-change", MOVE, {}),
    ("encapsulation-runs", target(**VXLAN), backend("vxlan")),
    ("encapsulation-runs", MOVE, backend("bird")),
    (
        "encapsulation-runs",
        declared({"name": "services", "cidr": "10.7.0.0/24", "allowed_uses": ["LoadBalancer"]}),
        backend("vxlan"),
    ),
    ("writes-accepted", MOVE, {}),
    # No calico-node runs on machines of a provider.
    (
        "block-count",
        target(cidr="10.0.0.0/23"),
        {"nodes": (node("node-1"), node("node-2"), *(node(f"v-{each}", type="virtual-kubelet") for each in range(9)))},
    ),
    ("writes-accepted", MOVE, run_by_operator()),
    ("writes-accepted", MOVE, {"pools": (stored(disabled=True, vxlanMode="Always"),)}),
    ("tunnels-served", MOVE, {"nodes": (tunnelled("node-1", IPv4IPIPTunnelAddr="192.168.1.1"), node("node-2"))}),
    # Nobody runs on a node that is gone who could want it.
    ("tunnels-served", target(**PLAIN), {"blocks": (used("192.168.1.0/26", held("192.168.1.1", VXLAN_OF_NODE_9)),)}),
    ("pool-overlap", MOVE, {"nodes": (tunnelled("node-1", IPv4Address="172.18.0.5/32"), node("node-2"))}),
    (
        "api-server-ready",
        MOVE,
        # On the network of its host, which is how it is usually installed, it does not move.
        {"installation": installed("apiserver"), "pods": (system_pod("api", "calico-apiserver", API_SERVER),)},
    ),
    ("selector-covers-nodes", MOVE, {}),
    ("cni-config-pins-pool", MOVE, {}),
    ("calico-ipam-in-use", MOVE, {}),
    ("operator-healthy", MOVE, statused("ippools", *WELL)),
    ("operator-healthy", MOVE, {"calico": calico(statuses=(thing("ippools", DEGRADED),))}),
    (
        "api-server-ready",
        MOVE,
        statused("apiserver", *WELL, api_server={"metadata": {"name": "default"}, "status": {"state": "Ready"}}),
    ),
    (
        "api-server-ready",
        MOVE,
        {
            "installation": installed("crd_v3", operator=True),
            "calico": calico(statuses=(thing("apiserver", DEGRADED),)),
        },
    ),
    ("managed-elsewhere", MOVE, written_by("kubectl")),
    ("managed-elsewhere", MOVE, written_by("calico-ops")),
    (
        "managed-elsewhere",
        MOVE,
        {"operator": {"metadata": {"name": "default", "managedFields": [{"manager": "helm"}]}}},
    ),
    ("pool-inside-cluster-cidr", MOVE, kubeadm(kube_proxy("clusterCIDR: 10.0.0.0/8"))),
    ("orchestrator-supported", MOVE, {}),
    ("load-balancer-pool", MOVE, {}),
    ("load-balancer-services", declared({"name": "services", "state": "absent"}), {"pools": (SERVICE_POOL,)}),
    ("reservations-carried", MOVE, reserved("10.200.0.0/16")),
    ("leaked-addresses", MOVE, {"blocks": (used("192.168.1.0/26", held("192.168.1.5", pod_holder("web-1-a"))),)}),
    ("garbage-collection", MOVE, controllers(node={"leakGracePeriod": "5m"})),
    (
        "garbage-collection",
        MOVE,
        deployed(
            template={"spec": {"containers": [{"env": [{"name": "ENABLED_CONTROLLERS", "value": "node, policy"}]}]}}
        ),
    ),
    (
        "calico-version",
        MOVE,
        {
            "pods": (
                system_pod(
                    "calico-node-x",
                    "kube-system",
                    {"k8s-app": "calico-node"},
                    containers=[{"image": "calico/node:v3.30.4"}, {"image": "example/sidecar:v1.2"}],
                ),
            )
        },
    ),
    ("known-bad-version", MOVE, {"installation": installed(version="v3.20.3")}),
    ("known-bad-version", MOVE, {"installation": installed(version="none")}),
    ("datastore-ready", MOVE, {}),
    ("last-pool", declared({"name": "old", "disabled": True}, {"name": "new", "cidr": "10.0.0.0/16"}), {}),
]


@pytest.mark.parametrize(
    ("hazard", "check", "request_", "changes", "severity", "words"),
    FOUND,
    ids=[f"{case[0]}-{case[1]}-{number}" for number, case in enumerate(FOUND)],
)
def test_found(
    hazard: str, check: str, request_: PreflightRequest, changes: dict[str, t.Any], severity: str, words: str
) -> None:
    findings = found(check, request_, view(**changes))
    match = [finding.problem for finding in findings if words in finding.problem.message]
    assert [problem.severity for problem in match] == [severity], [finding.problem for finding in findings]
    assert hazard in BY_ID[check].hazards
    assert match[0].message.endswith(".") and "\n" not in match[0].message
    assert not match[0].remedy or match[0].remedy.endswith(".")
    assert match[0].confirm == BY_ID[check].confirms
    assert ORDER.index(severity) <= ORDER.index(BY_ID[check].worst), "worst says otherwise"


ORDER = ("note", "warning", "blocker")


@pytest.mark.parametrize(
    ("check", "request_", "changes"), NOT_FOUND, ids=[f"{case[0]}-{n}" for n, case in enumerate(NOT_FOUND)]
)
def test_not_found(check: str, request_: PreflightRequest, changes: dict[str, t.Any]) -> None:
    assert [finding.problem for finding in found(check, request_, view(**changes))] == []


def test_each_check_is_in_both_tables() -> None:
    assert {case[1] for case in FOUND} - {case[0] for case in NOT_FOUND} == set()


def test_the_plan_gate_stops_at_each_of_its_hazards() -> None:
    """Spec hazards.md, minimum gate 1. B15 is in test_preflight.py; B12 to B16, B19 to B24, B30, B32, B36 are here."""
    gate = [
        "B01",
        "B02",
        "B06",
        "B07",
        "B08",
        "B09",
        "B10",
        "B12",
        "B13",
        "B14",
        "B16",
        *[f"B{n}" for n in range(19, 25)],
    ]
    stops = {case[0] for case in FOUND if case[4] == "blocker"}
    assert {*gate, "B30", "B32", "B36"} - stops == set()


def test_what_is_to_be_confirmed_is_confirmed_by_its_id() -> None:
    (finding,) = found("host-settings")
    assert (finding.problem.confirm, finding.waived) == (True, False)
    (finding,) = found("host-settings", asked(waivers=("host-settings",)))
    assert finding.waived and finding.as_result()["confirm"]
    # A warning that is not asked for is not let pass by anything.
    (finding,) = found(
        "leaked-addresses",
        asked(waivers=("leaked-addresses",)),
        view(blocks=(used("192.168.1.0/26", held("192.168.1.9", pod_holder("gone"))),)),
    )
    assert not finding.waived


def test_a_default_pool_is_not_feared_where_calico_node_makes_none() -> None:
    cluster = view(calico_node_env={"NO_DEFAULT_POOLS": "true"})
    (finding,) = found("last-pool", declared({"name": "old", "disabled": True}), cluster)
    assert "default pool" not in finding.problem.message
