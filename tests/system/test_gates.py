# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates of a procedure on a cluster in this process, in virtual time and in every installation."""

from __future__ import annotations

import os
import typing as t

import pytest
from modes_lab import DEFAULT, Lab, Mode
from simulation import simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    IP_POOLS,
    IPAM_CONFIGS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    CONFIRMED,
    Affinity,
    create_owned_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import IPIP
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gates import GateRequest, pass_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores

EVERYWHERE = ("crd_v1", "crd_v3", "apiserver", "etcd")
# An etcd takes its time: by day it has what a gate asks of records, and at night the rest.
INSTALLATIONS = EVERYWHERE if os.environ.get("CALICO_OPS_NIGHTLY") else EVERYWHERE[:3]


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@pytest.fixture(params=INSTALLATIONS)
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(Mode(request.param)) as found:
        yield found


@pytest.fixture
def usual() -> t.Iterator[Lab]:
    with Lab(Mode("crd_v1")) as found:
        yield found


def gate(lab: Lab, name: str, pool: str = DEFAULT, **options: t.Any) -> dict[str, t.Any]:
    stores = open_stores(lab.api)
    report: t.Callable[[object], object] = lambda event: lab.events.append(str(event))  # noqa: E731
    return pass_gate(lab.api, stores, GateRequest(name, pool, **options), clock=lab.clock, report=report)


def test_the_way_of_a_pool_that_is_replaced(lab: Lab) -> None:
    with pytest.raises(Refused, match="all 2 nodes: no other enabled IPv4 pool is left"):
        gate(lab, "before_disable")
    lab.present("new", cidr="10.0.0.0/16", ipip_mode="Always")
    before = gate(lab, "before_disable", target="new")
    assert before["stop_way"] == "disabled"
    assert [each["type"] for each in before["tunnels"]] == ["ipipTunnelAddress"] * 2
    with pytest.raises(Refused, match="gives out addresses"):
        gate(lab, "after_disable")
    lab.declare(DEFAULT, disabled=True)
    after = gate(lab, "after_disable", tunnels=before["tunnels"])
    assert len(after["tunnels"]) == 2 and after["not_ready"] == []
    assert any("tunnel addresses are out of it" in line for line in lab.events)
    with pytest.raises(Refused, match=r"is still in use and must not be deleted: \d pod\(s\) \("):
        gate(lab, "before_delete")


def stop(lab: Lab, pool: str = DEFAULT) -> None:
    lab.admin.patch(IP_POOLS, pool, {"spec": {"disabled": True}})


def replaced(lab: Lab, **spec: t.Any) -> None:
    """A second pool that can take over, unless ``spec`` says otherwise."""
    lab.present("new", **{"cidr": "10.0.0.0/16", "ipip_mode": "Always", **spec})


# before_disable


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"ipip_mode": "Never", "vxlan_mode": "Always"},
            "node node-1, node-2: it would lose its IPIP address (new has no IPIP)",
        ),
        ({"allowed_uses": ["Workload"]}, "lose its IPIP address (new does not allow the use Tunnel)"),
        ({"allowed_uses": ["Tunnel"]}, "namespace kube-system on node-1, shop on node-1"),
        (
            {"node_selector": "kubernetes.io/hostname == 'node-1'"},
            "node node-2: it would lose its IPIP address (new does not select it",
        ),
        (
            {"namespace_selector": "shop == 'yes'", "allowed_uses": ["Workload"]},
            "namespace kube-system on node-1, shop on node-1, shop on node-2: New pods get no IPv4 address",
        ),
        ({"cidr": "10.0.0.0/31", "block_size": 31}, "no address is left for its pods"),
        ({"cidr": "10.0.0.0/32", "block_size": 32}, "node node-2: it would lose its IPIP address (Assigned 0 of 1"),
        ({"disabled": True}, "cannot take over from 'default-ipv4-ippool': it is stopped itself"),
        ({"node_selector": "!all()"}, "cannot take over from 'default-ipv4-ippool': it is stopped itself"),
        ({"cidr": "fd00:10::/112", "ipip_mode": "Never"}, "an IPv4 one is needed"),
    ],
)
def test_who_would_be_left_out(usual: Lab, spec: dict[str, t.Any], sentence: str) -> None:
    replaced(usual, **spec)
    with pytest.raises(Refused) as refused:
        gate(usual, "before_disable", target="new")
    assert sentence in refused.value.message
    assert refused.value.message.endswith(".") and "\n" not in refused.value.message


