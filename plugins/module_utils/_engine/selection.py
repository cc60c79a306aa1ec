# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""Which pools an address comes from.

Sources: spec ippool.md §9.1 and §9.2, spec ipam-engine.md §8.1, §8.2, §9.2 and §17.1.
"""

from __future__ import annotations

import json
import typing as t
from operator import attrgetter

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import selector
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
    NoConfiguredPools,
    NoQualifiedPool,
    RequestedPool,
    SelectorError,
    UseRequired,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool

_NAME = attrgetter("name")
#: Spellings that select everything, told without the parser: nearly every pool has one of them.
_EVERYTHING = ("all()", "")

Labels = t.Mapping[str, str]

#: Annotations of pods and namespaces that ask for pools, by IP version.
POOL_ANNOTATIONS: t.Dict[int, str] = {4: "cni.projectcalico.org/ipv4pools", 6: "cni.projectcalico.org/ipv6pools"}


def choose_pools(
    pools: t.Iterable[Pool],
    version: int,
    node_labels: Labels,
    namespace_labels: t.Optional[Labels],
    use: str,
    requested: t.Optional[t.Sequence[Network]] = None,
    max_block_prefix: t.Optional[int] = None,
) -> t.List[Pool]:
    """The pools automatic assignment takes addresses of one IP version from, in order.

    ``requested`` are the CIDRs asked for (None or empty: nothing asked for); they are taken
    in the order given and neither selectors nor assignmentMode are looked at.
    ``max_block_prefix`` is the longest block prefix that leaves room for what the host
    reserves in each block; it decides whether any pool qualifies and which may be asked
    for, but is not a filter when nothing is asked for, as in Calico.

    Raises UseRequired, NoQualifiedPool, RequestedPool, NoConfiguredPools, and SelectorError
    when a selector that had to be looked at does not parse: one such pool fails every
    assignment that asks for no pool.
    """
    if not use:
        raise UseRequired("An intended use is needed to choose pools: Workload, Tunnel or LoadBalancer.")
    enabled = enabled_pools(pools, version)
    fitting = [pool for pool in enabled if max_block_prefix is None or pool.block_size <= max_block_prefix]
    if requested:
        for network in requested:
            if network.version != version:
                raise RequestedPool(
                    f"The requested pool {network} is IPv{network.version}, but an IPv{version} address is wanted.",
                    requested=str(network),
                )
    if not fitting:
        raise NoQualifiedPool(_none_qualifies(enabled, version, max_block_prefix), version=version)
    chosen = _requested(fitting, requested) if requested else _selecting(enabled, node_labels, namespace_labels)
    if not chosen:
        raise NoConfiguredPools(
            f"No enabled IPv{version} pool selects this node and namespace: none of "
            f"{_names(enabled)} is Automatic with selectors that match.",
            version=version,
        )
    allowing = [pool for pool in chosen if use in pool.allowed_uses]
    if not allowing:
        raise NoQualifiedPool(
            f"None of the pools {_names(chosen)} allows the use {use}: add it to allowedUses of one of them.",
            version=version,
            use=use,
        )
    return allowing


def enabled_pools(pools: t.Iterable[Pool], version: int) -> t.List[Pool]:
    """The pools of one IP version that IPAM may take new addresses from, by name."""
    return sorted([pool for pool in pools if pool.cidr.version == version and pool.enabled], key=_NAME)


def selects_node(pool: Pool, node_labels: Labels) -> bool:
    """Whether the nodeSelector matches; SelectorError naming the pool when it does not parse."""
    return _matches(pool, "nodeSelector", pool.node_selector, node_labels)


def selects_namespace(pool: Pool, namespace_labels: t.Optional[Labels]) -> bool:
    """Whether the namespaceSelector matches; no known namespace counts as one without labels."""
    return _matches(pool, "namespaceSelector", pool.namespace_selector, namespace_labels or {})


def why_not(
    pool: Pool,
    version: int,
    node_labels: Labels,
    namespace_labels: t.Optional[Labels],
    use: str,
    requested: t.Optional[t.Sequence[Network]] = None,
    max_block_prefix: t.Optional[int] = None,
) -> t.Optional[str]:
    """The first reason, as a sentence, why this pool is not among the chosen ones; None when it is.

    The pool is looked at by itself: other pools may still make the whole choice fail.
    """
    where = f"Pool {pool.name!r}"
    if pool.version != version:
        return f"{where} is an IPv{pool.version} pool, an IPv{version} address is wanted."
    if pool.terminating:
        return f"{where} is being deleted."
    if pool.disabled:
        return f"{where} is disabled."
    if not pool.allocatable:
        return f"{where} is not allocatable: its condition Allocatable is False."
    if requested:
        if pool.cidr not in requested:
            return f"{where} ({pool.cidr}) is not among the requested pools {_list(requested)}."
        if max_block_prefix is not None and pool.block_size > max_block_prefix:
            return f"{where} has blocks of /{pool.block_size}; the addresses a host reserves need /{max_block_prefix}."
    else:
        if pool.assignment_mode != "Automatic":
            return f"{where} has assignmentMode {pool.assignment_mode}: it is only used when asked for."
        try:
            if not selects_node(pool, node_labels):
                return f"{where} does not select the node: its nodeSelector is {pool.node_selector!r}."
            if not selects_namespace(pool, namespace_labels):
                return f"{where} does not select the namespace: its namespaceSelector is {pool.namespace_selector!r}."
        except SelectorError as error:
            return error.message
    if use not in pool.allowed_uses:
        return f"{where} does not allow the use {use}: its allowedUses are {', '.join(sorted(pool.allowed_uses))}."
    return None


def requested_networks(value: str, pools: t.Iterable[Pool], version: int, *, source: str) -> t.List[Network]:
    """The CIDRs asked for by an annotation or the CNI configuration (spec ippool.md §9.2).

    ``value`` is JSON: a list of pool names or CIDRs, looked up among all ``pools``;
    ``source`` says whose it is, for the message. ``[]`` and ``null`` ask for nothing.
    RequestedPool for anything Calico would fail the pod for.
    """
    try:
        entries = json.loads(value)
    except (ValueError, RecursionError):
        entries = False
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        shown = value if len(value) <= 120 else f"{value[:117]}..."
        raise RequestedPool(f'{source} must be a JSON list of pool names or CIDRs such as ["web"], not {shown!r}.')
    by_name = {pool.name: pool.cidr for pool in pools}
    networks: t.List[Network] = []
    for entry in entries:
        try:
            network = parse_network(entry, strict=False)
        except InvalidInput:
            if entry not in by_name:
                raise RequestedPool(
                    f"{source} asks for pool {entry!r}, which does not exist.", requested=entry
                ) from None
            network = by_name[entry]
        if network.version != version:
            raise RequestedPool(
                f"{source} asks for {entry!r}, which is IPv{network.version}; it takes IPv{version} pools.",
                requested=entry,
            )
        networks.append(network)
    return networks


def _requested(fitting: t.Sequence[Pool], requested: t.Sequence[Network]) -> t.List[Pool]:
    by_cidr: t.Dict[Network, Pool] = {}
    for pool in fitting:
        by_cidr.setdefault(pool.cidr, pool)
    missing = [network for network in requested if network not in by_cidr]
    if missing:
        raise RequestedPool(
            f"The requested pool {missing[0]} does not exist, or is not enabled.", requested=str(missing[0])
        )
    return [by_cidr[network] for network in requested]


def _selecting(enabled: t.Sequence[Pool], node_labels: Labels, namespace_labels: t.Optional[Labels]) -> t.List[Pool]:
    # Both selectors of every pool are parsed before any is left out: a broken one fails all.
    return [
        pool
        for pool in enabled
        if pool.assignment_mode == "Automatic"
        and all((selects_node(pool, node_labels), selects_namespace(pool, namespace_labels)))
    ]


def _matches(pool: Pool, field: str, text: str, labels: Labels) -> bool:
    if text in _EVERYTHING:
        return True
    try:
        return selector.parse(text).matches(labels)
    except SelectorError as error:
        detail = error.message.partition(" does not parse ")[2]
        raise SelectorError(
            f"The {field} {text!r} of pool {pool.name!r} does not parse {detail}", text, error.position, field
        ) from None


def _none_qualifies(enabled: t.Sequence[Pool], version: int, max_block_prefix: t.Optional[int]) -> str:
    if not enabled:
        return f"There is no enabled IPv{version} pool."
    return (
        f"No enabled IPv{version} pool has blocks large enough for the addresses the host reserves: "
        f"blockSize must be {max_block_prefix} or less, but {_names(enabled)} have more."
    )


def _names(pools: t.Iterable[Pool]) -> str:
    return ", ".join(repr(pool.name) for pool in pools)


def _list(networks: t.Iterable[Network]) -> str:
    return ", ".join(str(network) for network in networks)
