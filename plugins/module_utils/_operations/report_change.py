# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is different between two reports of one cluster, and when addresses were given out."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time, parse_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import (
    ADDRESS_COLUMNS,
    BLOCK_COLUMNS,
    FORMAT,
    Report,
)

#: Moves that are listed one by one, the latest first; all are counted.
MOST_MOVES = 5000
#: So many bars, at most, show when addresses were given out.
MOST_BARS = 48
#: The widths of a bar, in seconds.
WIDTHS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400)
#: Without a procedure and without an earlier report, the last day is shown.
DAY = timedelta(days=1)

Row = t.Dict[str, t.Any]


def parse_report(text: str, where: str) -> Report:
    """The report in a file that was written before; InvalidInput when it is none, ``where`` names the file."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise InvalidInput(f"before: {where} is not a report in JSON that this collection wrote.", field="before")
    if found["format"] != FORMAT:
        raise InvalidInput(
            f"before: {where} is a report in format {found['format']} of release {found.get('release')}, and this "
            f"release reads format {FORMAT}.",
            field="before",
        )
    if not _is_whole(found):
        raise InvalidInput(f"before: {where} is a report of which parts are missing.", field="before")
    return found


def _is_whole(found: Report) -> bool:
    """Whether a report has all that is compared."""
    blocks, addresses = (_rows(found.get(name), columns) for name, columns in _TABLES.items())
    if blocks is None or addresses is None or _moment(found.get("taken")) is None:
        return False
    pools, namespaces = found.get("pools"), found.get("namespaces")
    return (
        isinstance(pools, list)
        and all(isinstance(pool, dict) and _is_pool(pool) for pool in pools)
        and isinstance(namespaces, list)
        and all(isinstance(row, dict) and {"namespace", "pool", "addresses"} <= set(row) for row in namespaces)
        and all(isinstance(row[0], str) for row in blocks)
        and all(isinstance(row[0], int) and 0 <= row[0] < len(blocks) for row in addresses)
    )


_TABLES = {"blocks": BLOCK_COLUMNS, "addresses": ADDRESS_COLUMNS}


def _rows(table: t.Any, columns: t.Sequence[str]) -> list[list[t.Any]] | None:
    """The rows of a table with these columns; None when it is no such table."""
    if not isinstance(table, dict) or table.get("columns") != list(columns):
        return None
    rows = table.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    # What is compared, and looked up by name, is plain.
    return None if any(isinstance(cell, (dict, list)) for row in rows for cell in row) else rows


def _is_pool(pool: Row) -> bool:
    use = pool.get("utilization")
    return (
        isinstance(pool.get("name"), str)
        and isinstance(pool.get("spec"), dict)
        and isinstance(use, dict)
        and all(isinstance(use.get(part), dict) for part in ("addresses", "blocks"))
        and {"in_use", "capacity"} <= set(use["addresses"])
        and {"allocated", "possible"} <= set(use["blocks"])
    )


def compare(before: Report, after: Report) -> dict[str, t.Any]:
    """Pools, blocks, namespaces and addresses before and after; InvalidInput for reports of two clusters.

    ``moves`` are the addresses that somebody has now and had not before, in order of time: when it was given out,
    namespace, name, the address, its pool, and the pool in which the same name had an address before.
    """
    if before.get("cluster") != after["cluster"]:
        raise InvalidInput(
            f"before: that report is of cluster {before.get('cluster')}, this one is of cluster {after['cluster']}.",
            field="before",
        )
    had, has = _held(before), _held(after)
    blocks_before = {row[0] for row in before["blocks"]["rows"]}
    blocks_after = {row[0] for row in after["blocks"]["rows"]}
    pools_of: dict[tuple[str, str], str] = {}
    for (_block, _ordinal, _kind, namespace, name), (pool, _since) in had.items():
        if name:
            pools_of[namespace or "", name] = pool
    moves = [
        {
            "at": since,
            "namespace": key[3],
            "name": key[4],
            "block": key[0],
            "ordinal": key[1],
            "pool": pool,
            "from": pools_of.get((key[3] or "", key[4] or "")),
        }
        for key, (pool, since) in has.items()
        if key not in had
    ]
    moves.sort(key=lambda move: (str(move["at"] or ""), str(move["namespace"]), str(move["name"])))
    return {
        "before": before["taken"],
        "after": after["taken"],
        "pools": _pools(before, after),
        "blocks": {
            "gone": len(blocks_before - blocks_after),
            "kept": len(blocks_before & blocks_after),
            "new": len(blocks_after - blocks_before),
        },
        "addresses": {
            "gone": len(had.keys() - has.keys()),
            "kept": len(had.keys() & has.keys()),
            "new": len(moves),
        },
        "namespaces": _namespaces(before, after),
        "moves": moves[-MOST_MOVES:],
    }


_Key = t.Tuple[str, int, str, t.Optional[str], t.Optional[str]]


def _held(report: Report) -> dict[_Key, tuple[str, str | None]]:
    """Each address with who holds it; its pool, and since when."""
    blocks = report["blocks"]["rows"]
    found: dict[_Key, tuple[str, str | None]] = {}
    for block, ordinal, kind, namespace, name, _node, _borrowed, _leaked, since in report["addresses"]["rows"]:
        row = blocks[block]
        found[row[0], ordinal, kind, namespace, name] = (row[1], since)
    return found


def _pools(before: Report, after: Report) -> list[Row]:
    old, new = ({pool["name"]: pool for pool in each["pools"]} for each in (before, after))
    return [
        {
            "name": name,
            "before": None if name not in old else _figures(old[name]),
            "after": None if name not in new else _figures(new[name]),
        }
        for name in sorted({*old, *new})
    ]


def _figures(pool: t.Mapping[str, t.Any]) -> Row:
    spec, use = pool["spec"], pool["utilization"]
    return {
        "cidr": spec.get("cidr"),
        "block_size": spec.get("blockSize"),
        "disabled": bool(spec.get("disabled")),
        "in_use": use["addresses"]["in_use"],
        "capacity": use["addresses"]["capacity"],
        "blocks": use["blocks"]["allocated"],
    }


def _namespaces(before: Report, after: Report) -> list[Row]:
    """Addresses of each namespace in each pool, before and after."""
    found: dict[tuple[str, str], Row] = {}
    for side, report in (("before", before), ("after", after)):
        for each in report["namespaces"]:
            key = (each["namespace"] or "", each["pool"] or "")
            row = found.setdefault(key, {"namespace": each["namespace"], "pool": each["pool"], "before": 0, "after": 0})
            row[side] += each["addresses"]
    return [found[key] for key in sorted(found)]


def activity(report: Report, before: Report | None = None) -> dict[str, t.Any]:
    """How many of the addresses now in use were given out when, by pool: bars of ``seconds`` each from ``start`` on.

    It begins with the earlier report, with the oldest procedure under way, or a day ago. ``older`` and ``unknown``
    count the addresses that were given out before, or nobody knows when.
    """
    end = _moment(report["taken"]) or datetime.now(timezone.utc)
    start = _start(report, before) or end - DAY
    span = max((end - start).total_seconds(), 1.0)
    day = WIDTHS[-1]
    width = next((each for each in WIDTHS if span / each <= MOST_BARS), int(span / day / MOST_BARS + 1) * day)
    bars = int(span // width) + 1
    names = [pool["name"] for pool in report["pools"]]
    counts = {name: [0] * bars for name in names}
    older = unknown = 0
    blocks = report["blocks"]["rows"]
    moments: dict[str, datetime | None] = {}
    for row in report["addresses"]["rows"]:
        since = row[-1]
        moment = moments.setdefault(since, _moment(since)) if since else None
        pool = blocks[row[0]][1]
        if moment is None:
            unknown += 1
        elif moment < start:
            older += 1
        elif pool in counts:
            # A clock that is ahead of ours must not make a bar of its own.
            counts[pool][min(bars - 1, int((moment - start).total_seconds() // width))] += 1
    return {
        "start": format_time(start),
        "seconds": width,
        "pools": [{"name": name, "counts": counts[name]} for name in names if any(counts[name])],
        "older": older,
        "unknown": unknown,
    }


def _start(report: Report, before: Report | None) -> datetime | None:
    if before is not None:
        return _moment(before["taken"])
    begun = [_moment(each.get("started")) for each in report["procedures"]]
    return min((moment for moment in begun if moment is not None), default=None)


def _moment(text: t.Any) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None
