# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Is an allocated address still in use, and how sure is that (spec ipam-engine.md §18, 3 to 5, and §19).

"Leaked" is said only of an address whose holder is known and is gone, or has another address.
Everything else is in use: a kind that cannot be told, a pod that has not reported its address, a
stopped virtual machine, a tunnel of either family.
"""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import (
    CALICOCTL_TUNNELS,
    FINISHED,
    LEAK_GRACE,
    ClusterFacts,
    Key,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import Allocation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    LOAD_BALANCER,
    POD,
    TUNNEL,
    VM,
    WINDOWS,
)

#: Nobody has it.
CERTAIN = "certain"
#: Nobody should have it; one sign is missing.
LIKELY = "likely"
#: Something may still be on its way, or cannot be seen.
POSSIBLE = "possible"
#: In use or not to be judged: must never be released.
NEVER = "never"
CERTAINTIES = (CERTAIN, LIKELY, POSSIBLE)

IPV6_TUNNEL = "ipv6_tunnel"

_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?: ?([+-])(\d\d):?(\d\d)| ?Z)")


class Verdict(t.NamedTuple):
    """``certainty`` that the address is leaked, ``never`` when it is in use; ``reason`` a short clause."""

    certainty: str
    reason: str


IN_USE = Verdict(NEVER, "in use")
_COOLING = Verdict(NEVER, "cooling")
_WINDOWS = Verdict(NEVER, "kept by a Windows node")
_UNKNOWN = Verdict(NEVER, "its holder is not recorded")
_STARTING = Verdict(NEVER, "its pod has not reported an address yet")
_LEAVING = Verdict(NEVER, "its pod is being deleted and gives it back")


class Judge:
    """Judges addresses against one set of facts.

    ``in_use_for_calicoctl`` are those that ``calicoctl ipam check`` regards as in use.
    """

    def __init__(self, facts: ClusterFacts) -> None:
        self._facts = facts
        self._handles = {service.handle: name for name, service in (facts.services or {}).items()}
        self._busy = {
            pod.node for pod in facts.pods.values() if pod.phase not in FINISHED and pod.node not in facts.nodes
        }
        # Without a grace period an address that was given out minutes ago is still not called leaked.
        self._young = timedelta(seconds=facts.leak_grace or LEAK_GRACE)
        self.in_use_for_calicoctl = in_use_for_calicoctl(facts)

    def judge(self, key: Key, allocation: Allocation) -> Verdict:
        """How sure it is that the address ``key`` is leaked."""
        kind = allocation.holder.kind
        if kind == POD:
            return self._pod(key, allocation)
        if kind == TUNNEL:
            return self._tunnel(key, allocation)
        if kind == LOAD_BALANCER:
            return self._service(key, allocation)
        if kind == VM:
            return self._machine(allocation)
        return _COOLING if kind == COOLING else _WINDOWS if kind == WINDOWS else _UNKNOWN

    def leaked_for_calicoctl(self, key: Key, allocation: Allocation) -> bool:
        """Whether ``calicoctl ipam check`` would call it leaked (§19)."""
        return key not in self.in_use_for_calicoctl and allocation.holder.kind not in (COOLING, WINDOWS)

    def _pod(self, key: Key, allocation: Allocation) -> Verdict:
        holder, facts = allocation.holder, self._facts
        pod = facts.pods.get((holder.namespace, holder.pod))
        if pod is None:
            return self._gone(allocation, "its pod is gone")
        if pod.terminating:
            return _LEAVING
        if pod.phase in FINISHED:
            if pod.reason == "Evicted":
                return self._gone(allocation, "its pod was evicted")
            return _at_most(LIKELY, self._gone(allocation, "its pod has finished"))
        if holder.node and pod.node and pod.node != holder.node:
            return self._gone(allocation, f"its pod runs on node {pod.node}")
        if key in pod.addresses or key in pod.others:
            if holder.node and holder.node not in facts.nodes:
                return Verdict(POSSIBLE, f"node {holder.node} does not exist, its pod does")
            return IN_USE
        if not pod.addresses:
            return _STARTING
        verdict = self._gone(allocation, "its pod has another address")
        # A pod of one family in its status may well have the other one on its interface.
        same_family = any(address[0] == key[0] for address in pod.addresses)
        return verdict if same_family else _at_most(POSSIBLE, verdict)

    def _gone(self, allocation: Allocation, reason: str) -> Verdict:
        holder = allocation.holder
        if not holder.node:
            return Verdict(LIKELY, reason)
        node = self._facts.nodes.get(holder.node)
        if node is None:
            return Verdict(CERTAIN, f"{reason}, and so is node {holder.node}" if reason.endswith("gone") else reason)
        if not node.ready:
            return Verdict(POSSIBLE, f"{reason}, but node {holder.node} is not ready and may still run it")
        since = moment_of(allocation.since)
        if since is None:
            return Verdict(LIKELY, reason)
        if self._facts.now - since < self._young:
            return Verdict(POSSIBLE, f"{reason}, but it was given out within the grace period")
        return Verdict(CERTAIN, reason)

    def _tunnel(self, key: Key, allocation: Allocation) -> Verdict:
        holder = allocation.holder
        if not holder.node:
            return _UNKNOWN
        node = self._facts.nodes.get(holder.node)
        if node is None:
            return Verdict(LIKELY if holder.node in self._busy else CERTAIN, f"node {holder.node} is gone")
        if key in node.tunnels.values():
            return IN_USE
        if holder.name in node.tunnels:
            return Verdict(LIKELY, f"the {holder.name} of node {holder.node} is another one")
        return Verdict(POSSIBLE, f"node {holder.node} has no {holder.name}")

    def _service(self, key: Key, allocation: Allocation) -> Verdict:
        holder, services = allocation.holder, self._facts.services
        if services is None:
            return Verdict(NEVER, "Services could not be read")
        name = self._handles.get(holder.handle)
        if name is not None:
            if key in services[name].addresses:
                return IN_USE
            return Verdict(POSSIBLE, f"Service {name[0]}/{name[1]} does not show it in its status")
        other = services.get((holder.namespace, holder.name)) if holder.name else None
        if other is not None:
            if key in other.addresses:
                return IN_USE
            return Verdict(LIKELY, f"Service {holder.namespace}/{holder.name} was made anew")
        return Verdict(CERTAIN if holder.name else LIKELY, "its Service is gone")

    def _machine(self, allocation: Allocation) -> Verdict:
        holder, machines = allocation.holder, self._facts.machines
        if machines is None or not (holder.namespace and holder.name):
            return Verdict(NEVER, "virtual machines cannot be looked up")
        if (holder.namespace, holder.name) in machines:
            return IN_USE
        return Verdict(LIKELY, "its virtual machine is gone")


def kind_of(key: Key, allocation: Allocation) -> str:
    """The kind as an audit reports it: tunnels of IPv6 are told apart, calicoctl gets them wrong."""
    kind = allocation.holder.kind
    return IPV6_TUNNEL if kind == TUNNEL and key[0] == 6 else kind


def in_use_for_calicoctl(facts: ClusterFacts) -> t.Set[Key]:
    """The addresses ``calicoctl ipam check`` regards as in use (§19)."""
    found = {
        node.tunnels[device] for node in facts.nodes.values() for device in CALICOCTL_TUNNELS if device in node.tunnels
    }
    for pod in facts.pods.values():
        if pod.node and not pod.host_network and pod.phase not in FINISHED:
            found.update(pod.addresses)
    if facts.load_balancers:
        for service in (facts.services or {}).values():
            found.update(service.addresses)
    return found


def moment_of(text: str) -> t.Optional[datetime]:
    """The moment of an attribute's ``timestamp``, as Go prints times; None when it cannot be told."""
    match = _STAMP.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=timezone.utc)
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None


def _at_most(certainty: str, verdict: Verdict) -> Verdict:
    limit = max(CERTAINTIES.index(certainty), CERTAINTIES.index(verdict.certainty))
    return Verdict(CERTAINTIES[limit], verdict.reason)
