# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The lists that a drain follows."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api_services import API_SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    IP_POOLS,
    IPAM_BLOCKS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)


@dataclass(frozen=True)
class Source:
    """A list the view is fed from; ``optional`` ones may be unreadable for the user."""

    name: str
    resource: Resource
    field_selector: str | None = None
    optional: bool = False


RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota", True)

SOURCES = (
    Source("pods", PODS),
    Source("Deployment", DEPLOYMENTS),
    Source("StatefulSet", STATEFUL_SETS),
    Source("DaemonSet", DAEMON_SETS),
    Source("ReplicationController", REPLICATION_CONTROLLERS, optional=True),
    Source("budgets", POD_DISRUPTION_BUDGETS),
    Source("quotas", RESOURCE_QUOTAS, optional=True),
    Source("namespaces", NAMESPACES, optional=True),
    Source("events", EVENTS, "reason=FailedCreatePodSandBox", optional=True),
    Source("nodes", NODES, optional=True),
    Source("apiservices", API_SERVICES, optional=True),
    Source("pools", IP_POOLS, optional=True),
    Source("blocks", IPAM_BLOCKS, optional=True),
)


def scope(namespaces: t.Collection[str], resource: Resource) -> str | None:
    """The namespace to ask for; ``None`` is all of them, and several are filtered here."""
    return next(iter(namespaces)) if len(namespaces) == 1 and resource.namespaced else None
