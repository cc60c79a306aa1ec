# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pod asks for: the table of spec ippool.md §9.2, held against annotations and the CNI configuration."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
    IpamError,
    RequestedPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import pod_request, reads_annotations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_spec

POOLS = [
    pool_from_spec("blue", {"cidr": "10.1.0.0/16"}),
    pool_from_spec("amber", {"cidr": "10.2.0.0/16"}),
    pool_from_spec("six", {"cidr": "fd00::/64"}),
]


@dataclass(frozen=True)
class Config:
    ipam_type: str = "calico-ipam"
    policy_type: str = "k8s"
    assign_ipv4: bool = True
    assign_ipv6: bool = False
    ipv4_pools: tuple[str, ...] = ()
    ipv6_pools: tuple[str, ...] = ()
    addresses_without_ipam: bool = False


def annotations(**short: str) -> dict[str, str]:
    return {f"cni.projectcalico.org/{key}": value for key, value in short.items()}


OF_POD, OF_NAMESPACE = (
    {4: f"annotation cni.projectcalico.org/ipv4pools of the {whose}"} for whose in ("pod", "namespace")
)
OF_CONFIGURATION = {4: "ipv4_pools of the CNI configuration"}


@pytest.mark.parametrize(
    ("own", "shared", "config", "asked", "sources"),
    [
        ({}, {}, Config(), [], {}),
        ({"ipv4pools": '["blue"]'}, {}, Config(), ["10.1.0.0/16"], OF_POD),
        ({}, {"ipv4pools": '["10.2.0.0/16", "blue"]'}, Config(), ["10.2.0.0/16", "10.1.0.0/16"], OF_NAMESPACE),
        ({"ipv4pools": '["blue"]'}, {"ipv4pools": '["amber"]'}, Config(), ["10.1.0.0/16"], OF_POD),
        ({"ipv4pools": "[]"}, {"ipv4pools": '["amber"]'}, Config(), [], {}),
        ({"ipv4pools": "null"}, {}, Config(ipv4_pools=("amber",)), [], {}),
        ({}, {}, Config(ipv4_pools=("10.2.0.0/16",)), ["10.2.0.0/16"], OF_CONFIGURATION),
        ({}, {"ipv4pools": '["blue"]'}, Config(ipv4_pools=("amber",)), ["10.1.0.0/16"], OF_NAMESPACE),
        ({"ipv4pools": '["blue"]'}, {}, Config(policy_type=""), [], {}),
        ({"ipv4pools": '["blue"]'}, {}, Config(ipam_type="host-local"), [], {}),
        ({"ipv4pools": '["blue"]', "ipAddrs": '["10.2.0.9"]'}, {}, Config(), [], {}),
        ({"ipv4pools": '["blue"]', "ipFamilies": '["IPv6"]'}, {}, Config(), [], {}),
        ({"ipv6pools": '["six"]'}, {}, Config(), [], {}),
    ],
)
def test_pools(
    own: dict[str, str],
    shared: dict[str, str],
    config: Config,
    asked: list[str],
    sources: dict[int, str],
) -> None:
    request = pod_request(annotations(**own), annotations(**shared), config, POOLS)
    assert [str(network) for network in request.pools.get(4, ())] == asked
    assert request.sources == sources
    assert 6 not in request.pools


@pytest.mark.parametrize(
    ("own", "shared", "config", "families"),
    [
        ({}, {}, Config(), (4,)),
        ({}, {}, Config(assign_ipv6=True), (4, 6)),
        ({}, {}, Config(assign_ipv4=False, assign_ipv6=True), (6,)),
        ({}, {"ipFamilies": '["IPv6", "IPv4"]'}, Config(), (4, 6)),
        ({"ipFamilies": '["IPv6"]'}, {"ipFamilies": '["IPv4"]'}, Config(), (6,)),
        ({"ipFamilies": '["IPv6"]'}, {}, Config(policy_type=""), (4,)),
    ],
)
def test_families(own: dict[str, str], shared: dict[str, str], config: Config, families: tuple[int, ...]) -> None:
    assert pod_request(annotations(**own), annotations(**shared), config, POOLS).families == families


def test_ipv6_pools_where_it_is_switched_on() -> None:
    both = annotations(ipv6pools='["six"]', ipFamilies='["IPv4", "IPv6"]')
    assert pod_request(both, {}, Config(), POOLS).pools == {6: (parse_network("fd00::/64"),)}


@pytest.mark.parametrize(
    ("own", "error", "words"),
    [
        ({"ipv4pools": '["gone"]'}, RequestedPool, "'gone', which does not exist"),
        ({"ipv4pools": '["six"]'}, RequestedPool, "which is IPv6"),
        ({"ipv4pools": "blue"}, RequestedPool, "must be a JSON list"),
        ({"ipFamilies": '["IPv5"]'}, InvalidInput, "it must be IPv4 or IPv6"),
        ({"ipAddrs": "[]"}, InvalidInput, "is empty"),
        ({"ipAddrs": '["10.1.0.1", "10.1.0.2"]'}, InvalidInput, "only one address of each family"),
        ({"ipAddrs": '["10.1.0.1"]', "ipAddrsNoIpam": '["10.1.0.1"]'}, InvalidInput, "cannot have both"),
        ({"ipAddrsNoIpam": '["10.1.0.1"]'}, InvalidInput, "requested feature is not enabled"),
    ],
)
def test_what_fails_the_pod(own: dict[str, str], error: type[IpamError], words: str) -> None:
    with pytest.raises(error) as raised:
        pod_request(annotations(**own), {}, Config(), POOLS)
    assert words in raised.value.message


def test_addresses_without_ipam() -> None:
    own: dict[str, t.Any] = annotations(ipAddrsNoIpam='["10.1.0.1"]')
    request = pod_request(own, {}, Config(addresses_without_ipam=True), POOLS)
    assert request.outside_ipam
    assert [str(address) for address in request.addresses] == ["10.1.0.1"]


@pytest.mark.parametrize(
    ("ipam", "policy", "reads"), [("calico-ipam", "k8s", True), ("calico-ipam", "", False), ("", "k8s", False)]
)
def test_annotations_are_read_with_both_only(ipam: str, policy: str, reads: bool) -> None:
    assert reads_annotations(Config(ipam_type=ipam, policy_type=policy)) is reads
