# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A fleet as one table, a row for each cluster; those that could not be asked are named below it."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report import table

Row = t.Mapping[str, t.Any]

HEADER = (
    "CLUSTER",
    "INSTALLATION",
    "VERSION",
    "POOLS OWNED BY",
    ">POOLS",
    ">IN USE",
    ">ADDRESSES",
    ">BLOCKS",
    "FINDINGS",
)
#: From here on a number says less than its power of two.
_LARGE = 10**10


def fleet_lines(results: t.Mapping[str, Row]) -> list[str]:
    """Lines of text for what ``ipam_summary_info`` returned for each cluster, or for the ``msg`` of its failure."""
    failed = {name: reason_of(row) for name, row in results.items() if not answered(row)}
    rows = [_cells(name, row) if answered(row) else (name, "no figures", *["-"] * 7) for name, row in results.items()]
    if not rows:
        return ["There are no clusters in this fleet."]
    lines = table(HEADER, rows)
    totals = [row for row in results.values() if answered(row)]
    lines += ["", _count(len(results), len(totals), sum(row["addresses"]["in_use"] for row in totals))]
    if failed:
        lines += ["", *table(("NO FIGURES", "WHY"), failed.items())]
    return lines


def answered(row: t.Any) -> bool:
    """Whether this is a summary, and not the result of a failure."""
    return isinstance(row, t.Mapping) and "addresses" in row and "findings" in row


def reason_of(row: t.Any) -> str:
    """Why there is no summary, on one line."""
    text = row.get("msg") if isinstance(row, t.Mapping) else None
    return " ".join(str(text or "no result").split())


def _cells(name: str, row: Row) -> tuple[str, ...]:
    addresses = row["addresses"]
    return (
        name,
        str(row["mode"]) if row["supported"] else f"{row['mode']} (stopped)",
        str(row["version"] or "unknown"),
        ", ".join(row["owners"]) or "nobody",
        f"{len(row['pools']):,}",
        f"{addresses['in_use']:,}",
        _number(addresses["capacity"]),
        f"{row['blocks']['total']:,}",
        _findings(row["findings"], sum(addresses["leaked"].values())),
    )


def _findings(severities: t.Mapping[str, int], leaked: int) -> str:
    words = [_plural(count, level) for level, count in severities.items() if count]
    return ", ".join([*words, *([f"{leaked:,} leaked"] if leaked else [])]) or "none"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _number(value: int) -> str:
    return f"{value:,}" if value < _LARGE else f"2^{value.bit_length() - 1}"


def _count(clusters: int, answers: int, in_use: int) -> str:
    words = _plural(clusters, "cluster")
    asked = f", {answers:,} of them with figures" if answers < clusters else ""
    return f"{words}{asked}; {in_use:,} addresses in use"
