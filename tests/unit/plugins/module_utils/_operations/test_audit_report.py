# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import CHECKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_report import LISTED, audit_lines

GUIDE = Path(__file__).parents[5] / "docs/guides/audit.md"


def result(findings: int, leaked: int) -> dict[str, t.Any]:
    row = {
        "address": "10.0.0.9",
        "kind": "pod",
        "certainty": "certain",
        "namespace": "shop",
        "name": "a",
        "node": None,
        "reason": "its pod is gone",
    }
    return {
        "findings": [{"severity": "warning", "check": "leaked-address", "message": "Words."}] * findings,
        "leaked": [row] * leaked,
        "summary": {
            "addresses": {"allocated": 1200, "kinds": {"pod": 1200}},
            "blocks": {"total": 3, "empty": 1, "ownerless": 0, "strays": 0},
            "affinities": 3,
            "handles": 9,
            "pools": [
                {
                    "name": "p",
                    "cidr": "10.0.0.0/24",
                    "block_size": 26,
                    "enabled": False,
                    "blocks": 3,
                    "in_use": 0,
                    "free": 0,
                }
            ],
        },
        "calicoctl": {
            "problems": 3,
            "leaked": 3,
            "in_use_not_allocated": 0,
            "in_use_outside_pools": 0,
            "handles_without_addresses": 0,
            "invalid_blocks": 0,
            "wrongly_leaked": ["leaked-address/fd00::1"],
            "not_checked": ["block-size"],
        },
    }


def test_the_report_lines_up() -> None:
    lines = audit_lines(result(2, 1))
    text = "\n".join(lines)
    assert "p     10.0.0.0/24  /26    disabled       3       0" in text
    assert "addresses   1,200 allocated: 1,200 pod" in text
    assert "10.0.0.9  pod   certain    shop/a  -     its pod is gone" in text
    assert "1 of the addresses that it calls leaked" in text
    assert "It does not look for: block-size." in text
    assert not any(line != line.rstrip() for line in lines)


def test_long_lists_are_cut() -> None:
    assert audit_lines(result(LISTED + 7, 0)).count("and 7 more") == 1
    assert "FINDINGS    none" in audit_lines(result(0, 0))


def test_the_guide_names_every_check() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    table = [line for line in guide.splitlines() if line.startswith("| `") and line.count("|") == 3]
    assert table[-len(CHECKS) :] == [f"| `{check}` | {meaning} |" for check, meaning in CHECKS.items()]
