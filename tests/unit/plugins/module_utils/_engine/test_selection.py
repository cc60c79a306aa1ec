# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AllocationError,
    NoConfiguredPools,
    NoQualifiedPool,
    RequestedPool,
    SelectorError,
    UseRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import (
    choose_pools,
    enabled_pools,
    requested_networks,
    why_not,
)


def pool(name, cidr, **fields):
    network = parse_network(cidr)
    return Pool(
        name=name, cidr=network, block_size=fields.pop("block_size", 26 if network.version == 4 else 122), **fields
    )


BLUE = pool("blue", "10.1.0.0/16")
AMBER = pool("amber", "10.2.0.0/16")
GPU = pool("gpu", "10.3.0.0/16", node_selector="has(gpu)")
TENANT = pool("tenant", "10.4.0.0/16", namespace_selector="has(tenant)", allowed_uses=frozenset({"Workload"}))
MANUAL = pool("manual", "10.5.0.0/16", assignment_mode="Manual", node_selector="!all()")
OFF = pool("off", "10.6.0.0/16", disabled=True)
GOING = pool("going", "10.7.0.0/16", terminating=True)
CLASHING = pool("clashing", "10.8.0.0/16", allocatable=False)
TUNNELS = pool("tunnels", "10.9.0.0/16", allowed_uses=frozenset({"Tunnel"}))
FINE = pool("fine", "10.10.0.0/16", block_size=30)
SIX = pool("six", "fd00::/64")
ALL = (BLUE, AMBER, GPU, TENANT, MANUAL, OFF, GOING, CLASHING, TUNNELS, FINE, SIX)


def chosen(pools=ALL, version=4, node=None, namespace=None, use="Workload", requested=None, limit=None):
    networks = None if requested is None else [parse_network(text) for text in requested]
    return [one.name for one in choose_pools(pools, version, node or {}, namespace, use, networks, limit)]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, ["amber", "blue", "fine"]),
        ({"node": {"gpu": "a100"}}, ["amber", "blue", "fine", "gpu"]),
        ({"namespace": {"tenant": "x"}}, ["amber", "blue", "fine", "tenant"]),
        ({"use": "Tunnel"}, ["amber", "blue", "fine", "tunnels"]),
        ({"version": 6}, ["six"]),
        # The block size limit decides whether any pool qualifies, it does not filter these.
        ({"limit": 29}, ["amber", "blue", "fine"]),
        # Asked for: order kept; neither selectors nor assignmentMode are looked at.
        ({"requested": ["10.1.0.0/16", "10.2.0.0/16"]}, ["blue", "amber"]),
        ({"requested": ["10.5.0.0/16"]}, ["manual"]),
        ({"requested": ["10.3.0.0/16", "10.4.0.0/16"]}, ["gpu", "tenant"]),
        # ... but the use still applies.
        ({"requested": ["10.9.0.0/16", "10.1.0.0/16"]}, ["blue"]),
        ({"requested": []}, ["amber", "blue", "fine"]),
        ({"requested": ["10.10.0.0/16"], "limit": 30}, ["fine"]),
        ({"requested": ["10.1.0.0/16"], "limit": 29}, ["blue"]),
        ({"requested": ["fd00::/64"], "version": 6}, ["six"]),
    ],
)
def test_choice(arguments, names):
    assert chosen(**arguments) == names


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"use": ""}, UseRequired, "intended use"),
        ({"pools": []}, NoQualifiedPool, "no enabled IPv4 pool"),
        ({"pools": [OFF, GOING, CLASHING, SIX]}, NoQualifiedPool, "no enabled IPv4 pool"),
        ({"pools": [FINE], "limit": 29}, NoQualifiedPool, "29 or less"),
        ({"pools": [FINE], "limit": 29, "requested": ["10.10.0.0/16"]}, NoQualifiedPool, "29 or less"),
        ({"pools": [GPU]}, NoConfiguredPools, "'gpu'"),
        ({"pools": [MANUAL]}, NoConfiguredPools, "'manual'"),
        ({"pools": [TENANT], "namespace": {}}, NoConfiguredPools, "'tenant'"),
        ({"pools": [TUNNELS]}, NoQualifiedPool, "use Workload"),
        ({"requested": ["10.9.0.0/16"]}, NoQualifiedPool, "use Workload"),
        ({"requested": ["10.6.0.0/16"]}, RequestedPool, "10.6.0.0/16 does not exist, or is not enabled"),
        ({"requested": ["10.7.0.0/16"]}, RequestedPool, "does not exist, or is not enabled"),
        ({"requested": ["10.8.0.0/16"]}, RequestedPool, "does not exist, or is not enabled"),
        ({"requested": ["10.1.0.0/16", "10.99.0.0/16"]}, RequestedPool, "10.99.0.0/16 does not exist"),
        ({"requested": ["10.1.0.0/17"]}, RequestedPool, "10.1.0.0/17 does not exist"),
        ({"requested": ["fd00::/64"]}, RequestedPool, "is IPv6, but an IPv4"),
        ({"limit": 29, "requested": ["10.10.0.0/16"]}, RequestedPool, "10.10.0.0/16 does not exist"),
    ],
)
def test_refusals(arguments, error, words):
    with pytest.raises(AllocationError) as caught:
        chosen(**arguments)
    assert caught.value.__class__ is error
    assert words in caught.value.message


