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
    SERVICE,
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
    """Something that has an address: a pod or Service (namespace/name), or a node with its tunnel device."""

    kind: str
    name: str
    node: str
    device: str = ""
    without_ipam: bool = False
    handle: str = ""

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
    for (namespace, name), service in (facts.services or {}).items() if facts.load_balancers else ():
        user = User(SERVICE, f"{namespace}/{name}", "", handle=service.handle)
        for key in service.addresses:
            pool = facts.pool_of(key)
            # Other load balancers may have given it; those in Calico's own pools are Calico's.
            if pool is not None and "LoadBalancer" in pool.allowed_uses:
                yield key, user


def use_findings(
    facts: ClusterFacts, held: Held, within: t.Optional[Network] = None, unreadable: t.Container[str] = ()
) -> t.Iterator[Finding]:
    """Hold every address in use against what is allocated; ``unreadable`` are the names of damaged blocks."""
    seen: t.Dict[Key, User] = {}
    for key, user in users(facts):
        if within is not None and not within.contains(Address(*key)):
            continue
        # Services may share an address.
        other = user if user.kind == SERVICE else seen.setdefault(key, user)
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
    if holder.kind == LOAD_BALANCER:
        # A Service that shares the address of another one is none of Calico's, nor wrong.
        return user.kind == SERVICE
    return holder.kind != WINDOWS


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
    why = "still cooling" if allocation is not None else "not allocated"
    risk = ": it may be given to another pod" if pool.enabled else ""
    return Finding(
        "in-use-not-allocated",
        str(address),
        _severity(user, facts, pool.enabled),
        f"{user} has address {address} of pool {pool.name}, which is {why}{risk}.",
        (str(user),),
        _restart(user),
        data,
        _rests(key, user, facts),
    )


def _severity(user: User, facts: ClusterFacts, enabled: bool) -> str:
    if user.without_ipam:
        return NOTE
    node = facts.nodes.get(user.node)
    # A node that is not ready reports what its pods had, not what they have; nobody is given a disabled pool's address.
    sure = enabled and (user.kind == SERVICE or (node is not None and node.ready))
    return ERROR if sure else WARNING


def _restart(user: User) -> str:
    if user.kind == POD:
        return f"Restart it: kubectl delete pod -n {user.name.replace('/', ' ')}"
    return f"Restart calico-node on {user.node}." if user.kind == NODE else "Restart calico-kube-controllers."


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
