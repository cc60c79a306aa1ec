# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Routes of a node out of /proc, held against the ranges of pools that are gone (hazard A08).

Runs on a node: the standard library, and nothing that needs the cluster.
"""

from __future__ import annotations

import ipaddress
import sys
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

IPV4_ROUTES, IPV6_ROUTES = "/proc/net/route", "/proc/net/ipv6_route"
# RTF_REJECT of the kernel: an unreachable or blackhole route, which has no device of its own.
_REJECT = 0x0200


@dataclass(frozen=True)
class Route:
    """``device`` is "" for a blackhole."""

    network: Network
    device: str

    def __str__(self) -> str:
        return f"{self.network} dev {self.device}" if self.device else f"blackhole {self.network}"


def read_routes(ipv4: str = IPV4_ROUTES, ipv6: str = IPV6_ROUTES) -> list[Route]:
    """The routes of the main table, as the kernel shows them; a family that the node has not is left out.

    InvalidInput for a file that is there and is no list of routes.
    """
    return [*_read(ipv4, _ipv4), *_read(ipv6, _ipv6)]


def routes_in(routes: t.Iterable[Route], gone: t.Iterable[Network]) -> list[Route]:
    """Those that lead into one of the ranges, and nowhere else."""
    ranges = list(gone)
    return [route for route in routes if any(network.contains(route.network) for network in ranges)]


def wanted_ranges(texts: t.Iterable[str]) -> list[Network]:
    """The ranges of deleted pools; InvalidInput for one that is none."""
    found = []
    for text in texts:
        try:
            found.append(parse_network(text))
        except InvalidInput as error:
            raise InvalidInput(f"gone: {error.message}", "gone", text) from None
    return found


def stale_routes(routes: t.Sequence[Route]) -> list[dict[str, t.Any]]:
    """A08, in the form of the preflight's findings."""
    if not routes:
        return []
    return [
        {
            "id": "stale-routes",
            "severity": "warning",
            "message": f"{len(routes)} routes of this node lead into ranges of pools that are gone, first {routes[0]}.",
            "remedy": "Restart calico-node on this node, one node at a time.",
            "objects": [str(route) for route in routes],
            "hazards": ["A08"],
        }
    ]


def _read(path: str, parse: t.Callable[[str], t.Optional[Route]]) -> t.Iterator[Route]:
    try:
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        raise InvalidInput(f"The routes of the node cannot be read from {path}.", "gone", path) from None
    for line in lines:
        try:
            route = parse(line)
        except (ValueError, IndexError):
            raise InvalidInput(f"{path} has a line that is no route: {line!r}.", "gone", path) from None
        if route is not None:
            yield route


def _ipv4(line: str) -> t.Optional[Route]:
    """``Iface Destination Gateway Flags RefCnt Use Metric Mask ...``, hexadecimal, the bytes in the host's order."""
    words = line.split()
    if not words or words[0] == "Iface":
        return None
    address, mask = (int.from_bytes(bytes.fromhex(words[each]), sys.byteorder) for each in (1, 7))
    flags = int(words[3], 16)
    text = f"{ipaddress.IPv4Address(address)}/{bin(mask).count('1')}"
    return Route(parse_network(text, strict=False), "" if flags & _REJECT else words[0])


def _ipv6(line: str) -> t.Optional[Route]:
    """``destination length source length gateway metric refcnt use flags device``."""
    words = line.split()
    if not words:
        return None
    flags = int(words[8], 16)
    text = f"{ipaddress.IPv6Address(bytes.fromhex(words[0]))}/{int(words[1], 16)}"
    return Route(parse_network(text, strict=False), "" if flags & _REJECT else words[9])
