# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The report as one HTML file that needs nothing else.

The page is static text; everything from the cluster goes into it as data, in elements that are not run, and the
script makes text of it, never markup. A policy in the page forbids every script and style but its own, and every
request. Who holds each address is compressed, part by part, and unpacked when somebody looks.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t
import zlib

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_change import activity, compare
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import Report

#: The page stays below this, in bytes; who holds the addresses is left out, bit by bit, before it does not.
MOST_BYTES = 7_900_000
#: Blocks whose addresses are unpacked together.
PART = 128
#: Findings, leaked addresses and moves that the page lists; the others are counted.
LISTED = 1000

KINDS = ("pod", "tunnel", "loadbalancer", "windows", "vm", "cooling", "unknown")
# As JSON writes them, but not where the backslash is itself escaped.
_UNSEEN = re.compile(r"(?<!\\)((?:\\\\)*)\\u(00ad|061c|180e|200[b-f]|202[a-e]|206[0-9a-f]|feff)")
CERTAINTIES = ("certain", "likely", "possible")


def render_page(
    report: Report, before: Report | None, html: str, style: str, script: str, *, most: int = MOST_BYTES
) -> str:
    """The page: ``html`` with ``style``, ``script`` and the data in the place of its marks.

    InvalidInput when even a page without the holders of addresses would be larger than ``most`` bytes.
    """
    names = _Names(report, before)
    data = _data(report, before, names)
    for detail in ("all", "short", "none"):
        parts = [] if detail == "none" else packed_addresses(report, names, names_too=detail == "all")
        text = _fill(
            html,
            {
                "policy": policy(style, script),
                "style": style,
                "data": embedded({**data, "detail": detail, "part": PART}),
                "addresses": embedded(parts),
                "script": script,
            },
        )
        size = len(text.encode())
        if size <= most:
            return text
    raise InvalidInput(
        f"html: the page would have {size / 1e6:.0f} MB, more than a browser opens at once; choose one pool.",
        field="html",
    )


def _fill(html: str, values: t.Mapping[str, str]) -> str:
    """Each mark is replaced once, in order; what is put in is not looked at again."""
    done: list[str] = []
    rest = html
    for name, value in values.items():
        before, mark, rest = rest.partition(f"[[{name}]]")
        if not mark:
            raise InvalidInput(f"html: the page has no place for {name}.", field="html")
        done += (before, value)
    return "".join((*done, rest))


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which nothing but this style and this script works, and nothing is fetched."""
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    return f"{nothing}; style-src {_hash(style)}; script-src {_hash(script)}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def embedded(value: t.Any) -> str:
    """JSON that is safe within a script element: no character that ends it, begins another, or is an entity."""
    return _json(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _json(value: t.Any) -> str:
    """JSON of ASCII, with characters that nobody sees in a form that everybody does.

    What turns the direction of writing, or has no width, makes a name look like another one.
    """
    text = json.dumps(value, separators=(",", ":"))
    if "\\u" not in text:
        return text
    return _UNSEEN.sub(lambda found: f"{found.group(1)}[U+{found.group(2).upper()}]", text)


class _Names:
    """Numbers for the names that come again and again."""

    def __init__(self, report: Report, before: Report | None) -> None:
        both = [report] if before is None else [report, before]
        blocks = [row for each in both for row in each["blocks"]["rows"]]
        holders = {row[5] for row in report["addresses"]["rows"] if row[5]}
        self.nodes = sorted({row[2] for row in blocks if row[2]} | holders)
        self.pools = sorted({pool["name"] for each in both for pool in each["pools"]} | {r[1] for r in blocks if r[1]})
        self.namespaces = sorted({row[3] for row in report["addresses"]["rows"] if row[3]})
        self.node = {name: number for number, name in enumerate(self.nodes)}
        self.pool = {name: number for number, name in enumerate(self.pools)}
        self.namespace = {name: number for number, name in enumerate(self.namespaces)}


def _data(report: Report, before: Report | None, names: _Names) -> dict[str, t.Any]:
    audit = report["audit"]
    change = None if before is None else compare(before, report)
    plain = ("release", "taken", "cluster", "calico", "pool", "pools", "nodes", "namespaces", "procedures", "timeline")
    return {
        **{key: report[key] for key in (*plain, "notes")},
        "damaged": report["damaged"][:LISTED],
        "nodeNames": names.nodes,
        "poolNames": names.pools,
        "namespaceNames": names.namespaces,
        "kinds": KINDS,
        "certainties": CERTAINTIES,
        "blocks": [_block(row, names) for row in report["blocks"]["rows"]],
        "audit": None
        if audit is None
        else {
            "findings": audit["findings"][:LISTED],
            "count": len(audit["findings"]),
            "severities": audit["summary"]["severities"],
            "leaked": audit["leaked"][:LISTED],
            "leakedCount": len(audit["leaked"]),
        },
        "activity": activity(report, before),
        "change": None if change is None else {**change, "moves": change["moves"][-LISTED:]},
        "before": None
        if before is None
        else {
            "taken": before["taken"],
            "pools": before["pools"],
            "blocks": [_block(row, names) for row in before["blocks"]["rows"]],
        },
    }


def _block(row: t.Sequence[t.Any], names: _Names) -> list[t.Any]:
    """Cidr, pool, node, size, in use, free, borrowed, leaked, reserved; -1 is nobody."""
    cidr, pool, node, _affinity, size, in_use, reserved, free, borrowed, leaked = row
    return [cidr, names.pool.get(pool, -1), names.node.get(node, -1), size, in_use, free, borrowed, leaked, reserved]


def packed_addresses(report: Report, names: _Names, *, names_too: bool) -> list[str]:
    """For each ``PART`` blocks a list with the rows of each block: deflated JSON in base64.

    A row is ordinal, kind, namespace, node, flags (1 borrowed, 2, 4, 6 leaked: certain, likely, possible), name, and
    the time since when; without ``names_too`` it ends with the flags.
    """
    count = len(report["blocks"]["rows"])
    parts: list[list[list[t.Any]]] = [
        [[] for _row in range(start, min(start + PART, count))] for start in range(0, count, PART)
    ]
    for block, ordinal, kind, namespace, name, node, borrowed, leaked, since in report["addresses"]["rows"]:
        row: list[t.Any] = [
            ordinal,
            KINDS.index(kind) if kind in KINDS else len(KINDS) - 1,
            names.namespace.get(namespace, -1),
            names.node.get(node, -1),
            int(bool(borrowed)) + (2 * (CERTAINTIES.index(leaked) + 1) if leaked in CERTAINTIES else 0),
        ]
        if names_too:
            row += (name or "", since or "")
        parts[block // PART][block % PART].append(row)
    return [_deflated(_json(part)) for part in parts]


def _deflated(text: str) -> str:
    maker = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(maker.compress(text.encode()) + maker.flush()).decode()
