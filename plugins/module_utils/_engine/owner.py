# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who uses an address while a virtual machine moves between nodes (spec ipam-engine.md §16).

An address has an active owner (``secondary``) and, during a live migration, an alternate
one. Both are described by attributes; this changes either or both in one compare-and-swap.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block, cut_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    RETRIES,
    Datastore,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import pool_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock

Attributes = t.Mapping[str, str]


@dataclass(frozen=True)
class OwnerChange:
    """What becomes of one owner: ``attributes`` to set, or ``clear``; neither leaves it alone.

    ``expected`` (namespace, pod) or ``must_be_empty`` must hold for what is stored before.
    """

    attributes: t.Optional[Attributes] = None
    clear: bool = False
    expected: t.Optional[t.Tuple[str, str]] = None
    must_be_empty: bool = False

    @property
    def changes(self) -> bool:
        return self.clear or self.attributes is not None


def set_owner_attributes(
    datastore: Datastore,
    address: Address,
    handle_id: str,
    *,
    now: Clock,
    active: t.Optional[OwnerChange] = None,
    alternate: t.Optional[OwnerChange] = None,
) -> None:
    """Change the owners of one address; every address that shares the attribute changes with it.

    NotFoundInStore when it is free or in no enabled pool, UpdateConflict when the handle is
    another or a precondition does not hold, InvalidInput for contradictory wishes.
    """
    wanted = {"active": active or OwnerChange(), "alternate": alternate or OwnerChange()}
    for name, change in wanted.items():
        _check_change(name, change)
    pool = pool_of((pool for pool in datastore.pools() if pool.enabled), address)
    if pool is None:
        raise NotFoundInStore(f"Address {address} lies in no enabled pool.", address=str(address))
    access = access_to(datastore, now)
    for _attempt in range(RETRIES):
        stored = access.load(address.network(pool.block_size))
        block = _changed(stored.value, address, handle_id, wanted["active"], wanted["alternate"])
        try:
            access.write(stored, block)
        except UpdateConflict:
            continue
        return
    raise UpdateConflict(f"The block of {address} kept changing: gave up after {RETRIES} attempts.")


def _check_change(name: str, change: OwnerChange) -> None:
    if change.clear and change.attributes is not None:
        raise InvalidInput(f"The {name} owner cannot be set and cleared at once.", name, dict(change.attributes))
    if change.expected is not None and change.must_be_empty:
        raise InvalidInput(f"The {name} owner cannot be expected and be empty at once.", name, change.expected)


def _changed(block: Block, address: Address, handle_id: str, active: OwnerChange, alternate: OwnerChange) -> Block:
    ordinal = block.cidr.ordinal(address)
    index = block.allocations[ordinal]
    if index is None:
        raise NotFoundInStore(f"Address {address} is not assigned.", address=str(address))
    attribute = block.attributes[index]
    if cut_handle(attribute.handle_id) != cut_handle(handle_id):
        raise UpdateConflict(f"Address {address} belongs to handle {attribute.handle_id!r}, not {handle_id!r}.")
    # Everything is checked before anything changes.
    _check_stored(address, "active", active, attribute.secondary)
    _check_stored(address, "alternate", alternate, attribute.alternate)
    after = Attribute(
        attribute.handle_id,
        _after(active, attribute.secondary),
        _after(alternate, attribute.alternate),
        attribute.released_at,
        attribute.unknown,
    )
    return replace(block, attributes=(*block.attributes[:index], after, *block.attributes[index + 1 :]))


def _check_stored(address: Address, name: str, change: OwnerChange, stored: t.Optional[Attributes]) -> None:
    if not change.changes:
        return
    if change.must_be_empty and stored:
        raise UpdateConflict(f"Address {address} has an {name} owner already.", address=str(address))
    if change.expected is not None:
        found = ((stored or {}).get("namespace"), (stored or {}).get("pod"))
        if found != change.expected:
            raise UpdateConflict(
                f"The {name} owner of {address} is {found[0]}/{found[1]}, not {'/'.join(change.expected)}.",
                address=str(address),
            )


def _after(change: OwnerChange, stored: t.Optional[Attributes]) -> t.Optional[Attributes]:
    if change.clear:
        return None
    return stored if change.attributes is None else dict(change.attributes)
