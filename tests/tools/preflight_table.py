# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the table of all checks into the guide on the preflight: ``python tests/tools/preflight_table.py``."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import BLOCKER, Check
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import CHECKS

GUIDE = Path(__file__).parents[2] / "docs/guides/preflight.md"
BEGIN, END = "<!-- checks: begin -->\n", "<!-- checks: end -->\n"
HEAD = "| id | what it makes sure of | hazards | severity | waiver |\n|---|---|---|---|---|\n"


def table() -> str:
    """A row for each check, in the order of the preflight."""
    return HEAD + "".join(f"| {' | '.join(_cells(check))} |\n" for check in CHECKS)


def in_guide(text: str) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands after it."""
    before, _begin, rest = text.partition(BEGIN)
    found, _end, after = rest.partition(END)
    return before, found, after


def _cells(check: Check) -> t.Iterator[str]:
    yield f"`{check.id}`"
    yield check.title
    yield ", ".join(sorted(check.hazards)) or "–"
    yield check.worst if check.worst != BLOCKER or not check.when_resumed else f"{check.worst}, also when resumed"
    if check.confirms:
        yield "confirms it"
    else:
        yield ("yes" if check.waivable else "no") if check.worst == BLOCKER else "–"


def main() -> None:
    before, _old, after = in_guide(GUIDE.read_text(encoding="utf-8"))
    GUIDE.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
