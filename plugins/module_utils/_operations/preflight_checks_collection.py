# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of addresses that nobody uses, of their collection, and of holders that no restart moves."""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    LOAD_BALANCER,
    POD,
    TUNNEL,
    VM,
    WINDOWS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_facts import seconds_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import LEAKED, state_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_ipam import listed
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    Wanted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import Allocation, Workload
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_use import used_by_service

KUBE_CONTROLLERS = "calico-kube-controllers"
NAMESPACES = ("kube-system", "calico-system")
# Have checks of their own, or go by themselves.
_ELSEWHERE = (POD, TUNNEL, COOLING, VM, WINDOWS)


def leaked_addresses(now: Situation) -> t.Iterator[Problem]:
    """B33: they keep blocks alive. By one look only, so nothing is to be released by it (A06)."""
    pods: dict[tuple[str, str], Object] = {
        (pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in now.view.pods
    }
    nodes = {node["metadata"]["name"] for node in now.view.nodes}
    for pool in now.leaving():
        leaked = [
            f"{held.address} of {held.holder}"
            for held in _held(now, pool)
            if state_of(held.address, held.holder, pods) == LEAKED
        ]
        gone = [
            f"{held.address} of {held.holder}"
            for held in _held(now, pool)
            if held.holder.kind == TUNNEL and held.holder.node and held.holder.node not in nodes
        ]
        if gone and now.view.nodes:
            yield Problem(
                WARNING,
                f"{counted(len(gone), 'tunnel address', 'tunnel addresses')} of pool {pool.name!r} of nodes that the "
                f"cluster does not have any more, first {gone[0]}: no calico-node moves them, so the pool stays in use "
                "until Calico has collected them.",
                "Let calico-kube-controllers collect them, or release them with ipam_release and kind: tunnel "
                "(ipv6_tunnel).",
                listed(gone),
            )
        if leaked:
            yield Problem(
                WARNING,
                f"{counted(len(leaked), 'address', 'addresses')} of pool {pool.name!r} may be leaked, first "
                f"{leaked[0]}: the pods are gone "
                "or have other addresses. Until Calico has collected them, their blocks stay.",
                "Wait for Calico's garbage collection (15 minutes unless leakGracePeriod says otherwise) and look "
                "again; "
                "what then remains, ipam_audit_info and ipam_release handle.",
                listed(leaked),
            )


def other_holders(now: Situation) -> t.Iterator[Problem]:
    """B07: what is in the way of deleting the pool and is no pod."""
    declares = now.request.procedure == DECLARE
    for pool in now.leaving():
        if declares and (not pool.deleted or "LoadBalancer" in (pool.spec.get("allowedUses") or [])):
            continue
        elsewhere = (POD, TUNNEL, COOLING, WINDOWS) if declares else _ELSEWHERE
        held = [each for each in _held(now, pool) if each.holder.kind not in elsewhere]
        yield from _services(now, pool, {each.address for each in held})
        if held:
            kinds = Counter(each.holder.kind for each in held)
            counts = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(kinds.items()))
            yield Problem(
                BLOCKER,
                f"{counted(len(held), 'address', 'addresses')} of pool {pool.name!r}: held by others than pods "
                f"and nodes ({counts}), first "
                f"{held[0].holder} ({held[0].address}): moving pods does not free them, so the pool cannot be deleted.",
                "Free them first: Services by another loadBalancerIP or pool, unknown holders after ipam_audit_info.",
                listed(f"{each.address} {each.holder}" for each in held),
            )


def _services(now: Situation, pool: Wanted, known: t.Collection[Address]) -> t.Iterator[Problem]:
    """Services with addresses of the pool that are not Calico's; the gate before the deletion sees them, too."""
    if pool.pool is None:
        return
    uses = [use for service in now.view.services for use in used_by_service(service, pool.pool.cidr)]
    strange = [f"Service {use.name} ({use.address})" for use in uses if use.address not in known]
    if strange:
        yield Problem(
            BLOCKER,
            f"{counted(len(strange), 'LoadBalancer address lies', 'LoadBalancer addresses lie')} in pool "
            f"{pool.name!r} without being Calico's, first {strange[0]}: the pool is not deleted under a Service.",
            "Give the Services addresses from elsewhere: change spec.loadBalancerIP, or the range of the load "
            "balancer that gave them.",
            listed(strange),
        )


