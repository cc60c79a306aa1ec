# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_warnings import change_warnings, warnings


def warned(cidr, *, block_size=None, uses=("Workload", "Tunnel"), pods=(), services=(), nodes=()):
    network = parse_network(cidr)
    size = block_size or (26 if network.version == 4 else 122)
    return warnings(
        Pool("web", network, size, allowed_uses=frozenset(uses)),
        pod_cidrs=map(parse_network, pods),
        service_cidrs=map(parse_network, services),
        node_addresses=map(parse_address, nodes),
    )


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("127.8.0.0/16", "loopback range"),
        ("0.4.0.0/16", '"this network"'),
        ("192.0.2.0/24", "documentation"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("230.0.0.0/16", "multicast"),
        ("250.0.0.0/16", "class E"),
        ("2001:db8:7::/48", "documentation"),
        ("3fff::/48", "documentation"),
        ("ff02::/64", "multicast"),
        ("::/120", "unspecified address"),
        ("192.0.0.0/16", "192.0.2.0/24"),
        ("192.0.0.0/26", "kept for protocols"),
        ("198.19.0.0/16", "measurements"),
        ("64:ff9b::/120", "NAT64"),
        ("100::/96", "thrown away"),
        ("2001:0:7::/48", "Teredo"),
        ("2002:a00::/32", "6to4"),
        ("fec0:7::/48", "site-local"),
    ],
)
def test_special_ranges(cidr, words):
    found = warned(cidr)
    assert any(words in sentence for sentence in found)
    assert all(sentence.startswith(f"Pool 'web' ({cidr}) ") and sentence.endswith(".") for sentence in found)


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "192.168.0.0/16", "172.22.0.0/16", "100.64.0.0/16", "fd00::/64"])
def test_ordinary_ranges(cidr):
    assert warned(cidr) == []


def test_service_range():
    (sentence,) = warned("10.96.4.0/22", services=["10.96.0.0/12", "fd96::/112"])
    assert "Service range 10.96.0.0/12" in sentence


def test_node_addresses():
    nodes = ["10.0.7.2", "10.0.7.1", "10.0.7.1", "192.168.1.1", "fd00::1"]
    (sentence,) = warned("10.0.0.0/16", nodes=nodes)
    assert "node address 10.0.7.1 and 1 more" in sentence
    assert warned("10.1.0.0/16", nodes=nodes) == []


def test_pod_range():
    assert warned("10.0.4.0/22", pods=["10.0.0.0/16", "fd00::/48"]) == []
    (sentence,) = warned("10.1.0.0/16", pods=["10.0.0.0/16", "fd00::/48"])
    assert "not inside the cluster's pod range 10.0.0.0/16:" in sentence
    # Larger than the range is not inside; the other family says nothing; Services are elsewhere on purpose.
    assert len(warned("10.0.0.0/8", pods=["10.0.0.0/16"])) == 1
    assert warned("fd01::/64", pods=["10.0.0.0/16"]) == []
    assert warned("10.1.0.0/16", uses=["LoadBalancer"], pods=["10.0.0.0/16"]) == []


def test_blocks_of_one_address():
    assert "blockSize 32" in warned("10.0.0.0/24", block_size=32)[0]
    assert "blockSize 128" in warned("fd00::/120", block_size=128)[0]
    assert warned("10.0.0.0/24", block_size=31) == []


def pool(name="web", cidr="10.0.0.0/16", **fields):
    return Pool(name, parse_network(cidr), 26 if "." in cidr else 122, **fields)


LB = frozenset({"LoadBalancer"})
WORKLOAD = frozenset({"Workload"})
OTHER = pool("other", "10.1.0.0/16")
NAT = pool("nat", "10.2.0.0/16", nat_outgoing=True)
IPIP = pool("ipip", "10.3.0.0/16", ipip_mode="Always")
SIX = pool("six", "fd00::/64")

# Before, after, the other pools, words of each sentence in order.
CHANGES = [
    (None, pool(), [], []),
    (None, pool(), [OTHER, SIX], []),
    (None, pool(), [NAT], ["has no natOutgoing, unlike 'nat'"]),
    (None, pool(nat_outgoing=True), [NAT], []),
    (None, pool(disabled=True), [NAT], []),
    (None, pool(allowed_uses=LB), [NAT], []),
    (None, pool(), [pool("nat", "10.2.0.0/16", nat_outgoing=True, disabled=True)], []),
    (pool(nat_outgoing=True), pool(), [], ["loses natOutgoing"]),
    (pool(), pool(nat_outgoing=True), [], []),
    (pool(), pool(disabled=True), [], ["allows Tunnel or Workload: nothing new"]),
    (pool(), pool(disabled=True), [SIX], ["No other enabled IPv4 pool allows Tunnel or Workload"]),
    (pool(), pool(disabled=True), [OTHER], []),
    (pool(), pool(disabled=True), [pool("w", "10.1.0.0/16", allowed_uses=WORKLOAD)], ["allows Tunnel: nothing new"]),
    (pool(disabled=True), pool(disabled=True), [], []),
    (pool(disabled=True), pool(), [], []),
    (pool(ipip_mode="Always"), pool(ipip_mode="Always", disabled=True), [OTHER], ["has IPIP and the use Tunnel"]),
    (pool(ipip_mode="CrossSubnet"), pool(ipip_mode="CrossSubnet", disabled=True), [IPIP], []),
    (pool(ipip_mode="Always"), pool(vxlan_mode="Always"), [], ["encapsulation from IPIP to VXLAN"]),
    (pool(ipip_mode="Always"), pool(), [], ["encapsulation from IPIP to none"]),
    (pool(ipip_mode="Always"), pool(ipip_mode="CrossSubnet"), [], []),
    (pool(disabled=True), pool(vxlan_mode="Always"), [], []),
    (pool(), pool(assignment_mode="Manual"), [OTHER], ["becomes Manual"]),
    (pool(), pool(node_selector="has(a)"), [], ["selects otherwise"]),
    (pool(), pool(node_selector="all( )"), [], []),
    (pool(node_selector="a = 1"), pool(node_selector="has(a)"), [], ["selects otherwise"]),
    (pool(), pool(namespace_selector="has(a)", allowed_uses=WORKLOAD), [], ["selects otherwise"]),
    (pool(disabled=True), pool(), [pool("in", "10.0.3.0/24")], ["overlaps 10.0.3.0/24 of the enabled pool 'in'"]),
    (pool(disabled=True), pool(), [pool("in", "10.0.3.0/24", disabled=True)], []),
    (pool(), pool(disabled=True), [pool("in", "10.0.3.0/24")], []),
]


@pytest.mark.parametrize(("before", "after", "others", "words"), CHANGES)
def test_changes(before, after, others, words):
    found = change_warnings(before, after, others)
    assert len(found) == len(words)
    for sentence, expected in zip(found, words):
        assert expected in sentence
        assert sentence.endswith(".")
    # The pool itself among the others changes nothing.
    assert change_warnings(before, after, [*others, *([before] if before else [])]) == found
