# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.calico_ops.ipam.plugins.test.ranges import TestModule as Ranges

TESTS = Ranges().tests()


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("overlapping", ("10.0.0.0/16", "10.0.4.0/24"), True),
        ("overlapping", ("10.0.4.0/24", "10.0.0.0/16"), True),
        ("overlapping", ("10.0.0.0/16", "10.1.0.0/16"), False),
        ("overlapping", ("10.0.0.0/16", "2001:db8::/64"), False),
        ("overlapping", ("10.0.0.250-10.0.1.5", ["192.0.2.1", "10.0.1.5"]), True),
        ("overlapping", ({"cidr": "10.0.0.0/16"}, {"spec": {"cidr": "10.0.4.0/24"}}), True),
        ("inside", ("10.0.4.1", "10.0.0.0/16"), True),
        ("inside", ("10.0.0.0/16", "10.0.0.0/16"), True),
        ("inside", ("10.0.0.0/15", "10.0.0.0/16"), False),
        ("inside", ("10.0.0.0/15", ["10.0.0.0/16", "10.1.0.0/16"]), True),
        ("inside", ("10.0.1.128-10.0.2.127", ["10.0.1.0/24", "10.0.2.0/24"]), True),
        ("inside", (["10.0.4.1", "2001:db8::1"], "10.0.0.0/16"), False),
        ("containing", ("10.0.0.0/16", "10.0.4.1"), True),
        ("containing", ("10.0.4.1", "10.0.0.0/16"), False),
        ("block_in", ("10.0.3.64/26", "10.0.0.0/16"), True),
        ("block_in", ("10.0.3.64/27", "10.0.0.0/16", 26), False),
        ("block_in", ("10.1.3.64/26", "10.0.0.0/16", 26), False),
        ("pool", ("10.0.0.0/16", 26), True),
        ("pool", ("10.0.0.0/28",), False),
        ("pool", (None,), False),
        ("pool", ({"cidr": "10.0.0.0/16", "blockSize": 12},), False),
    ],
)
def test_ranges(name: str, args: tuple[t.Any, ...], expected: bool) -> None:
    assert TESTS[name](*args) is expected


@pytest.mark.parametrize("name", ["overlapping", "inside", "containing", "block_in"])
def test_bad_input_gets_one_sentence(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match=rf"^calico_ops\.ipam\.{name}: .* does not parse: give [^\n]*\.$"):
        TESTS[name]("nowhere", "10.0.0.0/16")
