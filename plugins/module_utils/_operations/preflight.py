# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The preflight: a registry of small checks over one view of the cluster.

Each check is a function from a ``Situation`` to problems; ``run_checks`` turns them into
findings: which hazard, how bad, and whether the user waived it by name. The hazards are
those of spec hazards.md.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from difflib import get_close_matches

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation

BLOCKER = "blocker"
WARNING = "warning"
NOTE = "note"


@dataclass(frozen=True)
class Problem:
    """One thing a check found: how bad, one sentence, the objects concerned, what to do.

    ``waivable`` is false for a blocker that cannot be waived although others of its check can.
    ``confirm``: the cluster cannot show it, so the operator has to look and say so by the check's id.
    """

    severity: str
    message: str
    remedy: str = ""
    objects: tuple[str, ...] = ()
    waivable: bool = True
    confirm: bool = False


Examine = t.Callable[[Situation], t.Iterable[Problem]]


@dataclass(frozen=True)
class Check:
    """``id`` is stable: users name it in waivers.

    ``waivable``: whether a user may let a blocker pass. ``when_resumed``: whether the check
    still means what it says once the procedure has begun; if not, what it finds then is
    a note. ``decisive``: when it blocks, the checks after it have nothing to go by and are left out.
    ``worst`` is how bad its findings can be and ``confirms`` whether a waiver confirms them, for the guide;
    tests hold both against what is found.
    """

    id: str
    title: str
    hazards: tuple[str, ...]
    examine: Examine
    waivable: bool = True
    when_resumed: bool = False
    decisive: bool = False
    worst: str = BLOCKER
    confirms: bool = False


@dataclass(frozen=True)
class Finding:
    check: Check
    problem: Problem
    waived: bool = False

    def as_result(self) -> dict[str, t.Any]:
        return {
            "id": self.check.id,
            "severity": self.problem.severity,
            "message": self.problem.message,
            "objects": list(self.problem.objects),
            "remedy": self.problem.remedy,
            "waivable": self.check.waivable and self.problem.waivable,
            "waived": self.waived,
            "confirm": self.problem.confirm,
            "hazards": list(self.check.hazards),
        }


def run_checks(
    checks: t.Sequence[Check], situation: Situation, *, known: t.Sequence[Check] | None = None
) -> list[Finding]:
    """Every finding, in the order of the registry. ``known`` are all checks that a waiver may name.

    InvalidInput for a waiver that names no check, or one that cannot be waived.
    """
    waivers = check_waivers(checks if known is None else known, situation.request.waivers)
    findings: list[Finding] = []
    for check in checks:
        if is_decided(findings):
            break
        for problem in check.examine(situation):
            if situation.resumed and not check.when_resumed:
                problem = replace(problem, severity=NOTE)
            waived = check.id in waivers and problem.waivable and (problem.severity == BLOCKER or problem.confirm)
            findings.append(Finding(check, problem, waived))
    return findings


def is_decided(findings: t.Iterable[Finding]) -> bool:
    """Whether a decisive check blocked, so that nothing more can be said."""
    return any(finding.check.decisive and finding.problem.severity == BLOCKER for finding in findings)


def blockers(findings: t.Iterable[Finding]) -> int:
    """Blockers that nobody waived."""
    return sum(1 for finding in findings if finding.problem.severity == BLOCKER and not finding.waived)


def check_waivers(checks: t.Sequence[Check], waivers: t.Iterable[str]) -> frozenset[str]:
    by_id = {check.id: check for check in checks}
    for waiver in waivers:
        check = by_id.get(waiver)
        if check is None:
            near = get_close_matches(waiver, [check.id for check in checks], n=1)
            meant = f"did you mean {near[0]!r}? They" if near else "they"
            raise InvalidInput(
                f"waivers: there is no check {waiver!r}; {meant} are named with each finding, and listed in the guide "
                "on preflight.",
                field="waivers",
                value=waiver,
            )
        if not check.waivable:
            raise InvalidInput(
                f"waivers: the check {waiver!r} ({check.title}) cannot be waived.", field="waivers", value=waiver
            )
    return frozenset(waivers)
