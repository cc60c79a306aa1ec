# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a run of a procedure says when it begins, stops and ends: how to go on, and what became of the pools."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_estimate import in_words
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import ROLLBACK, Journal
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool, find

NONE = "-"


def ways_on(commands: t.Mapping[str, str], where: str) -> t.Iterator[str]:
    """The commands as they are to be copied, one on each line; nothing where there are none."""
    if not commands["resume"]:
        return
    yield f"the journal is {where}; after an interruption:"
    yield f"  resume: {commands['resume']}"
    if commands["undo"] and commands["undo"] != commands["resume"]:
        yield f"  undo:   {commands['undo']}"
    if commands.get("back"):
        yield "  it is too late to undo it; once it is finished, this leads back:"
        yield f"  back:   {commands['back']}"


def final_table(journal: Journal, pools: t.Sequence[StoredPool], now: datetime) -> t.Iterator[str]:
    """The pools before and after, how workloads were moved, and how long all of it took."""
    done = "undone" if journal.direction == ROLLBACK else "done"
    yield f"{done}: {journal.sentence()}"
    yield from _columns([("pool", "before", "after"), *_pools(journal, pools)])
    moves = []
    for title, back in (("moved out by", False), ("moved back by", True)):
        ways = _ways(journal, back)
        moves += [(title, "workloads", "pods"), *ways] if ways else []
    if moves:
        yield from _columns(moves, figures=True)
    began = _moment(journal.started)
    if began is not None and now >= began:
        took = f"took {in_words((now - began).total_seconds())} since {journal.started}"
        yield took if len(journal.runs) < 2 else f"{took}, in {counted(len(journal.runs), 'run')}"


def _pools(journal: Journal, pools: t.Sequence[StoredPool]) -> t.Iterator[tuple[str, str, str]]:
    name = str(journal.target.get("name"))
    before = {journal.pool: journal.definition, name: journal.target_definition}
    for pool, definition in before.items():
        live = find(pools, pool)
        yield pool, _shape((definition or {}).get("spec")), _shape(None if live is None else live.spec)


def _shape(spec: t.Mapping[str, t.Any] | None) -> str:
    if not spec:
        return NONE
    size = spec.get("blockSize") or (122 if ":" in str(spec.get("cidr")) else 26)
    return f"{spec.get('cidr')}, blockSize {size}{', disabled' if spec.get('disabled') else ''}"


def _ways(journal: Journal, back: bool) -> list[tuple[str, str, str]]:
    """As far as the journal knows: a run that was killed on the way notes nothing."""
    rows: dict[str, tuple[set[str], int]] = {}
    for each in journal.moved:
        if bool(each.get("back")) != back:
            continue
        owners, pods = rows.get(str(each.get("way")), (set(), 0))
        number = each.get("pods")
        rows[str(each.get("way"))] = (
            {*owners, str(each.get("owner"))},
            pods + (number if isinstance(number, int) else 0),
        )
    return [(way, str(len(owners)), str(pods)) for way, (owners, pods) in sorted(rows.items())]


def _columns(rows: t.Sequence[tuple[str, str, str]], *, figures: bool = False) -> t.Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [
            text.rjust(width) if figures and column else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths))
        ]
        yield "  ".join(cells).rstrip()


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
