# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The pass of an audit over all allocated addresses: who is gone, who cannot be told, whose pool takes no more."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import (
    NEVER,
    POSSIBLE,
    Judge,
    Verdict,
    kind_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import ClusterFacts, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    BLOCK,
    NODE,
    NOTE,
    POD,
    SERVICE,
    WARNING,
    Finding,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import Allocation, BlockRow
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    LOAD_BALANCER,
    TUNNEL,
    UNKNOWN,
    VM,
    WINDOWS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD as POD_KIND

#: Addresses that a finding about many of them names.
NAMED = 20

Row = t.Dict[str, t.Any]


class AddressPass:
    """One pass over the addresses, fed with ``add``.

    ``leaked`` and ``kept`` are rows as a module returns them, ``kinds`` counts the ``total``
    addresses by kind, ``calicoctl`` those that ``calicoctl ipam check`` would call leaked.
    """

    def __init__(self, facts: ClusterFacts) -> None:
        self._facts = facts
        self.judge = Judge(facts)
        self._findings: t.List[Finding] = []
        self._unknown: t.Dict[str, t.Tuple[BlockRow, t.List[Key]]] = {}
        self._disabled: t.Dict[str, t.Dict[str, int]] = {}
        self._pools: t.Dict[str, str] = {}
        self.leaked: t.List[Row] = []
        self.kept: t.List[Row] = []
        self.kinds: t.Dict[str, int] = {}
        self.total = 0
        self.calicoctl = 0

    def add(self, key: Key, allocation: Allocation, twice: bool) -> None:
        """``twice``: another block has the address too, so that a release might hit the wrong allocation."""
        verdict = self.judge.judge(key, allocation)
        if twice and verdict.certainty != NEVER:
            verdict = Verdict(POSSIBLE, f"{verdict.reason}, but another block has the address, too")
        kind = kind_of(key, allocation)
        self.total += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        for_calicoctl = self.judge.leaked_for_calicoctl(key, allocation)
        self.calicoctl += for_calicoctl
        if verdict.certainty != NEVER:
            self._leak(key, allocation, kind, verdict, f"-in-{allocation.block.text}" if twice else "")
        elif for_calicoctl:
            self.kept.append(_row(key, allocation, kind, verdict))
        if kind == UNKNOWN:
            self._unknown.setdefault(allocation.block.text, (allocation.block, []))[1].append(key)
        pool = self._disabled_pool(allocation.block)
        if pool and kind not in (COOLING, WINDOWS):
            kinds = self._disabled.setdefault(pool, {})
            kinds[kind] = kinds.get(kind, 0) + 1

    def _disabled_pool(self, block: BlockRow) -> str:
        name = self._pools.get(block.text)
        if name is None:
            pool = self._facts.pool_over(block.cidr)
            name = self._pools[block.text] = "" if pool is None or pool.enabled else pool.name
        return name

    def _leak(self, key: Key, allocation: Allocation, kind: str, verdict: Verdict, where: str) -> None:
        row = _row(key, allocation, kind, verdict)
        self.leaked.append(row)
        self._findings.append(
            Finding(
                "leaked-address",
                row["address"] + where,
                NOTE if verdict.certainty == POSSIBLE else WARNING,
                f"Address {row['address']} is allocated to {allocation.holder}, and {verdict.certainty} leaked: "
                f"{verdict.reason}.",
                (f"{BLOCK} {allocation.block.name}",),
                "Leave it to the collector, or release it: calico_ops.ipam.ipam_release with this result."
                if verdict.certainty != POSSIBLE
                else "Wait, and audit again.",
                {"address": row["address"], "kind": kind, "certainty": verdict.certainty, "reason": verdict.reason},
                _rests(allocation),
            )
        )

    def believe(self, before: t.Iterable[Row]) -> None:
        """Drop what was not leaked before, or has been handed out anew since."""
        same = {(row["address"], row["handle"], row["sequence"]) for row in before}
        self.leaked = [row for row in self.leaked if (row["address"], row["handle"], row["sequence"]) in same]

    def findings(self) -> t.Iterator[Finding]:
        """What was found about the addresses."""
        yield from self._findings
        for text, (block, keys) in self._unknown.items():
            yield Finding(
                "unknown-holder",
                text,
                NOTE,
                f"{len(keys)} addresses of block {text} have no holder that can be told; they are regarded as in use.",
                (f"{BLOCK} {block.name}",),
                "Look for them on the nodes. They were left by a migration, by calicoctl ipam, or by a cooldown on "
                "Calico before v3.33.",
                {"count": len(keys), "addresses": [str(Address(*key)) for key in sorted(keys)[:NAMED]]},
                ((BLOCK, block.name),),
            )
        for name, kinds in sorted(self._disabled.items()):
            yield Finding(
                "allocated-in-disabled-pool",
                name,
                NOTE,
                f"{sum(kinds.values())} addresses are allocated in pool {name}, which takes no new ones.",
                (f"IPPool {name}",),
                "Restart their pods when the pool is to go; calico_ops.ipam.ippool_drain does so.",
                {"kinds": dict(sorted(kinds.items()))},
            )


def _row(key: Key, allocation: Allocation, kind: str, verdict: Verdict) -> Row:
    """A row of ``leaked``; the sequence number as text, for it is larger than 2^53."""
    holder = allocation.holder
    return {
        "address": str(Address(*key)),
        "block": allocation.block.text,
        "handle": holder.handle or None,
        "sequence": str(allocation.sequence),
        "kind": kind,
        "certainty": verdict.certainty,
        "reason": verdict.reason,
        "namespace": holder.namespace or None,
        "name": holder.name or None,
        "pod": holder.pod or None,
        "node": holder.node or None,
    }


def _rests(allocation: Allocation) -> t.Tuple[t.Tuple[str, str], ...]:
    holder = allocation.holder
    rests = [(BLOCK, allocation.block.name)]
    if holder.kind == POD_KIND:
        rests.append((POD, f"{holder.namespace}/{holder.pod}"))
    elif holder.kind == LOAD_BALANCER and holder.name:
        rests.append((SERVICE, f"{holder.namespace}/{holder.name}"))
    if holder.kind in (POD_KIND, TUNNEL, VM) and holder.node:
        rests.append((NODE, holder.node))
    return tuple(rests)
