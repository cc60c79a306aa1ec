# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""IPv4 and IPv6 addresses and networks as integers.

Text is parsed once, at the edge, and printed in the one spelling Calico stores (Go's
network text: lower case, the leftmost longest run of zero groups compressed; spec
ippool.md §3.4). Everything between is integer arithmetic, so that ten thousand blocks
are no work at all.

IPv4-mapped IPv6 text (``::ffff:192.0.2.1``) is refused: Calico's client silently turns it
into IPv4 while the API server refuses it, so nobody can mean it.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

BITS: t.Dict[int, int] = {4: 32, 6: 128}
_MAPPED = 0xFFFF  # the upper 96 bits of every IPv4-mapped IPv6 address


@dataclass(frozen=True, order=True)
class Address:
    """One address: ``version`` 4 or 6 and its integer ``value``. Sorts IPv4 first, then by value."""

    version: int
    value: int

    @property
    def bits(self) -> int:
        """32 for IPv4, 128 for IPv6."""
        return BITS[self.version]

    def network(self, prefix: int) -> Network:
        """The network of this prefix length that holds the address (the address masked)."""
        shift = BITS[self.version] - prefix
        return Network(self.version, self.value >> shift << shift, prefix)

    def __str__(self) -> str:
        return format_address(self.version, self.value)


@dataclass(frozen=True, order=True)
class Network:
    """One CIDR: ``version``, the integer ``value`` of its first address, ``prefix`` length.

    A network is always masked: ``parse_network`` sees to it, and whoever builds one from
    integers must, too. Sorts IPv4 first, then by first address, larger networks first.
    """

    version: int
    value: int
    prefix: int

    @property
    def bits(self) -> int:
        """32 for IPv4, 128 for IPv6."""
        return BITS[self.version]

    @property
    def size(self) -> int:
        """Number of addresses."""
        return 1 << (BITS[self.version] - self.prefix)

    @property
    def end(self) -> int:
        """Integer value of the last address."""
        return self.value + (1 << (BITS[self.version] - self.prefix)) - 1

    @property
    def first(self) -> Address:
        return Address(self.version, self.value)

    @property
    def last(self) -> Address:
        return Address(self.version, self.end)

    def contains(self, other: t.Union[Address, Network]) -> bool:
        """Whether an address, or every address of a network, lies in here."""
        if other.version != self.version:
            return False
        if isinstance(other, Network) and other.prefix < self.prefix:
            return False
        shift = BITS[self.version] - self.prefix
        return other.value >> shift == self.value >> shift

    def overlaps(self, other: Network) -> bool:
        """Whether the two share an address: the same, inside, or around."""
        if other.version != self.version:
            return False
        shift = BITS[self.version] - min(self.prefix, other.prefix)
        return other.value >> shift == self.value >> shift

    def count(self, prefix: int) -> int:
        """How many networks of that prefix length fit; 0 when the network is smaller than one."""
        return 1 << (prefix - self.prefix) if prefix >= self.prefix else 0

    def subnet(self, index: int, prefix: int) -> Network:
        """The ``index``-th (from 0) network of that prefix length inside this one; IndexError beyond."""
        if not 0 <= index < self.count(prefix):
            raise IndexError(f"{self} has {self.count(prefix)} networks of /{prefix}, no number {index}")
        return Network(self.version, self.value + (index << (BITS[self.version] - prefix)), prefix)

    def subnets(self, prefix: int) -> t.Iterator[Network]:
        """Every network of that prefix length inside this one, in order."""
        step = 1 << (BITS[self.version] - prefix)
        for index in range(self.count(prefix)):
            yield Network(self.version, self.value + index * step, prefix)

    def block_of(self, address: Address, prefix: int) -> Network:
        """The block of that prefix length that holds ``address``, which must lie in here; ValueError if not."""
        if not self.contains(address):
            raise ValueError(f"{address} is not in {self}")
        return address.network(prefix)

    def address(self, ordinal: int) -> Address:
        """The address at a position in the network, 0 being the first; IndexError beyond its end."""
        if not 0 <= ordinal < self.size:
            raise IndexError(f"{self} has {self.size} addresses, no ordinal {ordinal}")
        return Address(self.version, self.value + ordinal)

    def ordinal(self, address: Address) -> int:
        """Position of an address in the network, 0 being the first; ValueError when it lies outside."""
        if not self.contains(address):
            raise ValueError(f"{address} is not in {self}")
        return address.value - self.value

    def __str__(self) -> str:
        return f"{format_address(self.version, self.value)}/{self.prefix}"


