# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures about pools and their blocks, and arithmetic on ranges; documented in the YAML file of each filter."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import (
    DEFAULT_BLOCKS_PER_HOST,
    DEFAULT_MAX_PODS,
    Demand,
    assess,
    block_sizes_that_fit,
    largest_prefix_that_fits,
    supply_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import BITS, Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import block_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import BLOCK_SIZES
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._errors import filters
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._networks import (
    address,
    networks,
    pool_shape,
    whole,
    without,
)


def block_count(pool: t.Any, block_size: t.Any = None) -> int:
    """Blocks of a pool: 2^(blockSize - prefix)."""
    cidr, size = pool_shape(pool, block_size)
    return cidr.count(size)


def nodes_supported(
    pool: t.Any,
    block_size: t.Any = None,
    blocks_per_node: t.Any = None,
    pods_per_node: t.Any = None,
    tunnels: t.Any = 1,
    reserved: t.Any = (),
) -> int:
    """How many nodes get as many blocks of their own as they are said to take."""
    cidr, size = pool_shape(pool, block_size)
    if blocks_per_node is not None and pods_per_node is not None:
        raise InvalidInput(
            "Give blocks_per_node or pods_per_node, not both: one follows from the other.", "pods_per_node"
        )
    supply = supply_of(cidr, size, networks(reserved, "reserved"))
    if pods_per_node is None:
        each = 1 if blocks_per_node is None else whole(blocks_per_node, "blocks_per_node", 1)
        return supply.usable_blocks // each
    demand = Demand(nodes=0, max_pods=whole(pods_per_node, "pods_per_node", 1), tunnels=whole(tunnels, "tunnels", 0))
    return assess(supply, demand).nodes_supported


def block_sizes(
    cidr: t.Any,
    nodes: t.Any,
    pods_per_node: t.Any = DEFAULT_MAX_PODS,
    tunnels: t.Any = 1,
    reserved: t.Any = (),
    max_blocks_per_host: t.Any = 0,
) -> list[int]:
    """Every blockSize with which all nodes, full, get all their blocks; in ascending order."""
    return list(
        block_sizes_that_fit(
            _range_of(cidr),
            _demand(nodes, pods_per_node, tunnels),
            reserved=networks(reserved, "reserved"),
            max_blocks_per_host=whole(max_blocks_per_host, "max_blocks_per_host", 0),
        )
    )


def largest_block_size(
    cidr: t.Any,
    nodes: t.Any,
    pods_per_node: t.Any = DEFAULT_MAX_PODS,
    tunnels: t.Any = 1,
    reserved: t.Any = (),
    max_blocks_per_host: t.Any = 0,
) -> int:
    """The first of ``block_sizes``, or a sentence that says what range would do."""
    sizes = block_sizes(cidr, nodes, pods_per_node, tunnels, reserved, max_blocks_per_host)
    if sizes:
        return sizes[0]
    network, demand = _range_of(cidr), _demand(nodes, pods_per_node, tunnels)
    limit = whole(max_blocks_per_host, "max_blocks_per_host", 0) or DEFAULT_BLOCKS_PER_HOST
    raise InvalidInput(
        f"{network} has no blockSize that fits {demand.nodes} nodes of {demand.max_pods} pods: "
        f"{_what_would_do(network.version, demand, limit)}.",
        "cidr",
        str(network),
    )


def _what_would_do(version: int, demand: Demand, limit: int) -> str:
    """The smallest range for the demand, with the largest blocks that it takes for that."""
    low, high = BLOCK_SIZES[version]
    bits = BITS[version]
    found = [
        (largest_prefix_that_fits(version, demand.per_node, demand.nodes, size), -size)
        for size in range(low, high + 1)
        if demand.per_node <= limit << (bits - size)
    ]
    if not found:
        return f"{limit} blocks of the largest size do not hold {demand.per_node} addresses, so raise maxBlocksPerHost"
    prefix, size = max(found)
    return f"a range of /{prefix} would do, with blocks of /{-size} and without reservations"


def block_of(ip: t.Any, pool: t.Any, block_size: t.Any = None) -> str:
    """The block of a pool that holds an address."""
    cidr, size = pool_shape(pool, block_size)
    found = address(ip)
    if not cidr.contains(found):
        raise InvalidInput(f"{found} is not in the pool {cidr}, so none of its blocks holds it.", "address", ip)
    return str(cidr.block_of(found, size))


def name_of_block(block: t.Any) -> str:
    """The name of the IPAMBlock object."""
    return block_name(parse_network(block, field="block"))


def overlaps(value: t.Any, others: t.Any = None) -> list[dict[str, str]]:
    """Pairs that share an address: among the values themselves, or between them and ``others``."""
    mine = _labelled(value, "value")
    pairs: t.Iterable[tuple[tuple[str, list[Network]], tuple[str, list[Network]]]]
    pairs = itertools.combinations(mine, 2) if others is None else itertools.product(mine, _labelled(others, "others"))
    return [
        {"first": first, "second": second}
        for (first, left), (second, right) in pairs
        if any(a.overlaps(b) for a in left for b in right)
    ]


def cidrs(value: t.Any, minus: t.Any = ()) -> list[str]:
    """The fewest CIDRs with the same addresses, without those of ``minus``."""
    found, taken = networks(value), networks(minus, "minus")
    return [str(each) for each in (without(found, taken) if taken else found)]


def _range_of(cidr: t.Any) -> Network:
    if isinstance(cidr, t.Mapping):
        spec = cidr.get("spec", cidr)
        return parse_network(spec.get("cidr") if isinstance(spec, t.Mapping) else spec)
    return parse_network(cidr)


def _demand(nodes: t.Any, pods_per_node: t.Any, tunnels: t.Any) -> Demand:
    return Demand(
        nodes=whole(nodes, "nodes", 1),
        max_pods=whole(pods_per_node, "pods_per_node", 1),
        tunnels=whole(tunnels, "tunnels", 0),
    )


def _labelled(value: t.Any, field: str) -> list[tuple[str, list[Network]]]:
    """Each value with the words to show for it: a pool by its name, anything else as it was given."""
    given = [value] if isinstance(value, (str, t.Mapping)) else value
    if not isinstance(given, t.Iterable):
        raise InvalidInput(f"{field} must be a list of ranges or pools, not {value!r}.", field, value)
    return [(_label(each), networks(each, field)) for each in given]


def _label(value: t.Any) -> str:
    if isinstance(value, t.Mapping):
        name = value.get("name") or (value.get("metadata") or {}).get("name")
        return str(name or (value.get("spec") or value).get("cidr"))
    return str(value)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return filters(
            block_count=block_count,
            nodes_supported=nodes_supported,
            block_sizes=block_sizes,
            largest_block_size=largest_block_size,
            block_of=block_of,
            block_name=name_of_block,
            overlaps=overlaps,
            cidrs=cidrs,
        )
