# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Both answers of ``ippool_binding_info``: who is served by which pools, and what pins itself to one."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_answer import (
    Answer,
    answer_for,
    read_place,
    shown_addresses,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_pools import find_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pinned_by import pinned_by
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_requests_view


def binding_info(
    api: PagedApi,
    node: str | None,
    namespace: str | None,
    pod: str | None,
    pool: str | None,
    warn: t.Callable[[str], None],
) -> dict[str, t.Any]:
    """The module's result; ``InvalidInput`` for a node, namespace or pod that does not exist."""
    installation = detect(api)
    answer, addresses = Answer(), []
    if pool is None or node or namespace:
        place = read_place(api, node, namespace, pod)
        answer = answer_for(api, place)
        if place.pod is not None:
            addresses = shown_addresses(place.pod, engine_pools(read_pools(api)))
    found = {**answer.shown(), "addresses": addresses, "pinned_by": [], "unreadable": []}
    if pool is None:
        return found
    known = find_pool(pool, engine_pools(read_pools(api)))
    if known is None:
        warn(f"There is no IPPool {pool!r}: new pods of whatever names it get no address.")
    view = fetch_requests_view(api, installation)
    name, network = (pool, _range(pool)) if known is None else (known.name, known.cidr)
    found["pinned_by"] = [pin.shown() for pin in pinned_by(view, name, network)]
    found["unreadable"] = list(view.unreadable)
    if view.unreadable:
        warn(f"More may name the pool than is shown: {', '.join(view.unreadable)} may not be read.")
    return found


def _range(text: str) -> Network | None:
    try:
        return parse_network(text, strict=False)
    except InvalidInput:
        return None