def test_a_pool_that_is_not_there(usual: Lab) -> None:
    with pytest.raises(InvalidInput, match="There is no IPPool 'new'"):
        gate(usual, "before_disable", target="new")


def test_strict_affinity_leaves_a_node_without_a_block(usual: Lab) -> None:
    replaced(usual, cidr="10.0.0.0/26", block_size=26)
    assert gate(usual, "before_disable", target="new")["left_out"] == []  # the second node borrows
    config = {"apiVersion": IPAM_CONFIGS.api_version, "kind": "IPAMConfig", "metadata": {"name": "default"}}
    usual.admin.create(IPAM_CONFIGS, {**config, "spec": {"strictAffinity": True, "autoAllocateBlocks": True}})
    with pytest.raises(Refused, match="node node-2: it would lose its IPIP address"):
        gate(usual, "before_disable", target="new")


def test_who_asks_for_the_pool_may_be_waived(usual: Lab) -> None:
    replaced(usual)
    asks = {"metadata": {"annotations": {"cni.projectcalico.org/ipv4pools": f'["{DEFAULT}"]'}}}
    usual.admin.patch(NAMESPACES, "shop", asks)
    with pytest.raises(Refused, match="namespace shop: annotation .* asks for a pool that would be stopped"):
        gate(usual, "before_disable")
    passed = gate(usual, "before_disable", waivers=["pool-pinned"])
    assert {each["name"] for each in passed["left_out"]} == {"shop"}


def test_a_cni_configuration_that_nobody_understands(usual: Lab) -> None:
    """B16: whether it asks for the pool is not known, so that is not taken for a no."""
    replaced(usual)
    usual.admin.patch(CONFIG_MAPS, "calico-config", {"data": {"cni_network_config": "{% broken %}"}}, "kube-system")
    with pytest.raises(Refused, match="ConfigMap kube-system/calico-config cannot be read"):
        gate(usual, "before_disable", target="new")
    gate(usual, "before_disable", target="new", waivers=["cni-config-pins-pool"])


def test_a_pool_that_is_not_allocatable_does_not_take_over() -> None:
    with Lab(Mode("crd_v3")) as lab:
        lab.put("overlapped", cidr="192.168.0.0/20", ipipMode="Always")
        lab.advance(30)
        with pytest.raises(Refused, match="never gives out an address: kube-controllers says CIDROverlap"):
            gate(lab, "before_disable", target="overlapped", timeout=30)


def test_an_operator_that_is_not_content() -> None:
    with Lab(Mode("crd_v3", operator=True)) as lab:
        lab.present("new", cidr="10.0.0.0/16", ipip_mode="Always")
        assert len(gate(lab, "before_disable", target="new")["tunnels"]) == 2
        status = lab.admin.get(TIGERA_STATUSES, "ippools")
        degraded = [{"type": "Degraded", "status": "True", "message": "cannot reach the API server"}]
        lab.twin.server.objects.update(TIGERA_STATUSES, {**status, "status": {"conditions": degraded}})
        with pytest.raises(Refused, match="mend what it is Degraded for: cannot reach the API server"):
            gate(lab, "before_disable", target="new")


# after_disable


def test_a_node_that_gets_no_address_elsewhere(lab: Lab) -> None:
    replaced(lab, node_selector="kubernetes.io/hostname == 'node-1'")
    tunnels = tunnels_before(lab)
    stop(lab)
    begun = lab.clock.monotonic()
    with pytest.raises(Refused) as refused:
        gate(lab, "after_disable", tunnels=tunnels, timeout=40)
    assert "node node-2 (it has no IPIP address any more)" in refused.value.message
    assert "node-1" not in refused.value.message and "enable it again" in refused.value.message
    assert 39 < lab.clock.monotonic() - begun < 42
    # A run that was killed here finds it again.
    with pytest.raises(Refused, match="node node-2: the pool is stopped already, and it has lost its IPIP address"):
        gate(lab, "before_disable", waivers=["selector-covers-nodes"])
    # What the message asks for brings everything back.
    lab.admin.patch(IP_POOLS, DEFAULT, {"spec": {"disabled": False}})
    lab.advance(30)
    addresses = [
        each["metadata"]["annotations"][IPIP.annotation] for each in open_stores(lab.api).api.list(NODES).items
    ]
    assert [address.partition(".")[0] for address in addresses] == ["10", "192"]


