# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""APIServices: groups of the Kubernetes API that pods answer for (hazards.md B41)."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import condition, metadata_of

API_SERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", False)


@dataclass(frozen=True)
class ApiService:
    """One group that a Service answers for, and whether it does."""

    name: str
    namespace: str
    service: str
    available: bool


def parse_api_service(thing: Object) -> ApiService | None:
    """``None`` for the groups the API server answers for itself."""
    service = (thing.get("spec") or {}).get("service")
    if not service:
        return None
    return ApiService(
        name=str(metadata_of(thing)["name"]),
        namespace=str(service.get("namespace") or ""),
        service=str(service.get("name") or ""),
        available=condition(thing, "Available").get("status") == "True",
    )
