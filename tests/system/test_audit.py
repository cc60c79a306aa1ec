# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster that lives is in order; one that was damaged behind Calico's back is not, and the audit says where."""

from __future__ import annotations

import copy
import ipaddress
import typing as t
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CLUSTER_INFORMATIONS,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit import audit
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import KubernetesRecords
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi

POOL = "default-ipv4-ippool"
IN_ORDER: dict[str, int] = {"error": 0, "warning": 0, "note": 0}


class TwinClock:
    """The twin's own time."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def now(self) -> datetime:
        return self._twin.clock.now()

    def monotonic(self) -> float:
        return self._twin.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        raise AssertionError("an audit does not wait")


class Watched:
    """A ``KubeApi`` that calls ``after`` once a list of some resource was read."""

    def __init__(self, api: KubeApi, resource: Resource, after: t.Callable[[], None]) -> None:
        self._api = api
        self._resource = resource
        self._after: t.Callable[[], None] | None = after

    def list(self, resource: Resource, *args: t.Any, **options: t.Any) -> t.Any:
        found = self._api.list(resource, *args, **options)
        if resource == self._resource and self._after is not None:
            after, self._after = self._after, None
            after()
        return found

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._api, name)


def audited(twin: Twin, api: t.Any = None) -> dict[str, t.Any]:
    api = api or LocalApi(twin.server)
    return audit(api, KubernetesRecords(api), engine_pools(read_pools(api)), TwinClock(twin))


def ids(result: dict[str, t.Any]) -> set[str]:
    return {finding["id"] for finding in result["findings"]}


@pytest.fixture
def twin() -> t.Iterator[Twin]:
    cluster = local_twin("small")
    cluster.clock.advance(1200)
    yield cluster
    cluster.close()


@pytest.fixture
def api(twin: Twin) -> LocalApi:
    return LocalApi(twin.server, "kubernetes-admin")


@pytest.mark.parametrize("scenario", ["small", "tutorial"])
def test_a_living_cluster_is_in_order(scenario: str) -> None:
    twin = local_twin(scenario)
    for _hour in range(6):
        twin.clock.advance(600)
        result = audited(twin)
        assert result["summary"]["severities"] == IN_ORDER, result["lines"]
        assert result["leaked"] == []
        assert result["calicoctl"]["problems"] == 0
    twin.close()


def dual_stack() -> Twin:
    """Small, with IPv6 addresses for pods and VXLAN tunnels of both families."""
    scenario = Path(process.__file__).parent / "scenarios" / "small.yml"
    documents = [document for document in yaml.safe_load_all(scenario.read_text(encoding="utf-8")) if document]
    for document in documents:
        if document["metadata"]["name"] == "calico-config":
            text = document["data"]["cni_network_config"]
            both = '"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true"'
            document["data"]["cni_network_config"] = text.replace('"type": "calico-ipam"', both)
        if document["metadata"]["name"] == "kubeadm-config":
            text = document["data"]["ClusterConfiguration"]
            document["data"]["ClusterConfiguration"] = text.replace("10.0.0.0/8", "10.0.0.0/8,fd00::/16")
        if document["kind"] == "IPPool":
            document["spec"].update(vxlanMode="Always", ipipMode="Never")
    spec = {"cidr": "fd00::/64", "blockSize": 122, "vxlanMode": "Always", "nodeSelector": "all()"}
    pool = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": "six"}, "spec": spec}
    return local_twin([*documents, pool])


def test_both_families_are_in_order_and_calicoctl_is_wrong() -> None:
    """A05: the tunnels of IPv6 would be leaked for calicoctl; here they are in use."""
    twin = dual_stack()
    twin.clock.advance(600)
    result = audited(twin)
    assert result["summary"]["severities"] == IN_ORDER, result["lines"]
    kinds = result["summary"]["addresses"]["kinds"]
    nodes = len(LocalApi(twin.server).list(NODES).items)
    assert kinds["tunnel"] == kinds["ipv6_tunnel"] == nodes
    assert result["calicoctl"]["leaked"] == nodes
    assert {row["kind"] for row in result["kept"]} == {"ipv6_tunnel"}
    assert all(row["certainty"] == "never" for row in result["kept"])
    assert result["leaked"] == []
    twin.close()


def first_pod(api: LocalApi) -> Object:
    """A pod on the pod network that is a Deployment's."""
    for pod in api.list(PODS).items:
        if not pod["spec"].get("hostNetwork") and pod["metadata"]["namespace"] == "shop":
            return t.cast(Object, copy.deepcopy(pod))
    raise AssertionError("no pod")


