# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""An audit in numbers: ours, and those of ``calicoctl ipam check`` for the same data (spec ipam-engine.md §19)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import CERTAINTIES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import ClusterFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    CALICOCTL_CHECKS,
    SEVERITIES,
    Finding,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_pass import AddressPass, Row
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import Allocation, BlockRow
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network


class Audited(t.NamedTuple):
    """What was collected: the blocks, how many rows and handles, the allocations by family and address."""

    blocks: t.Sequence[BlockRow]
    affinities: int
    handles: int
    held: t.Mapping[int, t.Mapping[int, Allocation]]
    within: t.Optional[Network]


def summary_of(audited: Audited, facts: ClusterFacts, findings: t.Sequence[Finding], addresses: AddressPass) -> Row:
    """Findings, addresses, blocks and pools in numbers."""
    rows = audited.blocks
    pools: t.Dict[str, Row] = {
        pool.name: {
            "name": pool.name,
            "cidr": str(pool.cidr),
            "enabled": pool.enabled,
            "block_size": pool.block_size,
            "blocks": 0,
            "blocks_possible": pool.block_count,
            "in_use": 0,
            "free": 0,
        }
        for pool in facts.pools
        if audited.within is None or audited.within.overlaps(pool.cidr)
    }
    strays = 0
    for row in rows:
        pool = facts.pool_over(row.cidr)
        entry = pools.get(pool.name) if pool is not None else None
        if entry is None:
            strays += 1
            continue
        entry["blocks"] += 1
        entry["in_use"] += row.taken
        entry["free"] += row.free
    return {
        **counted(findings),
        "addresses": {
            "allocated": addresses.total,
            "kinds": dict(sorted(addresses.kinds.items())),
            "leaked": {
                level: sum(1 for each in addresses.leaked if each["certainty"] == level) for level in CERTAINTIES
            },
            "borrowed": sum(row.borrowed for row in rows),
            "free": sum(row.free for row in rows),
        },
        "blocks": {
            "total": len(rows),
            "empty": sum(1 for row in rows if row.empty),
            "ownerless": sum(1 for row in rows if not row.owner),
            "strays": strays,
        },
        "affinities": audited.affinities,
        "handles": audited.handles,
        "pools": list(pools.values()),
    }


def calicoctl_of(audited: Audited, facts: ClusterFacts, findings: t.Sequence[Finding], addresses: AddressPass) -> Row:
    """What ``calicoctl ipam check`` would count: §19, its rules and not ours."""
    outside = inside = 0
    for key in addresses.judge.in_use_for_calicoctl:
        if key[1] in audited.held[key[0]] or (
            audited.within is not None and not audited.within.contains(Address(*key))
        ):
            continue
        if any(not pool.disabled and pool.cidr.contains(Address(*key)) for pool in facts.pools):
            inside += 1
        else:
            outside += 1
    handles = sum(1 for each in findings if each.check == "handle-without-address")
    invalid = sum(1 for each in findings if each.check == "invalid-block" and each.data["calicoctl"])
    return {
        "leaked": addresses.calicoctl,
        "in_use_outside_pools": outside,
        "in_use_not_allocated": inside,
        "handles_without_addresses": handles,
        "invalid_blocks": invalid,
        "problems": addresses.calicoctl + outside + inside + handles + invalid,
        "wrongly_leaked": [f"leaked-address/{row['address']}" for row in addresses.kept],
        "not_checked": sorted({each.check for each in findings} - CALICOCTL_CHECKS),
    }


def counted(findings: t.Sequence[Finding]) -> Row:
    """How many findings there are of each check and of each severity."""
    checks: t.Dict[str, int] = {}
    for finding in findings:
        checks[finding.check] = checks.get(finding.check, 0) + 1
    return {
        "findings": checks,
        "severities": {level: sum(1 for each in findings if each.severity == level) for level in SEVERITIES},
    }
