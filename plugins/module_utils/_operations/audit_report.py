# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""An audit as lines of text for a terminal."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report import gauge, table

Row = t.Dict[str, t.Any]

# Findings and addresses listed; the others are counted.
LISTED = 40


def audit_lines(result: Row) -> list[str]:
    """The whole report: how it stands, the findings, the leaked addresses, and calicoctl's view."""
    summary = result["summary"]
    lines = [*_counts(summary), "", *_findings(result["findings"])]
    if result["leaked"]:
        lines += ["", *_leaked(result["leaked"])]
    return [*lines, "", *_calicoctl(result["calicoctl"])]


def _counts(summary: Row) -> list[str]:
    addresses, blocks = summary["addresses"], summary["blocks"]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in addresses["kinds"].items()) or "none"
    pools = [
        (
            pool["name"],
            pool["cidr"],
            f"/{pool['block_size']}",
            "enabled" if pool["enabled"] else "disabled",
            f"{pool['blocks']:,}",
            f"{pool['in_use']:,}",
            gauge(pool["in_use"], pool["in_use"] + pool["free"]),
        )
        for pool in summary["pools"]
    ]
    return [
        *table(("POOL", "CIDR", "BLOCK", "STATE", ">BLOCKS", ">IN USE", "OF ITS BLOCKS"), pools),
        "",
        f"addresses   {addresses['allocated']:,} allocated: {kinds}",
        f"blocks      {blocks['total']:,}, {blocks['empty']:,} empty, {blocks['ownerless']:,} without owner, "
        f"{blocks['strays']:,} in no pool",
        f"records     {summary['affinities']:,} affinities, {summary['handles']:,} handles",
    ]


def _findings(findings: t.Sequence[Row]) -> list[str]:
    if not findings:
        return ["FINDINGS    none"]
    lines = table(
        ("SEVERITY", "CHECK", "FINDING"),
        [(each["severity"], each["check"], each["message"]) for each in findings[:LISTED]],
    )
    return [*lines, *_more(findings)]


def _leaked(leaked: t.Sequence[Row]) -> list[str]:
    rows = [
        (
            row["address"],
            row["kind"],
            row["certainty"],
            "/".join(part for part in (row["namespace"], row["name"]) if part) or "-",
            row["node"] or "-",
            row["reason"],
        )
        for row in leaked[:LISTED]
    ]
    return [*table(("LEAKED", "KIND", "CERTAINTY", "HOLDER", "NODE", "WHY"), rows), *_more(leaked)]


def _calicoctl(theirs: Row) -> list[str]:
    wrong = len(theirs["wrongly_leaked"])
    lines = [
        f"calicoctl ipam check would count {theirs['problems']:,} problems: {theirs['leaked']:,} leaked addresses, "
        f"{theirs['in_use_not_allocated'] + theirs['in_use_outside_pools']:,} in use without allocation, "
        f"{theirs['handles_without_addresses']:,} handles, {theirs['invalid_blocks']:,} blocks."
    ]
    if wrong:
        lines.append(
            f"{wrong:,} of the addresses that it calls leaked are in use or cannot be judged; never release them."
        )
    if theirs["not_checked"]:
        lines.append(f"It does not look for: {', '.join(theirs['not_checked'])}.")
    return lines


def _more(rows: t.Sequence[t.Any]) -> list[str]:
    more = len(rows) - LISTED
    return [f"and {more:,} more"] if more > 0 else []
