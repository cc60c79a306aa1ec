# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the data plane: does it run what the new pool asks for, does the fabric carry borrowed addresses."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD, TUNNEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import BY_TYPE, Device, serves
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import calico_backend
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import assessment_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import tunnels_in
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import shown_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_capacity import measured
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_ipam import listed
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import pools_afterwards
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    Situation,
    Wanted,
)

Spec = t.Mapping[str, t.Any]


def encapsulation_runs(now: Situation) -> t.Iterator[Problem]:
    """B13: a pool asks for something that calico-node does not run. As before is a warning, as it works or fails "
    "now."""
    for pool in now.wanted:
        if pool.leaves or pool.deleted or "LoadBalancer" in (pool.spec.get("allowedUses") or []):
            continue
        before = pool.live if pool.live is not None else (now.source.live if now.source is not None else None)
        spec = shown_spec(pool.spec)
        same = before is not None and _modes(shown_spec(before.spec)) == _modes(spec)
        for why, where in _not_run(now, spec):
            yield Problem(
                WARNING if same else BLOCKER,
                f"{pool.role.capitalize()} {pool.name!r} has ipipMode {spec.get('ipipMode')} and vxlanMode "
                f"{spec.get('vxlanMode')}, and {why}: its pods would not be reached from other nodes"
                f"{'; the pool of today is the same in this' if same else ''}.",
                "Give the pool the encapsulation that the cluster runs, or change that first, as a step of its own.",
                (f"IPPool {pool.name}", where),
            )


def _not_run(now: Situation, spec: Spec) -> t.Iterator[tuple[str, str]]:
    """What the pool needs and the cluster does not run, with the object that says so."""
    backend, source = calico_backend(now.view)
    if backend and backend != "bird" and spec.get("vxlanMode") == "Never":
        yield f"no BIRD runs that would make routes without VXLAN ({source})", source.rpartition(" of ")[2]
    for flag, mode in (("ipipEnabled", "ipipMode"), ("vxlanEnabled", "vxlanMode")):
        if now.view.calico.felix.get(flag) is False and spec.get(mode) != "Never":
            yield f"FelixConfiguration default says {flag}: false, whatever pools ask for", "FelixConfiguration default"


def _modes(spec: Spec) -> tuple[t.Any, t.Any]:
    return spec.get("ipipMode"), spec.get("vxlanMode")


def tunnels_served(now: Situation) -> t.Iterator[Problem]:
    """D01, D02: nodes lose the address of a tunnel at once when no pool is left to give them another."""
    if now.source is None or now.source.pool is None or now.target is None or now.target.pool is None:
        return
    pools = pools_afterwards(now)
    nodes = {str(node["metadata"]["name"]): node for node in now.view.nodes}
    lost: dict[str, dict[str, None]] = {}
    for name, device in _tunnels(now, now.source.pool.cidr):
        if name in nodes and not any(serves(pool, device, calico_labels(nodes[name])) for pool in pools):
            lost.setdefault(str(device), {})[name] = None
    for device_name, names in sorted(lost.items()):
        yield Problem(
            BLOCKER,
            f"{counted(len(names), 'node')} would lose the {device_name} address in pool {now.source.name!r} as soon "
            f"as it is stopped, first {min(names)}: no other enabled pool gives it one.",
            f"Give pool {now.target.name!r} the encapsulation, the use Tunnel and the nodeSelector that the old pool "
            "has, or make a pool beside it that has them.",
            listed(f"Node {name}" for name in sorted(names)),
        )


def _tunnels(now: Situation, network: Network) -> t.Iterator[tuple[str, Device]]:
    """Who has a tunnel address in the range, by what nodes say and by what is allocated."""
    for tunnel in tunnels_in(now.view.nodes, network):
        yield tunnel.node, tunnel.device
    for block in now.view.blocks:
        for each in block.allocations if network.overlaps(block.cidr) else ():
            device = BY_TYPE.get(each.holder.name) if each.holder.kind == TUNNEL else None
            if device is not None and each.holder.node and network.contains(each.address):
                yield each.holder.node, device


def borrowed_addresses(now: Situation) -> t.Iterator[Problem]:
    """B05: without the mesh, the fabric knows whole blocks only."""
    if now.view.calico.bgp.get("nodeToNodeMeshEnabled") is not False:
        return
    for pool in now.leaving():
        if pool.pool is None or not _routed(pool):
            continue
        borrowed = [
            f"{allocation.holder} ({allocation.address})"
            for block in now.view.blocks
            if block.cidr.overlaps(pool.pool.cidr) and block.owner.startswith("host:")
            for allocation in block.allocations
            if allocation.holder.kind == POD and allocation.holder.node not in ("", block.owner.partition(":")[2])
        ]
        if borrowed:
            yield Problem(
                BLOCKER,
                "BGPConfiguration default has nodeToNodeMeshEnabled: false, and "
                f"{counted(len(borrowed), 'pod has', 'pods have')} addresses "
                "of "
                f"pool {pool.name!r} out of other nodes' blocks, first {borrowed[0]}: a fabric that routes whole "
                "blocks "
                "sends their traffic to the wrong node.",
                "Set strictAffinity to true once every node can have a block of its own; these pods get others when "
                "they "
                "move.",
                listed(borrowed),
            )
    if now.view.settings.get("strictAffinity"):
        return
    for pool in measured(now):
        if pool.pool is None or not _routed(pool):
            continue
        found = assessment_of(pool.pool, now)
        if found.supply.usable_blocks < found.blocks_needed:
            yield Problem(
                BLOCKER,
                f"BGPConfiguration default has nodeToNodeMeshEnabled: false and strictAffinity is off, and pool "
                f"{pool.name!r} has {found.supply.usable_blocks} blocks where full nodes want {found.blocks_needed}: "
                "pods would borrow addresses that the fabric cannot route.",
                "Choose a larger range or a smaller block, or set strictAffinity to true.",
                (f"IPPool {pool.name}", "BGPConfiguration default"),
            )


def _routed(pool: Wanted) -> bool:
    """Whether the fabric carries its traffic: VXLAN between all nodes needs no route outside."""
    return shown_spec(pool.spec).get("vxlanMode") != "Always"


CHECKS = (
    Check("encapsulation-runs", "the data plane runs what the new pool asks for", ("B13",), encapsulation_runs),
    Check("tunnels-served", "no node loses the address of a tunnel", ("D01", "D02", "B12"), tunnels_served, False),
    Check("borrowed-addresses", "no pod has an address that the fabric cannot route", ("B05",), borrowed_addresses),
)