def collection_runs(now: Situation) -> t.Iterator[Problem]:
    """B34: without it, blocks and leaked addresses never come back."""
    deployments = [
        each for each in (now.view.workload("Deployment", where, KUBE_CONTROLLERS) for where in NAMESPACES) if each
    ]
    consequence = "leaked addresses and empty blocks of the old pool would never be freed"
    if not deployments:
        yield Problem(
            WARNING,
            f"There is no Deployment {KUBE_CONTROLLERS} in {' or '.join(NAMESPACES)}; if nothing else runs Calico's "
            f"kube-controllers, {consequence}.",
            "Make sure that it runs, with the node controller among its controllers.",
        )
    for deployment in deployments:
        if not (deployment.thing.get("status") or {}).get("readyReplicas"):
            yield Problem(
                BLOCKER,
                f"{deployment} has no ready pod: {consequence}.",
                f"Repair it first: kubectl -n {deployment.namespace} describe deployment {deployment.name}.",
                (str(deployment),),
            )
    yield from _collection_configured(now, deployments, consequence)


def _collection_configured(now: Situation, deployments: t.Iterable[Workload], consequence: str) -> t.Iterator[Problem]:
    what = "KubeControllersConfiguration default"
    controllers = (now.view.calico.collector or {}).get("controllers")
    if isinstance(controllers, dict):
        node = controllers.get("node")
        if node is None:
            yield Problem(
                BLOCKER,
                f"{what} has no node controller: {consequence}.",
                "Add spec.controllers.node to it (kubectl edit).",
                (what,),
            )
        elif isinstance(node, dict) and seconds_of(node.get("leakGracePeriod")) == 0:
            yield Problem(
                BLOCKER,
                f"{what} has leakGracePeriod {node['leakGracePeriod']}, which turns the collection off: {consequence}.",
                "Set spec.controllers.node.leakGracePeriod of it to a time such as 15m (kubectl edit).",
                (what,),
            )
    for deployment in deployments:
        for container in (deployment.template.get("spec") or {}).get("containers") or []:
            for entry in container.get("env") or []:
                enabled = [word.strip() for word in str(entry.get("value") or "").split(",")]
                if entry.get("name") == "ENABLED_CONTROLLERS" and entry.get("value") and "node" not in enabled:
                    yield Problem(
                        BLOCKER,
                        f"{deployment} runs without the node controller (ENABLED_CONTROLLERS {entry['value']}): "
                        f"{consequence}.",
                        "Add node to ENABLED_CONTROLLERS in its environment.",
                        (str(deployment),),
                    )


def load_balancer_services(now: Situation) -> t.Iterator[Problem]:
    """B30: a pool for Services is not taken away from under them."""
    for pool in now.wanted:
        if not pool.deleted or "LoadBalancer" not in (pool.spec.get("allowedUses") or []):
            continue
        held = [each for each in _held(now, pool) if each.holder.kind == LOAD_BALANCER]
        if held:
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} is to be deleted with "
                f"{counted(len(held), 'LoadBalancer address', 'LoadBalancer addresses')} of it, first "
                f"{held[0].holder} ({held[0].address}): Services would lose them.",
                "Move the Services to another pool first.",
                listed(f"{each.address} {each.holder}" for each in held),
            )


def _held(now: Situation, pool: Wanted) -> list[Allocation]:
    if pool.pool is None:
        return []
    cidr = pool.pool.cidr
    return [each for block in now.view.blocks if block.cidr.overlaps(cidr) for each in block.allocations]


CHECKS = (
    Check("leaked-addresses", "no address is held by a pod that is gone", ("B33",), leaked_addresses, worst=WARNING),
    Check("other-holders", "only pods and nodes hold addresses of the old pool", ("B07", "A01"), other_holders),
    Check("garbage-collection", "Calico collects what is not used any more", ("B34",), collection_runs),
    Check("load-balancer-services", "no Service loses its address", ("B30",), load_balancer_services, False),
)
