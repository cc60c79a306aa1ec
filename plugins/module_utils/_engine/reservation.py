# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Reserved addresses: what automatic assignment must never hand out (spec ipam-engine.md §8.3)."""

from __future__ import annotations

import re
import typing as t
from bisect import bisect_right
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Network,
    covering,
    parse_network,
    parse_range,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

_NAME_LIMIT = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True)
class Reservation:
    """One IPReservation; ``cidrs`` as they are written there, CIDRs or bare addresses."""

    name: str
    cidrs: t.Tuple[str, ...] = ()

    def networks(self) -> t.Tuple[Network, ...]:
        """What is reserved, in the order written; entries that do not parse reserve nothing (§8.3)."""
        return tuple(network for entry in self.cidrs for network in _parsed(entry))

    def malformed(self) -> t.Tuple[str, ...]:
        """The entries that do not parse, and that Calico therefore ignores."""
        return tuple(entry for entry in self.cidrs if not _parsed(entry))


class Reservations:
    """All IPReservations of a cluster, as sorted ranges without overlaps per family."""

    def __init__(self, networks: t.Iterable[Network] = ()) -> None:
        self._first: t.Dict[int, t.List[int]] = {4: [], 6: []}
        self._last: t.Dict[int, t.List[int]] = {4: [], 6: []}
        for network in covering(networks):
            self._first[network.version].append(network.value)
            self._last[network.version].append(network.end)

    def any(self, version: int) -> bool:
        """Whether anything of the family is reserved at all."""
        return bool(self._first[version])

    def reserved(self, version: int, value: int) -> bool:
        """Whether one address, given as an integer, is reserved."""
        position = bisect_right(self._first[version], value) - 1
        return position >= 0 and value <= self._last[version][position]

    def count(self, network: Network) -> int:
        """How many addresses of ``network`` are reserved."""
        first, last = self._first[network.version], self._last[network.version]
        total = 0
        position = max(0, bisect_right(first, network.value) - 1)
        while position < len(first) and first[position] <= network.end:
            total += max(0, min(last[position], network.end) - max(first[position], network.value) + 1)
            position += 1
        return total

    def whole(self, network: Network) -> bool:
        """Whether every address of ``network`` is reserved."""
        return self.any(network.version) and self.count(network) == network.size


def parse_reservations(entries: t.Iterable[t.Any]) -> Reservations:
    """Reservations from CIDR or bare address texts; malformed entries are skipped, as Calico does."""
    return Reservations(network for entry in entries for network in _parsed(entry))


def checked_reservation(name: str, entries: t.Iterable[t.Any], *, field: str = "reserved_cidrs") -> Reservation:
    """A reservation to be written: CIDRs in canonical text, each once, bare addresses as /32 or /128.

    InvalidInput, blamed on the entry, when one does not parse or has host bits, when there is
    none at all, and for a name that Kubernetes would not take. Newer CRDs take CIDRs only
    (spec ippool.md §3.5).
    """
    if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"name {name[:80]!r} is no name for a reservation: it takes up to {_NAME_LIMIT} lower-case letters, "
            "digits, '-' and '.', and every part between dots begins and ends with a letter or digit.",
            "name",
            name,
        )
    networks: t.Dict[Network, None] = {}
    for position, entry in enumerate(entries):
        where = f"{field}[{position}]"
        text = entry.strip() if isinstance(entry, str) else entry
        bare = isinstance(text, str) and "/" not in text
        networks[parse_range(text, field=where) if bare else parse_network(text, field=where)] = None
    if not networks:
        raise InvalidInput(f"{field} is empty: a reservation needs at least one CIDR.", field, [])
    return Reservation(name, tuple(str(network) for network in networks))


def _parsed(entry: t.Any) -> t.Tuple[Network, ...]:
    try:
        return (parse_range(entry.strip() if isinstance(entry, str) else entry),)
    except InvalidInput:
        return ()
