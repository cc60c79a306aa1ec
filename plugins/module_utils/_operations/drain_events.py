# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Kubernetes Events on the pool: that a drain began, ended, left something, or stopped.

They are a courtesy to whoever looks at the pool with kubectl. A missing right to write them, or an API that
cannot take them just now, is no failure of the drain.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import EVENTS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import timestamp
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock

STARTED = "DrainStarted"
FINISHED = "DrainFinished"
INCOMPLETE = "DrainIncomplete"
STOPPED = "DrainStopped"

COMPONENT = "calico-ops-ipam"
# Events about things without a namespace are kept in this one.
NAMESPACE = "default"
LONGEST_MESSAGE = 1000


@dataclass
class PoolEvents:
    """Writes Events about one pool, until the first one is refused."""

    api: KubeApi
    pool: Object
    clock: Clock
    silent: bool = False

    def say(self, reason: str, message: str) -> None:
        if self.silent:
            return
        moment = timestamp(self.clock.now())
        metadata = metadata_of(self.pool)
        involved = {
            "apiVersion": self.pool.get("apiVersion") or "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "name": metadata.get("name"),
            "uid": metadata.get("uid"),
        }
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata.get('name')}.{uuid.uuid4().hex[:16]}", "namespace": NAMESPACE},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": reason,
            "message": message[:LONGEST_MESSAGE],
            "type": "Normal" if reason in (STARTED, FINISHED) else "Warning",
            "source": {"component": COMPONENT},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        try:
            self.api.create(EVENTS, event, NAMESPACE)
        except ClusterError:
            self.silent = True
