# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Addresses that pods and nodes have: each must be allocated, to them, once (spec ipam-engine.md §21, 15 and 16)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import FINISHED, ClusterFacts, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    BLOCK,
    ERROR,
    NODE,
    NOTE,
    POD,
    WARNING,
    Finding,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import Allocation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    LOAD_BALANCER,
    TUNNEL,
    WINDOWS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD as POD_KIND
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import block_name

Held = t.Mapping[int, t.Mapping[int, Allocation]]


class User(t.NamedTuple):
    """Something that has an address: a pod (namespace/name) or a node with its tunnel device."""

    kind: str
    name: str
    node: str
    device: str = ""
    without_ipam: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.device})" if self.device else "")


def users(facts: ClusterFacts) -> t.Iterator[t.Tuple[Key, User]]:
    """Every address on the pod network with who has it. A pod on its way out may have given it back already."""
    for node, about in facts.nodes.items():
        for device, key in about.tunnels.items():
            yield key, User(NODE, node, node, device)
    for (namespace, name), pod in facts.pods.items():
        if pod.addresses and not (pod.host_network or pod.terminating or pod.phase in FINISHED):
            user = User(POD, f"{namespace}/{name}", pod.node, "", pod.without_ipam)
            for key in pod.addresses:
                yield key, user


def use_findings(
    facts: ClusterFacts, held: Held, within: t.Optional[Network] = None, unreadable: t.Container[str] = ()
) -> t.Iterator[Finding]:
    """Hold every address in use against what is allocated; ``unreadable`` are the names of damaged blocks."""
    seen: t.Dict[Key, User] = {}
    for key, user in users(facts):
        if within is not None and not within.contains(Address(*key)):
            continue
        other = seen.setdefault(key, user)
        if other is not user and (other.kind, other.name) != (user.kind, user.name):
            yield _twice(key, other, user, facts)
        allocation = held[key[0]].get(key[1])
        if allocation is None or allocation.holder.kind == COOLING:
            missing = _missing(key, user, allocation, facts)
            if not any(name in unreadable for kind, name in missing.rests_on if kind == BLOCK):
                yield missing
        elif not _is_for(user, allocation):
            yield _another(key, user, allocation, facts)


def _is_for(user: User, allocation: Allocation) -> bool:
    """Whether the allocation may be this user's; kinds that cannot be told, and machines that move, may."""
    holder = allocation.holder
    if holder.kind == POD_KIND:
        return user.kind == POD and user.name == f"{holder.namespace}/{holder.pod}"
    if holder.kind == TUNNEL:
        return user.kind == NODE and holder.node in ("", user.node)
    return holder.kind not in (LOAD_BALANCER, WINDOWS)


def _missing(key: Key, user: User, allocation: t.Optional[Allocation], facts: ClusterFacts) -> Finding:
    address, pool = Address(*key), facts.pool_of(key)
    data = {"address": str(address), "pool": pool.name if pool else None, "user": str(user)}
    if pool is None:
        return Finding(
            "in-use-outside-pools",
            str(address),
            NOTE if user.without_ipam else WARNING,
            f"{user} has address {address}, which lies in no pool and is not allocated.",
            (str(user),),
            "Nothing, if the address was given without Calico IPAM on purpose; otherwise restart it.",
            data,
            _rests(key, user, facts),
        )
    node = facts.nodes.get(user.node)
    why = "still cooling" if allocation is not None else "not allocated"
    return Finding(
        "in-use-not-allocated",
        str(address),
        # A node that is not ready reports what its pods had, not what they have.
        WARNING if node is None or not node.ready else NOTE if user.without_ipam else ERROR,
        f"{user} has address {address} of pool {pool.name}, which is {why}: it may be given to another pod.",
        (str(user),),
        f"Restart it: kubectl delete pod -n {user.name.replace('/', ' ')}"
        if user.kind == POD
        else f"Restart calico-node on {user.node}.",
        data,
        _rests(key, user, facts),
    )


def _another(key: Key, user: User, allocation: Allocation, facts: ClusterFacts) -> Finding:
    address = Address(*key)
    return Finding(
        "held-by-another",
        str(address),
        ERROR,
        f"{user} has address {address}, which is allocated to {allocation.holder}.",
        (str(user), f"{BLOCK} {allocation.block.name}"),
        "Restart both, one after the other; each gets an address of its own.",
        {"address": str(address), "user": str(user), "holder": str(allocation.holder)},
        ((BLOCK, allocation.block.name), *_rests(key, user, facts)),
    )


def _twice(key: Key, first: User, second: User, facts: ClusterFacts) -> Finding:
    address = Address(*key)
    return Finding(
        "used-twice",
        f"{address}/{second.name}",
        ERROR,
        f"{first} and {second} have the same address {address}.",
        (str(first), str(second)),
        "Restart both, one after the other; each gets an address of its own.",
        {"address": str(address), "users": [str(first), str(second)]},
        (*_rests(key, first, facts), (second.kind, second.name)),
    )


def _rests(key: Key, user: User, facts: ClusterFacts) -> t.Tuple[t.Tuple[str, str], ...]:
    pool = facts.pool_of(key)
    block = () if pool is None else ((BLOCK, block_name(Address(*key).network(pool.block_size))),)
    return ((user.kind, user.name), *block)
