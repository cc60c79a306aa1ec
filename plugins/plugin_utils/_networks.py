# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What people who write plays hand to our filters, tests and lookups, as values of the engine.

One CIDR or address is read by the engine, whose rules are Calico's. Whatever stands for several (ranges, globs, lists)
goes through netaddr, which turns it into CIDRs.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Address,
    Network,
    covering,
    parse_address,
    parse_network,
    parse_range,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_block_size
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import BLOCK_SIZES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.libraries import load

#: More networks than this are more likely a mistake than a set somebody can use.
MOST_NETWORKS = 65536
SET = "a CIDR, an address, a range such as 192.0.2.10-192.0.2.20, a glob such as 192.0.2.*, or a list of these"


class PoolShape(t.NamedTuple):
    """The range of a pool and its block size."""

    cidr: Network
    block_size: int


def pool_shape(value: t.Any, block_size: t.Any = None) -> PoolShape:
    """A pool: its CIDR as text with ``block_size`` beside it, or a dict that has both.

    The dict is a pool as ``ippool_info`` returns it, as Kubernetes stores it, or as the options of ``ippool``. A
    ``block_size`` given beside a dict wins. Without any, Calico's default holds: 26, or 122 for IPv6 (spec ippool.md
    §3.2). InvalidInput when the two do not make a pool.
    """
    cidr = value
    if isinstance(value, t.Mapping):
        spec = value.get("spec", value)
        if not isinstance(spec, t.Mapping) or spec.get("cidr") is None:
            raise InvalidInput("A pool must be a CIDR, or a dictionary with cidr in it or in its spec.", "cidr", value)
        cidr = spec["cidr"]
        if block_size is None:
            block_size = spec.get("blockSize", spec.get("block_size"))
    network = parse_network(cidr)
    low, high = BLOCK_SIZES[network.version]
    size = default_block_size(network.version) if block_size is None else whole(block_size, "block_size", low, high)
    if size < network.prefix:
        raise InvalidInput(
            f"block_size {size} is larger than {network}: a block is inside its pool, so give {network.prefix} or "
            "more.",
            "block_size",
            size,
        )
    return PoolShape(network, size)


def whole(value: t.Any, field: str, low: int, high: int | None = None) -> int:
    """A whole number in bounds, which Jinja may have made a text of; InvalidInput otherwise."""
    number = value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 40:
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < low or (high is not None and number > high):
        bounds = f"{low} or more" if high is None else f"from {low} to {high}"
        raise InvalidInput(f"{field} must be a whole number, {bounds}, not {value!r}.", field, value)
    return int(number)


def address(value: t.Any, field: str = "address") -> Address:
    """One address; InvalidInput otherwise."""
    return parse_address(value, field=field)


def networks(value: t.Any, field: str = "value") -> list[Network]:
    """Whatever stands for a set of addresses, as sorted CIDRs without overlaps that are as few as possible.

    A dict is a pool, of which the range counts. InvalidInput for what is none of these; MissingLibrary where netaddr
    is needed and missing.
    """
    parts = list(_parts(value, field))
    if len(parts) < 2:
        return parts
    return _fewest(parts)


def without(whole_set: t.Iterable[Network], taken: t.Iterable[Network]) -> list[Network]:
    """What is left of one set when the other is taken away."""
    netaddr = load_netaddr()
    left = netaddr.IPSet([str(each) for each in whole_set]) - netaddr.IPSet([str(each) for each in taken])
    return _from_netaddr(left.iter_cidrs(), "the rest")


def load_netaddr() -> t.Any:
    """The package ``netaddr``; MissingLibrary without it."""
    return load("netaddr", "netaddr >= 1.2.0", "to read ranges and to add up sets of addresses")


def _parts(value: t.Any, field: str) -> t.Iterator[Network]:
    if isinstance(value, t.Mapping):
        yield pool_shape(value).cidr
    elif isinstance(value, str):
        text = value.strip()
        if "-" in text or "*" in text:
            yield from _range_or_glob(text, field)
        else:
            yield parse_range(text, field=field)
    elif isinstance(value, t.Iterable) and not isinstance(value, bytes):
        for each in value:
            yield from _parts(each, field)
    else:
        raise InvalidInput(f"{field} must be {SET}, not {value!r}.", field, value)


def _range_or_glob(text: str, field: str) -> list[Network]:
    netaddr = load_netaddr()
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        # A dash inside a glob (192.0.2.10-20) has no full address behind it.
        if dash and ("." in last or ":" in last) and "*" not in text:
            found = _between(parse_address(first, field=field), parse_address(last, field=field), netaddr)
        else:
            found = netaddr.glob_to_cidrs(text)
    except (netaddr.AddrFormatError, ValueError, TypeError):
        raise InvalidInput(f"{field} {text!r} does not parse: give {SET}.", field, text) from None
    return _from_netaddr(found, field)


def _between(first: Address, last: Address, netaddr: t.Any) -> t.Any:
    if last < first:
        raise ValueError
    return netaddr.iprange_to_cidrs(str(first), str(last))


def _fewest(parts: t.Sequence[Network]) -> list[Network]:
    kept = covering(parts)
    if len(kept) < 2:
        return kept
    return _from_netaddr(load_netaddr().cidr_merge([str(each) for each in kept]), "the set")


def _from_netaddr(found: t.Iterable[t.Any], field: str) -> list[Network]:
    result = []
    for each in found:
        result.append(Network(each.version, each.first, each.prefixlen))
        if len(result) > MOST_NETWORKS:
            raise InvalidInput(f"{field} makes more than {MOST_NETWORKS:,} CIDRs: give larger parts.", field)
    return sorted(result)
