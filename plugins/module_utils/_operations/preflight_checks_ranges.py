# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of address ranges: do the pools overlap anything, are they where the cluster expects pods."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import (
    pod_ranges,
    service_ranges,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import (
    OVERLAP_RULE,
    new_ranges,
    rule_errors,
    to_write,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    Wanted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.temporary_cidr import propose_temporary_cidr


def pool_overlap(now: Situation) -> t.Iterator[Problem]:
    """B09: other pools and the nodes' own addresses."""
    for pool in to_write(now):
        if pool.live is None:
            for error in rule_errors(now, pool):
                if error.rule == OVERLAP_RULE:
                    yield Problem(BLOCKER, error.message, "Choose a free range.", (f"IPPool {pool.name}",), False)
        if pool.pool is None:
            continue
        inside = [
            f"Node {node['metadata']['name']}"
            for node in now.view.nodes
            if any(pool.pool.cidr.contains(address) for address in _node_addresses(node))
        ]
        if inside and pool.is_new:
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} ({pool.pool.cidr}) contains the addresses of {len(inside)} nodes, which pods "
                "would be given too.",
                "Choose a range without node addresses.",
                tuple(inside),
            )


def service_cidr(now: Situation) -> t.Iterator[Problem]:
    """B09: the Service range."""
    for pool in new_ranges(now):
        for ranges in service_ranges(now.view):
            hit = [network for network in ranges.networks if pool.pool is not None and network.overlaps(pool.pool.cidr)]
            if hit and pool.pool is not None:
                yield Problem(
                    BLOCKER,
                    f"Pool {pool.name!r} ({pool.pool.cidr}) overlaps the Service range {hit[0]} ({ranges.source}).",
                    "Choose a range outside it.",
                    (f"IPPool {pool.name}",),
                )
                break


def pool_inside_cluster_cidr(now: Situation) -> t.Iterator[Problem]:
    """B23 and B24, by the first source of spec ippool.md §7.4 that names this IP version; B46."""
    severity = WARNING if now.request.procedure == DECLARE or now.view.ebpf else BLOCKER
    masquerade = (
        "the eBPF data plane goes by the pools and not by that range, but other parts of the cluster may not."
        if now.view.ebpf
        else "kube-proxy may masquerade its traffic, and policies by pod then deny it."
    )
    sources = list(pod_ranges(now.view))
    for pool in new_ranges(now):
        if pool.pool is None or "LoadBalancer" in pool.pool.allowed_uses:
            continue
        cidr = pool.pool.cidr
        named = [ranges for ranges in sources if any(network.version == cidr.version for network in ranges.networks)]
        if not named:
            yield Problem(
                NOTE,
                f"Nothing in the cluster names its IPv{cidr.version} pod range, so whether pool {pool.name!r} ({cidr}) "
                "lies inside it could not be checked.",
            )
        elif not any(network.contains(cidr) for network in named[0].networks):
            ranges = ", ".join(str(network) for network in named[0].networks if network.version == cidr.version)
            yield Problem(
                severity,
                f"Pool {pool.name!r} ({cidr}) is not inside the cluster's pod range {ranges} ({named[0].source}): "
                f"{masquerade}",
                _inside_remedy(now, pool),
                (f"IPPool {pool.name}",),
            )


def _inside_remedy(now: Situation, pool: Wanted) -> str:
    proposal = propose_temporary_cidr(now) if now.target is pool else None
    free = f" such as {proposal.cidr}" if proposal is not None else ""
    return f"Choose a range inside it{free}, or widen the pod range first and restart kube-proxy."


def _node_addresses(node: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
    for entry in (node.get("status") or {}).get("addresses") or []:
        try:
            yield parse_address(entry.get("address"))
        except InvalidInput:
            continue


CHECKS = (
    Check("pool-overlap", "the pools overlap nothing", ("B09",), pool_overlap),
    Check("service-cidr", "the pools lie outside the Service range", ("B09",), service_cidr),
    Check(
        "pool-inside-cluster-cidr",
        "the pools lie inside the pod range",
        ("B23", "B24", "B46"),
        pool_inside_cluster_cidr,
    ),
)
