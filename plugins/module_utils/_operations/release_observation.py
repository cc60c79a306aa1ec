# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One observation of the addresses that may be released: who holds them, and what the audit's judge says of each.

Handles are read before blocks and pods last, so that whatever is made in between can only make
an address look more in use than it is, never less.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import Judge, Verdict, kind_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import (
    FINISHED,
    ClusterFacts,
    Key,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import NODE, SERVICE
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import POD as POD_OBJECT
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import (
    Allocation,
    Damaged,
    name_of,
    read_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    Datastore,
    NotFoundInStore,
    Stored,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import LOAD_BALANCER, POD, TUNNEL, VM
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import handle_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_facts import (
    MACHINE_INSTANCES,
    VIRTUAL_MACHINES,
    look_again,
    read_facts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import RawStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_request import Mark


class ReleaseStore(Datastore, RawStore, t.Protocol):
    """Every store there is."""


class Seen(t.NamedTuple):
    """One allocated address; ``user`` is who has it according to the cluster, "" when nobody does.

    ``twice``: two blocks have allocated it.
    """

    key: Key
    allocation: Allocation
    kind: str
    verdict: Verdict
    user: str
    twice: bool = False

    @property
    def address(self) -> Address:
        return Address(*self.key)

    @property
    def handle(self) -> str:
        return self.allocation.holder.handle

    @property
    def mark(self) -> Mark:
        return Mark(self.handle, self.allocation.sequence)


@dataclass(frozen=True)
class Observation:
    """``addresses``: every allocated one. ``of_handle``: theirs by the name of the handle's record.

    ``handles``: the records that were asked for and exist; ``unfinished``: the names of those that
    were marked as deleted and never removed. ``damaged``: blocks that could not be read.
    """

    taken: datetime
    facts: ClusterFacts
    addresses: t.Mapping[Key, Seen]
    of_handle: t.Mapping[str, t.Sequence[Key]]
    handles: t.Mapping[str, Stored[Handle]]
    unfinished: t.AbstractSet[str]
    damaged: tuple[str, ...]

    def held_by(self, handle: str) -> t.Sequence[Key]:
        """The addresses allocated under a handle; those of two that differ only in case count for both (§2.1)."""
        return self.of_handle.get(handle_name(handle), ())


def observe(api: KubeApi, store: ReleaseStore, handles: t.Iterable[str], clock: Clock) -> Observation:
    """Read all blocks, the records of ``handles``, and the cluster they are held against."""
    taken = clock.now()
    records, unfinished = _records(store, handles)
    held: dict[Key, Allocation] = {}
    twice: set[Key] = set()
    damaged = []
    for thing in store.raw_blocks():
        try:
            row, addresses = read_block(thing, clock.now)
        except Damaged:
            damaged.append(name_of(thing))
            continue
        for value, holder, sequence, since in addresses:
            key = (row.cidr.version, value)
            if key in held:
                twice.add(key)
            held[key] = Allocation(holder, sequence, row, since)
    machines = any(allocation.holder.kind == VM for allocation in held.values())
    facts = read_facts(api, store.pools(), store.settings().cooldown_seconds, clock.now(), machines=machines)
    judge, users = Judge(facts), users_of(facts)
    seen: dict[Key, Seen] = {}
    of_handle: dict[str, list[Key]] = {}
    for key, allocation in held.items():
        verdict = judge.judge(key, allocation)
        seen[key] = Seen(key, allocation, kind_of(key, allocation), verdict, users.get(key, ""), key in twice)
        if allocation.holder.handle:
            of_handle.setdefault(handle_name(allocation.holder.handle), []).append(key)
    return Observation(taken, facts, seen, of_handle, records, unfinished, tuple(damaged))


def seen_now(api: KubeApi, facts: ClusterFacts, found: t.Sequence[Seen]) -> list[Seen]:
    """The same addresses after their holders were asked for once more, one by one. Blocks are not read again."""
    asked: dict[str, set[str]] = {}
    machines = set(facts.machines or ())
    for each in found:
        holder = each.allocation.holder
        if holder.kind == POD:
            asked.setdefault(POD_OBJECT, set()).add(f"{holder.namespace}/{holder.pod}")
        elif holder.kind == LOAD_BALANCER and holder.name:
            asked.setdefault(SERVICE, set()).add(f"{holder.namespace}/{holder.name}")
        elif holder.kind == VM and _machine_exists(api, holder.namespace, holder.name):
            machines.add((holder.namespace, holder.name))
        if holder.kind in (POD, TUNNEL, VM) and holder.node:
            asked.setdefault(NODE, set()).add(holder.node)
    now = look_again(api, facts, asked)
    if facts.machines is not None:
        now = replace(now, machines=machines)
    judge, users = Judge(now), users_of(now)
    return [
        each._replace(verdict=judge.judge(each.key, each.allocation), user=users.get(each.key, "")) for each in found
    ]


def users_of(facts: ClusterFacts) -> dict[Key, str]:
    """Every address that something has right now, whatever IPAM says: a pod, also on its way out, a node, a Service."""
    found: dict[Key, str] = {}
    for (namespace, name), service in (facts.services or {}).items():
        found.update(dict.fromkeys(service.addresses, f"Service {namespace}/{name}"))
    for name, node in facts.nodes.items():
        found.update({key: f"the {device} of node {name}" for device, key in node.tunnels.items()})
    for (namespace, name), pod in facts.pods.items():
        if pod.phase not in FINISHED and not pod.host_network:
            found.update(dict.fromkeys((*pod.addresses, *pod.others), f"pod {namespace}/{name}"))
    return found


def _records(store: ReleaseStore, handles: t.Iterable[str]) -> tuple[dict[str, Stored[Handle]], set[str]]:
    wanted = list(handles)
    if not wanted:
        return {}, set()
    # Getting a record whose deletion was begun finishes that deletion, which is a write.
    unfinished = {name_of(thing) for thing in store.raw_handles() if (thing.get("spec") or {}).get("deleted")}
    found: dict[str, Stored[Handle]] = {}
    for handle in wanted:
        if handle_name(handle) in unfinished:
            continue
        try:
            found[handle] = store.get_handle(handle)
        except NotFoundInStore:
            continue
    return found, unfinished


def _machine_exists(api: KubeApi, namespace: str, name: str) -> bool:
    """Also when it cannot be told."""
    for resource in (VIRTUAL_MACHINES, MACHINE_INSTANCES):
        try:
            api.get(resource, name, namespace)
        except (Forbidden, UnknownResource):
            return True
        except NotFound:
            continue
        return True
    return False
