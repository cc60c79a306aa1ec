# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with many hazards at once, read from a twin's API: each of them is found, and each kind is listed once."""

from __future__ import annotations

import typing as t
from collections import Counter

import pytest
from leaks import leak
from rights_lab import definition_of
from simulation import SimulatedApi
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V3,
    CLUSTER_INFORMATIONS,
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    INSTALLATIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    KUBE_CONTROLLERS_CONFIGURATIONS,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ebpf import FELIX_CONFIGURATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_calico import (
    API_SERVERS,
    BGP_CONFIGURATIONS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import preflight
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import PreflightRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import BGP_PEERS

OLD = "default-ipv4-ippool"
KINDS = (
    (FELIX_CONFIGURATIONS, "default", {"ipipEnabled": False}),
    (BGP_CONFIGURATIONS, "default", {"nodeToNodeMeshEnabled": False}),
    (BGP_PEERS, "rack", {"peerIP": "10.0.9.9"}),
    (KUBE_CONTROLLERS_CONFIGURATIONS, "default", {"controllers": {"node": {"leakGracePeriod": "0s"}}}),
    (INSTALLATIONS, "default", {"calicoNetwork": {"bgp": "Disabled"}}),
    (API_SERVERS, "default", {}),
)
DEGRADED = {"conditions": [{"type": "Degraded", "status": "True", "message": "no route to the moon"}]}

# Id of the check -> how bad it is on this cluster, and words of what it says.
PLANTED = {
    "ipam-settings": ("note", "maxBlocksPerHost is 1"),
    "calico-version": ("warning", "another minor release"),
    "known-bad-version": ("blocker", "calico#5044"),
    "operator-healthy": ("warning", "no route to the moon"),
    "managed-elsewhere": ("blocker", "Argo CD application net"),
    "pool-field-diff": ("blocker", "natOutgoing"),
    "pool-overlap": ("blocker", "BGPPeer rack"),
    "pool-inside-cluster-cidr": ("blocker", "clusterCIDR of ConfigMap kube-system/kube-proxy"),
    "reservations-carried": ("warning", "16 addresses are reserved"),
    "outside-ranges": ("note", "10.0.8.0/21"),
    "host-settings": ("note", "NO_PROXY"),
    "encapsulation-runs": ("warning", "ipipEnabled: false"),
    "borrowed-addresses": ("blocker", "out of other nodes' blocks"),
    "host-block-limit": ("blocker", "1 blocks of 64"),
    "way-back": ("warning", "Going back"),
    "ipam-consistent": ("blocker", "1 block affinity in pool 'default-ipv4-ippool' should be /26"),
    "handles-consistent": ("warning", "IPAMHandle k8s-pod-network.ghost (0 of 2"),
    "leaked-addresses": ("warning", "of pod shop/lost"),
    "other-holders": ("blocker", "1 of kind loadbalancer"),
    "garbage-collection": ("blocker", "leakGracePeriod 0s"),
}


class Counted(SimulatedApi):
    """Counts what is read."""

    def __init__(self, twin: t.Any) -> None:
        super().__init__(twin)
        self.read: Counter[str] = Counter()

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> Listing:
        self.read[f"list {resource.plural}.{resource.group}"] += 1
        return super().list(resource, namespace, **selectors)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self.read[f"get {resource.plural}.{resource.group} {namespace or ''}/{name}"] += 1
        return super().get(resource, name, namespace)


@pytest.fixture(scope="module")
def api() -> t.Iterator[tuple[Counted, CalicoApi]]:
    twin = local_twin("small")
    counted = Counted(twin)
    calico = calico_api(counted)
    plant(calico)
    yield counted, calico
    twin.close()


def add(api: CalicoApi, resource: Resource, name: str, namespace: str | None = None, **parts: t.Any) -> None:
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}
    api.create(resource, {**head, **parts}, namespace)