def spec_changed(api: LocalApi, resource: Resource, thing: Object, **members: t.Any) -> None:
    api.replace(resource, {**thing, "spec": {**thing["spec"], **members}})


def holder(api: LocalApi, address: str) -> tuple[Object, int]:
    """The block of an address, and the ordinal."""
    for block in api.list(IPAM_BLOCKS).items:
        network = ipaddress.ip_network(block["spec"]["cidr"])
        if ipaddress.ip_address(address) in network:
            return copy.deepcopy(block), int(ipaddress.ip_address(address)) - int(network.network_address)
    raise AssertionError(address)


def put_attribute(api: LocalApi, attribute: Object) -> str:
    """Allocate the first free address of the first block by hand; answers the address."""
    block = copy.deepcopy(api.list(IPAM_BLOCKS).items[0])
    spec = block["spec"]
    ordinal, *free = spec["unallocated"]
    allocations = list(spec["allocations"])
    allocations[ordinal] = len(spec["attributes"])
    spec_changed(
        api,
        IPAM_BLOCKS,
        block,
        unallocated=free,
        allocations=allocations,
        attributes=[*spec["attributes"], attribute],
        sequenceNumberForAllocation={**spec["sequenceNumberForAllocation"], str(ordinal): spec["sequenceNumber"]},
        sequenceNumber=spec["sequenceNumber"] + 1,
    )
    return str(ipaddress.ip_network(spec["cidr"])[ordinal])


def test_what_was_damaged_by_hand_is_found(twin: Twin, api: LocalApi) -> None:
    node = api.list(NODES).items[0]["metadata"]["name"]
    old = "2020-01-01 00:00:00.0 +0000 UTC"
    gone = {"namespace": "shop", "pod": "gone", "node": node, "timestamp": old}
    leak = put_attribute(api, {"handle_id": "k8s-pod-network.gone", "secondary": gone})
    tunnel = put_attribute(
        api, {"handle_id": "vxlan-tunnel-addr-lost", "secondary": {"node": "lost", "type": "vxlanTunnelAddress"}}
    )
    machine = put_attribute(
        api, {"handle_id": "k8s-pod-network.vmi.shop.vm", "secondary": {"vmi-name": "vm", "namespace": "shop"}}
    )
    nobody = put_attribute(api, {})
    row = copy.deepcopy(api.list(BLOCK_AFFINITIES).items[0])
    made = {"apiVersion": row["apiVersion"], "kind": "BlockAffinity"}
    api.create(
        BLOCK_AFFINITIES,
        {
            **made,
            "metadata": {"name": f"{node}-192-168-200-0-24"},
            "spec": {**row["spec"], "node": node, "cidr": "192.168.200.0/24"},
        },
    )
    api.create(
        IPAM_HANDLES,
        {
            "apiVersion": row["apiVersion"],
            "kind": "IPAMHandle",
            "metadata": {"name": "k8s-pod-network.old"},
            "spec": {"handleID": "k8s-pod-network.old", "block": {"192.168.0.0/26": 1}, "deleted": False},
        },
    )
    settings = {"strictAffinity": False, "autoAllocateBlocks": False}
    api.create(
        IPAM_CONFIGS,
        {"apiVersion": row["apiVersion"], "kind": "IPAMConfig", "metadata": {"name": "default"}, "spec": settings},
    )
    result = audited(twin)
    found = ids(result)
    assert {
        f"leaked-address/{leak}",
        f"leaked-address/{tunnel}",
        f"affinity-size/{node}-192-168-200-0-24",
        f"affinity-without-block/{node}-192-168-200-0-24",
        "affinity-unlabelled",
        "handle-without-address/k8s-pod-network.old",
        "missing-handle/k8s-pod-network.gone",
        "settings/autoAllocateBlocks",
    } <= found
    leaked = {each["address"]: each for each in result["leaked"]}
    assert leaked[leak]["certainty"] == leaked[tunnel]["certainty"] == "certain"
    assert set(leaked) == {leak, tunnel}
    # Neither a machine, whose kind is not even served, nor an address of nobody is called leaked.
    assert {machine, nobody} == {each["address"] for each in result["kept"]}
    assert result["calicoctl"]["leaked"] == 4


