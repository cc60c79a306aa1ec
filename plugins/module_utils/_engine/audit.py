# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The audit: everything in Calico's IPAM data that contradicts itself, the pools, or what runs in the cluster.

Records are fed one by one in the shape of custom resources, in any order, and can go at once;
what stays is one small row a record and one tuple an address. ``result`` then holds them against
the facts. A record fed again replaces what it said before, so that doubtful ones can be looked at
twice: between two lists a cluster goes on living.

Everything is linear in the number of addresses. Sources: spec ipam-engine.md §18, §19, §21.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import (
    CERTAINTIES,
    NEVER,
    POSSIBLE,
    Judge,
    Verdict,
    kind_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_affinities import affinity_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_blocks import block_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import ClusterFacts, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    AFFINITY,
    BLOCK,
    CALICOCTL_CHECKS,
    ERROR,
    HANDLE,
    NODE,
    NOTE,
    POD,
    SERVICE,
    SEVERITIES,
    WARNING,
    Finding,
    in_order,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_handles import Counts, handle_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import (
    AffinityRow,
    Allocation,
    BlockRow,
    Damaged,
    HandleRow,
    name_of,
    read_affinity,
    read_block,
    read_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_use import use_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    COOLING,
    LOAD_BALANCER,
    TUNNEL,
    UNKNOWN,
    VM,
    WINDOWS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    POD as POD_KIND,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import handle_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock

#: Addresses that a finding about many of them names.
NAMED = 20

Row = t.Dict[str, t.Any]


@dataclass(frozen=True)
class AuditResult:
    """What an audit found. ``leaked`` and ``kept`` are rows of the same shape.

    ``kept`` are addresses that ``calicoctl ipam check`` calls leaked and that must not be
    released. ``calicoctl`` are its counts for the same data.
    """

    findings: t.Tuple[Finding, ...]
    leaked: t.Tuple[Row, ...]
    kept: t.Tuple[Row, ...]
    summary: Row
    calicoctl: Row

    def with_findings(self, more: t.Iterable[Finding]) -> AuditResult:
        """The same with further findings, counted."""
        findings = in_order([*self.findings, *more])
        return replace(self, findings=tuple(findings), summary={**self.summary, **_counted(findings)})


class Audit:
    """Collects records. ``within`` limits the audit to blocks that overlap a range.

    ``kubernetes``: the records come from custom resources, so that names and labels mean something.
    """

    def __init__(self, now: Clock, within: t.Optional[Network] = None, kubernetes: bool = True) -> None:
        self._now = now
        self._within = within
        self._kubernetes = kubernetes
        self._blocks: t.Dict[str, BlockRow] = {}
        self._affinities: t.Dict[str, AffinityRow] = {}
        self._handles: t.Dict[str, HandleRow] = {}
        self._damaged: t.Dict[t.Tuple[str, str], str] = {}
        self._held: t.Dict[int, t.Dict[int, Allocation]] = {4: {}, 6: {}}
        #: Allocations of an address that another block has allocated as well.
        self._again: t.Dict[Key, t.List[Allocation]] = {}
        self._texts: t.Dict[str, str] = {}
        self.kinds: t.Set[str] = set()

    # What is fed

    def block(self, thing: t.Any) -> None:
        """Take note of a stored block."""
        name = name_of(thing)
        self.forget(BLOCK, name)
        try:
            row, addresses = read_block(thing, self._now)
        except Damaged as damage:
            self._damaged[BLOCK, name] = damage.message
            return
        if self._within is not None and not self._within.overlaps(row.cidr):
            return
        self._blocks[name] = row
        version = row.cidr.version
        held = self._held[version]
        for value, holder, sequence, since in addresses:
            allocation = Allocation(holder, sequence, row, since)
            if held.setdefault(value, allocation) is not allocation:
                self._again.setdefault((version, value), []).append(allocation)
            self.kinds.add(holder.kind)

    def affinity(self, thing: t.Any) -> None:
        """Take note of a stored affinity row."""
        name = name_of(thing)
        self.forget(AFFINITY, name)
        try:
            row = read_affinity(thing)
        except Damaged as damage:
            self._damaged[AFFINITY, name] = damage.message
            return
        if self._within is None or self._within.overlaps(row.cidr):
            self._affinities[name] = row

    def handle(self, thing: t.Any) -> None:
        """Take note of a stored handle."""
        name = name_of(thing)
        self.forget(HANDLE, name)
        try:
            self._handles[name] = read_handle(thing, self._texts)
        except Damaged as damage:
            self._damaged[HANDLE, name] = damage.message

    def forget(self, kind: str, name: str) -> None:
        """A record is gone."""
        self._damaged.pop((kind, name), None)
        if kind == AFFINITY:
            self._affinities.pop(name, None)
        elif kind == HANDLE:
            self._handles.pop(name, None)
        elif name in self._blocks:
            self._drop(self._blocks.pop(name))

    def _drop(self, row: BlockRow) -> None:
        version, held = row.cidr.version, self._held[row.cidr.version]
        # A block of the right size is short; one that claims half the internet is searched for the other way round.
        span = range(row.cidr.value, row.cidr.end + 1)
        values = span if row.cidr.size <= len(held) else list(held)
        gone = [value for value in values if value in held and held[value].block is row]
        for value in gone:
            others = self._again.get((version, value))
            if others:
                held[value] = others.pop(0)
            else:
                del held[value]
        for key in list(self._again):
            rest = [allocation for allocation in self._again[key] if allocation.block is not row]
            if rest:
                self._again[key] = rest
            else:
                del self._again[key]

    # What comes out

    def result(self, facts: ClusterFacts, before: t.Optional[AuditResult] = None) -> AuditResult:
        """Hold what was collected against the facts; with ``before`` only what was found then, too, is believed."""
        findings = [self._damage(kind, name, what) for (kind, name), what in self._damaged.items()]
        findings += block_findings(self._blocks.values(), facts)
        blocks = {row.text: row for row in self._blocks.values()}
        unreadable = {name for kind, name in self._damaged if kind == BLOCK}
        findings += affinity_findings(self._affinities.values(), blocks, facts, self._kubernetes, unreadable)
        counts: Counts = {}
        addresses, again = _Addresses(facts), self._again
        for version, value, allocation in self._allocations():
            addresses.add((version, value), allocation, bool(again) and (version, value) in again)
            holder = allocation.holder
            if holder.handle and holder.kind != WINDOWS:
                place = (handle_name(holder.handle), allocation.block.text)
                counts[place] = counts.get(place, 0) + 1
        findings += addresses.findings()
        findings += self._allocated_twice()
        findings += handle_findings(self._handles.values(), counts, self._within, unreadable)
        findings += use_findings(facts, self._held, self._within, unreadable)
        if before is not None:
            believed = {each.id for each in before.findings}
            findings = [each for each in findings if each.id in believed]
            addresses.believe(before.leaked)
        ordered = in_order(findings)
        return AuditResult(
            tuple(ordered),
            tuple(addresses.leaked),
            tuple(addresses.kept),
            self._summary(facts, ordered, addresses),
            self._calicoctl(facts, ordered, addresses),
        )

    def _allocations(self) -> t.Iterator[t.Tuple[int, int, Allocation]]:
        for version, held in self._held.items():
            for value, allocation in held.items():
                yield version, value, allocation
        for (version, value), others in self._again.items():
            for allocation in others:
                yield version, value, allocation

    def _damage(self, kind: str, name: str, what: str) -> Finding:
        return Finding(
            "damaged-record",
            f"{kind}/{name}",
            ERROR,
            f"{kind} {name} {what}; Calico cannot use it, and nobody can say what it holds.",
            (f"{kind} {name}",),
            "Keep a copy; then repair it or remove it.",
            {"kind": kind, "name": name, "damage": what},
            ((kind, name),),
        )

    def _allocated_twice(self) -> t.Iterator[Finding]:
        for key, others in self._again.items():
            everybody = [self._held[key[0]][key[1]], *others]
            address = Address(*key)
            yield Finding(
                "allocated-twice",
                str(address),
                ERROR,
                f"Address {address} is allocated {len(everybody)} times: to "
                f"{' and to '.join(str(each.holder) for each in everybody)}.",
                tuple(f"{BLOCK} {each.block.name}" for each in everybody),
                "Restart the pods one after the other, then repair the overlapping blocks.",
                {"address": str(address), "holders": [str(each.holder) for each in everybody]},
                tuple((BLOCK, each.block.name) for each in everybody),
            )

    def _summary(self, facts: ClusterFacts, findings: t.Sequence[Finding], addresses: _Addresses) -> Row:
        rows = list(self._blocks.values())
        pools: t.Dict[str, Row] = {
            pool.name: {
                "name": pool.name,
                "cidr": str(pool.cidr),
                "enabled": pool.enabled,
                "block_size": pool.block_size,
                "blocks": 0,
                "blocks_possible": pool.block_count,
                "in_use": 0,
                "free": 0,
            }
            for pool in facts.pools
            if self._within is None or self._within.overlaps(pool.cidr)
        }
        strays = 0
        for row in rows:
            pool = facts.pool_over(row.cidr)
            entry = pools.get(pool.name) if pool is not None else None
            if entry is None:
                strays += 1
                continue
            entry["blocks"] += 1
            entry["in_use"] += row.taken
            entry["free"] += row.free
        return {
            **_counted(findings),
            "addresses": {
                "allocated": addresses.total,
                "kinds": dict(sorted(addresses.kinds.items())),
                "leaked": {
                    level: sum(1 for each in addresses.leaked if each["certainty"] == level) for level in CERTAINTIES
                },
                "borrowed": sum(row.borrowed for row in rows),
                "free": sum(row.free for row in rows),
            },
            "blocks": {
                "total": len(rows),
                "empty": sum(1 for row in rows if row.empty),
                "ownerless": sum(1 for row in rows if not row.owner),
                "strays": strays,
            },
            "affinities": len(self._affinities),
            "handles": len(self._handles),
            "pools": list(pools.values()),
        }

    def _calicoctl(self, facts: ClusterFacts, findings: t.Sequence[Finding], addresses: _Addresses) -> Row:
        """§19: its rules, not ours."""
        outside = inside = 0
        for key in addresses.judge.in_use_for_calicoctl:
            if key[1] in self._held[key[0]] or (self._within is not None and not self._within.contains(Address(*key))):
                continue
            if any(not pool.disabled and pool.cidr.contains(Address(*key)) for pool in facts.pools):
                inside += 1
            else:
                outside += 1
        handles = sum(1 for each in findings if each.check == "handle-without-address")
        invalid = sum(1 for each in findings if each.check == "invalid-block" and each.data["calicoctl"])
        return {
            "leaked": addresses.calicoctl,
            "in_use_outside_pools": outside,
            "in_use_not_allocated": inside,
            "handles_without_addresses": handles,
            "invalid_blocks": invalid,
            "problems": addresses.calicoctl + outside + inside + handles + invalid,
            "wrongly_leaked": [f"leaked-address/{row['address']}" for row in addresses.kept],
            "not_checked": sorted({each.check for each in findings} - CALICOCTL_CHECKS),
        }


class _Addresses:
    """One pass over the addresses: who is gone, who cannot be told, whose pool is."""

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


def _counted(findings: t.Sequence[Finding]) -> Row:
    checks: t.Dict[str, int] = {}
    for finding in findings:
        checks[finding.check] = checks.get(finding.check, 0) + 1
    return {
        "findings": checks,
        "severities": {level: sum(1 for each in findings if each.severity == level) for level in SEVERITIES},
    }


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
