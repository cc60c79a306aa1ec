# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each check of the preflight on small views made by hand; the reading is tested with the module, on the twin."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import Journal, definition_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import (
    CHECKS,
    MARKS,
    WIDTH,
    preflight,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import PreflightRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView

from .pool_change_objects import (
    CNI,
    DOWN,
    FOREIGN_ETCD,
    HOST_LOCAL,
    LOCKED,
    MIGRATING,
    MOVE,
    OPENSHIFT,
    OPERATED,
    RESIZE,
    TARGET,
    VIEW,
    WEB,
    asked,
    block,
    installed,
    namespace,
    node,
    pod,
    row,
    stored,
    target,
    view,
    workload,
)


def found(request: PreflightRequest, cluster: ClusterView = VIEW) -> list[tuple[str, str]]:
    return [(each["id"], each["severity"]) for each in seen(request, cluster)]


def seen(request: PreflightRequest, cluster: ClusterView = VIEW) -> list[dict[str, t.Any]]:
    """What was found, without what the operator is always asked to confirm."""
    return [each for each in preflight(request, cluster)["findings"] if not each["confirm"]]


def only(request: PreflightRequest, cluster: ClusterView = VIEW) -> dict[str, t.Any]:
    findings = seen(request, cluster)
    assert len(findings) == 1, [finding["message"] for finding in findings]
    return t.cast("dict[str, t.Any]", findings[0])


@pytest.mark.parametrize("request_", [MOVE, RESIZE, PreflightRequest("declare_pools", pools=(TARGET,))])
def test_a_sound_cluster_has_no_findings(request_: PreflightRequest) -> None:
    result = preflight(request_, VIEW)
    assert seen(request_) == []
    assert result["blockers"] == 0
    assert result["plan"]


def test_ids_are_unique_and_messages_are_sentences() -> None:
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
    assert all(identifier == identifier.lower() and " " not in identifier for identifier in ids)


# The cluster


@pytest.mark.parametrize(
    ("changes", "identifier", "words"),
    [
        (
            {"installation": OPENSHIFT},
            "orchestrator-supported",
            "OpenShift",
        ),
        (
            {"installation": LOCKED},
            "datastore-ready",
            "datastoreReady",
        ),
        ({"installation": DOWN}, "installation-supported", "answers 503"),
        ({"installation": MIGRATING}, "installation-supported", "phase Migrating"),
        ({"installation": installed("none")}, "installation-supported", "does not serve ippools"),
        ({"installation": FOREIGN_ETCD}, "installation-supported", "etcd of its own"),
        ({"installation": OPERATED}, "installation-supported", "Tigera operator"),
        ({"unreadable": ("pods",)}, "rights-sufficient", "pods"),
        ({"calico_node_env": {"USE_POD_CIDR": "true"}}, "calico-ipam-in-use", "host-local"),
        ({"operator_spec": {"cni": {"type": "AmazonVPC"}}}, "calico-ipam-in-use", "AmazonVPC"),
        (
            {"config_maps": {("kube-system", "canal-config"): {"cni_network_config": HOST_LOCAL}}},
            "calico-ipam-in-use",
            "host-local",
        ),
        (
            {"nodes": (node("node-1"), node("node-2", system="windows"))},
            "windows-nodes",
            "Windows",
        ),
    ],
)
def test_the_cluster_itself(changes: dict[str, t.Any], identifier: str, words: str) -> None:
    findings = preflight(MOVE, view(**changes))["findings"]
    match = [finding for finding in findings if finding["id"] == identifier]
    assert [finding["severity"] for finding in match] == ["blocker"]
    assert words in match[0]["message"]


def test_a_reason_to_stop_is_not_hidden_by_another() -> None:
    both = installed("apiserver", api_server_down=True, openshift=True, locked=True)
    findings = preflight(MOVE, view(installation=both))["findings"]
    blockers = {finding["id"] for finding in findings if finding["severity"] == "blocker"}
    assert {"installation-supported", "orchestrator-supported", "datastore-ready"} <= blockers


def test_with_ebpf_a_pool_outside_the_pod_range_is_no_blocker() -> None:
    """B46: kube-proxy's range does not matter to it."""
    request = target(cidr="172.20.0.0/16")
    for ebpf, severity in ((False, "blocker"), (True, "warning")):
        findings = preflight(request, view(ebpf=ebpf))["findings"]
        (match,) = [finding for finding in findings if finding["id"] == "pool-inside-cluster-cidr"]
        assert match["severity"] == severity
        assert ("eBPF" in match["message"]) is ebpf


