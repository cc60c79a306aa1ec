# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The whole preflight: every check, the sizes, and what the procedure is going to do in sentences."""

from __future__ import annotations

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
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import assessment_of, owners_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import check_consent
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    DONE,
    MOVING_BACK,
    RECREATE,
    RESIZE,
    TARGET_KEYS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    Check,
    Finding,
    blockers,
    is_decided,
    run_checks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_capacity import measured
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    PreflightRequest,
    Situation,
    Wanted,
    situation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.way import recommend, with_temporary_range

CHECKS: tuple[Check, ...] = (
    *preflight_checks_cluster.CHECKS,
    *preflight_checks_versions.CHECKS,
    *preflight_checks_operator.CHECKS,
    *preflight_checks_pools.CHECKS,
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
        "recommendation": recommended.as_result() if recommended is not None else None,
        "lines": [*lines(findings, plan, capacity), *(recommended.lines() if recommended is not None else ())],
    }


def capacity_of(now: Situation) -> dict[str, t.Any]:
    """Figures of each pool whose size matters, by name, with the sentences that say them."""
    figures = {}
    for pool in measured(now):
        if pool.pool is not None:
            assessment = assessment_of(pool.pool, now)
            figures[pool.name] = {**assessment.as_dict(), "sentences": list(assessment.sentences)}
    return figures


def plan_sentences(now: Situation) -> list[str]:
    """What the role is going to do from here, with names and numbers."""
    request = now.request
    if request.procedure == DECLARE:
        return [_declared_sentence(pool) for pool in now.wanted]
    if now.source is None or now.target is None:
        return []
    old, target = now.source.name, now.target.name
    where = now.target.spec.get("cidr") or "a range that is still to be given"
    pods = now.source_pods()
    owners = owners_of(pods, now.view)
    moving = f"{len(pods)} pods of {len(owners)} workloads"
    out = [
        f"Create pool {target} ({where if now.target.pool is None else _shape(now.target)})."
        if now.target.is_new
        else f"Keep pool {target} ({where}), which exists.",
        f"Disable pool {old} ({now.source.spec.get('cidr')}); tunnel addresses of nodes move to {target} at once.",
        f"Move {moving} to {target}, by rollout restart where that is safe and by eviction otherwise.",
        f"Prove that a new pod gets an address of {target} and that no pod has one of {old}.",
        f"Delete pool {old} with its {_blocks(now)} blocks and their affinities.",
    ]
    if request.procedure != RESIZE:
        return out[:1] if now.phase == RECREATE else out
    back = [
        f"Create pool {old} again as it was, with blockSize {request.block_size}.",
        f"Disable pool {target}.",
        f"Move the pods back to {old}, prove that none is left in {target}.",
        f"Delete pool {target} with its blocks and affinities.",
    ]
    return back if now.phase in (RECREATE, MOVING_BACK) else [*out, *back]


def lines(findings: t.Sequence[Finding], plan: t.Sequence[str], capacity: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """The preflight as text for a terminal."""
    for finding in findings:
        problem = finding.problem
        mark = problem.severity
        if finding.waived or problem.confirm:
            mark = ("confirmed" if problem.confirm else "waived") if finding.waived else "confirm"
        yield f"{mark:9} {finding.check.id}: {problem.message}"
        if problem.remedy and not finding.waived:
            yield f"{'':9} {problem.remedy}"
    if not findings:
        yield "nothing found that speaks against it"
    for name, figures in capacity.items():
        for sentence in figures["sentences"]:
            yield f"{name}: {sentence}"
    for number, sentence in enumerate(plan, 1):
        yield f"{number}. {sentence}"


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
