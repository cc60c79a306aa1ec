# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Handles: under which name addresses were requested, and in which blocks they may lie.

A count is an upper bound, raised before the block is written and lowered after it
(spec ipam-engine.md §6).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    AlreadyInStore,
    Datastore,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import HandleLimit


@dataclass(frozen=True)
class Handle:
    """``blocks``: per block the most addresses that may be in use under this handle."""

    id: str
    blocks: t.Mapping[Network, int] = field(default_factory=dict)
    deleted: bool = False


def increment_handle(
    datastore: Datastore, handle_id: str, block: Network, count: int, maximum: t.Optional[int] = None
) -> None:
    """Add ``count`` to the handle's number for ``block``, creating the handle if need be.

    HandleLimit when the family's counts would pass ``maximum``; UpdateConflict when the
    compare-and-swap is lost over and over.
    """
    for _attempt in range(RETRIES):
        try:
            try:
                stored = datastore.get_handle(handle_id)
            except NotFoundInStore:
                _check_maximum(handle_id, 0, count, maximum)
                datastore.create_handle(Handle(handle_id, {block: count}))
                return
            blocks = dict(stored.value.blocks)
            _check_maximum(handle_id, _family_count(blocks, block.version), count, maximum)
            blocks[block] = blocks.get(block, 0) + count
            datastore.update_handle(stored, replace(stored.value, blocks=blocks))
            return
        except (UpdateConflict, AlreadyInStore, NotFoundInStore):
            continue
    raise UpdateConflict(f"Handle {handle_id} kept changing: gave up after {RETRIES} attempts.", handle=handle_id)


def decrement_handle(datastore: Datastore, handle_id: str, block: Network, count: int) -> t.Optional[str]:
    """Take ``count`` off the handle's number for ``block``; an empty handle is deleted.

    Returns None, or the reason why nothing was written: as in Calico a failure here must
    not fail the release it belongs to.
    """
    for _attempt in range(RETRIES):
        try:
            stored = datastore.get_handle(handle_id)
            blocks = dict(stored.value.blocks)
            known = blocks.get(block)
            if known is None:
                return f"Handle {handle_id} has no count for block {block}."
            if known < count:
                return f"Handle {handle_id} counts only {known} in block {block}, not {count}."
            if known == count:
                del blocks[block]
            else:
                blocks[block] = known - count
            if blocks:
                datastore.update_handle(stored, replace(stored.value, blocks=blocks))
            else:
                datastore.delete_handle(stored)
            return None
        except UpdateConflict:
            continue
        except NotFoundInStore:
            return f"Handle {handle_id} does not exist."
    return f"Handle {handle_id} kept changing: gave up after {RETRIES} attempts."


def _family_count(blocks: t.Mapping[Network, int], version: int) -> int:
    return sum(count for network, count in blocks.items() if network.version == version)


def _check_maximum(handle_id: str, known: int, count: int, maximum: t.Optional[int]) -> None:
    if maximum is not None and maximum > 0 and known + count > maximum:
        raise HandleLimit(
            f"Handle {handle_id} may hold {maximum} address(es) per family and counts {known} already.",
            handle=handle_id,
        )
