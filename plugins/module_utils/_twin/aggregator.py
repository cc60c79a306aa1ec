# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether an aggregated API can be reached: when the Service that its APIService names has a ready endpoint."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.endpoints import SERVICE_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event, ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import API_SERVICES, ENDPOINT_SLICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.served import GroupVersion, ServedKinds


class Aggregator:
    """Tells ``served`` which aggregated group versions are up, and notes it in the APIServices.

    The real aggregator takes some seconds to notice; here it is known at once.
    """

    def __init__(self, api: KubeApi, objects: ObjectStore, served: ServedKinds, clock: VirtualClock) -> None:
        self._api = api
        self._objects = objects
        self._served = served
        self._clock = clock

    def start(self) -> None:
        self._look()
        for resource in (ENDPOINT_SLICES, API_SERVICES):
            self._objects.subscribe(self._on_event, resource)

    def _on_event(self, _event: Event) -> None:
        self._look()

    def _look(self) -> None:
        for place in self._served.aggregated_versions():
            found = self._objects.get(API_SERVICES, None, _name(place))
            service = ((found or {}).get("spec") or {}).get("service") or {}
            up = self._has_endpoint(str(service.get("namespace", "")), str(service.get("name", "")))
            self._served.set_available(place, up)
            if found is not None:
                self._note(found, service, up)

    def _has_endpoint(self, namespace: str, name: str) -> bool:
        return any(
            (endpoint.get("conditions") or {}).get("ready")
            for piece in self._objects.list(ENDPOINT_SLICES, namespace)
            if (piece["metadata"].get("labels") or {}).get(SERVICE_LABEL) == name
            for endpoint in piece.get("endpoints") or ()
        )

    def _note(self, api_service: Object, service: Object, up: bool) -> None:
        status, reason, message = "True", "Passed", "all checks passed"
        if not up:
            where = f'service/{service.get("name")} in "{service.get("namespace")}"'
            status, reason, message = "False", "MissingEndpoints", f"endpoints for {where} have no ready addresses"
        conditions = (api_service.get("status") or {}).get("conditions") or []
        if any(each.get("type") == "Available" and each.get("status") == status for each in conditions):
            return
        condition = {
            "type": "Available",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": self._clock.timestamp(),
        }
        others = [each for each in conditions if each.get("type") != "Available"]
        self._api.replace(
            API_SERVICES, {**api_service, "status": {"conditions": [*others, condition]}}, subresource="status"
        )


def _name(place: GroupVersion) -> str:
    group, version = place
    return f"{version}.{group}"
