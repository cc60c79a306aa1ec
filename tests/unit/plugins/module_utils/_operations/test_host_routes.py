# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A08: routes as the kernel shows them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.host_routes import (
    read_routes,
    routes_in,
    stale_routes,
    wanted_ranges,
)


def in_hex(address: str) -> str:
    return (bytes(int(part) for part in address.split("."))[:: -1 if sys.byteorder == "little" else 1]).hex().upper()


def table(*routes: tuple[str, str, str, int]) -> str:
    head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    return head + "".join(
        f"{device}\t{in_hex(to)}\t00000000\t{flags:04X}\t0\t0\t0\t{in_hex(mask)}\t0\t0\t0\n"
        for device, to, mask, flags in routes
    )


def test_routes_into_a_range_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "four").write_text(
        table(
            ("eth0", "0.0.0.0", "0.0.0.0", 3),
            ("*", "192.168.7.0", "255.255.255.192", 0x201),
            ("cali1", "192.168.7.5", "255.255.255.255", 5),
            ("eth0", "192.0.0.0", "255.0.0.0", 3),
            ("eth0", "10.0.0.0", "255.255.0.0", 3),
        ),
        encoding="ascii",
    )
    (tmp_path / "six").write_text(
        "fd000001000000000000000000000000 7a 00000000000000000000000000000000 00 00000000000000000000000000000000 "
        "00000400 00000001 00000000 00200200     lo\n"
        "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 "
        "00000100 00000002 00000000 00000001     eth0\n",
        encoding="ascii",
    )
    routes = read_routes(str(tmp_path / "four"), str(tmp_path / "six"))
    assert len(routes) == 7
    left = routes_in(routes, wanted_ranges(["192.168.0.0/16", "fd00:1::/48"]))
    assert [str(route) for route in left] == [
        "blackhole 192.168.7.0/26",
        "192.168.7.5/32 dev cali1",
        "blackhole fd00:1::/122",
    ]
    (finding,) = stale_routes(left)
    assert finding["severity"] == "warning"
    assert "3 routes of this node" in finding["message"]
    assert stale_routes([]) == []


def test_this_machine_has_routes_that_can_be_read() -> None:
    read_routes()


def test_a_family_that_the_node_has_not(tmp_path: Path) -> None:
    assert read_routes(str(tmp_path / "none"), str(tmp_path / "none")) == []


@pytest.mark.parametrize("line", ["eth0", "eth0 zz 0 0 0 0 0 0", "eth0 00000000 00000000 0003 0 0 0"])
def test_lines_that_are_no_route(tmp_path: Path, line: str) -> None:
    (tmp_path / "four").write_text(line, encoding="ascii")
    with pytest.raises(InvalidInput, match=r"has a line that is no route: .*\.$"):
        read_routes(str(tmp_path / "four"), str(tmp_path / "none"))


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.1/16", "10.0.0.0/33", ""])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="^gone: "):
        wanted_ranges([text])