# The pools


@pytest.mark.parametrize(
    ("request_", "changes", "identifier", "words"),
    [
        (asked(pool="nope"), {}, "pool-exists", "There is no IPPool 'nope'; the pools of this cluster are: old."),
        (target(name="old"), {}, "pool-exists", "to the same pool"),
        (target(cidr="10.0.0.1/16"), {}, "pool-definition", "host bits"),
        (target(node_selector="has("), {"nodes": ()}, "pool-definition", "position"),
        (asked(target={"name": "new"}), {}, "pool-definition", "10.0.0.0/24 is free"),
        (target(block_size=19), {}, "block-size-legal", "20 to 32"),
        (asked(RESIZE, block_size=33, target={**TARGET, "block_size": 26}), {}, "block-size-legal", "20 to 32"),
        (target(cidr="10.0.0.0/28"), {}, "block-size-legal", "smaller than one block"),
        (target(cidr="10.5.0.0/16"), {"nodes": (node("node-1", "10.5.0.9"), node("node-2"))}, "pool-overlap", "node"),
        (target(cidr="10.100.0.0/16"), {}, "service-cidr", "10.96.0.0/12"),
        (target(cidr="172.20.0.0/16"), {}, "pool-inside-cluster-cidr", "networking.podSubnet of ConfigMap"),
        (target(ipip_mode="Never", vxlan_mode="Always"), {}, "encapsulation-change", "ipipMode from Always to Never"),
        (target(allowed_uses=["Workload"]), {}, "pool-field-diff", "use Tunnel"),
        (MOVE, {"pools": (stored(cidr="192.168.0.1/16"),)}, "non-canonical-cidr", "host bits"),
        (
            target(cidr="10.0.0.0/25", block_size=27),
            {"nodes": tuple(node(f"n{i}") for i in range(5))},
            "block-count",
            "4 usable blocks for 5 nodes",
        ),
        (target(block_size=30), {}, "host-block-limit", "20 blocks of 4"),
        (target(cidr="10.0.0.0/30", block_size=30), {}, "address-capacity", "wanted at the worst moment"),
    ],
)
def test_the_pools(request_: PreflightRequest, changes: dict[str, t.Any], identifier: str, words: str) -> None:
    findings = preflight(request_, view(**changes))["findings"]
    match = [finding for finding in findings if finding["id"] == identifier]
    assert [finding["severity"] for finding in match] == ["blocker"], findings
    assert words in match[0]["message"]
    assert "\n" not in match[0]["message"]


def test_overlap_with_another_pool_cannot_be_waived() -> None:
    cluster = view(pools=(stored(), stored("other", cidr="10.0.0.0/24")))
    finding = only(asked(waivers=("pool-overlap",)), cluster)
    assert (finding["id"], finding["waivable"], finding["waived"]) == ("pool-overlap", False, False)
    assert "other" in finding["message"]


def test_differences_of_the_new_pool_are_said() -> None:
    assert found(target(nat_outgoing=False)) == [("pool-field-diff", "blocker")]
    assert "natOutgoing is true in pool 'old' and false in pool 'new'" in only(target(nat_outgoing=False))["message"]


def test_an_odd_spelling_of_the_old_cidr_is_a_warning() -> None:
    cluster = view(pools=(stored(cidr="FD00:0:0:1::/64", blockSize=122, ipipMode="Never"),), blocks=(), affinities=())
    request = target(cidr="fd00:0:0:2::/64")
    assert ("non-canonical-cidr", "warning") in found(request, cluster)


def test_service_pools_do_not_take_part() -> None:
    cluster = view(pools=(stored(allowedUses=["LoadBalancer"], ipipMode="Never"),))
    assert ("load-balancer-pool", "blocker") in found(MOVE, cluster)


def test_somebody_else_manages_the_pool() -> None:
    cluster = view(pools=(stored(labels={"kustomize.toolkit.fluxcd.io/name": "network"}),))
    assert "Flux Kustomization network" in only(MOVE, cluster)["message"]


# The IPAM data


