# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import (
    addresses_in,
    entries,
    means_pool,
    names_pool,
    pin,
)

V4, V6 = parse_network("192.168.0.0/16"), parse_network("fd00::/48")
KEY = "cni.projectcalico.org/ipv4pools"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, []),
        ("", []),
        ("null", []),
        ("[]", []),
        ("old", []),
        ("7", []),
        ('{"a": 1}', []),
        ('["a", 1, "b"]', ["a", "b"]),
        ("[" * 100000, []),
    ],
)
def test_entries(text: str | None, found: list[str]) -> None:
    assert entries(text) == found


@pytest.mark.parametrize(
    ("entry", "means"),
    [
        ("old", True),
        ("Old", False),
        ("192.168.0.0/16", True),
        ("192.168.0.9/16", True),
        ("192.168.4.0/24", True),
        ("192.0.0.0/8", False),
        ("10.0.0.0/16", False),
        ("192.168.0.1", False),
        ("nonsense/7", False),
    ],
)
def test_an_entry_means_the_pool(entry: str, means: bool) -> None:
    assert means_pool(entry, "old", V4) is means
    assert means_pool("fd00:0:0:0::/48", "six", V6)
    assert not means_pool("192.168.0.0/16", "old", None)


def test_one_of_several_is_enough() -> None:
    assert names_pool('["new", "old"]', "old", V4)
    assert not names_pool('["new"]', "old", V4)


def test_addresses() -> None:
    assert addresses_in('["192.168.3.3", "10.0.0.1", "192.168.3.4/32", "x"]', V4) == ["192.168.3.3", "192.168.3.4/32"]
    assert addresses_in('["192.168.3.3"]', None) == []


def test_floating_addresses_do_not_tie_a_pod() -> None:
    fixed = {"cni.projectcalico.org/ipAddrs": '["192.168.3.3"]'}
    assert pin(fixed, "old", V4) == 'cni.projectcalico.org/ipAddrs: ["192.168.3.3"]'
    assert pin({"cni.projectcalico.org/floatingIPs": '["192.168.3.3"]'}, "old", V4) == ""
    assert pin({KEY: '["old"]', **fixed}, "old", V4) == f'{KEY}: ["old"]'
