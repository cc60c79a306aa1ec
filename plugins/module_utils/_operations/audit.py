# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Audits Calico's IPAM data: reads everything once, looks twice at whatever seems wrong, and says what it is.

The order matters, because a cluster goes on living between two lists. Blocks come first and pods
last: a pod that was made in between is seen, so that its address cannot look leaked; an address
that it got in between only looks unallocated, and the second look clears that up. Every record
and every pod that a finding rests on is read once more, one by one, and the finding is believed
only if it still holds.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit import Audit, AuditResult
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    AFFINITY,
    BLOCK,
    CHECKS,
    HANDLE,
    SEVERITIES,
    WARNING,
    Finding,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_settings import (
    reservation_findings,
    settings_findings,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import VM
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_facts import (
    look_again,
    read_cluster,
    read_facts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import Records
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_report import audit_lines
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import no_cycle_search
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool, require


def audit(
    api: KubeApi,
    records: Records,
    pools: t.Sequence[Pool],
    clock: Clock,
    *,
    within: Network | None = None,
    checks: t.Collection[str] = (),
    severity: str = SEVERITIES[-1],
) -> dict[str, t.Any]:
    """The result of ``ipam_audit_info``. ``checks`` and ``severity`` choose findings; all is looked at anyway."""
    check_names(checks)
    began = clock.now()
    cluster = read_cluster(api)
    settings = records.settings()
    extra = [
        *settings_findings(settings, cluster.version),
        *reservation_findings(records.reservations()),
    ]
    if cluster.locked:
        extra.append(_locked())
    with no_cycle_search():
        result = _looked_twice(api, records, pools, clock, within, settings)
    return {
        **shown(result, extra, checks, severity),
        "taken": format_time(began),
        "cluster": cluster.identity,
        "datastore_locked": cluster.locked,
    }


def _looked_twice(
    api: KubeApi,
    records: Records,
    pools: t.Sequence[Pool],
    clock: Clock,
    within: Network | None,
    settings: t.Any,
) -> AuditResult:
    collected = Audit(clock.now, within, records.kubernetes)
    for block in records.raw_blocks():
        collected.block(block)
    for row in records.raw_affinities():
        collected.affinity(row)
    for handle in records.raw_handles():
        collected.handle(handle)
    facts = read_facts(api, pools, _cooldown(settings), clock.now(), machines=VM in collected.kinds)
    first = collected.result(facts)
    doubtful = _rests(first)
    if not doubtful:
        return first
    for kind, put in ((BLOCK, collected.block), (AFFINITY, collected.affinity), (HANDLE, collected.handle)):
        for name, thing in records.again(kind, doubtful.get(kind, ())):
            if thing is None:
                collected.forget(kind, name)
            else:
                put(thing)
    return collected.result(look_again(api, facts, doubtful), first)


def shown(
    result: AuditResult, extra: t.Sequence[Finding], checks: t.Collection[str], severity: str
) -> dict[str, t.Any]:
    """The result as plain data, with the findings that are wanted."""
    findings = result.with_findings(extra)
    worst = SEVERITIES[: SEVERITIES.index(severity) + 1]
    chosen = [
        each.shown() for each in findings.findings if each.severity in worst and (not checks or each.check in checks)
    ]
    plain = {
        "findings": chosen,
        "leaked": list(findings.leaked),
        "kept": list(findings.kept),
        "summary": findings.summary,
        "calicoctl": findings.calicoctl,
    }
    return {**plain, "lines": audit_lines(plain)}


def audit_range(pools: t.Sequence[StoredPool], pool: str | None, cidr: str | None) -> Network | None:
    """The range an audit is limited to. InvalidInput for an unknown pool and for a CIDR that does not parse."""
    if cidr is not None:
        return parse_network(cidr)
    if pool is None:
        return None
    parsed = require(pools, pool).pool()
    if parsed is None:
        raise InvalidInput(
            f"pool: the CIDR of IPPool {pool!r} does not parse, so nothing can be in it.", field="pool", value=pool
        )
    return parsed.cidr


def check_names(names: t.Collection[str]) -> None:
    """InvalidInput for a check that does not exist."""
    for name in names:
        if name not in CHECKS:
            raise InvalidInput(
                f"checks: there is no check {name!r}; the checks are {', '.join(CHECKS)}.", field="checks", value=name
            )


def _locked() -> Finding:
    return Finding(
        "datastore-locked",
        "",
        WARNING,
        "ClusterInformation default says datastoreReady: false: no pod gets an address, and nothing is collected.",
        ("ClusterInformation default",),
        "Finish or undo the migration that locked it: calicoctl datastore migrate unlock",
    )


def _cooldown(settings: t.Any) -> int:
    spec = settings.get("spec") if isinstance(settings, dict) else None
    seconds = spec.get("ipCooldownSeconds") if isinstance(spec, dict) else None
    return seconds if type(seconds) is int else 0


def _rests(result: AuditResult) -> dict[str, set[str]]:
    """The names, by kind, of everything that a finding rests on."""
    found: dict[str, set[str]] = {}
    for finding in result.findings:
        for kind, name in finding.rests_on:
            found.setdefault(kind, set()).add(name)
    return found
