# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the IPAM data: is what is stored in order, is nothing in the way."""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_blocks import overlapping
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import RECREATE, RESIZE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation, Wanted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import BlockFact

# Objects listed with one finding.
LISTED = 20


def leftover_blocks(now: Situation) -> t.Iterator[Problem]:
    """B06, B07, A15 and V25: blocks or affinities of another size where a pool is to be created."""
    for pool in _to_create(now):
        if pool.pool is None:
            continue
        cidr, size = pool.pool.cidr, pool.pool.block_size
        blocks = [block for block in now.view.blocks if block.cidr.overlaps(cidr) and block.cidr.prefix != size]
        rows = [row for row in now.view.affinities if row.cidr.overlaps(cidr) and row.cidr.prefix != size]
        if blocks:
            used = sum(block.in_use for block in blocks)
            kinds = Counter(each.holder.kind for block in blocks for each in block.allocations)
            by_kind = ", ".join(f"{count} by {kind}" for kind, count in sorted(kinds.items()))
            held = f" ({by_kind})" if by_kind else ""
            yield Problem(
                BLOCKER,
                f"{counted(len(blocks), 'block')} of another size than /{size} in {cidr} of {pool.role} "
                f"{pool.name!r}, with "
                f"{counted(used, 'address', 'addresses')} in use{held}: Calico refuses the pool as long as they are "
                "there.",
                "Move their holders, or choose another CIDR.",
                listed(
                    [
                        *(f"IPAMBlock {block.cidr}" for block in blocks),
                        *(f"{each.address} {each.holder}" for block in blocks for each in block.allocations),
                    ]
                ),
            )
        if rows:
            yield Problem(
                BLOCKER,
                f"{counted(len(rows), 'block affinity', 'block affinities')} of another size than /{size} in {cidr} "
                f"of {pool.role} {pool.name!r}:"
                " the nodes would make blocks of the old size again.",
                "Clean the range when nobody has an address of it any more (ipam_range with its cidr), or choose "
                "another CIDR.",
                listed(f"BlockAffinity {row.host} {row.cidr}" for row in rows),
            )


def _to_create(now: Situation) -> list[Wanted]:
    # The pool with its new size is created after its own blocks are gone, so only then are those leftovers.
    resizing = now.request.procedure == RESIZE and now.phase != RECREATE
    return [pool for pool in now.wanted if pool.is_new and not (resizing and pool is not now.target)]


def ipam_consistent(now: Situation) -> t.Iterator[Problem]:
    """B32, and the block sizes of B06."""
    view = now.view
    if view.damaged:
        yield Problem(
            BLOCKER,
            f"{len(view.damaged)} IPAM records have no CIDR that makes sense, first {view.damaged[0]}; nobody can say "
            "which pool they belong to.",
            "Look at them with kubectl get -o yaml; repair or remove them first.",
            tuple(view.damaged),
        )
    ranges = [pool.pool.cidr for pool in (*now.leaving(), *now.wanted) if pool.pool is not None]
    blocks = sorted(view.blocks, key=lambda b: _order(b.cidr))
    pairs = overlapping(blocks, lambda block: block.cidr)
    yield from _overlaps([pair for pair in pairs if _inside(pair[0].cidr, ranges)], BLOCKER)
    yield from _overlaps([pair for pair in pairs if not _inside(pair[0].cidr, ranges)], WARNING)
    for pool in engine_pools(view.pools):
        concerned = any(pool.cidr.overlaps(network) for network in ranges)
        yield from _wrong_sizes(now, pool, blocks, BLOCKER if concerned else WARNING)
    blocks = [block for block in blocks if _inside(block.cidr, ranges)]
    rows = [row for row in view.affinities if _inside(row.cidr, ranges)]
    confirmed: dict[Network, list[str]] = {}
    for row in rows:
        if row.confirmed:
            confirmed.setdefault(row.cidr, []).append(row.host)
    twice = {cidr: hosts for cidr, hosts in confirmed.items() if len(hosts) > 1}
    if twice:
        yield Problem(
            BLOCKER,
            f"{counted(len(twice), 'block is', 'blocks are')} claimed by more than one node.",
            "Look with the playbook calico_ops.ipam.audit at what is wrong, and repair it first.",
            listed(f"{cidr} by {', '.join(sorted(hosts))}" for cidr, hosts in twice.items()),
        )
    owners = {block.cidr: block.owner for block in blocks}
    foreign = [
        f"BlockAffinity {row.host} {row.cidr} ({owners[row.cidr] or 'no owner'})"
        for row in rows
        if row.confirmed and row.cidr in owners and owners[row.cidr] != f"{row.kind}:{row.host}"
    ]
    if foreign:
        yield Problem(
            BLOCKER,
            f"{counted(len(foreign), 'confirmed block affinity names', 'confirmed block affinities name')} another "
            "node than the block itself does.",
            "Look with the playbook calico_ops.ipam.audit at what is wrong, and repair it first.",
            listed(foreign),
        )
    orphans = [f"BlockAffinity {row.host} {row.cidr}" for row in rows if row.cidr not in owners]
    if orphans:
        yield Problem(
            WARNING,
            f"{counted(len(orphans), 'block affinity without a block is', 'block affinities without a block are')} "
            "deleted together with the pool.",
            "Nothing to do for this procedure.",
            listed(orphans),
        )


