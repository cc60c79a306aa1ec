# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""IPAM settings and reservations in Calico's etcd, to be written (spec ipam-engine.md §3, §14).

Calico overwrites its settings without looking; here every write is a compare-and-swap, so
that nobody's change gets lost.
"""

from __future__ import annotations

import typing as t
import uuid
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord, Stored
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_keys, etcd_wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_records import (
    create_row,
    delete_row,
    get_row,
    update_row,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row

SETTINGS = "IPAM settings"
KIND = "IPReservation"
PLURAL = "ipreservations"


def _now() -> datetime:
    return datetime.now(timezone.utc)


class EtcdConfiguration:
    """Implements ``ConfigurationStore`` on etcd. ``now`` and ``new_uid`` go into reservations made here."""

    def __init__(
        self,
        client: EtcdClient,
        *,
        now: t.Callable[[], datetime] = _now,
        new_uid: t.Callable[[], object] = uuid.uuid4,
    ) -> None:
        self._client = client
        self._now = now
        self._new_uid = new_uid

    # Settings

    def get_settings(self) -> Stored[Settings]:
        row = get_row(self._client, etcd_keys.SETTINGS, SETTINGS)
        return Stored(etcd_wire.decode_settings(row), row.revision, etcd_wire.members(row, SETTINGS))

    def create_settings(self, settings: Settings) -> Stored[Settings]:
        body = etcd_wire.encode_settings(settings)
        revision = create_row(self._client, etcd_keys.SETTINGS, etcd_wire.to_bytes(body), SETTINGS)
        return Stored(settings, revision, body)

    def update_settings(self, stored: Stored[Settings], settings: Settings) -> Stored[Settings]:
        body = etcd_wire.encode_settings(settings, stored.origin)
        value = etcd_wire.to_bytes(body)
        revision = update_row(self._client, etcd_keys.SETTINGS, value, stored.revision, SETTINGS)
        return Stored(settings, revision, body)

    # Reservations

    def get_reservation(self, name: str) -> Stored[Reservation]:
        return _reservation(get_row(self._client, _key(name), f"{KIND} {name}"))

    def list_reservations(self) -> t.List[Stored[Reservation]]:
        return [_reservation(row) for row in self._client.rows(etcd_keys.resource_prefix(PLURAL))]

    def create_reservation(self, reservation: Reservation) -> Stored[Reservation]:
        metadata = {
            "name": reservation.name,
            "uid": str(self._new_uid()),
            "creationTimestamp": format_time(self._now()),
        }
        body: etcd_wire.Members = {"kind": KIND, "apiVersion": "projectcalico.org/v3", "metadata": metadata}
        body["spec"] = {"reservedCIDRs": list(reservation.cidrs)}
        what = f"{KIND} {reservation.name}"
        revision = create_row(self._client, _key(reservation.name), etcd_wire.to_bytes(body), what)
        return Stored(reservation, revision, body)

    def update_reservation(self, stored: Stored[Reservation], reservation: Reservation) -> Stored[Reservation]:
        name = stored.value.name
        spec = {**(stored.origin.get("spec") or {}), "reservedCIDRs": list(reservation.cidrs)}
        body = {**stored.origin, "spec": spec}
        value = etcd_wire.to_bytes(body)
        revision = update_row(self._client, _key(name), value, stored.revision, f"{KIND} {name}")
        return Stored(reservation, revision, body)

    def delete_reservation(self, stored: Stored[Reservation]) -> None:
        name = stored.value.name
        delete_row(self._client, _key(name), stored.revision, f"{KIND} {name}")


def _key(name: str) -> str:
    return etcd_keys.resource_key(PLURAL, name)


def _reservation(row: Row) -> Stored[Reservation]:
    thing = etcd_wire.resource_object(row, KIND)
    name = thing["metadata"]["name"]
    entries = (thing.get("spec") or {}).get("reservedCIDRs")
    if not isinstance(entries or [], list):
        raise CorruptRecord(
            f"{KIND} {name} has reservedCIDRs that are no list: repair it before anything is changed.",
            kind=KIND,
            name=name,
            fault="has reservedCIDRs that are no list",
        )
    return Stored(
        Reservation(name, tuple(str(entry) for entry in entries or ())), row.revision, etcd_wire.members(row, KIND)
    )
