# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pools serve whom, on places made by hand (spec ippool.md §9.1, §9.2)."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import choose_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_answer import USUAL, Place, decide
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import CniConfig
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
)

V4 = "cni.projectcalico.org/ipv4pools"


def stored(name: str, cidr: str, **spec: t.Any) -> StoredPool:
    return StoredPool(name, {"metadata": {"name": name}, "spec": {"cidr": cidr, **spec}})


def node(name: str, system: str = "linux", **labels: str) -> dict[str, t.Any]:
    return {"metadata": {"name": name, "labels": labels}, "status": {"nodeInfo": {"operatingSystem": system}}}


def namespace(labels: dict[str, str] | None = None, **annotations: str) -> dict[str, t.Any]:
    return {"metadata": {"name": "shop", "labels": labels or {}, "annotations": long(annotations)}}


def pod(**annotations: str) -> dict[str, t.Any]:
    return {"metadata": {"name": "web", "namespace": "shop", "annotations": long(annotations)}, "spec": {}}


def long(annotations: dict[str, str]) -> dict[str, str]:
    return {f"cni.projectcalico.org/{key}": value for key, value in annotations.items()}


def cni(**ipam: t.Any) -> CniConfig:
    plugin = {"ipam": {"type": "calico-ipam", **ipam}, "policy": {"type": "k8s"}}
    return CniConfig("cni_network_config of ConfigMap kube-system/calico-config", plugin)


BLUE = stored("blue", "10.1.0.0/16")
AMBER = stored("amber", "10.2.0.0/16", disabled=True)
GPU = stored("gpu", "10.3.0.0/16", nodeSelector="has(gpu)")
TENANT = stored("tenant", "10.4.0.0/16", namespaceSelector="has(tenant)", allowedUses=["Workload"])
MANUAL = stored("manual", "10.5.0.0/16", assignmentMode="Manual")
TUNNEL = stored("tunnel", "10.6.0.0/16", allowedUses=["Tunnel"])
SMALL = stored("small", "10.7.0.0/24", blockSize=30)
SIX = stored("six", "fd00::/64")
ALL = (AMBER, BLUE, GPU, MANUAL, SIX, SMALL, TENANT, TUNNEL)
NODES = (node("a"), node("b", gpu="yes"), node("c"))


def serving(place: Place, *pools: StoredPool, config: CniConfig = USUAL) -> list[str]:
    return [entry["pool"] for entry in decide(place, pools or ALL, config).serve]


def whys(place: Place, *pools: StoredPool, config: CniConfig = USUAL) -> dict[str, str]:
    return {entry["pool"]: entry["why"] for entry in decide(place, pools or ALL, config).others}


