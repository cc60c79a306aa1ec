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

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_affinities import affinity_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_blocks import block_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import ClusterFacts, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    AFFINITY,
    BLOCK,
    ERROR,
    HANDLE,
    Finding,
    in_etcd,
    in_order,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_handles import Counts, handle_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_pass import AddressPass, Row
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
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_summary import (
    Audited,
    calicoctl_of,
    counted,
    summary_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_use import use_findings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    WINDOWS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import handle_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


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
        return replace(self, findings=tuple(findings), summary={**self.summary, **counted(findings)})


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
        fold: t.Callable[[str], str] = handle_name if self._kubernetes else str
        addresses, again = AddressPass(facts), self._again
        for version, value, allocation in self._allocations():
            addresses.add((version, value), allocation, bool(again) and (version, value) in again)
            holder = allocation.holder
            if holder.handle and holder.kind != WINDOWS:
                place = (fold(holder.handle), allocation.block.text)
                counts[place] = counts.get(place, 0) + 1
        findings += addresses.findings()
        findings += self._allocated_twice()
        findings += handle_findings(self._handles.values(), counts, self._within, unreadable, fold)
        findings += use_findings(facts, self._held, self._within, unreadable)
        if before is not None:
            believed = {each.id for each in before.findings}
            findings = [each for each in findings if each.id in believed]
            addresses.believe(before.leaked)
        if not self._kubernetes:
            findings = [in_etcd(each) for each in findings]
        ordered = in_order(findings)
        audited = Audited(
            list(self._blocks.values()), len(self._affinities), len(self._handles), self._held, self._within
        )
        return AuditResult(
            tuple(ordered),
            tuple(addresses.leaked),
            tuple(addresses.kept),
            summary_of(audited, facts, ordered, addresses),
            calicoctl_of(audited, facts, ordered, addresses),
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