def test_without_the_addresses_before_a_node_needs_what_a_pool_serves(lab: Lab) -> None:
    replaced(lab)
    stop(lab)
    assert len(gate(lab, "after_disable")["tunnels"]) == 2


def test_a_node_that_is_not_ready_fails_nothing(usual: Lab) -> None:
    replaced(usual, node_selector="kubernetes.io/hostname == 'node-1'")
    tunnels = tunnels_before(usual)
    objects = usual.twin.server.objects
    thing = objects.get(NODES, None, "node-2")
    assert thing is not None
    conditions = [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]
    objects.update(NODES, {**thing, "status": {**thing["status"], "conditions": conditions}})
    stop(usual)
    passed = gate(usual, "after_disable", tunnels=tunnels, timeout=20)
    assert passed["not_ready"] == ["node-2"]
    assert [each["node"] for each in passed["tunnels"]] == ["node-1"]


def test_a_pool_that_somebody_enables_again(usual: Lab) -> None:
    replaced(usual, node_selector="kubernetes.io/hostname == 'node-1'")
    stop(usual)
    at = usual.twin.clock.monotonic() + 5

    def enable() -> None:
        if usual.twin.clock.monotonic() > at and usual.stored(DEFAULT)["spec"]["disabled"]:
            written(usual, "argocd-controller", usual.twin.clock.timestamp(), disabled=False)

    usual.simulated.ticks.append(enable)
    with pytest.raises(Refused, match="gives out addresses: .* last written by argocd-controller at 2026-08-20T"):
        gate(usual, "after_disable", tunnels=tunnels_before(usual))


def test_a_young_pod_in_the_stopped_pool(usual: Lab) -> None:
    replaced(usual)
    stop(usual)
    since = usual.twin.clock.timestamp()
    assert gate(usual, "after_disable", since=since)["young_pods"] == []
    usual.advance(5)
    # Somebody enabled it for a moment.
    usual.admin.patch(IP_POOLS, DEFAULT, {"spec": {"disabled": False}})
    usual.admin.patch(IP_POOLS, "new", {"spec": {"disabled": True}})
    usual.admin.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 4}}, "shop")
    usual.advance(20)
    usual.admin.patch(IP_POOLS, "new", {"spec": {"disabled": False}})
    written(usual, "kubectl-edit", since, disabled=True)
    usual.advance(10)
    with pytest.raises(Refused, match="created later have addresses of it: shop/web-.* last written by kubectl-edit"):
        gate(usual, "after_disable", since=since)
    # A server whose clock is ahead must not make old pods look young.
    written(usual, "kubectl-edit", usual.twin.clock.timestamp(), disabled=True)
    assert gate(usual, "after_disable", since=since)["young_pods"] == []