def test_addresses_that_are_in_use_and_free(twin: Twin, api: LocalApi) -> None:
    """The pod goes on living while its address was released behind its back."""
    pod = first_pod(api)
    address = pod["status"]["podIP"]
    block, ordinal = holder(api, address)
    spec = block["spec"]
    allocations = list(spec["allocations"])
    allocations[ordinal] = None
    spec_changed(api, IPAM_BLOCKS, block, allocations=allocations, unallocated=[*spec["unallocated"], ordinal])
    result = audited(twin)
    assert f"in-use-not-allocated/{address}" in ids(result)
    assert f"invalid-block/{spec['cidr']}" in ids(result)
    assert result["calicoctl"]["in_use_not_allocated"] == 1
    assert result["calicoctl"]["invalid_blocks"] == 1


def test_a_pool_whose_block_size_was_edited(twin: Twin, api: LocalApi) -> None:
    """B06: the CRD itself would refuse, so it is written past it."""
    pool = copy.deepcopy(api.get(IP_POOLS, POOL))
    result = audit(
        api,
        KubernetesRecords(api),
        [replace(each, block_size=28) for each in engine_pools(read_pools(api))],
        TwinClock(twin),
    )
    assert pool["spec"]["blockSize"] == 26
    blocks = len(api.list(IPAM_BLOCKS).items)
    assert result["summary"]["findings"] == {"block-size": blocks, "affinity-size": blocks}


def test_a_pod_born_between_the_lists_is_no_leak(twin: Twin, api: LocalApi) -> None:
    """A06: pods are read after the blocks, and whatever is doubtful is read again."""

    def new_pods() -> None:
        for pod in list(api.list(PODS).items):
            if pod["metadata"]["namespace"] == "shop":
                api.delete(PODS, pod["metadata"]["name"], "shop")
        twin.clock.advance(120)

    for resource in (IPAM_BLOCKS, BLOCK_AFFINITIES, IPAM_HANDLES, NODES, PODS):
        result = audited(twin, Watched(api, resource, new_pods))
        assert result["summary"]["severities"] == IN_ORDER, (resource.kind, result["lines"])
        assert result["leaked"] == []


def test_a_locked_datastore_is_said(twin: Twin, api: LocalApi) -> None:
    try:
        information = copy.deepcopy(api.get(CLUSTER_INFORMATIONS, "default"))
        spec_changed(api, CLUSTER_INFORMATIONS, information, datastoreReady=False)
    except NotFound:
        api.create(
            CLUSTER_INFORMATIONS,
            {
                "apiVersion": CLUSTER_INFORMATIONS.api_version,
                "kind": "ClusterInformation",
                "metadata": {"name": "default"},
                "spec": {"datastoreReady": False, "clusterGUID": "guid"},
            },
        )
    result = audited(twin)
    assert result["datastore_locked"] is True
    assert ids(result) == {"datastore-locked"}
    assert result["cluster"]


def test_an_audit_writes_nothing(twin: Twin, api: LocalApi) -> None:
    """Not even the deletion of a record that somebody else began is finished."""
    handle = copy.deepcopy(api.list(IPAM_HANDLES).items[0])
    spec_changed(api, IPAM_HANDLES, handle, deleted=True)
    before = api.list(IPAM_HANDLES).resource_version
    result = audited(twin)
    assert ids(result) == {f"unfinished-delete/IPAMHandle/{handle['metadata']['name']}"}
    assert api.list(IPAM_HANDLES).resource_version == before