@pytest.mark.parametrize("field", ["node_selector", "namespace_selector"])
def test_one_selector_that_does_not_parse_fails_everyone(field):
    broken = replace(pool("zebra", "10.20.0.0/16"), **{field: "tier = 'gold'"})
    with pytest.raises(SelectorError, match="of pool 'zebra' does not parse at position 5") as caught:
        chosen(pools=[BLUE, broken])
    assert caught.value.position == 5
    # Also when the other selector of that pool already says no.
    with pytest.raises(SelectorError):
        other = "namespace_selector" if field == "node_selector" else "node_selector"
        chosen(pools=[BLUE, replace(broken, **{other: "!all()"})])
    # Not when it is not looked at: asked for, disabled, Manual, or of the other family.
    assert chosen(pools=[BLUE, broken], requested=["10.20.0.0/16"]) == ["zebra"]
    assert chosen(pools=[BLUE, replace(broken, disabled=True)]) == ["blue"]
    assert chosen(pools=[BLUE, replace(broken, assignment_mode="Manual")]) == ["blue"]
    assert chosen(pools=[SIX, broken], version=6) == ["six"]


def test_enabled_pools_by_name():
    assert [one.name for one in enabled_pools(ALL, 4)] == [
        "amber",
        "blue",
        "fine",
        "gpu",
        "manual",
        "tenant",
        "tunnels",
    ]


@pytest.mark.parametrize(
    ("one", "arguments", "words"),
    [
        (BLUE, {}, None),
        (SIX, {}, "an IPv6 pool"),
        (OFF, {}, "is disabled"),
        (GOING, {}, "being deleted"),
        (CLASHING, {}, "not allocatable"),
        (MANUAL, {}, "assignmentMode Manual"),
        (MANUAL, {"requested": ["10.5.0.0/16"]}, None),
        (GPU, {}, "nodeSelector is 'has(gpu)'"),
        (GPU, {"node": {"gpu": ""}}, None),
        (TENANT, {}, "namespaceSelector is 'has(tenant)'"),
        (TENANT, {"namespace": {"tenant": ""}}, None),
        (TENANT, {"namespace": {"tenant": ""}, "use": "Tunnel"}, "allowedUses are Workload"),
        (BLUE, {"requested": ["10.5.0.0/16"]}, "not among the requested"),
        (FINE, {"requested": ["10.10.0.0/16"], "limit": 29}, "blocks of /30"),
        (pool("bad", "10.20.0.0/16", node_selector="tier"), {}, "does not parse at position 4"),
    ],
)
def test_why_not(one, arguments, words):
    requested = [parse_network(text) for text in arguments.get("requested", [])]
    reason = why_not(
        one,
        4,
        arguments.get("node", {}),
        arguments.get("namespace"),
        arguments.get("use", "Workload"),
        requested,
        arguments.get("limit"),
    )
    if words is None:
        assert reason is None
    else:
        assert words in reason
        assert reason.endswith(".")
    # It agrees with the choice itself.
    try:
        picked = chosen(pools=[one], **arguments)
    except (AllocationError, SelectorError):
        picked = []
    assert (reason is None) == bool(picked)


@pytest.mark.parametrize(
    ("value", "networks"),
    [
        ('["blue"]', ["10.1.0.0/16"]),
        ('["10.1.0.0/16", "amber"]', ["10.1.0.0/16", "10.2.0.0/16"]),
        ('["off"]', ["10.6.0.0/16"]),
        ('["10.99.0.7/16"]', ["10.99.0.0/16"]),
        ("[]", []),
        ("null", []),
    ],
)
def test_annotations(value, networks):
    found = requested_networks(value, ALL, 4, source="The annotation of pod shop/cart")
    assert [str(network) for network in found] == networks


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("blue", "must be a JSON list"),
        ("", "must be a JSON list"),
        ('"blue"', "must be a JSON list"),
        ("[5]", "must be a JSON list"),
        ("false", "must be a JSON list"),
        ("[" * 100_000, "must be a JSON list"),
        ('["green"]', "asks for pool 'green', which does not exist"),
        ('["six"]', "asks for 'six', which is IPv6"),
        ('["fd00::/64"]', "which is IPv6; it takes IPv4 pools"),
    ],
)
def test_annotations_that_fail_the_pod(value, words):
    with pytest.raises(RequestedPool) as caught:
        requested_networks(value, ALL, 4, source="The annotation of pod shop/cart")
    assert words in caught.value.message
    assert caught.value.message.startswith("The annotation of pod shop/cart ")
    assert len(caught.value.message) < 400
