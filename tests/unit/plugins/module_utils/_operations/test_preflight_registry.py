# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All checks together: which hazards they cover, and that the guide lists them as they are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4] / "tools"))

from preflight_table import GUIDE, in_guide, table

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import BLOCKER, NOTE, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import CHECKS

# The rows of the catalogue of hazards.
BEFORE = [f"B{number:02}" for number in range(1, 48)]
DURING = [f"D{number:02}" for number in range(1, 23)]
AFTER = [f"A{number:02}" for number in range(1, 16)]
# Rows about conditions before a procedure that no check is for, and why not.
WITHOUT_CHECK = {
    "B45": "the journal stores the pool's definition before the first write, whatever the cluster is like",
}
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


def test_every_condition_before_a_procedure_has_a_check_or_a_reason() -> None:
    covered = {hazard for check in CHECKS for hazard in check.hazards}
    assert [row for row in BEFORE if row not in covered] == list(WITHOUT_CHECK)
    assert covered <= {*BEFORE, *DURING, *AFTER}


def test_ids_are_stable_words() -> None:
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
    assert [identifier for identifier in ids if not KEBAB.fullmatch(identifier)] == []
    for check in CHECKS:
        assert check.worst in (BLOCKER, WARNING, NOTE)
        assert len(set(check.hazards)) == len(check.hazards)
        assert not check.title.endswith(".")


def test_every_check_stands_for_a_hazard() -> None:
    # Whether the user can see the cluster, and whether the request makes sense, come before all hazards.
    assert {check.id for check in CHECKS if not check.hazards} == {"rights-sufficient", "pool-exists"}


def test_the_guide_lists_the_checks() -> None:
    """Written by tests/tools/preflight_table.py."""
    _before, found, _after = in_guide(GUIDE.read_text(encoding="utf-8"))
    assert found == table()