def test_leftovers_in_the_range_of_the_new_pool() -> None:
    blocks = (*VIEW.blocks, block("10.0.5.0/28", in_use=2))
    cluster = view(blocks=blocks, affinities=(*VIEW.affinities, row("10.0.5.0/28")))
    findings = seen(MOVE, cluster)
    assert [finding["id"] for finding in findings] == ["leftover-blocks", "leftover-blocks"]
    assert "2 addresses in use" in findings[0]["message"]
    assert findings[0]["objects"] == ["IPAMBlock 10.0.5.0/28"]
    assert not findings[0]["waivable"]


@pytest.mark.parametrize(
    ("blocks", "rows", "words", "severity"),
    [
        (("192.168.0.0/19", "192.168.1.0/26"), ("192.168.1.0/26",), "overlap", "blocker"),
        (("192.168.1.0/28",), (), "should be /26", "blocker"),
        ((), ("192.168.1.0/26",), "without a block", "warning"),
    ],
)
def test_ipam_data_that_contradict_themselves(
    blocks: tuple[str, ...], rows: tuple[str, ...], words: str, severity: str
) -> None:
    cluster = view(blocks=tuple(block(cidr) for cidr in blocks), affinities=tuple(row(cidr) for cidr in rows))
    findings = [f for f in preflight(MOVE, cluster)["findings"] if f["id"] == "ipam-consistent"]
    assert (severity, True) in [(finding["severity"], words in finding["message"]) for finding in findings]


def test_a_block_claimed_by_two_nodes() -> None:
    cluster = view(affinities=(row("192.168.1.0/26"), row("192.168.1.0/26", "node-2")))
    messages = [finding["message"] for finding in seen(MOVE, cluster)]
    assert len(messages) == 2
    assert "claimed by more than one node" in messages[0]
    assert "names another node" in messages[1]


def test_a_claim_under_way_is_no_contradiction() -> None:
    assert found(MOVE, view(affinities=(*VIEW.affinities, row("192.168.1.0/26", "node-2", confirmed=False)))) == []


# What pods ask for


@pytest.mark.parametrize("value", ['["old"]', '["192.168.0.0/16"]', '["192.168.0.9/16", "x"]'])
@pytest.mark.parametrize("where", ["namespace", "deployment", "pod"])
def test_pinned_pools(value: str, where: str) -> None:
    pinned = {
        "namespace": (view(namespaces=(namespace(ipv4pools=value),)), "Namespace shop"),
        "deployment": (view(workloads=(workload("Deployment", "web", ipv4pools=value), WEB[1])), "Deployment shop/web"),
        "pod": (view(pods=(pod("bare", owner=None, ipv4pools=value),)), "Pod shop/bare"),
    }
    cluster, name = pinned[where]
    findings = [finding for finding in preflight(MOVE, cluster)["findings"] if finding["id"] == "pool-pinned"]
    assert [finding["objects"] for finding in findings] == [[name]]


@pytest.mark.parametrize("value", ["[]", "null", "no json", '["other"]', '["10.0.0.0/16"]', "7"])
def test_annotations_that_pin_nothing(value: str) -> None:
    assert found(MOVE, view(namespaces=(namespace(ipv4pools=value),))) == []


def test_the_cni_configuration_pins_the_pool() -> None:
    text = CNI.replace('"calico-ipam"', '"calico-ipam", "ipv4_pools": ["192.168.0.0/16"]')
    maps = {**VIEW.config_maps, ("kube-system", "calico-config"): {"cni_network_config": text}}
    assert only(MOVE, view(config_maps=maps))["id"] == "cni-config-pins-pool"


@pytest.mark.parametrize("key", ["ipAddrs", "ipAddrsNoIpam", "floatingIPs"])
def test_fixed_addresses(key: str) -> None:
    fixed = workload("StatefulSet", "db", **{key: json.dumps(["192.168.3.3"])})
    finding = only(MOVE, view(workloads=(*WEB, fixed)))
    assert (finding["id"], finding["objects"]) == ("fixed-addresses", ["StatefulSet shop/db (192.168.3.3)"])


def test_a_selector_that_leaves_pods_out() -> None:
    nodes = (node("node-1", rack="1"), node("node-2", rack="2"))
    request = target(node_selector='rack == "1"')
    finding = next(f for f in preflight(request, view(nodes=nodes))["findings"] if f["id"] == "selector-covers-nodes")
    assert finding["severity"] == "blocker"
    assert finding["objects"] == ["namespace shop on node node-2"]
    other = stored("other", cidr="10.9.0.0/16", nodeSelector='rack == "2"')
    assert "selector-covers-nodes" not in [i for i, _s in found(request, view(nodes=nodes, pools=(stored(), other)))]


