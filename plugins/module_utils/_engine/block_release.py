# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.


"""Giving addresses of one block back (spec ipam-engine.md §5.6 and §5.7)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Attribute,
    Block,
    clean_up,
    cut_handle,
    ordinals_of_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import BadHandle, BadSequenceNumber
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time


@dataclass(frozen=True)
class ReleaseRequest:
    """Give back one address; a stated handle or sequence number must be the stored one."""

    address: Address
    handle_id: t.Optional[str] = None
    sequence: t.Optional[int] = None


@dataclass(frozen=True)
class Released:
    """A block after a release. ``counts``: per handle how many addresses it lost."""

    block: Block
    not_allocated: t.Tuple[Address, ...] = ()
    counts: t.Mapping[str, int] = field(default_factory=dict)
    ordinals: t.Tuple[int, ...] = ()


def release_addresses(block: Block, requests: t.Iterable[ReleaseRequest], now: datetime, cooldown: int) -> Released:
    """Release by address (§5.6): all of the requests or, on any error, none.

    Raises BadSequenceNumber or BadHandle when a request's idea of an allocation is stale.
    """
    wanted = {block.cidr.ordinal(request.address): request for request in requests}
    missing: t.List[Address] = []
    ordinals: t.List[int] = []
    counts: t.Dict[str, int] = {}
    for ordinal in sorted(wanted):
        request = wanted[ordinal]
        stored = block.sequences.get(ordinal, 0)
        if request.sequence is not None and request.sequence != stored:
            raise BadSequenceNumber(
                f"Address {request.address} was handed out anew: its sequence number is {stored}, not "
                f"{request.sequence}.",
                address=str(request.address),
            )
        attribute = block.attribute_at(ordinal)
        if attribute is None or attribute.released_at is not None:
            missing.append(request.address)
            continue
        handle = cut_handle(attribute.handle_id)
        if request.handle_id is not None and cut_handle(request.handle_id) != handle:
            raise BadHandle(
                f"Address {request.address} belongs to handle {handle!r}, not {request.handle_id!r}.",
                address=str(request.address),
            )
        if handle:
            counts[handle] = counts.get(handle, 0) + 1
        ordinals.append(ordinal)
    if not ordinals:
        return Released(block, tuple(missing))
    sequences = dict(block.sequences)
    for ordinal in ordinals:
        sequences[ordinal] = block.sequence
    after = _cooling(block, ordinals, now, cooldown, sequences)
    return Released(after, tuple(missing), counts, tuple(ordinals))


def release_handle(
    block: Block, handle_id: str, now: datetime, cooldown: int, sequence: t.Optional[int] = None
) -> Released:
    """Release every address of a handle (§5.7); with ``sequence``, only those recorded under that number."""
    ordinals = [
        ordinal
        for ordinal in ordinals_of_handle(block, handle_id)
        if sequence is None or block.sequences.get(ordinal, 0) == sequence
    ]
    if not ordinals:
        return Released(block)
    after = _cooling(block, ordinals, now, cooldown, block.sequences)
    return Released(after, (), {handle_id: len(ordinals)}, tuple(ordinals))


def _cooling(
    block: Block, ordinals: t.Iterable[int], now: datetime, cooldown: int, sequences: t.Mapping[int, int]
) -> Block:
    index = len(block.attributes)
    allocations: t.List[t.Optional[int]] = list(block.allocations)
    for ordinal in ordinals:
        allocations[ordinal] = index
    cooling = replace(
        block,
        allocations=tuple(allocations),
        attributes=(*block.attributes, Attribute(released_at=format_time(now))),
        sequences=sequences,
    )
    # Without a cooldown the addresses are free again within the same write.
    return clean_up(cooling, now, cooldown if cooldown > 0 else -1)
