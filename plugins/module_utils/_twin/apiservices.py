# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""The APIService objects that the API server keeps by itself: one for each group version of a CRD.

They are there to be read: a group served by CRDs has one without ``spec.service`` and with the label
below, a group behind an aggregated API server one that names the service (spec ippool.md 7.1).
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CUSTOM_RESOURCE_DEFINITIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event, ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import API_SERVICES

AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"

GroupVersion = t.Tuple[str, str]


class ApiServices:
    """Keeps the APIServices of CRDs in step with them; leaves those that somebody else made alone."""

    def __init__(self, api: KubeApi, objects: ObjectStore, clock: VirtualClock) -> None:
        self._api = api
        self._objects = objects
        self._clock = clock
        self._queue: WorkQueue[GroupVersion] = WorkQueue(clock, "apiservices", self._look_at)

    def start(self) -> None:
        """Make those that are missing now, and follow the definitions."""
        for crd in self._objects.list(CUSTOM_RESOURCE_DEFINITIONS):
            for place in _served(crd):
                self._look_at(place)
        self._objects.subscribe(self._on_definition, CUSTOM_RESOURCE_DEFINITIONS)

    def _on_definition(self, event: Event) -> None:
        for place in {*_served(event.object), *_served(event.previous or {})}:
            self._queue.add(place)

    def _look_at(self, place: GroupVersion) -> None:
        group, version = place
        name = f"{version}.{group}"
        wanted = any(place in _served(crd) for crd in self._objects.list(CUSTOM_RESOURCE_DEFINITIONS))
        present = self._objects.get(API_SERVICES, None, name)
        if wanted and present is None:
            self._create(name, group, version)
        elif not wanted and present is not None and AUTOMANAGED in (present["metadata"].get("labels") or {}):
            try:
                self._api.delete(API_SERVICES, name)
            except NotFound:
                return

    def _create(self, name: str, group: str, version: str) -> None:
        body: Object = {
            "apiVersion": API_SERVICES.api_version,
            "kind": API_SERVICES.kind,
            "metadata": {"name": name, "labels": {AUTOMANAGED: "true"}},
            "spec": {"group": group, "version": version, "groupPriorityMinimum": 1000, "versionPriority": 100},
        }
        available = {
            "type": "Available",
            "status": "True",
            "reason": "Local",
            "message": "Local APIServices are always available",
            "lastTransitionTime": self._clock.timestamp(),
        }
        try:
            made = self._api.create(API_SERVICES, body)
        except AlreadyExists:
            return
        self._api.replace(API_SERVICES, {**made, "status": {"conditions": [available]}}, subresource="status")


def _served(crd: Object) -> list[GroupVersion]:
    spec = crd.get("spec") or {}
    return [(str(spec["group"]), str(each["name"])) for each in spec.get("versions") or [] if each.get("served")]