def test_a_selector_that_leaves_an_idle_node_out() -> None:
    nodes = (node("node-1", rack="1"), node("node-2", rack="1"), node("node-3", rack="3"))
    assert ("selector-covers-nodes", "warning") in found(target(node_selector='rack == "1"'), view(nodes=nodes))


def test_virtual_machines_keep_their_address() -> None:
    machine = pod("virt-launcher-a", labels={"kubevirt.io": "virt-launcher"})
    assert found(MOVE, view(pods=(machine,))) == [("virtual-machines", "blocker")]
    # Without persistence nobody restarts it either.
    assert found(MOVE, view(pods=(machine,), settings={"kubeVirtVMAddressPersistence": "Disabled"})) == [
        ("virtual-machines", "blocker")
    ]


# Waivers


def test_a_waived_blocker_does_not_count() -> None:
    request = asked(target(cidr="172.20.0.0/16"), waivers=("pool-inside-cluster-cidr",))
    result = preflight(request, VIEW)
    assert result["blockers"] == 0
    assert result["findings"][0]["waived"] is True
    assert any(line.startswith("waived    pool-inside-cluster-cidr: ") for line in result["lines"])


def test_the_worst_comes_first_with_the_way_on() -> None:
    lines = preflight(asked(target(cidr="172.20.0.0/16")), VIEW)["lines"]
    marks = [line.split()[0] for line in lines if line[:1].isalpha() and line[9:10] == " "]
    assert marks == sorted(marks, key=list(MARKS).index) and marks[0] == "blocker"
    assert any(line.endswith("waive pool-inside-cluster-cidr.") for line in lines)
    assert any(line.startswith("found: 1 blocker, ") for line in lines)
    assert all(len(line) <= WIDTH for line in lines)


@pytest.mark.parametrize("waiver", ["nonsense", "datastore-ready"])
def test_waivers_that_are_none(waiver: str) -> None:
    with pytest.raises(InvalidInput, match=waiver):
        preflight(asked(waivers=(waiver,)), VIEW)


# Resumed runs


def journal(procedure: str = "change_block_size") -> Journal:
    size = 28 if procedure == "change_block_size" else None
    return Journal(procedure, "old", TARGET, size, definition_of(stored()), "2026-08-22T09:30:00Z", "0.1.0")


NEW = stored("new", cidr="10.0.0.0/16", blockSize=26)
PINNED = (namespace(ipv4pools='["old"]'),)


@pytest.mark.parametrize(
    ("pools", "phase", "steps"),
    [
        ((stored(disabled=True), NEW), "moving_out", 9),
        ((NEW,), "recreate", 4),
        ((stored(blockSize=28), NEW), "moving_back", 4),
    ],
)
def test_a_resumed_change_of_the_block_size(pools: t.Any, phase: str, steps: int) -> None:
    size = 28 if phase == "moving_back" else 26
    cluster = view(
        pools=pools,
        journal=journal(),
        namespaces=PINNED,
        blocks=() if phase == "recreate" else (block(f"192.168.1.0/{size}"),),
        affinities=(),
    )
    result = preflight(RESIZE, cluster)
    assert (result["phase"], result["blockers"], len(result["plan"])) == (phase, 0, steps)
    assert {finding["severity"] for finding in result["findings"]} == {"note"}