def written(lab: Lab, manager: str, time: str, **spec: t.Any) -> None:
    """Change the pool and note who did so, as an API server does."""
    thing = lab.stored(DEFAULT)
    fields = {"f:spec": {f"f:{name}": {} for name in spec}}
    entry = {"manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields}
    metadata = {**thing["metadata"], "managedFields": [entry]}
    lab.twin.server.objects.update(IP_POOLS, {**thing, "metadata": metadata, "spec": {**thing["spec"], **spec}})


def test_with_a_selector_that_matches_nothing_whoever_asks_still_gets_an_address(lab: Lab) -> None:
    replaced(lab)
    tunnels = tunnels_before(lab)
    lab.admin.patch(IP_POOLS, DEFAULT, {"spec": {"nodeSelector": "!all()"}})
    since = lab.twin.clock.timestamp()
    lab.advance(2)
    lab.admin.create(PODS, pod("asks", **{"cni.projectcalico.org/ipv4pools": f'["{DEFAULT}"]'}), "shop")
    lab.admin.create(PODS, pod("plain"), "shop")
    lab.advance(20)
    passed = gate(lab, "after_disable", tunnels=tunnels, since=since)
    assert (len(passed["tunnels"]), passed["young_pods"], passed["since"]) == (2, ["shop/asks"], since)


def tunnels_before(lab: Lab) -> list[dict[str, str]]:
    return [
        {"node": node, "type": "ipipTunnelAddress", "address": f"192.168.0.{number}"}
        for number, node in enumerate(("node-1", "node-2"), 1)
    ]


def pod(name: str, **annotations: str) -> dict[str, t.Any]:
    metadata = {"name": name, "annotations": annotations}
    spec = {"containers": [{"name": "c", "image": "busybox"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


# before_delete

RANGE = "10.50.0.0/26"
HOLDERS = {
    "vm": ("k8s-pod-network.vmi.shop.mill", {"namespace": "shop", "vmi-name": "mill", "pod": "virt-launcher-mill-x1"}),
    "loadbalancer": ("lb-abc", {"namespace": "shop", "service": "front", "type": "LoadBalancer"}),
    "unknown": ("something", {}),
}


@pytest.fixture
def spare(usual: Lab) -> Lab:
    """A disabled pool with one block of node-1 and nobody in it."""
    usual.present("spare", cidr=RANGE, block_size=28, ipip_mode="Always", node_selector="!all()")
    return usual


def hold(lab: Lab, handle: str, attributes: dict[str, str], address: str = "10.50.0.1") -> None:
    store = open_stores(lab.admin).records
    given = {"node": "node-1", **attributes}
    assign_ip(store, parse_address(address), "node-1", now=lab.twin.clock.now, handle_id=handle, attributes=given)


def let_go(lab: Lab, handle: str) -> None:
    release_by_handle(open_stores(lab.admin).records, handle, now=lab.twin.clock.now)


def test_an_empty_pool_is_looked_at_twice(spare: Lab) -> None:
    hold(spare, "something", {})
    let_go(spare, "something")
    begun = spare.clock.monotonic()
    passed = gate(spare, "before_delete", "spare", soak=30)
    assert passed["holders"] == [] and 30 <= spare.clock.monotonic() - begun < 33
    assert spare.events[-1] == "IPPool 'spare': nobody uses an address of it; looking again in 30 s"


@pytest.mark.parametrize("kind", HOLDERS)
def test_whoever_stays_is_named(spare: Lab, kind: str) -> None:
    hold(spare, *HOLDERS[kind])
    with pytest.raises(Refused, match="is still in use and must not be deleted: 1 ") as refused:
        gate(spare, "before_delete", "spare")
    assert [each["kind"] for each in refused.value.details["holders"]] == [kind]


@pytest.mark.parametrize("kind", HOLDERS)
def test_whoever_comes_while_it_is_watched(spare: Lab, kind: str) -> None:
    at = spare.clock.monotonic() + 20

    def come() -> None:
        if spare.twin.clock.monotonic() > at and spare.simulated.ticks:
            spare.simulated.ticks.clear()
            hold(spare, *HOLDERS[kind])

    spare.simulated.ticks.append(come)
    with pytest.raises(Refused, match="got users again while it was watched"):
        gate(spare, "before_delete", "spare", soak=60)


@pytest.mark.parametrize("leaving", [False, True])
def test_a_watch_that_went_silent_is_not_taken_for_an_empty_range(
    spare: Lab, monkeypatch: pytest.MonkeyPatch, leaving: bool
) -> None:
    """A01: what comes while nothing is heard is seen by the second look, which asks anew."""
    listed = spare.simulated.list
    asked: list[Resource] = []
    late = {**pod("late"), "status": {"phase": "Running", "podIP": "10.50.0.9"}}
    late["metadata"] = {**late["metadata"], "namespace": "shop", **({"deletionTimestamp": "now"} if leaving else {})}

    def answer(resource: Resource, *where: t.Any, **selectors: t.Any) -> Listing:
        found = listed(resource, *where, **selectors)
        asked.append(resource)
        return Listing([*found.items, late], "0") if resource == PODS and asked.count(PODS) > 1 else found

    monkeypatch.setattr(spare.simulated, "list", answer)
    words = "1 pod.* still use addresses" if leaving else "got users again while it was watched .*shop/late"
    with pytest.raises(Refused, match=words):
        gate(spare, "before_delete", "spare", soak=10)


def test_a_pod_that_is_gone_is_waited_for(spare: Lab) -> None:
    hold(spare, "k8s-pod-network.gone", {"namespace": "shop", "pod": "gone-1"})
    with pytest.raises(
        Refused, match=r"after 50 seconds 1 pod\(s\) \(shop/gone-1 on node-1\) still use .*grace period"
    ):
        gate(spare, "before_delete", "spare", timeout=50)
    assert spare.events == ["IPPool 'spare': waiting for 1 pod(s) (shop/gone-1 on node-1)"]
    # The twin's garbage collection takes it after its grace period.
    assert gate(spare, "before_delete", "spare", timeout=1800)["holders"] == []


def test_a_tunnel_address_that_nobody_takes_away(spare: Lab) -> None:
    hold(spare, "ipip-tunnel-addr-node-9", {"node": "node-9", "type": "ipipTunnelAddress"})
    with pytest.raises(Refused, match=r"1 tunnel address\(es\) \(ipipTunnelAddress on node-9\) still use"):
        gate(spare, "before_delete", "spare", timeout=20)


def test_what_only_the_live_objects_say(spare: Lab) -> None:
    objects = spare.twin.server.objects
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}}
    created = spare.admin.create(
        SERVICES, {**service, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}, "shop"
    )
    objects.update(SERVICES, {**created, "status": {"loadBalancer": {"ingress": [{"ip": "10.50.0.9"}]}}})
    with pytest.raises(Refused, match=r"1 LoadBalancer Service\(s\) \(shop/front\)"):
        gate(spare, "before_delete", "spare")
    spare.admin.delete(SERVICES, "front", "shop")
    web = next(each for each in spare.admin.list(PODS, "shop").items if each["metadata"]["name"].startswith("web"))
    objects.update(PODS, {**web, "status": {**web["status"], "podIPs": [{"ip": "10.50.0.10"}]}})
    with pytest.raises(Refused, match=r"1 pod\(s\) \(shop/web-"):
        gate(spare, "before_delete", "spare")
    now = objects.get(PODS, "shop", web["metadata"]["name"])
    assert now is not None
    objects.update(PODS, {**now, "status": web["status"]})
    assert gate(spare, "before_delete", "spare", soak=1)["holders"] == []


def test_the_pool_must_be_stopped_and_the_one_meant(usual: Lab) -> None:
    replaced(usual)
    with pytest.raises(Refused, match="gives out addresses, so that nobody uses it proves nothing: disable it first"):
        gate(usual, "before_delete", "new")
    with pytest.raises(Refused, match=r"has the CIDR 10\.0\.0\.0/16, not 10\.0\.0\.0/24"):
        gate(usual, "before_delete", "new", cidr="10.0.0.0/24")
    assert gate(usual, "before_delete", "gone") == {"holders": [], "blocks": 0, "soak": 0}


def test_a_pool_that_is_gone_is_known_by_its_range(usual: Lab) -> None:
    assert gate(usual, "before_delete", "gone") == {"holders": [], "blocks": 0, "soak": 0}
    with pytest.raises(Refused, match="is still in use"):
        gate(usual, "before_delete", "gone", cidr="192.168.0.0/16")
    with pytest.raises(InvalidInput, match="There is no IPPool"):
        gate(usual, "before_create", "gone")


@pytest.mark.parametrize("lab", EVERYWHERE, indirect=True)
def test_a_drained_pool_passes_in_every_installation(lab: Lab) -> None:
    replaced(lab)
    stop(lab)
    lab.admin.patch(DEPLOYMENTS, "calico-kube-controllers", {"spec": {"replicas": 0}}, "kube-system")
    lab.advance(5)
    with pytest.raises(Refused, match=r"5 pod\(s\) \(shop/db-0"):
        gate(lab, "before_delete")
    for each in lab.admin.list(PODS).items:
        lab.admin.delete(PODS, each["metadata"]["name"], each["metadata"]["namespace"])
    assert gate(lab, "before_delete", soak=5)["holders"] == []


# before_create, after_create


@pytest.mark.parametrize("size", [26, 28, 30])
@pytest.mark.parametrize("with_block", [True, False], ids=["block", "row only"])
def test_nothing_of_any_size_may_be_left(usual: Lab, size: int, with_block: bool) -> None:
    left_behind(usual, f"10.50.0.0/{size}", with_block)
    with pytest.raises(Refused, match=f"No pool may be created on {RANGE} yet: .*10.50.0.0/{size}.*ipam_range"):
        gate(usual, "before_create", "again", cidr=RANGE)
    usual.put("again", cidr=RANGE, blockSize=28, ipipMode="Always")
    if size == 28:
        assert len(gate(usual, "after_create", "again")["blocks"]) == 2
        return
    with pytest.raises(Refused, match=f"its blocks are /28, and .*10.50.0.0/{size} are of another size"):
        gate(usual, "after_create", "again")


@pytest.mark.parametrize("lab", EVERYWHERE, indirect=True)
def test_a_clean_range_and_the_next_block_of_every_node(lab: Lab) -> None:
    assert gate(lab, "before_create", "again", cidr=RANGE)["leftovers"] == []
    lab.present("again", cidr=RANGE, block_size=28, ipip_mode="Always")
    blocks = gate(lab, "after_create", "again")["blocks"]
    assert [each["node"] for each in blocks] == ["node-1", "node-2"]
    assert all(each["block"].endswith("/28") for each in blocks)
    lab.admin.patch(IP_POOLS, "again", {"spec": {"disabled": True}})
    with pytest.raises(Refused, match="gives out no addresses"):
        gate(lab, "after_create", "again", timeout=5)


def left_behind(lab: Lab, cidr: str, with_block: bool) -> None:
    store = open_stores(lab.admin).records
    row = store.create_affinity(Affinity("node-1", "host", parse_network(cidr), CONFIRMED))
    if with_block:
        create_owned_block(access_to(store, lab.twin.clock.now), row)


# closed


def test_nothing_to_change(usual: Lab) -> None:
    replaced(usual)
    assert gate(usual, "closed", "new", strict=True)["changes"] == []


def test_what_is_declared_elsewhere(usual: Lab) -> None:
    usual.present("new", cidr="172.31.0.0/16", ipip_mode="Always")
    information = usual.admin.get(CLUSTER_INFORMATIONS, "default")["spec"]["clusterType"]
    usual.admin.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"clusterType": f"{information},kubespray"}})
    notes = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"spec": {"cidr": "172.31.0.0/16", "blockSize": 24}}',
        "meta.helm.sh/release-name": "calico",
    }
    usual.admin.patch(IP_POOLS, "new", {"metadata": {"annotations": notes}})
    found = gate(usual, "closed", "gone", target="new", managers=["Argo CD application network"])["changes"]
    told = {(each["manager"], each["seen"]): each["sentence"] for each in reversed(found)}
    assert "calico_pool_name: new, calico_pool_cidr: 172.31.0.0/16, calico_pool_blocksize: 26" in " ".join(
        told.values()
    )
    assert "write blockSize as the pool has them now" in told["a manifest applied with kubectl", True]
    assert ("Helm release calico", False) in told
    assert "IPPool gone: take the pool, which is gone" in told["Argo CD application network", True]
    assert "podSubnet" in told["the platform", True] and "172.31.0.0/16" in told["the platform", True]
    with pytest.raises(Refused, match="do not agree with the pools as they are now"):
        gate(usual, "closed", "gone", target="new", strict=True)


def test_the_operator_lists_another_pool() -> None:
    with Lab(Mode("crd_v1", operator=True)) as lab:
        assert gate(lab, "closed", "new", strict=True)["changes"] == []
