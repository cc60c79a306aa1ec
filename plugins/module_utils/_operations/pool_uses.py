# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who gives addresses once a pool does not (spec ippool.md §9.3, §12 item 10).

A pool that is the last one for pods, or for the tunnels of nodes, goes on giving addresses while some of
it are in use: everything that is started again would get none. It may be stopped when it is empty, as when
a cluster is taken down, and then the user is warned and no more.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused, SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import COOLING, TUNNEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import (
    IPIP,
    VXLAN,
    VXLAN_V6,
    Device,
    carries,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import LEAKED, Holding, name_them
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import selects_no_node

# Each use with what happens to those who have addresses of it.
_USES = {
    "Workload": "pods that are replaced would get none",
    "Tunnel": "nodes would lose the addresses of their tunnels",
}


def last_uses(before: Pool, after: Pool | None, others: t.Iterable[Pool]) -> list[str]:
    """The uses that ``before`` gives addresses for, and neither ``after`` nor anybody else of its IP version.

    ``after`` None: the pool goes. A Manual pool counts for those alone who ask for it by name, so none is the last
    one, and none stands in for another. One that becomes Manual goes on giving addresses to tunnels, which name their
    pools, and to no pod. For tunnels only a pool of the same encapsulation stands in; a pool that changes its own in
    place keeps its tunnels.
    """
    if before.assignment_mode == "Manual":
        return []
    kin = [
        pool
        for pool in others
        if pool.version == before.version and pool.name != before.name and pool.assignment_mode != "Manual"
    ]
    return [
        use
        for use in _USES
        if _gives(before, use)
        and not (after is not None and _gives(after, use) and not (use == "Workload" and _manual(after)))
        and not any(_gives(pool, use) and (use != "Tunnel" or _tunnels(before) <= _tunnels(pool)) for pool in kin)
    ]


def in_the_way(pool: Pool, uses: t.Iterable[str], held: t.Sequence[Holding]) -> Refused | None:
    """The refusal when addresses are in use for one of the ``uses`` that nobody would give addresses for."""
    for use in uses:
        using = [holding for holding in held if _is_of(holding, use)]
        if using:
            same = " with the same encapsulation" if use == "Tunnel" and _tunnels(pool) else ""
            return Refused(
                f"IPPool {pool.name!r} must go on giving addresses for {use}: no other enabled IPv{pool.version} pool"
                f"{same} does so for everybody, {len(using)} of its addresses are in use by {name_them(using)}, and "
                f"{_USES[use]}; create or enable another pool first.",
                pool=pool.name,
                use=use,
                in_use=len(using),
            )
    return None


def stranded(api: KubeApi, pool: Pool, others: t.Iterable[Pool], after: Pool | None = None) -> list[str]:
    """A sentence about nodes for whose pods no pool is left once this one is stopped; none when there are no such.

    ``after`` is what becomes of the pool, where it is neither disabled nor gone. Where no other pool is for pods at
    all, that is told elsewhere. Nodes that may not be read are not looked at.
    """
    kin = [each for each in others if each.version == pool.version and each.name != pool.name]
    kin = [
        each for each in (*kin, *([] if after is None else [after])) if _gives(each, "Workload") and not _manual(each)
    ]
    if not kin or not _gives(pool, "Workload") or pool.assignment_mode == "Manual":
        return []
    names = []
    for node in readable(api, NODES) or ():
        labels = node["metadata"].get("labels") or {}
        if _selects(pool, labels) and not any(_selects(each, labels) for each in kin):
            names.append(str(node["metadata"]["name"]))
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    when = "once it is disabled or gone" if after is None else "once it is changed"
    return [
        f"{len(names)} nodes that pool {pool.name!r} selects are selected by no other enabled IPv{pool.version} pool "
        f"({', '.join(sorted(names)[:3])}{more}): new pods there get no address {when}."
    ]


def _manual(pool: Pool) -> bool:
    return pool.assignment_mode == "Manual"


def _gives(pool: Pool, use: str) -> bool:
    return pool.enabled and use in pool.allowed_uses and not selects_no_node(pool.node_selector)


def _tunnels(pool: Pool) -> frozenset[Device]:
    """The devices whose addresses come from pools of one encapsulation only; WireGuard's come from any."""
    return frozenset(device for device in (IPIP, VXLAN, VXLAN_V6) if carries(pool, device))


def _is_of(holding: Holding, use: str) -> bool:
    """Whoever is no tunnel counts as a pod, also one that cannot be told; what is leaked or cools down is in no use."""
    kind = holding.holder.kind
    if kind == TUNNEL or use == "Tunnel":
        return kind == TUNNEL and use == "Tunnel"
    return kind != COOLING and holding.state != LEAKED


def _selects(pool: Pool, labels: t.Mapping[str, str]) -> bool:
    """A selector that does not parse fails every assignment; it has its own warnings."""
    try:
        return selects_node(pool, labels)
    except SelectorError:
        return True
