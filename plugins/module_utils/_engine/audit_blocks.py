# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is wrong with blocks: each by itself, against its pool, and against each other (spec ipam-engine.md §21)."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import ClusterFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    BLOCK,
    ERROR,
    NOTE,
    SEVERITIES,
    WARNING,
    Finding,
    delete_command,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import BlockRow
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import parse_time

T = t.TypeVar("T")

# The collector looks every few minutes (§18); this is on top of the cooldown.
_OVERDUE = timedelta(minutes=20)

_REPAIR = "Find its holders with calico_ops.ipam.ipam_block_info, move them away, remove the block once it is empty."


def block_findings(blocks: t.Iterable[BlockRow], facts: ClusterFacts) -> t.Iterator[Finding]:
    """Everything but who holds the addresses."""
    ordered = sorted(blocks, key=lambda row: (row.cidr, row.name))
    for row in ordered:
        yield from _one(row, facts)
    yield from _together(ordered)


def _one(row: BlockRow, facts: ClusterFacts) -> t.Iterator[Finding]:
    objects, rests = (f"{BLOCK} {row.name}",), ((BLOCK, row.name),)
    if row.faults:
        worst = min(row.faults, key=lambda fault: SEVERITIES.index(fault.severity))
        more = f" ({len(row.faults) - 1} more faults)" if len(row.faults) > 1 else ""
        yield Finding(
            "invalid-block",
            row.text,
            worst.severity,
            f"Block {row.text} contradicts itself: {worst.text}{more}.",
            objects,
            "Keep a copy of the block; Calico repairs little of this by itself, so move its pods away and remove it.",
            {"faults": [fault.text for fault in row.faults], "calicoctl": any(fault.calicoctl for fault in row.faults)},
            rests,
        )
    if row.deleted:
        yield Finding(
            "unfinished-delete",
            f"{BLOCK}/{row.name}",
            WARNING,
            f"The deletion of block {row.text} was begun and not finished; Calico still takes its place for used.",
            objects,
            f"Finish it: {delete_command(BLOCK, row.name)}",
            {"kind": BLOCK, "name": row.name},
            rests,
        )
        return
    pool = facts.pool_over(row.cidr)
    if pool is None:
        yield Finding(
            "stray-block",
            row.text,
            WARNING,
            f"Block {row.text} lies in no pool; {row.taken} of its addresses are not free.",
            objects,
            f"Restart its pods, or create the pool again; then calico_ops.ipam.ipam_range with cidr {row.text}."
            if row.taken
            else f"Clean the range: calico_ops.ipam.ipam_range with cidr {row.text}.",
            {"in_use": row.taken, "owner": row.affinity or None},
            rests,
        )
    elif row.cidr.prefix != pool.block_size:
        yield Finding(
            "block-size",
            row.text,
            ERROR,
            f"Block {row.text} lies in pool {pool.name}, whose blocks are /{pool.block_size}: Calico addresses the "
            "wrong record and may hand out an address twice.",
            (*objects, f"IPPool {pool.name}"),
            _REPAIR,
            {"pool": pool.name, "block_size": pool.block_size},
            rests,
        )
    if not row.owner and row.taken == 0:
        yield Finding(
            "ownerless-block",
            row.text,
            NOTE if facts.cooldown else WARNING,
            f"Block {row.text} is empty and has no owner, so no node can claim that range.",
            objects,
            f"When it is still there in the next audit: {delete_command(BLOCK, row.name)}",
            {},
            rests,
        )
    if row.oldest_release and parse_time(row.oldest_release) + timedelta(seconds=facts.cooldown) + _OVERDUE < facts.now:
        yield Finding(
            "overdue-cooling",
            row.text,
            NOTE,
            f"{row.cooling} addresses of block {row.text} are still marked as cooling, the oldest since "
            f"{row.oldest_release}.",
            objects,
            "Nothing, as long as calico-kube-controllers runs: the next write of the block frees them.",
            {"cooling": row.cooling, "oldest": row.oldest_release},
            rests,
        )


def overlapping(ordered: t.Iterable[T], cidr_of: t.Callable[[T], Network]) -> t.Iterator[t.Tuple[T, T]]:
    """Pairs of which the first covers the second; ``ordered`` by address, larger ones first."""
    outer: t.Optional[T] = None
    for each in ordered:
        if outer is not None and cidr_of(outer).overlaps(cidr_of(each)):
            yield outer, each
        else:
            outer = each


def _together(ordered: t.Sequence[BlockRow]) -> t.Iterator[Finding]:
    """Blocks that cover each other; ``ordered`` by address, larger ones first."""
    for outer, row in overlapping(ordered, lambda block: block.cidr):
        same = outer.cidr == row.cidr
        yield Finding(
            "duplicate-block" if same else "overlapping-blocks",
            row.name if same else f"{row.text}-in-{outer.text}",
            ERROR,
            f"{BLOCK} {outer.name} and {row.name} have the same CIDR {row.text}."
            if same
            else f"Block {row.text} lies inside block {outer.text}: an address may be given to two pods.",
            (f"{BLOCK} {outer.name}", f"{BLOCK} {row.name}"),
            _REPAIR,
            {"blocks": [outer.text, row.text]},
            ((BLOCK, outer.name), (BLOCK, row.name)),
        )