def plant(api: CalicoApi) -> None:
    for resource, name, spec in (*KINDS, (TIGERA_STATUSES, "ippools", {})):
        definition = definition_of(resource.kind, resource.group, resource.version, False)
        definition["spec"]["names"]["plural"] = resource.plural
        definition["metadata"]["name"] = f"{resource.plural}.{resource.group}"
        api.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
        status = DEGRADED if resource == TIGERA_STATUSES else {}
        add(api, resource, name, spec=spec, status=status)
    api.patch(IP_POOLS, OLD, {"metadata": {"labels": {"argocd.argoproj.io/instance": "net"}}})
    api.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"calicoVersion": "v3.20.2"}})
    settings = {"strictAffinity": False, "autoAllocateBlocks": True, "maxBlocksPerHost": 1}
    add(api, IPAM_CONFIGS, "default", spec=settings)
    add(api, IP_RESERVATIONS, "gateways", spec={"reservedCIDRs": ["192.168.255.0/28"]})
    proxy = {"config.conf": "clusterCIDR: 192.168.0.0/16\n"}
    add(api, CONFIG_MAPS, "kube-proxy", "kube-system", data=proxy)
    leak(api, "192.168.200.1", "lost")
    front = {"type": "LoadBalancer", "namespace": "shop", "service": "front"}
    leak(api, "192.168.200.2", "front", handle="lb-front", attributes=front)
    borrowed = {"namespace": "shop", "pod": "borrower", "node": "node-2"}
    leak(api, "192.168.200.3", "borrower", attributes=borrowed)
    affinity = {"cidr": "192.168.201.0/28", "node": "node-2", "state": "confirmed", "type": "host", "deleted": "false"}
    add(api, BLOCK_AFFINITIES, "node-2-192-168-201-0-28", spec=affinity)
    ghost = {"handleID": "k8s-pod-network.ghost", "block": {"192.168.200.0/26": 2}, "deleted": False}
    add(api, IPAM_HANDLES, "k8s-pod-network.ghost", spec=ghost)


def request(**target: t.Any) -> PreflightRequest:
    return PreflightRequest("migrate_pool", OLD, {"name": "new", "cidr": "10.0.8.0/21", **target})


def test_every_hazard_that_was_planted_is_found(api: tuple[Counted, CalicoApi]) -> None:
    findings = preflight(request(nat_outgoing=False), fetch_view(api[1], OLD))["findings"]
    found = {
        check: [each for each in findings if each["id"] == check and words in each["message"]]
        for check, (_severity, words) in PLANTED.items()
    }
    assert {check: [each["severity"] for each in match] for check, match in found.items()} == {
        check: [severity] for check, (severity, _words) in PLANTED.items()
    }, [f"{each['id']}: {each['message']}" for each in findings]


def test_nothing_is_read_twice(api: tuple[Counted, CalicoApi]) -> None:
    counted, calico = api
    counted.read.clear()
    fetch_view(calico, OLD)
    assert {what: times for what, times in counted.read.items() if times > 1} == {}


def test_settings_that_are_stored_without_a_word_on_blocks() -> None:
    """Calico reads a missing autoAllocateBlocks as false, and then no node takes a block of a new pool."""
    twin = local_twin("small")
    try:
        calico = calico_api(Counted(twin))
        add(calico, IPAM_CONFIGS, "default")
        findings = preflight(request(), fetch_view(calico, OLD))["findings"]
        assert [each["severity"] for each in findings if each["id"] == "ipam-settings"] == ["blocker"]
    finally:
        twin.close()


class Down(Counted):
    """Calico's API server does not answer."""

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> Listing:
        self._refuse(resource)
        return super().list(resource, namespace, **selectors)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self._refuse(resource)
        return super().get(resource, name, namespace)

    def _refuse(self, resource: Resource) -> None:
        if resource.group == CALICO_V3:
            raise ServerError("the server is currently unable to handle the request", 503, "ServiceUnavailable")


def test_with_the_api_server_down_it_is_that_which_is_said() -> None:
    twin = local_twin("small", installation="apiserver")
    try:
        findings = preflight(request(), fetch_view(calico_api(Down(twin)), OLD))["findings"]
        assert "503" in next(each["message"] for each in findings if each["id"] == "installation-supported")
    finally:
        twin.close()


@pytest.mark.parametrize(
    ("installation", "operator"),
    [("crd_v1", False), ("crd_v3", False), ("crd_v3", True), ("apiserver", False), ("apiserver", True)],
)
def test_a_sound_cluster_has_none_of_them(installation: str, operator: bool) -> None:
    twin = local_twin("small", installation=installation, operator=operator)
    try:
        api = Counted(twin)
        calico = calico_api(api)
        # Where Calico's kinds are is asked by listing here, and by discovery over HTTP.
        assert calico.location.connected
        api.read.clear()
        view = fetch_view(calico, OLD)
        assert view.unreadable == ()
        findings = preflight(request(), view)["findings"]
        wrong = [each for each in findings if each["id"] in PLANTED and not each["confirm"]]
        assert [f"{each['severity']} {each['id']}: {each['message']}" for each in wrong] == []
        assert {what: times for what, times in api.read.items() if times > 1} == {}
    finally:
        twin.close()
