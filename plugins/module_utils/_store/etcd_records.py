# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One record in etcd, with the answers of a datastore: not there, there already, changed meanwhile.

Compare-and-swap is by the modification revision of the key; a delete is a single step, and
nothing is ever marked as deleted (spec ipam-engine.md §3).
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient, Outcome
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row


def get_row(client: EtcdClient, key: str, what: str) -> Row:
    """The key; NotFoundInStore, in which ``what`` names the record, when it is not there."""
    row = client.get(key)
    if row is None:
        raise missing(what)
    return row


def create_row(client: EtcdClient, key: str, value: bytes, what: str) -> int:
    """Write a new key and return its revision; AlreadyInStore when there is one."""
    outcome = client.create(key, value)
    if not outcome.done:
        raise AlreadyInStore(f"{what} exists already.", name=what)
    return outcome.revision


def update_row(client: EtcdClient, key: str, value: bytes, revision: int, what: str) -> int:
    """Write a key as it was read at ``revision``; UpdateConflict or NotFoundInStore when it is not so any more."""
    return _written(client.update(key, value, revision), what)


def delete_row(client: EtcdClient, key: str, revision: int, what: str) -> None:
    """Delete a key as it was read at ``revision``; the errors are those of an update."""
    _written(client.delete(key, revision), what)


def missing(what: str) -> NotFoundInStore:
    return NotFoundInStore(f"{what} does not exist.", name=what)


def _written(outcome: Outcome, what: str) -> int:
    if outcome.done:
        return outcome.revision
    if outcome.exists:
        raise UpdateConflict(f"{what} changed since it was read.", name=what)
    raise missing(what)
