# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The whole preflight: every check, the sizes, and what the procedure is going to do in sentences."""

from __future__ import annotations

import textwrap
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import (
    preflight_checks_capacity,
    preflight_checks_cluster,
    preflight_checks_collection,
    preflight_checks_dataplane,
    preflight_checks_families,
    preflight_checks_ipam,
    preflight_checks_losses,
    preflight_checks_managers,
    preflight_checks_neighbours,
    preflight_checks_nodes,
    preflight_checks_operator,
    preflight_checks_outside,
    preflight_checks_policies,
    preflight_checks_pools,
    preflight_checks_ranges,
    preflight_checks_requests,
    preflight_checks_serving,
    preflight_checks_versions,
    preflight_checks_workloads,
    preflight_checks_writes,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import assessment_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import check_consent
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import DONE, TARGET_KEYS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    Check,
    Finding,
    blockers,
    is_decided,
    run_checks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_capacity import measured
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_writes import planned_stop
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_plan import plan_sentences
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    PreflightRequest,
    Situation,
    situation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.way import (
    Recommendation,
    recommend,
    with_temporary_range,
)

CHECKS: tuple[Check, ...] = (
    *preflight_checks_cluster.CHECKS,
    *preflight_checks_versions.CHECKS,
    *preflight_checks_operator.CHECKS,
    *preflight_checks_pools.CHECKS,
    *preflight_checks_writes.CHECKS,
    *preflight_checks_managers.CHECKS,
    *preflight_checks_ranges.CHECKS,
    *preflight_checks_outside.CHECKS,
    *preflight_checks_dataplane.CHECKS,
    *preflight_checks_capacity.CHECKS,
    *preflight_checks_ipam.CHECKS,
    *preflight_checks_collection.CHECKS,
    *preflight_checks_requests.CHECKS,
    *preflight_checks_neighbours.CHECKS,
    *preflight_checks_policies.CHECKS,
    *preflight_checks_families.CHECKS,
    *preflight_checks_nodes.CHECKS,
    *preflight_checks_serving.CHECKS,
    *preflight_checks_workloads.CHECKS,
    *preflight_checks_losses.CHECKS,
)
# How findings are marked, the worst first; the width of a line, and how many objects of a blocker are named.
MARKS = ("blocker", "confirm", "warning", "waived", "confirmed", "note")
WIDTH = 112
INDENT = " " * 10
SHOWN = 6
# Once the procedure is done, only these have anything to say.
WHEN_DONE = (*preflight_checks_cluster.CHECKS, preflight_checks_pools.POOL_EXISTS)


def preflight_request(params: t.Mapping[str, t.Any]) -> PreflightRequest:
    """The request among a module's parameters. InvalidInput for an external range or a consent that is none."""
    check_consent(params.get("consent") or ())
    target = params["target"] or {}
    keys = ("state", *TARGET_KEYS)
    return PreflightRequest(
        procedure=params["procedure"],
        pool=params["pool"],
        target={key: target[key] for key in TARGET_KEYS if target.get(key) is not None},
        block_size=params["block_size"],
        pools=tuple({key: entry[key] for key in keys if entry.get(key) is not None} for entry in params["pools"] or ()),
        waivers=tuple(params["waivers"] or ()),
        consent=tuple(params.get("consent") or ()),
        external_ranges=tuple(
            parse_range(text, field="external_ranges") for text in params.get("external_ranges") or ()
        ),
        more_nodes=max(params.get("more_nodes") or 0, 0),
    )


def preflight(request: PreflightRequest, view: ClusterView) -> dict[str, t.Any]:
    """The result of ``ippool_preflight_info``: findings, plan, sizes, phase, the target, the way, and lines to show.

    InvalidInput for a waiver that does not exist; Refused when the live pool contradicts the
    journal.
    """
    now = situation(with_temporary_range(request, view), view)
    findings = run_checks(WHEN_DONE if now.phase == DONE else CHECKS, now, known=CHECKS)
    over = now.phase == DONE or is_decided(findings)
    plan = [] if over else plan_sentences(now)
    capacity = {} if over else capacity_of(now)
    recommended = None if over else recommend(now, {finding.check.id for finding in findings})
    return {
        "findings": [finding.as_result() for finding in findings],
        "blockers": blockers(findings),
        "plan": plan,
        "capacity": capacity,
        "phase": now.phase,
        "target": dict(now.request.target),
        "stop_way": None if over else planned_stop(now),
        "recommendation": recommended.as_result() if recommended is not None else None,
        "lines": [
            *lines(findings, plan, capacity, now.resumed),
            *(_ways(recommended) if recommended is not None else ()),
        ],
    }


def capacity_of(now: Situation) -> dict[str, t.Any]:
    """Figures of each pool whose size matters, by name, with the sentences that say them."""
    figures = {}
    for pool in measured(now):
        if pool.pool is not None:
            assessment = assessment_of(pool.pool, now)
            figures[pool.name] = {**assessment.as_dict(), "sentences": list(assessment.sentences)}
    return figures


def lines(
    findings: t.Sequence[Finding], plan: t.Sequence[str], capacity: t.Mapping[str, t.Any], resumed: bool = False
) -> t.Iterator[str]:
    """The preflight as text for a terminal: the worst first, and no line longer than a terminal is wide."""
    for finding in sorted(findings, key=lambda each: MARKS.index(_mark(each))):
        yield from _wrapped(f"{_mark(finding):9} ", f"{finding.check.id}: {finding.problem.message}")
        if not finding.waived:
            yield from _wrapped(INDENT, _concerned(finding))
            yield from _wrapped(INDENT, f"{finding.problem.remedy}{_waiver(finding)}")
    if not findings:
        yield "nothing found that speaks against it"
    else:
        yield f"found: {', '.join(_tally(findings))}"
    for name, figures in capacity.items():
        yield f"{name}:"
        for sentence in figures["sentences"]:
            yield from _wrapped("  ", sentence)
    if plan:
        yield "an earlier run began this; what is left to do:" if resumed else "plan:"
    for number, sentence in enumerate(plan, 1):
        yield from _wrapped(f"{number:3}. ", sentence)


def _ways(recommended: Recommendation) -> t.Iterator[str]:
    for line in recommended.lines():
        text = line.lstrip()
        yield from _wrapped(" " * (len(line) - len(text)), text)


def _mark(finding: Finding) -> str:
    if finding.problem.confirm:
        return "confirmed" if finding.waived else "confirm"
    return "waived" if finding.waived else finding.problem.severity


def _tally(findings: t.Sequence[Finding]) -> t.Iterator[str]:
    """How many of each mark there are."""
    names = {"blocker": "blocker", "warning": "warning", "note": "note"}
    for mark in MARKS:
        number = sum(1 for finding in findings if _mark(finding) == mark)
        if number:
            yield counted(number, names[mark]) if mark in names else f"{number} {'to ' * (mark == 'confirm')}{mark}"


def _concerned(finding: Finding) -> str:
    """The objects of a blocker that its sentence does not name, as far as they fit a line or two."""
    problem = finding.problem
    others = [name for name in problem.objects if name.rpartition(" ")[2] not in problem.message]
    if problem.severity != BLOCKER or len(problem.objects) < 2 or not others:
        return ""
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    return f"Also: {', '.join(others[:SHOWN])}{more}."


def _waiver(finding: Finding) -> str:
    """How a blocker is let pass, where its remedy does not say so."""
    if finding.problem.severity != BLOCKER or finding.problem.confirm or "waive " in finding.problem.remedy:
        return ""
    if not (finding.check.waivable and finding.problem.waivable):
        return " This cannot be waived."
    return f" Or let it pass: waive {finding.check.id}."


def _wrapped(head: str, text: str) -> t.Iterator[str]:
    """``head`` and the text beside it; names and commands are not broken."""
    if text.strip():
        yield from textwrap.wrap(
            text.strip(),
            WIDTH,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )
