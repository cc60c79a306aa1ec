# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B26, B27: what goes by the old range, and what does not although it looks so."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import DECLARE, NEW, OLD, asked, examine, pool, thing, view

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_policies import CHECKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    ADMIN_NETWORK_POLICIES,
    BASELINE_ADMIN_NETWORK_POLICIES,
    BGP_FILTERS,
    BGP_PEERS,
    CALICO_NETWORK_POLICIES,
    CLUSTER_NETWORK_POLICIES,
    GLOBAL_NETWORK_POLICIES,
    GLOBAL_NETWORK_SETS,
    INGRESSES,
    NETWORK_POLICIES,
    NETWORK_SETS,
    Surroundings,
)


def network_policy(cidr: str, *left_out: str, way: str = "ingress") -> t.Any:
    peers = {"from" if way == "ingress" else "to": [{"ipBlock": {"cidr": cidr, "except": list(left_out)}}]}
    return {NETWORK_POLICIES: [thing("NetworkPolicy", "web", spec={way: [{}, peers]})]}


def calico_policy(side: str, field: str, *nets: str) -> t.Any:
    spec = {"ingress": [{"action": "Allow", side: {field: list(nets)}}]}
    return {GLOBAL_NETWORK_POLICIES: [thing("GlobalNetworkPolicy", "all", None, spec=spec)]}


HITS: list[tuple[t.Any, str]] = [
    (network_policy(OLD), f"NetworkPolicy shop/web ({OLD})"),
    (network_policy("192.168.7.7/32"), "NetworkPolicy shop/web (192.168.7.7/32)"),
    (network_policy("192.168.0.0/24", way="egress"), "NetworkPolicy shop/web (192.168.0.0/24)"),
    (network_policy("192.0.0.0/8"), "NetworkPolicy shop/web (192.0.0.0/8)"),
    (network_policy("0.0.0.0/0", OLD, way="egress"), f"NetworkPolicy shop/web ({OLD})"),
    (calico_policy("source", "nets", OLD), f"Calico GlobalNetworkPolicy all ({OLD})"),
    (calico_policy("destination", "notNets", "10.1.0.0/16", OLD), f"Calico GlobalNetworkPolicy all ({OLD})"),
    (
        {CALICO_NETWORK_POLICIES: [thing("NetworkPolicy", "p", spec={"egress": [{"destination": {"nets": [OLD]}}]})]},
        f"Calico NetworkPolicy shop/p ({OLD})",
    ),
    ({NETWORK_SETS: [thing("NetworkSet", "s", spec={"nets": ["192.168.1.1"]})]}, "NetworkSet shop/s (192.168.1.1)"),
    (
        {GLOBAL_NETWORK_SETS: [thing("GlobalNetworkSet", "s", None, spec={"nets": [OLD]})]},
        f"GlobalNetworkSet s ({OLD})",
    ),
    (
        {ADMIN_NETWORK_POLICIES: [thing("A", "a", None, spec={"egress": [{"to": [{"networks": [OLD]}]}]})]},
        f"AdminNetworkPolicy a ({OLD})",
    ),
    (
        {CLUSTER_NETWORK_POLICIES: [thing("C", "c", None, spec={"egress": [{"to": [{"networks": [OLD]}]}]})]},
        f"ClusterNetworkPolicy c ({OLD})",
    ),
    (
        {BASELINE_ADMIN_NETWORK_POLICIES: [thing("B", "b", None, spec={"egress": [{"to": [{"networks": [OLD]}]}]})]},
        f"BaselineAdminNetworkPolicy b ({OLD})",
    ),
]


@pytest.mark.parametrize(("around", "named"), HITS)
def test_policies_that_name_the_old_range(around: t.Any, named: str) -> None:
    (problem,) = examine(CHECKS, "policies-name-range", view(around))
    assert (problem.severity, problem.objects) == ("blocker", (named,))
    assert named in problem.message
    assert problem.waivable


MISSES: list[t.Any] = [
    network_policy("0.0.0.0/0"),
    network_policy("0.0.0.0/0", "172.16.0.0/12"),
    network_policy(NEW),
    network_policy("::/0"),
    network_policy("fd00::/8", way="egress"),
    network_policy("nonsense"),
    calico_policy("source", "nets", "10.0.0.0/8", "::1/128"),
    {NETWORK_POLICIES: [thing("NetworkPolicy", "empty", spec={"ingress": [{"from": [{"podSelector": {}}]}]})]},
    {NETWORK_POLICIES: [thing("NetworkPolicy", "none")]},
    {NETWORK_SETS: [thing("NetworkSet", "s", spec={})]},
    # Calico's copy of a policy of Kubernetes, which is said already.
    {CALICO_NETWORK_POLICIES: [thing("P", "knp.default.web", spec={"ingress": [{"source": {"nets": [OLD]}}]})]},
]


@pytest.mark.parametrize("around", MISSES)
def test_policies_that_stay_true(around: t.Any) -> None:
    assert examine(CHECKS, "policies-name-range", view(around)) == []


def test_a_range_around_both_pools_stays_true() -> None:
    request = asked(target={"name": "new", "cidr": "192.169.0.0/16"})
    assert examine(CHECKS, "policies-name-range", view(network_policy("192.168.0.0/15")), request) == []
    assert len(examine(CHECKS, "policies-name-range", view(network_policy("192.168.0.0/15")))) == 1


def test_without_a_new_range_yet_all_but_everywhere_counts() -> None:
    request = asked(target={"name": "new"})
    assert len(examine(CHECKS, "policies-name-range", view(network_policy("192.0.0.0/8")), request)) == 1
    assert examine(CHECKS, "policies-name-range", view(network_policy("0.0.0.0/0")), request) == []


@pytest.mark.parametrize("identifier", [check.id for check in CHECKS])
def test_nothing_moves_when_pools_are_declared(identifier: str) -> None:
    assert examine(CHECKS, identifier, view(network_policy(OLD)), DECLARE) == []


SERVICE = thing("Service", "web", spec={"loadBalancerSourceRanges": ["192.168.0.0/17", "203.0.113.0/24"]})
LISTS: list[tuple[t.Any, str]] = [
    ({"services": (SERVICE,)}, "Service shop/web, loadBalancerSourceRanges (192.168.0.0/17)"),
    (
        {"services": (thing("Service", "web", spec={}, annotations={"lb.example.com/from": f"{OLD},1.2.3.4/32"}),)},
        f"Service shop/web, annotation lb.example.com/from ({OLD})",
    ),
    (
        {"around": {INGRESSES: [thing("Ingress", "web", annotations={"allow": "deny all; allow 192.168.3.4;"})]}},
        "Ingress shop/web, annotation allow (192.168.3.4)",
    ),
    (
        {
            "surroundings": Surroundings(
                config_maps=(thing("ConfigMap", "pg", data={"hba": f"host all all {OLD} md5"}),)
            )
        },
        f"ConfigMap shop/pg, key hba ({OLD})",
    ),
]


@pytest.mark.parametrize(("changes", "named"), LISTS)
def test_lists_that_name_the_old_range(changes: t.Any, named: str) -> None:
    (problem,) = examine(CHECKS, "lists-name-range", view(**changes))
    assert (problem.severity, problem.objects) == ("warning", (named,))


@pytest.mark.parametrize(
    "changes",
    [
        {"services": (thing("Service", "web", spec={"loadBalancerSourceRanges": ["0.0.0.0/0"]}),)},
        {"around": {INGRESSES: [thing("Ingress", "web", annotations={"version": "1.192.168.1.5", "x": "none"})]}},
        {
            "around": {
                INGRESSES: [
                    thing("I", "i", annotations={"kubectl.kubernetes.io/last-applied-configuration": f'"{OLD}"'})
                ]
            }
        },
        {"surroundings": Surroundings(config_maps=(thing("C", "calico-ops-ipam-old", data={"spec": OLD}),))},
        {"surroundings": Surroundings(config_maps=(thing("C", "empty"),))},
    ],
)
def test_lists_that_do_not(changes: t.Any) -> None:
    assert examine(CHECKS, "lists-name-range", view(**changes)) == []


def test_texts_with_ipv6() -> None:
    v6 = {"pools": (pool(cidr="fd00:1::/48", blockSize=122, ipipMode="Never"),)}
    request = asked(target={"name": "new", "cidr": "fd00:2::/48"})
    for text, hits in (("allow fd00:1::5;", 1), ("fd00:1:0:7::/64, ::1", 1), ("fd00:2::5 at 10:20:30", 0)):
        cluster = view({INGRESSES: [thing("Ingress", "web", annotations={"allow": text})]}, **v6)
        assert len(examine(CHECKS, "lists-name-range", cluster, request)) == hits, text


def bgp_filter(cidr: str) -> t.Any:
    rule = {"action": "Accept", "matchOperator": "In", "cidr": cidr}
    return {BGP_FILTERS: [thing("BGPFilter", "tor", None, spec={"exportV4": [{"action": "Reject"}, rule]})]}


def test_bgp_filters() -> None:
    (problem,) = examine(CHECKS, "bgp-filters", view(bgp_filter(OLD)))
    assert (problem.severity, problem.objects) == ("blocker", (f"BGPFilter tor ({OLD})",))
    assert examine(CHECKS, "bgp-filters", view(bgp_filter("0.0.0.0/0"))) == []


@pytest.mark.parametrize(
    ("spec", "peers", "severity", "words"),
    [
        ({}, 0, "note", "cannot be seen"),
        ({"natOutgoing": False}, 0, "warning", "natOutgoing is false"),
        ({}, 2, "warning", "2 configured BGP peers"),
        ({"disableBGPExport": True}, 2, "note", "cannot be seen"),
    ],
)
def test_what_is_outside_must_be_confirmed(spec: t.Any, peers: int, severity: str, words: str) -> None:
    around = {BGP_PEERS: [thing("BGPPeer", f"tor-{number}", None, spec={}) for number in range(peers)]}
    (problem,) = examine(CHECKS, "outside-the-cluster", view(around, pools=(pool(**spec),)))
    assert (problem.severity, problem.confirm) == (severity, True)
    assert words in problem.message
    assert OLD in problem.message
    assert NEW in problem.message