def format_address(version: int, value: int) -> str:
    """Canonical text of an address given as an integer."""
    if version == 4:
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    if value >> 32 == _MAPPED:  # cannot be parsed, can be computed; never print it as IPv4
        return f"::ffff:{value >> 16 & 0xFFFF:x}:{value & 0xFFFF:x}"
    return str(ipaddress.IPv6Address(value))


def parse_address(text: t.Any, *, field: str = "address") -> Address:
    """An address from its text; InvalidInput, blamed on ``field``, when it is none.

    No zone, no leading zeros in octets, no white space, no prefix length.
    """
    version, value = _parse_host(text, text, field, "an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1")
    return Address(version, value)


def parse_network(text: t.Any, *, strict: bool = True, field: str = "cidr") -> Network:
    """A network from CIDR text; InvalidInput, blamed on ``field``, when it is none.

    A bare address is not enough (spec ippool.md §3.1 V2). ``strict`` makes host bits an
    error (V4); otherwise they are cleared, as Calico does with stored CIDRs it compares.
    Leading zeros in the prefix length are read as decimal, like Calico does (§3.4).
    """
    version, value, prefix = _parse_cidr(text, field)
    shift = BITS[version] - prefix
    masked = value >> shift << shift
    if masked != value and strict:
        raise InvalidInput(
            f"{field} {text!r} has host bits set: the network that holds this address is "
            f"{Network(version, masked, prefix)}.",
            field,
            text,
            "V4",
        )
    return Network(version, masked, prefix)


def parse_range(text: t.Any, *, field: str = "cidr") -> Network:
    """A CIDR (host bits are cleared) or a bare address, as a network; InvalidInput otherwise.

    This is how IPReservations are read (spec ippool.md §3.5).
    """
    if isinstance(text, str) and "/" not in text:
        address = parse_address(text, field=field)
        return Network(address.version, address.value, address.bits)
    return parse_network(text, strict=False, field=field)


def covering(networks: t.Iterable[Network]) -> t.List[Network]:
    """The same addresses in sorted order without overlaps: networks inside larger ones are dropped."""
    kept: t.List[Network] = []
    for network in sorted(networks):
        if not (kept and kept[-1].contains(network)):
            kept.append(network)
    return kept


def _parse_cidr(text: t.Any, field: str) -> t.Tuple[int, int, int]:
    expected = "a CIDR such as 192.0.2.0/24 or 2001:db8::/64"
    if not isinstance(text, str):
        raise InvalidInput(f"{field} must be {expected}, not {text!r}.", field, text, "V2")
    host, slash, length = text.partition("/")
    if not slash:
        raise InvalidInput(f"{field} {text!r} has no prefix length: give {expected}.", field, text, "V2")
    version, value = _parse_host(host, text, field, expected)
    digits = length.isascii() and length.isdigit()
    # Only so many digits are converted: int() of a huge text is slow and refused by newer Pythons.
    prefix = int(length.lstrip("0")[:4] or "0") if digits else -1
    if not 0 <= prefix <= BITS[version]:
        raise InvalidInput(
            f"{field} {text!r} has no usable prefix length: IPv{version} takes 0 to {BITS[version]}.", field, text, "V2"
        )
    return version, value, prefix


def _parse_host(host: t.Any, text: t.Any, field: str, expected: str) -> t.Tuple[int, int]:
    if isinstance(host, str) and host.isascii():
        if ":" not in host:
            octets = _octets(host)
            if octets is not None:
                return 4, octets
        elif "%" not in host:
            try:
                value = int(ipaddress.IPv6Address(host))
            except ValueError:
                value = -1
            if value >> 32 == _MAPPED:
                raise InvalidInput(
                    f"{field} {text!r} is an IPv4-mapped IPv6 address: write it as IPv4, "
                    f"{format_address(4, value & 0xFFFFFFFF)}.",
                    field,
                    text,
                    "V2",
                )
            if value >= 0:
                return 6, value
    raise InvalidInput(f"{field} {text!r} does not parse: give {expected}.", field, text, "V2")


def _octets(host: str) -> t.Optional[int]:
    """The value of dotted decimal text, None when it is none; leading zeros are not taken."""
    parts = host.split(".")
    if len(parts) != 4:
        return None
    value = 0
    for part in parts:
        if not part.isdigit() or len(part) > 3 or (part[0] == "0" and part != "0"):
            return None
        octet = int(part)
        if octet > 255:
            return None
        value = value << 8 | octet
    return value
