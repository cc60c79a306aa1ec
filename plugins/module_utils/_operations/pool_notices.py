# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the cluster around a pool has to say to a change of it, and Calico does not (spec ippool.md §3.1, §9.2)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_warnings import warnings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_survey import survey
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pinned_by import pinned_by
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_requests_view


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


def pinned(api: PagedApi, installation: Installation, pool: Pool) -> list[str]:
    """A sentence about what asks for a pool that is going to serve no pods any more; none when nothing does.

    Costs some ten lists. What the user has no right to read is not looked at, which is said.
    """
    view = fetch_requests_view(api, installation)
    pins = pinned_by(view, pool.name, pool.cidr)
    blind = (
        [f"Who asks for pool {pool.name!r} is not fully known: {', '.join(view.unreadable)} may not be read."]
        if view.unreadable
        else []
    )
    if not pins:
        return blind
    named = "; ".join(
        f"{pin.kind} {pin.namespace + '/' if pin.namespace else ''}{pin.name}: {pin.how}" for pin in pins[:3]
    )
    more = f"; and {len(pins) - 3} more" if len(pins) > 3 else ""
    return [
        f"Pool {pool.name!r} is asked for by name or address, which fails for every new pod while the pool is "
        f"disabled, gone or not for pods ({named}{more}); calico_ops.ipam.ippool_binding_info tells all of them.",
        *blind,
    ]


def _addresses(nodes: t.Iterable[Object]) -> t.Iterator[Address]:
    for node in nodes:
        for entry in (node.get("status") or {}).get("addresses") or []:
            try:
                yield parse_address(entry.get("address"))
            except InvalidInput:
                continue  # Host names stand among the addresses.
