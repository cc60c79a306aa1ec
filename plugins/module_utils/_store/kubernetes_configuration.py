# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""IPAM settings and reservations in custom resources, to be written (spec ipam-engine.md §2.2, §2.5).

The kinds have other names in the two groups; the rules are those of every record: an update
carries the resourceVersion read before, and members this collection does not know survive.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    IP_RESERVATIONS,
    IPAM_CONFIGS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    CorruptRecord,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import SETTINGS_FIELDS, Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire

NAME = "default"

# What each kind came with, for clusters that do not serve it.
_SINCE = {"IPReservation": "Calico v3.22", "IPAMConfig": "Calico v3.0", "IPAMConfiguration": "Calico v3.32"}


class KubernetesConfiguration:
    """Implements ``ConfigurationStore`` on a Kubernetes API; ``group`` is the one that is live (§1).

    ``reservations`` says where reservations are written if not there: to an aggregated API.

    A kind that the cluster does not serve reads as "nothing there"; writing it is Refused.
    Errors of the API other than the answers named in ``Datastore`` pass through.
    """

    def __init__(self, api: KubeApi, group: str = CALICO_V1, reservations: t.Optional[Resource] = None) -> None:
        self._api = api
        self.group = group
        self.config, self.ip_reservations = IPAM_CONFIGS, IP_RESERVATIONS
        if group != CALICO_V1:
            self.config = Resource(group, "v3", "ipamconfigurations", "IPAMConfiguration", False)
            self.ip_reservations = replace(IP_RESERVATIONS, group=group, version="v3")
        if reservations is not None:
            self.ip_reservations = reservations

    # Settings

    def get_settings(self) -> Stored[Settings]:
        thing = self._get(self.config, NAME)
        return _stored(self._decode_settings(thing), thing)

    def create_settings(self, settings: Settings) -> Stored[Settings]:
        thing = self._create(self.config, NAME, wire.encode_settings(settings, self.config)["spec"])
        return _stored(self._decode_settings(thing), thing)

    def update_settings(self, stored: Stored[Settings], settings: Settings) -> Stored[Settings]:
        thing = self._update(self.config, wire.encode_settings(settings, self.config, stored.origin))
        return _stored(self._decode_settings(thing), thing)

    # Reservations

    def get_reservation(self, name: str) -> Stored[Reservation]:
        thing = self._get(self.ip_reservations, name)
        return _stored(_decode_reservation(thing), thing)

    def list_reservations(self) -> t.List[Stored[Reservation]]:
        try:
            things = self._api.list(self.ip_reservations).items
        except (NotFound, UnknownResource):
            return []
        found = [_stored(_decode_reservation(thing), thing) for thing in things]
        return sorted(found, key=lambda stored: stored.value.name)

    def create_reservation(self, reservation: Reservation) -> Stored[Reservation]:
        thing = self._create(self.ip_reservations, reservation.name, {"reservedCIDRs": list(reservation.cidrs)})
        return _stored(_decode_reservation(thing), thing)

    def update_reservation(self, stored: Stored[Reservation], reservation: Reservation) -> Stored[Reservation]:
        spec = {**(stored.origin.get("spec") or {}), "reservedCIDRs": list(reservation.cidrs)}
        thing = self._update(self.ip_reservations, {**stored.origin, "spec": spec})
        return _stored(_decode_reservation(thing), thing)

    def delete_reservation(self, stored: Stored[Reservation]) -> None:
        metadata, resource = stored.origin["metadata"], self.ip_reservations
        name = metadata["name"]
        try:
            self._api.delete(resource, name, uid=metadata.get("uid"), resource_version=metadata.get("resourceVersion"))
        except Conflict:
            raise _changed(resource, name) from None
        except (NotFound, UnknownResource):
            raise _missing(resource, name) from None

    # Requests

    def _decode_settings(self, thing: Object) -> Settings:
        spec = thing.get("spec") or {}
        unset = frozenset(theirs for theirs in SETTINGS_FIELDS.values() if spec.get(theirs) is None)
        return replace(wire.decode_settings(thing, self.group), unset=unset)

    def _get(self, resource: Resource, name: str) -> Object:
        try:
            return self._api.get(resource, name)
        except (NotFound, UnknownResource):
            raise _missing(resource, name) from None

    def _create(self, resource: Resource, name: str, spec: t.Dict[str, t.Any]) -> Object:
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        try:
            return self._api.create(resource, body)
        except AlreadyExists:
            raise AlreadyInStore(f"{resource.kind} {name} exists already.", name=name) from None
        except UnknownResource:
            raise _not_served(resource) from None

    def _update(self, resource: Resource, body: Object) -> Object:
        name = body["metadata"]["name"]
        try:
            return self._api.replace(resource, body)
        except Conflict:
            raise _changed(resource, name) from None
        except (NotFound, UnknownResource):
            raise _missing(resource, name) from None


def _decode_reservation(thing: Object) -> Reservation:
    name = thing["metadata"]["name"]
    entries = (thing.get("spec") or {}).get("reservedCIDRs") or ()
    if not isinstance(entries, (list, tuple)):
        raise CorruptRecord(
            f"IPReservation {name} has reservedCIDRs that are no list: repair it before anything is changed.",
            kind="IPReservation",
            name=name,
            fault="has reservedCIDRs that are no list",
        )
    return Reservation(name, tuple(str(entry) for entry in entries))


def _stored(value: t.Any, thing: Object) -> Stored[t.Any]:
    return Stored(value, thing["metadata"].get("resourceVersion"), thing)


def _missing(resource: Resource, name: str) -> NotFoundInStore:
    return NotFoundInStore(f"{resource.kind} {name} does not exist.", name=name)


def _changed(resource: Resource, name: str) -> UpdateConflict:
    return UpdateConflict(f"{resource.kind} {name} changed since it was read.", name=name)


def _not_served(resource: Resource) -> Refused:
    return Refused(
        f"The cluster does not serve {resource.plural}.{resource.group}: {resource.kind} comes with "
        f"{_SINCE[resource.kind]}.",
        kind=resource.kind,
    )
