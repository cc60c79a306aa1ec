# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variable counts, by the precedence of spec kubespray.md §5, and what cannot be read."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    DEFAULTS,
    INVENTORY,
    IPV4,
    IPV6,
    OURS,
    DeclaredPool,
    read_declared,
)

from . import kubespray_objects as ks


def of(version: int, *layers: t.Mapping[str, t.Any]) -> DeclaredPool:
    pool = read_declared(*layers).pool(version)
    assert pool is not None
    return pool


def test_ours_then_the_inventory_then_the_defaults() -> None:
    pool = of(
        IPV4, {"calico_pool_blocksize": 25, "calico_ipip_mode": "Always"}, ks.DEFAULTS, {"calico_ipip_mode": "Never"}
    )
    assert pool.fields == {
        "cidr": "10.233.64.0/18",
        "blockSize": 25,
        "ipipMode": "Never",
        "vxlanMode": "Always",
        "natOutgoing": True,
    }
    assert pool.sources == {
        "cidr": DEFAULTS,
        "blockSize": INVENTORY,
        "ipipMode": OURS,
        "vxlanMode": DEFAULTS,
        "natOutgoing": DEFAULTS,
    }
    assert (pool.name, pool.unknown) == ("default-pool", ())


def test_what_nobody_defines_is_left_open() -> None:
    pool = of(IPV4, {"kube_pods_subnet": "10.233.64.0/18"})
    assert (pool.name, pool.fields) == (None, {"cidr": "10.233.64.0/18"})
    assert pool.unknown == (
        "calico_pool_name",
        "calico_pool_blocksize",
        "calico_ipip_mode",
        "calico_vxlan_mode",
        "nat_outgoing",
    )


@pytest.mark.parametrize(
    ("inventory", "cidr", "own"),
    [
        ({}, "10.233.64.0/18", False),
        ({"calico_pool_cidr": ""}, "10.233.64.0/18", False),
        ({"calico_pool_cidr": None}, "10.233.64.0/18", False),
        ({"calico_pool_cidr": "10.233.64.0/20"}, "10.233.64.0/20", True),
    ],
)
def test_the_range_is_the_pods_subnet_unless_it_has_a_variable(
    inventory: dict[str, t.Any], cidr: str, own: bool
) -> None:
    pool = of(IPV4, inventory, ks.DEFAULTS)
    assert (pool.fields["cidr"], pool.own_cidr) == (cidr, own)


@pytest.mark.parametrize(
    ("inventory", "versions"),
    [
        ({}, [4]),
        ({"ipv6_stack": True}, [4, 6]),
        ({"ipv6_stack": "yes", "ipv4_stack": "false"}, [6]),
        ({"ipv4_stack": False}, []),
        ({"enable_dual_stack_networks": True}, [4]),
    ],
)
def test_families(inventory: dict[str, t.Any], versions: list[int]) -> None:
    assert [pool.version for pool in read_declared(inventory, ks.DEFAULTS).pools] == versions


def test_families_of_releases_with_one_switch() -> None:
    old = {key: value for key, value in ks.DEFAULTS.items() if key not in ("ipv4_stack", "ipv6_stack")}
    assert [pool.version for pool in read_declared({"enable_dual_stack_networks": True}, old).pools] == [4, 6]
    assert [pool.version for pool in read_declared({}, old).pools] == [4]


def test_the_ipv6_pool_is_named_after_the_other() -> None:
    pool = of(IPV6, {"ipv6_stack": True, "calico_pool_name": "pods"}, ks.DEFAULTS)
    assert (pool.name, pool.fields["blockSize"], pool.fields["natOutgoing"]) == ("pods-ipv6", 122, False)


def test_settings_are_kubesprays_in_custom_resources_only() -> None:
    assert read_declared({}, ks.DEFAULTS).settings == ks.SETTINGS
    assert read_declared({"calico_ipam_maxblocksperhost": "4"}).settings == {"maxBlocksPerHost": 4}
    assert read_declared({"calico_datastore": "etcd"}, ks.DEFAULTS).settings == {}


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("calico_pool_blocksize", "twenty", "a whole number"),
        ("calico_pool_blocksize", True, "a whole number"),
        ("calico_pool_cidr", "10.233.64.0", "a range such as"),
        ("calico_pool_cidr", "fd00::/64", "an IPv4 range"),
        ("kube_pods_subnet", "10.233.64.0/33", "a range such as"),
        ("calico_ipip_mode", "Off", "Never or Always or CrossSubnet"),
        ("nat_outgoing", "maybe", "true or false"),
        ("calico_pool_name", "my pool", "2 to 63 letters"),
        ("calico_ipam_host_local", "often", "true or false"),
    ],
)
def test_what_cannot_be_read_is_named(variable: str, value: t.Any, right: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read_declared({variable: value}, ks.DEFAULTS)
    assert f"The Kubespray variable {variable} is {value!r}" in error.value.message
    assert right in error.value.message
    assert error.value.field == variable
