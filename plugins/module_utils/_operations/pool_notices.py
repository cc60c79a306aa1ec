# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the cluster around a new pool has to say to it, and Calico does not (spec ippool.md §3.1, §7.4)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_warnings import warnings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_survey import survey


def notices(api: KubeApi, pool: Pool) -> list[str]:
    """One sentence for each thing about a new pool that is legal here and probably not meant.

    Costs some twenty requests. What the user has no right to read is not compared.
    """
    found = survey(api)
    return warnings(
        pool,
        pod_cidrs=found.pod_cidrs.value or (),
        service_cidrs=found.service_cidrs.value or (),
        node_addresses=list(_addresses(readable(api, NODES) or ())),
    )


def _addresses(nodes: t.Iterable[Object]) -> t.Iterator[Address]:
    for node in nodes:
        for entry in (node.get("status") or {}).get("addresses") or []:
            try:
                yield parse_address(entry.get("address"))
            except InvalidInput:
                continue  # Host names stand among the addresses.
