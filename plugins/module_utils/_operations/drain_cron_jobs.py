# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""CronJobs that rest while a drain goes on, with consent, and are always woken again (hazards.md D11).

The annotation that is written together with ``suspend`` names the pool. Whoever drains next, be it another
pool because the move is undone, finds it and wakes the CronJob at the end, also where the drain that suspended
it was killed, and with or without consent this time. CronJobs that somebody else had suspended are not touched.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of, metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CRON_JOBS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    SUSPEND_CRON_JOBS,
    anywhere,
    consents,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import scope

SUSPENDED_FOR = "ipam.calico-ops.io/suspended-for-drain"


class CronJobs:
    """Those of the namespaces concerned; ``steps`` takes sentences about what was done."""

    def __init__(self, api: KubeApi, options: DrainOptions, steps: list[str]) -> None:
        self._api = api
        self._options = options
        self._steps = steps
        self._ours: dict[tuple[str, str], Object] = {}
        self._known = self._read()

    def _read(self) -> list[Object]:
        """All that concern the drain. Raises ``Forbidden`` only where consent asks for them."""
        try:
            items = self._api.list(CRON_JOBS, scope(self._options.namespaces, CRON_JOBS)).items
        except UnknownResource:
            return []
        except Forbidden:
            if anywhere(self._options.consent, SUSPEND_CRON_JOBS):
                raise
            return []
        asked = self._options.namespaces
        return [item for item in items if not asked or metadata_of(item)["namespace"] in asked]

    def suspend(self, namespaces: t.Collection[str]) -> None:
        """Suspend those of ``namespaces`` that consent covers; those of a drain before are taken over."""
        for item in self._known:
            metadata = metadata_of(item)
            namespace, name = str(metadata["namespace"]), str(metadata["name"])
            if annotations_of(item).get(SUSPENDED_FOR):
                self._ours[namespace, name] = item
                continue
            if namespace not in namespaces or not consents(self._options.consent, SUSPEND_CRON_JOBS, namespace):
                continue
            if (item.get("spec") or {}).get("suspend"):
                continue
            patch = {
                "metadata": {
                    "resourceVersion": metadata["resourceVersion"],
                    "annotations": {SUSPENDED_FOR: self._options.pool},
                },
                "spec": {"suspend": True},
            }
            try:
                self._ours[namespace, name] = self._api.patch(CRON_JOBS, name, patch, namespace)
            except (Conflict, NotFound):
                # Somebody is at it just now; a job more or less does no harm.
                continue
            self._steps.append(f"suspend CronJob {namespace}/{name}")

    def wake(self) -> list[str]:
        """Wake all of ours; sentences about those that could not be."""
        failed = []
        for namespace, name in sorted(self._ours):
            patch = {"metadata": {"annotations": {SUSPENDED_FOR: None}}, "spec": {"suspend": False}}
            try:
                self._api.patch(CRON_JOBS, name, patch, namespace)
            except NotFound:
                continue
            except ClusterError as error:
                failed.append(
                    f"CronJob {namespace}/{name} is still suspended, run the drain again or set suspend to false: "
                    f"{error.message}"
                )
            else:
                self._steps.append(f"wake CronJob {namespace}/{name}")
        self._ours.clear()
        return failed