def _overlaps(pairs: t.Sequence[tuple[BlockFact, BlockFact]], severity: str) -> t.Iterator[Problem]:
    covered = [f"IPAMBlock {second.cidr} over {first.cidr}" for first, second in pairs]
    if covered:
        yield Problem(
            severity,
            f"{counted(len(covered), 'block overlaps', 'blocks overlap')} others, first {covered[0]}, so one address "
            "may be given to two pods.",
            "Look with the playbook calico_ops.ipam.audit at what is wrong, and repair it first; a "
            "migration would spread the damage.",
            listed(covered),
        )


def _wrong_sizes(now: Situation, pool: Pool, blocks: t.Sequence[BlockFact], severity: str) -> t.Iterator[Problem]:
    """B06 for blocks, A15 for affinities: a node makes the block anew from what its affinity says."""
    wrong = [f"IPAMBlock {b.cidr}" for b in blocks if b.cidr.overlaps(pool.cidr) and b.cidr.prefix != pool.block_size]
    if wrong:
        yield Problem(
            severity,
            f"{counted(len(wrong), 'block')} in pool {pool.name!r} should be /{pool.block_size} as the pool says, so "
            "its block "
            "size was edited in place or an earlier change was not finished.",
            "Move what has addresses of these blocks, and let Calico take the empty ones away first; the playbook "
            "calico_ops.ipam.audit shows who has them.",
            listed(wrong),
        )
    said = {block.cidr for block in blocks}
    rows = [
        f"BlockAffinity {row.host} {row.cidr}"
        for row in now.view.affinities
        if row.cidr.overlaps(pool.cidr) and row.cidr.prefix != pool.block_size and row.cidr not in said
    ]
    if rows:
        yield Problem(
            severity,
            f"{counted(len(rows), 'block affinity', 'block affinities')} in pool {pool.name!r} should be "
            f"/{pool.block_size} as the pool says: their "
            "nodes would make blocks of another size, over those that are there.",
            "Delete these BlockAffinity objects with kubectl; no block belongs to them.",
            listed(rows),
        )


def handles_consistent(now: Situation) -> t.Iterator[Problem]:
    """B32: each handle has an allocation. Pods that come or go in this moment can look like it, so it is a warning."""
    ranges = [pool.pool.cidr for pool in now.leaving() if pool.pool is not None]
    if not ranges:
        return
    held = Counter((each.holder.handle, str(block.cidr)) for block in now.view.blocks for each in block.allocations)
    wrong = []
    for handle in now.view.calico.handles:
        for text, count in handle.counts:
            # Addresses that cool down have left their handle already.
            if count > held[handle.handle, text] and _text_inside(text, ranges):
                wrong.append(f"IPAMHandle {handle.handle} ({held[handle.handle, text]} of {count} in {text})")
    if wrong:
        yield Problem(
            WARNING,
            f"{counted(len(wrong), 'handle counts', 'handles count')} more addresses than blocks hold for them, "
            f"first {wrong[0]}.",
            "Look again in a minute; those that remain ipam_audit_info explains.",
            listed(wrong),
        )


def _text_inside(text: str, ranges: t.Iterable[Network]) -> bool:
    try:
        return _inside(parse_network(text, strict=False), ranges)
    except InvalidInput:
        return False


def _inside(cidr: Network, ranges: t.Iterable[Network]) -> bool:
    return any(network.overlaps(cidr) for network in ranges)


def _order(cidr: Network) -> tuple[int, int, int]:
    return (cidr.version, cidr.value, cidr.prefix)


def listed(names: t.Iterable[str]) -> tuple[str, ...]:
    everything = tuple(names)
    more = len(everything) - LISTED
    return everything if more <= 0 else (*everything[:LISTED], f"and {more} more")


CHECKS = (
    Check(
        "leftover-blocks",
        "no block of another size is in the way",
        ("B06", "B07", "B08", "A15"),
        leftover_blocks,
        False,
        True,
    ),
    Check("ipam-consistent", "the IPAM data are in order", ("B32", "B06", "A15"), ipam_consistent, True, True),
    Check("handles-consistent", "handles and blocks agree", ("B32",), handles_consistent, worst=WARNING),
)
