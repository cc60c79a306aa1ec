# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The report as Markdown, for a ticket or a merge request: figures and findings, without the map.

Tables line up as text, too: a merge request shows them drawn, a terminal and a mail as they are.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report import encapsulation, gauge
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_change import compare
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import Report

# Rows of a table; the others are counted.
LISTED = 50
# A cell that is wider than this does not make its whole column wider.
WIDEST = 100
BAR = 10
NO_NAMESPACE = "(tunnels and others)"
# What is markup to one or the other reader of Markdown; names from the cluster are to be read as they are.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#!~$&@])")


def markdown(report: Report, before: Report | None = None) -> str:
    """The whole report."""
    cluster = report["cluster"] or "without an identity"
    calico = f", Calico {report['calico']}" if report["calico"] else ""
    lines = ["# Calico IPAM report", "", f"Cluster {plain(cluster)}{plain(calico)}, {plain(report['taken'])}.", ""]
    lines += [f"{plain(note)}\n" for note in report["notes"]]
    lines += _procedures(report)
    if before is not None:
        lines += ["## Before and after", "", *_change(compare(before, report))]
    lines += _findings(report)
    lines += ["## Pools", "", *_pools(report)]
    lines += ["## Nodes", "", *_nodes(report)]
    lines += ["## Namespaces", "", *_namespaces(report)]
    if report["timeline"]:
        rows = [(each["at"], each["pool"], each["text"]) for each in report["timeline"]]
        lines += ["## Timeline", "", *_table(("time", "pool", "what"), rows[-LISTED:])]
    return "\n".join(lines).rstrip() + "\n"


def plain(text: t.Any) -> str:
    """Text from the cluster as Markdown that shows it as it is, in one line."""
    shown = "".join(character if character.isprintable() else " " for character in str("" if text is None else text))
    return _MARKUP.sub(r"\\\1", " ".join(shown.split()))


def _code(text: str) -> str:
    """What stands between two backticks."""
    return "".join(character if character.isprintable() and character != "`" else " " for character in text)


def _table(header: t.Sequence[str], rows: t.Sequence[t.Sequence[t.Any]], total: int | None = None) -> list[str]:
    """A table; headers that begin with ``>`` are of figures. Ends with an empty line."""
    names = [name.lstrip(">") for name in header]
    right = [name.startswith(">") for name in header]
    cells = [[_cell(cell) for cell in row] for row in rows[:LISTED]]
    widths = [
        max(3, *(len(row[at]) for row in (names, *cells) if len(row[at]) <= WIDEST), len(names[at]))
        for at in range(len(names))
    ]
    rule = [f"{'-' * (width - 1)}{':' if figures else '-'}" for width, figures in zip(widths, right)]
    lines = [_line(each, widths, right) for each in (names, rule, *cells)]
    more = (len(rows) if total is None else total) - LISTED
    return [*lines, "", *([f"And {more:,} more.", ""] if more > 0 else [])]


def _line(cells: t.Sequence[str], widths: t.Sequence[int], right: t.Sequence[bool]) -> str:
    shown = (cell.rjust(width) if figures else cell.ljust(width) for cell, width, figures in zip(cells, widths, right))
    return f"| {' | '.join(shown)} |"


def _cell(value: t.Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else plain(value)


def _procedures(report: Report) -> list[str]:
    """Procedures that are under way or over, with the workloads that they have moved."""
    lines = ["## Procedures", ""] if report["procedures"] else []
    for each in report["procedures"]:
        going = "over" if each.get("over") else "under way"
        what = plain(each["sentence"])
        lines += [
            f"{what[:1].upper()}{what[1:]}: {going}, begun {plain(each['started'])}, {each['moved_pods']:,} pods moved",
            "",
        ]
        lines += [f"{word}: `{_code(each[word])}`\n" for word in ("resume", "undo") if each.get(word)]
        if each["moved"]:
            rows = [
                (row.get("owner"), "back" if row.get("back") else "out", row.get("way"), row.get("pods"))
                for row in each["moved"]
            ]
            lines += _table(("workload", "of the pool", "how", ">pods"), rows)
    return lines


def _findings(report: Report) -> list[str]:
    audit = report["audit"]
    if audit is None:
        return ["## Findings", "", "The audit was not asked for.", ""]
    lines = ["## Findings", ""]
    if audit["findings"]:
        rows = [(each["severity"], each["check"], each["message"]) for each in audit["findings"]]
        lines += _table(("severity", "check", "finding"), rows)
    else:
        lines += ["None.", ""]
    if report["damaged"]:
        rows = [(each["kind"], each["name"], each["fault"]) for each in report["damaged"]]
        lines += ["### Damaged records", "", *_table(("kind", "name", "fault"), rows)]
    return lines


def _pools(report: Report) -> list[str]:
    rows = []
    for pool in report["pools"]:
        spec, use = pool["spec"], pool["utilization"]
        addresses, blocks = use["addresses"], use["blocks"]
        rows.append(
            (
                pool["name"],
                spec.get("cidr"),
                f"/{spec.get('blockSize')}",
                encapsulation(spec),
                "disabled" if spec.get("disabled") else "enabled",
                addresses["in_use"],
                addresses["capacity"],
                f"{blocks['allocated']:,} of {blocks['possible']:,}",
            )
        )
    return _table(("pool", "CIDR", "block", "encapsulation", "state", ">in use", ">addresses", ">blocks"), rows)


def _nodes(report: Report) -> list[str]:
    rows = [
        (
            row["node"] or "(no owner)",
            row["blocks"],
            row["in_use"],
            row["free"],
            row["borrowed"],
            row["leaked"],
            gauge(row["in_use"], row["addresses"], BAR),
        )
        for row in report["nodes"]
    ]
    return _table(("node", ">blocks", ">in use", ">free", ">borrowed", ">leaked", "of its blocks"), rows)


def _namespaces(report: Report) -> list[str]:
    rows = [
        (row["namespace"] or NO_NAMESPACE, row["pool"] or "(none)", row["addresses"], row["leaked"])
        for row in sorted(report["namespaces"], key=lambda row: -row["addresses"])
    ]
    return _table(("namespace", "pool", ">addresses", ">leaked"), rows)


def _change(change: t.Mapping[str, t.Any]) -> list[str]:
    lines = [f"From {plain(change['before'])} to {plain(change['after'])}.", ""]
    rows = [(pool["name"], *_sides(pool["before"], pool["after"])) for pool in change["pools"]]
    lines += _table(("pool", "block before", "after", ">in use before", ">after", ">blocks before", ">after"), rows)
    for what in ("blocks", "addresses"):
        figures = change[what]
        lines += [f"{what}: {figures['gone']:,} gone, {figures['kept']:,} kept, {figures['new']:,} new", ""]
    moved = [row for row in change["namespaces"] if row["before"] != row["after"]]
    if moved:
        rows = [
            (row["namespace"] or NO_NAMESPACE, row["pool"] or "(none)", row["before"], row["after"]) for row in moved
        ]
        lines += _table(("namespace", "pool", ">before", ">after"), rows)
    return lines


def _sides(before: t.Mapping[str, t.Any] | None, after: t.Mapping[str, t.Any] | None) -> tuple[t.Any, ...]:
    shown: list[t.Any] = []
    for key in ("block_size", "in_use", "blocks"):
        for side in (before, after):
            value = None if side is None else side[key]
            shown.append("–" if value is None else f"/{value}" if key == "block_size" else value)
    return tuple(shown)
