# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""IPAM settings and reservations of a datastore in memory, as records to be written."""

from __future__ import annotations

import threading
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

T = t.TypeVar("T")

SETTINGS = "IPAM settings default"


class MemoryConfiguration:
    """Implements ``ConfigurationStore`` beside a ``MemoryStore``, which reads what is written here.

    One for each store. Settings the store was made with count as stored, unless they are
    Calico's defaults; several threads may use one.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._revision = 0
        self._records: t.Dict[str, Stored[t.Any]] = {}
        if store.settings() != Settings():
            self.create_settings(store.settings())

    def get_settings(self) -> Stored[Settings]:
        return self._get(SETTINGS)

    def create_settings(self, settings: Settings) -> Stored[Settings]:
        return self._write(SETTINGS, None, settings)

    def update_settings(self, stored: Stored[Settings], settings: Settings) -> Stored[Settings]:
        return self._write(SETTINGS, stored, settings)

    def get_reservation(self, name: str) -> Stored[Reservation]:
        return self._get(_key(name))

    def list_reservations(self) -> t.List[Stored[Reservation]]:
        with self._lock:
            return [self._records[key] for key in sorted(self._records) if key != SETTINGS]

    def create_reservation(self, reservation: Reservation) -> Stored[Reservation]:
        return self._write(_key(reservation.name), None, reservation)

    def update_reservation(self, stored: Stored[Reservation], reservation: Reservation) -> Stored[Reservation]:
        return self._write(_key(stored.value.name), stored, reservation)

    def delete_reservation(self, stored: Stored[Reservation]) -> None:
        key = _key(stored.value.name)
        with self._lock:
            self._check(key, stored)
            del self._records[key]
            self._publish()

    def _get(self, key: str) -> Stored[t.Any]:
        with self._lock:
            stored = self._records.get(key)
        if stored is None:
            raise NotFoundInStore(f"{key} does not exist.")
        return stored

    def _write(self, key: str, before: t.Optional[Stored[T]], value: T) -> Stored[T]:
        with self._lock:
            if before is not None:
                self._check(key, before)
            elif key in self._records:
                raise AlreadyInStore(f"{key} exists already.")
            self._revision += 1
            self._records[key] = written = Stored(value, self._revision)
            self._publish()
            return written

    def _check(self, key: str, stored: Stored[t.Any]) -> None:
        current = self._records.get(key)
        if current is None:
            raise NotFoundInStore(f"{key} does not exist.")
        if current.revision != stored.revision:
            raise UpdateConflict(f"{key} changed since it was read.")

    def _publish(self) -> None:
        """Let the store read what is stored here now."""
        settings = self._records.get(SETTINGS)
        self._store.set_settings(Settings() if settings is None else settings.value)
        self._store.set_reservations(
            entry for key, stored in self._records.items() if key != SETTINGS for entry in stored.value.cidrs
        )


def _key(name: str) -> str:
    return f"IPReservation {name}"
