# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a role is going to do from here, in sentences with names and numbers.

Of a procedure that was interrupted, what is left: steps that the cluster shows as done are not promised again.
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import owners_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_estimate import in_words
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    MOVING_BACK,
    RECREATE,
    RESIZE,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_writes import planned_stop
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_drain import planned_drain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    Wanted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import NODE_SELECTOR, is_stopped


def plan_sentences(now: Situation) -> list[str]:
    """What the role is going to do from here; empty where there is nothing to go by."""
    if now.request.procedure == DECLARE:
        return [_declared_sentence(pool) for pool in now.wanted]
    if now.source is None or now.target is None:
        return []
    if now.request.procedure == RESIZE:
        back = _back(now, now.source, now.target)
        return back if now.phase in (RECREATE, MOVING_BACK) else [*_out(now, now.source, now.target), *back]
    if now.phase != RECREATE:
        return _out(now, now.source, now.target)
    return [
        f"Pool {now.source.name} is deleted already. Clean its range of the {counted(_blocks(now), 'block')} and the "
        "affinities that are left, and close the journal."
    ]


def _out(now: Situation, source: Wanted, target: Wanted) -> list[str]:
    """The way out of the old pool, to its deletion."""
    old, new = source.name, target.name
    where = target.spec.get("cidr") or "a range that is still to be given"
    kept = "" if now.request.procedure == RESIZE else ", unless migrate_pool_delete_old is false"
    return [
        f"Create pool {new} ({where if target.pool is None else _shape(target)})."
        if target.is_new
        else f"Keep pool {new} ({where}), which exists.",
        f"Keep pool {old} ({source.spec.get('cidr')}) stopped, as it is."
        if now.resumed and is_stopped(source.spec)
        else f"{_stop(now, old)} ({source.spec.get('cidr')}); tunnel addresses of nodes move to {new} at once.",
        _move(now, source, new),
        f"Prove that a new pod gets an address of {new} and that no pod has one of {old}.",
        f"Delete pool {old} with its {counted(_blocks(now), 'block')} and the affinities{kept}.",
    ]


def _stop(now: Situation, name: str) -> str:
    if planned_stop(now) == NODE_SELECTOR:
        return f"Stop pool {name} by a nodeSelector that matches nothing"
    return f"Disable pool {name}"


def _move(now: Situation, source: Wanted, to: str) -> str:
    pods = now.source_pods()
    if now.resumed and not pods:
        return f"No pod is left in {source.name}, so none is moved."
    moving = f"{counted(len(pods), 'pod')} of {counted(len(owners_of(pods, now.view)), 'workload')}"
    left = " that are left" if now.resumed else ""
    return f"Move {moving}{left} to {to}{_estimate(now)}: by rollout restart where that is safe, else by eviction."


def _back(now: Situation, source: Wanted, target: Wanted) -> list[str]:
    """The second half of a change of the block size, from the creation of the pool on."""
    old, temporary = source.name, target.name
    if now.phase != MOVING_BACK:
        made = f"Create pool {old} again as it was, with blockSize {now.request.block_size}."
    else:
        made = f"Keep pool {old}, which has blockSize {now.request.block_size} already."
    if now.phase not in (RECREATE, MOVING_BACK):
        move = f"Move the pods back to {old}{_estimate(now)}, and prove that none is left in {temporary}."
    elif target.live is None:
        return [made, f"Pool {temporary} is gone already: close the journal."]
    else:
        pods = _pods_in(now, target.pool.cidr) if target.pool is not None else 0
        move = (
            f"Move {counted(pods, 'pod')} back to {old}, and prove that none is left in {temporary}."
            if pods
            else f"No pod is left in {temporary}, so none is moved; prove that."
        )
    stopped = target.live is not None and is_stopped(target.live.spec)
    return [
        made,
        f"Keep pool {temporary} stopped, as it is." if stopped else f"Disable pool {temporary}.",
        move,
        f"Delete pool {temporary} with its blocks and affinities.",
    ]


def _estimate(now: Situation) -> str:
    drained = planned_drain(now)
    return f", in about {in_words(drained.estimate)}" if drained is not None and drained.estimate else ""


def _pods_in(now: Situation, network: Network) -> int:
    return sum(1 for pod in now.view.pods if any(network.contains(address) for address in pod_addresses(pod)))


def _declared_sentence(pool: Wanted) -> str:
    if pool.deleted:
        return (
            f"Delete pool {pool.name}." if pool.live is not None else f"Pool {pool.name} does not exist: nothing to do."
        )
    verb = "Create" if pool.live is None else "Keep or change"
    return f"{verb} pool {pool.name} ({_shape(pool)})."


def _shape(pool: Wanted) -> str:
    size = pool.spec.get("blockSize")
    return f"{pool.spec.get('cidr')}" if size is None else f"{pool.spec.get('cidr')}, blockSize {size}"


def _blocks(now: Situation) -> int:
    source = now.source.pool if now.source is not None else None
    return sum(1 for block in now.view.blocks if source is not None and block.cidr.overlaps(source.cidr))