class TestSelectors:
    def test_one_node(self) -> None:
        place = Place(NODES[:1], True, namespace())
        assert serving(place) == ["blue", "small"]
        assert whys(place) == {
            "amber": "Pool 'amber' is disabled.",
            "gpu": "Pool 'gpu' does not select the node: its nodeSelector is 'has(gpu)'.",
            "manual": "Pool 'manual' has assignmentMode Manual: it is only used when asked for.",
            "six": "IPv6 is off here: neither assign_ipv6 nor the annotation ipFamilies asks for it.",
            "tenant": "Pool 'tenant' does not select the namespace: its namespaceSelector is 'has(tenant)'.",
            "tunnel": "Pool 'tunnel' does not allow the use Workload: its allowedUses are Tunnel.",
        }

    def test_all_nodes(self) -> None:
        place = Place(NODES, False, namespace({"tenant": "x"}))
        answer = decide(place, ALL, USUAL)
        assert [(entry["pool"], entry["reason"]) for entry in answer.serve] == [
            ("blue", "It is Automatic and its nodeSelector 'all()' selects 3 of 3 nodes."),
            ("gpu", "It is Automatic and its nodeSelector 'has(gpu)' selects 1 of 3 nodes, b."),
            ("small", "It is Automatic and its nodeSelector 'all()' selects 3 of 3 nodes."),
            (
                "tenant",
                "It is Automatic and its nodeSelector 'all()' selects 3 of 3 nodes; its namespaceSelector "
                "'has(tenant)' selects the namespace.",
            ),
        ]
        none = whys(Place((NODES[0], NODES[2]), False, namespace()))
        assert none["gpu"] == "Pool 'gpu' selects none of the 2 nodes: its nodeSelector is 'has(gpu)'."

    def test_an_unknown_namespace_is_a_condition(self) -> None:
        (entry,) = decide(Place(NODES[:1], True), [TENANT], USUAL).serve
        assert entry["reason"].endswith("selects node a; only for namespaces that match 'has(tenant)'.")

    def test_nobody(self) -> None:
        answer = decide(Place(NODES[:1], True, namespace()), [GPU, AMBER], USUAL)
        assert answer.serve == []
        assert answer.problems == [
            "New pods get no IPv4 address: No enabled IPv4 pool selects this node and namespace: none of 'gpu' is "
            "Automatic with selectors that match."
        ]

    def test_some_nodes_only(self) -> None:
        answer = decide(Place(NODES, False, namespace()), [GPU], USUAL)
        assert [entry["pool"] for entry in answer.serve] == ["gpu"]
        assert answer.problems[0].startswith("On a, c: New pods get no IPv4 address: ")

    @pytest.mark.parametrize("known", [True, False])
    def test_one_selector_that_does_not_parse_fails_all(self, known: bool) -> None:
        odd = stored("odd", "10.9.0.0/16", namespaceSelector="a = 'b'", allowedUses=["Workload"])
        place = Place(NODES[:1], True, namespace() if known else None)
        answer = decide(place, [BLUE, odd], USUAL)
        assert answer.serve == []
        assert "of pool 'odd' does not parse" in answer.problems[0]
        assert all("of pool 'odd' does not parse" in entry["why"] for entry in answer.others)

    def test_labels_of_calicoctl_count(self) -> None:
        labelled = node("a")
        labelled["metadata"]["annotations"] = {"projectcalico.org/labels": '{"gpu": "x"}'}
        assert serving(Place([labelled], True, namespace()), GPU) == ["gpu"]

    def test_windows_needs_larger_blocks_when_a_pool_is_asked_for(self) -> None:
        place = Place([node("w", "windows")], True, namespace(ipv4pools='["small"]'))
        assert serving(place, SMALL, BLUE) == []
        assert "has blocks of /30; the addresses a host reserves need /29" in whys(place, SMALL, BLUE)["small"]

    def test_a_range_that_nobody_understands(self) -> None:
        assert "cannot be understood" in whys(Place(NODES, False), stored("odd", "10.9.0.0"))["odd"]

    def test_no_nodes(self) -> None:
        assert whys(Place(()), BLUE) == {"blue": "There is no node."}


class TestRequests:
    def test_a_namespace_asks_in_its_order(self) -> None:
        place = Place(NODES, False, namespace(ipv4pools='["manual", "10.1.0.0/16"]'))
        answer = decide(place, ALL, USUAL)
        assert [entry["pool"] for entry in answer.serve] == ["manual", "blue"]
        assert answer.serve[0]["reason"] == (
            "Asked for by annotation cni.projectcalico.org/ipv4pools of the namespace, number 1 of 2; its selectors "
            "and assignmentMode do not count."
        )
        assert answer.source == {
            "ipv4": "annotation cni.projectcalico.org/ipv4pools of the namespace",
            "ipv6": "nothing",
        }
        assert "is not among the requested pools 10.5.0.0/16, 10.1.0.0/16" in whys(place)["gpu"]

    def test_a_pod_wins(self) -> None:
        place = Place(NODES[:1], True, namespace(ipv4pools='["blue"]'), pod(ipv4pools='["gpu"]'))
        assert serving(place) == ["gpu"]

    def test_the_cni_configuration_comes_last(self) -> None:
        config = cni(ipv4_pools=["10.5.0.0/16"])
        assert serving(Place(NODES, False, namespace()), config=config) == ["manual"]
        assert serving(Place(NODES, False, namespace(ipv4pools='["blue"]')), config=config) == ["blue"]

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ('["gone"]', "asks for pool 'gone', which does not exist"),
            ('["amber"]', "10.2.0.0/16 does not exist, or is not enabled"),
            ('["blue", "amber"]', "10.2.0.0/16 does not exist, or is not enabled"),
            ('["six"]', "which is IPv6"),
            ("blue", "must be a JSON list"),
            ('["tunnel"]', "allows the use Workload"),
        ],
    )
    def test_what_fails_new_pods(self, value: str, words: str) -> None:
        answer = decide(Place(NODES, False, namespace(ipv4pools=value)), ALL, USUAL)
        assert answer.serve == []
        assert words in answer.problems[0]
        assert len(answer.others) == len(ALL)

    def test_both_families(self) -> None:
        place = Place(NODES[:1], True, namespace(ipFamilies='["IPv4", "IPv6"]', ipv6pools='["six"]'))
        answer = decide(place, [BLUE, SIX], USUAL)
        assert [(entry["pool"], entry["ip_version"]) for entry in answer.serve] == [("blue", 4), ("six", 6)]
        assert decide(Place(NODES[:1], True, namespace()), [BLUE, SIX], cni(assign_ipv6="true")).source["ipv6"] == (
            "the selectors of the pools"
        )

    def test_annotations_that_nobody_reads(self) -> None:
        config = CniConfig("c", {"ipam": {"type": "calico-ipam"}, "policy": {}})
        answer = decide(Place(NODES, False, namespace(ipv4pools='["manual"]')), [BLUE, MANUAL], config)
        assert [entry["pool"] for entry in answer.serve] == ["blue"]
        assert answer.problems == ["c has policy type '': Calico reads annotations with k8s only."]

    def test_another_ipam(self) -> None:
        answer = decide(Place(NODES), [BLUE], CniConfig("c", {"ipam": {"type": "host-local"}}))
        assert answer.serve == []
        assert "IPAM type 'host-local'" in answer.problems[0]


