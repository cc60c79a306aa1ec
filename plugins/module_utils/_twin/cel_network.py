# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Kubernetes' ``cidr()`` and ``ip()`` for CEL rules (API server 1.31 and later).

A CEL engine outside Kubernetes has no such types, so a network travels through it as the map
``{"cidr": text}`` and an address as ``{"ip": text}``, in canonical text, which also makes
``==`` right. Parsing is as strict as the API server's: no zone, no leading zeros, no
IPv4-mapped IPv6 (spec ippool.md §3.4).
"""

from __future__ import annotations

import ipaddress
import typing as t

IPAddress = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
IPNetwork = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Value = t.Dict[str, str]


def parse_ip(text: str) -> IPAddress:
    """Raises ValueError with the wording of the API server."""
    if "%" in text:
        raise ValueError(f'IP address "{text}" with zone value is not allowed')
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f'ParseAddr("{text}"): unable to parse IP') from None
    if address.version == 6 and address.ipv4_mapped is not None:
        raise ValueError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return address


def parse_cidr(text: str) -> tuple[IPAddress, int]:
    """The address as given and the prefix length. Raises ValueError with the wording of the API server."""
    address_text, slash, prefix_text = text.rpartition("/")
    if not slash:
        raise ValueError(f"netip.ParsePrefix(\"{text}\"): no '/'")
    if "%" in address_text:
        raise ValueError(f'netip.ParsePrefix("{text}"): IPv6 zones cannot be present in a prefix')
    try:
        address = parse_ip(address_text)
    except ValueError as error:
        raise ValueError(str(error) if "mapped" in str(error) else f'netip.ParsePrefix("{text}"): {error}') from None
    digits = prefix_text.isascii() and prefix_text.isdigit()
    if not digits or (len(prefix_text) > 1 and prefix_text.startswith("0")):
        raise ValueError(f'netip.ParsePrefix("{text}"): bad bits after slash: "{prefix_text}"')
    if int(prefix_text) > address.max_prefixlen:
        raise ValueError(f'netip.ParsePrefix("{text}"): prefix length out of range')
    return address, int(prefix_text)


def _network(value: t.Any) -> IPNetwork:
    address, prefix = parse_cidr(value["cidr"] if isinstance(value, dict) else value)
    return ipaddress.ip_network((address, prefix), strict=False)


def _address(value: t.Any) -> IPAddress:
    return parse_ip(value["ip"] if isinstance(value, dict) else value)


def _is(parse: t.Callable[[str], t.Any], text: t.Any) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _cidr(text: str) -> Value:
    address, prefix = parse_cidr(text)
    return {"cidr": f"{address}/{prefix}"}


def _ip(value: t.Any) -> Value:
    """``ip('10.0.0.1')`` as well as ``cidr('10.0.0.0/8').ip()``."""
    if isinstance(value, dict):
        return {"ip": value["cidr"].rpartition("/")[0]}
    return {"ip": str(parse_ip(value))}


def _family(value: Value) -> int:
    return _address(value).version


def _masked(value: Value) -> Value:
    return {"cidr": str(_network(value))}


def _prefix_length(value: Value) -> int:
    return int(value["cidr"].rpartition("/")[2])


def _contains_ip(value: Value, address: t.Any) -> bool:
    network, inner = _network(value), _address(address)
    return network.version == inner.version and inner in network


def _contains_cidr(value: Value, other: t.Any) -> bool:
    outer, inner = _network(value), _network(other)
    return (
        outer.version == inner.version
        and int(outer.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(outer.broadcast_address)
    )


FUNCTIONS: t.Mapping[str, t.Callable[..., t.Any]] = {
    "cidr": _cidr,
    "containsCIDR": _contains_cidr,
    "containsIP": _contains_ip,
    "family": _family,
    "ip": _ip,
    "isCIDR": lambda text: _is(parse_cidr, text),
    "isGlobalUnicast": lambda value: (
        not (
            _address(value).is_multicast
            or _address(value).is_loopback
            or _address(value).is_link_local
            or _address(value).is_unspecified
        )
    ),
    "isIP": lambda text: _is(parse_ip, text),
    "isLinkLocalUnicast": lambda value: _address(value).is_link_local,
    "isLoopback": lambda value: _address(value).is_loopback,
    "isUnspecified": lambda value: _address(value).is_unspecified,
    "masked": _masked,
    "prefixLength": _prefix_length,
}