@pytest.mark.parametrize(
    ("request_", "pools", "pods", "said", "not_said"),
    [
        (RESIZE, (stored(), NEW), (pod("1"),), ["Keep pool new (10.0.0.0/16), which exists.", "Disable pool old"], []),
        (
            RESIZE,
            (stored(disabled=True), NEW),
            (pod("1"), pod("2", "10.0.0.1")),
            ["Keep pool old (192.168.0.0/16) stopped", "Move 1 pod of 1 workload that are left to new"],
            ["Disable pool old"],
        ),
        (RESIZE, (stored(disabled=True), NEW), (pod("2", "10.0.0.1"),), ["No pod is left in old"], ["Move 0"]),
        (
            RESIZE,
            (NEW,),
            (pod("1", "10.0.0.1"), pod("2", "10.0.0.2")),
            ["Create pool old again", "Disable pool new.", "Move 2 pods back to old"],
            ["Keep pool new"],
        ),
        (
            RESIZE,
            (stored(blockSize=28), stored("new", cidr="10.0.0.0/16", blockSize=26, disabled=True)),
            (pod("1"), pod("2", "10.0.0.2")),
            ["Keep pool old, which has blockSize 28", "Keep pool new stopped, as it is.", "Move 1 pod back to old"],
            ["Create pool"],
        ),
        (RESIZE, (stored(blockSize=28),), (), ["Pool new is gone already: close the journal."], ["Move", "Delete"]),
        (MOVE, (NEW,), (), ["Pool old is deleted already. Clean its range of the 0 blocks"], ["Keep pool new"]),
    ],
)
def test_the_plan_of_a_resumed_run_is_what_is_left(
    request_: PreflightRequest, pools: t.Any, pods: t.Any, said: list[str], not_said: list[str]
) -> None:
    cluster = view(pools=pools, pods=pods, journal=journal(request_.procedure), affinities=(), blocks=())
    result = preflight(request_, cluster)
    assert "an earlier run began this; what is left to do:" in result["lines"]
    for sentence in said:
        assert any(sentence in line for line in result["plan"]), result["plan"]
    for sentence in not_said:
        assert not any(sentence in line for line in result["plan"]), result["plan"]


def test_leftovers_still_stop_a_resumed_run() -> None:
    cluster = view(pools=(NEW,), journal=journal(), blocks=(block("192.168.1.0/26"),), affinities=())
    assert ("leftover-blocks", "blocker") in found(RESIZE, cluster)


@pytest.mark.parametrize(
    ("request_", "pools"), [(RESIZE, (stored(blockSize=28),)), (MOVE, (NEW,)), (RESIZE, (stored(blockSize=28), NEW))]
)
def test_when_everything_is_done(request_: PreflightRequest, pools: t.Any) -> None:
    result = preflight(request_, view(pools=pools, namespaces=PINNED))
    assert (result["phase"], result["blockers"], result["plan"]) == ("done", 0, [])
    assert [finding["id"] for finding in result["findings"]] == ["pool-exists"]


# Declared pools


def declared(*pools: dict[str, t.Any]) -> PreflightRequest:
    return PreflightRequest("declare_pools", pools=pools)


def test_declared_pools_are_looked_at_together() -> None:
    findings = preflight(declared(TARGET, {"name": "x", "cidr": "10.0.9.0/24"}), VIEW)["findings"]
    assert {finding["id"] for finding in findings if finding["severity"] == "blocker"} == {"pool-overlap"}


def test_a_declaration_that_leaves_no_pool() -> None:
    findings = found(declared({"name": "old", "state": "absent"}))
    assert ("last-pool", "blocker") in findings
    assert ("last-pool", "blocker") not in found(declared({"name": "old", "disabled": True}, TARGET))


def test_a_declared_pool_cannot_change_its_size() -> None:
    finding = only(declared({"name": "old", "block_size": 28}))
    assert finding["id"] == "pool-definition"
    assert "calico_ops.ipam.change_block_size" in finding["message"]


def test_a_pool_that_is_declared_absent_must_not_be_in_use() -> None:
    finding = next(
        each
        for each in preflight(declared({"name": "old", "state": "absent"}, TARGET), VIEW)["findings"]
        if each["id"] == "pool-in-use"
    )
    assert (finding["severity"], finding["waivable"]) == ("blocker", False)
    assert "'old' is to be deleted" in finding["message"]
    assert finding["objects"]
    assert "selector-covers-nodes" not in [
        name for name, _severity in found(declared({"name": "old", "state": "absent"}))
    ]


@pytest.mark.parametrize(
    "request_", [asked(pool="nope", target={"name": "new", "cidr": "172.20.0.0/16"}), target(name="old")]
)
def test_nothing_follows_from_a_pool_that_is_not_there(request_: PreflightRequest) -> None:
    result = preflight(request_, VIEW)
    assert [finding["id"] for finding in result["findings"]] == ["pool-exists"]
    assert (result["plan"], result["capacity"]) == ([], {})
    assert result["blockers"] == 1


def test_records_without_a_range_stop_the_procedure() -> None:
    finding = only(MOVE, view(damaged=("IPAMBlock 10-0-0-0-26",)))
    assert (finding["id"], finding["severity"]) == ("ipam-consistent", "blocker")
    assert "first IPAMBlock 10-0-0-0-26" in finding["message"]
