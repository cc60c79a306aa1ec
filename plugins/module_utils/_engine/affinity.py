# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Affinity rows: which host owns which block, and how ownership is taken and given back.

A block and its row are two records, so every change is a sequence of writes that any
crash may cut; the next visitor heals what is left. Rules: spec ipam-engine.md §7.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import Access
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Block,
    HostReserved,
    is_empty,
    new_block,
    owner_text,
    without_owner,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    Stored,
    StoreError,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    BadSequenceNumber,
    BlockNotEmpty,
    ClaimConflict,
    StaleAffinity,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time, nanoseconds

PENDING = "pending"
CONFIRMED = "confirmed"
PENDING_DELETION = "pendingDeletion"
HOST = "host"
VIRTUAL = "virtual"


@dataclass(frozen=True)
class Affinity:
    """``state`` is pending, confirmed or pendingDeletion; ``""`` in old rows means confirmed."""

    host: str
    type: str
    cidr: Network
    state: str
    deleted: bool = False

    @property
    def owner(self) -> str:
        """How the block names this owner."""
        return owner_text(self.type, self.host)

    @property
    def confirmed(self) -> bool:
        return self.state in (CONFIRMED, "")


def pending_affinity(access: Access, host: str, affinity_type: str, cidr: Network) -> Stored[Affinity]:
    """The host's row for a block, created or set back to pending unless it is confirmed (§7.2 step 1)."""
    row = Affinity(host, affinity_type, cidr, PENDING)
    try:
        return access.datastore.create_affinity(row)
    except AlreadyInStore:
        pass
    try:
        stored = access.datastore.get_affinity(host, affinity_type, cidr)
    except NotFoundInStore:
        raise UpdateConflict(f"The affinity of {host} to {cidr} went away while it was being claimed.") from None
    if stored.value.state == CONFIRMED:
        return stored
    return access.datastore.update_affinity(stored, replace(stored.value, state=PENDING))


def create_owned_block(
    access: Access, row: Stored[Affinity], reserved: t.Optional[HostReserved] = None
) -> Stored[Block]:
    """Create the block a row names and confirm the row (§7.2 steps 2 and 3).

    ClaimConflict, with the row deleted, when the block exists under another owner or none.
    """
    affinity = row.value
    now = access.now()
    block = new_block(affinity.cidr, nanoseconds(now), affinity.owner, format_time(now), reserved)
    try:
        stored = access.datastore.create_block(block)
    except AlreadyInStore:
        stored = access.load(affinity.cidr)
        if stored.value.affinity != affinity.owner:
            _drop_row(access, row)
            raise ClaimConflict(
                f"Block {affinity.cidr} belongs to {stored.value.affinity or 'nobody'}, not to {affinity.owner}.",
                block=str(affinity.cidr),
            ) from None
    confirm_affinity(access, row)
    return stored


def claim_block(
    access: Access, host: str, affinity_type: str, cidr: Network, reserved: t.Optional[HostReserved] = None
) -> Stored[Block]:
    """Make the host own a block that should not exist yet (§7.2). ClaimConflict when someone else owns it."""
    return create_owned_block(access, pending_affinity(access, host, affinity_type, cidr), reserved)


def resolve_affinity(access: Access, row: Stored[Affinity], reserved: t.Optional[HostReserved] = None) -> Stored[Block]:
    """The block a row stands for, after healing what a crash left (§7.3).

    StaleAffinity, with the row deleted, when the block belongs to someone else.
    """
    affinity = row.value
    datastore = access.datastore
    try:
        stored = access.load(affinity.cidr)
    except NotFoundInStore:
        row = datastore.update_affinity(row, replace(affinity, state=PENDING))
        return create_owned_block(access, row, reserved)
    if stored.value.affinity != affinity.owner:
        _drop_row(access, row)
        raise StaleAffinity(
            f"Block {affinity.cidr} belongs to {stored.value.affinity or 'nobody'}, not to {affinity.owner}.",
            block=str(affinity.cidr),
        )
    if affinity.confirmed:
        return stored
    row = datastore.update_affinity(row, replace(affinity, state=PENDING))
    # The new sequence number makes whoever is deleting the block lose its compare-and-swap.
    stored = access.write(stored, stored.value)
    confirm_affinity(access, row)
    return stored


def confirm_affinity(access: Access, row: Stored[Affinity]) -> None:
    """Set a row to confirmed; fine when another process of the host did so first (§7.2 step 3)."""
    affinity = row.value
    try:
        access.datastore.update_affinity(row, replace(affinity, state=CONFIRMED))
    except StoreError:
        current = access.datastore.get_affinity(affinity.host, affinity.type, affinity.cidr)
        if current.value.state != CONFIRMED:
            raise


def release_block_affinity(
    access: Access,
    host: str,
    affinity_type: str,
    cidr: Network,
    *,
    must_be_empty: bool,
    sequence: t.Optional[int] = None,
) -> None:
    """Take a block away from its owner: delete it when empty, else leave it ownerless (§7.4).

    NotFoundInStore when the row or the block is missing (the row stays), BadSequenceNumber
    when the block is not at ``sequence`` any more, ClaimConflict (row deleted) when someone
    else owns it, BlockNotEmpty when ``must_be_empty`` and it is not, UpdateConflict when a
    compare-and-swap was lost: the caller retries the whole procedure.
    """
    datastore = access.datastore
    row = datastore.get_affinity(host, affinity_type, cidr)
    stored = access.load(cidr)
    block = stored.value
    if sequence is not None and block.sequence != sequence:
        raise BadSequenceNumber(f"Block {cidr} changed: it is at {block.sequence}, not {sequence}.", block=str(cidr))
    if block.affinity is not None and block.affinity != row.value.owner:
        _drop_row(access, row)
        raise ClaimConflict(f"Block {cidr} belongs to {block.affinity}, not to {row.value.owner}.", block=str(cidr))
    empty = is_empty(block)
    if must_be_empty and not empty:
        raise BlockNotEmpty(f"Block {cidr} still has addresses in use.", block=str(cidr))
    row = datastore.update_affinity(row, replace(row.value, state=PENDING_DELETION))
    if empty:
        with contextlib.suppress(NotFoundInStore):
            datastore.delete_block(stored)
    else:
        access.write(stored, without_owner(block))
    with contextlib.suppress(NotFoundInStore):
        datastore.delete_affinity(row)


def _drop_row(access: Access, row: Stored[Affinity]) -> None:
    """Delete a row that contradicts its block; failing to is left to the next visitor."""
    with contextlib.suppress(StoreError):
        access.datastore.delete_affinity(row)