class TestFixedAddresses:
    def answer(self, *pools: StoredPool, config: CniConfig = USUAL, **annotations: str) -> t.Any:
        return decide(Place(NODES[:1], True, namespace(), pod(**annotations)), pools or ALL, config)

    def test_selectors_do_not_count(self) -> None:
        answer = self.answer(ipAddrs='["10.3.0.9"]')
        assert [entry["pool"] for entry in answer.serve] == ["gpu"]
        assert answer.source["ipv4"] == "annotation cni.projectcalico.org/ipAddrs of the pod"
        assert answer.problems == []

    @pytest.mark.parametrize(
        ("address", "words"),
        [
            ("10.2.0.9", "The pod asks for 10.2.0.9. Pool 'amber' is disabled."),
            ("10.6.0.9", "does not allow the use Workload"),
            ("10.99.0.9", "The pod asks for 10.99.0.9, which lies in no pool."),
        ],
    )
    def test_what_cannot_be_had(self, address: str, words: str) -> None:
        answer = self.answer(ipAddrs=f'["{address}"]')
        assert answer.serve == []
        assert words in answer.problems[0]

    def test_outside_ipam(self) -> None:
        plugin = {**(cni().calico or {}), "feature_control": {"ip_addrs_no_ipam": True}}
        answer = self.answer(BLUE, config=CniConfig("c", plugin), ipAddrsNoIpam='["10.1.0.9"]')
        assert (answer.serve, answer.problems) == ([], [])
        assert answer.others[0]["why"] == "The addresses 10.1.0.9 are used without asking IPAM."
        refused = self.answer(BLUE, ipAddrsNoIpam='["10.1.0.9"]')
        assert "requested feature is not enabled" in refused.problems[0]


SELECTORS = st.sampled_from(["all()", "has(gpu)", "!has(gpu)", "zone == 'a'", "!all()", "zone = 'a'"])


@given(
    st.lists(st.tuples(SELECTORS, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.sampled_from([{}, {"gpu": "x"}, {"zone": "a"}, {"gpu": "x", "zone": "a"}]),
    st.lists(st.integers(0, 4), max_size=3, unique=True),
)
def test_the_answer_is_what_the_allocator_would_do(
    shapes: list[tuple[str, bool, bool, bool]], labels: dict[str, str], asked: list[int]
) -> None:
    pools = [
        stored(
            f"p{index}",
            f"10.{index}.0.0/16",
            nodeSelector=selector,
            disabled=disabled,
            assignmentMode="Manual" if manual else "Automatic",
            allowedUses=["Workload"] if workload else ["Tunnel"],
        )
        for index, (selector, disabled, manual, workload) in enumerate(shapes)
    ]
    known = [f'"p{index}"' for index in asked if index < len(pools)]
    place = Place([node("a", **labels)], True, namespace(ipv4pools=f"[{', '.join(known)}]"))
    answer = decide(place, pools, USUAL)
    requested = [pool.cidr for text in known for pool in engine_pools(pools) if f'"{pool.name}"' == text]
    try:
        chosen = [pool.name for pool in choose_pools(engine_pools(pools), 4, labels, {}, "Workload", requested)]
    except IpamError as error:
        assert answer.serve == []
        assert error.message in answer.problems[0]
    else:
        assert [entry["pool"] for entry in answer.serve] == chosen
        assert answer.problems == []
    # Everybody is told about, each once.
    told = [entry["pool"] for entry in (*answer.serve, *answer.others)]
    assert sorted(told) == [pool.name for pool in pools]
    assert all(entry["why"].endswith(".") for entry in answer.others)
