# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Tables of pools, nodes and blocks for a terminal.

Takes what ``ippool_info`` and ``ipam_block_info`` return and gives lines of text that line up.
"""

from __future__ import annotations

import typing as t

Row = t.Dict[str, t.Any]

# Up to this many blocks are listed one a line with a bar; more are drawn as a map of one cell a block.
LISTED_BLOCKS = 40
BAR_WIDTH = 16
MAP_WIDTH = 64
# Cells of the map from empty to full.
SHADES = "·░▒▓█"


def table(header: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> list[str]:
    """Align columns: text to the left, figures (headers that start with ``>``) to the right."""
    names = [name.lstrip(">") for name in header]
    cells = [names, *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    right = [name.startswith(">") for name in header]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(row, widths, right)
        ).rstrip()
        for row in cells
    ]


def gauge(used: int, size: int, width: int = BAR_WIDTH) -> str:
    """A bar of ``width`` characters; one address in use already shows."""
    filled = 0 if size == 0 else min(width, -(-used * width // size))
    return "█" * filled + "░" * (width - filled)


def encapsulation(spec: Row) -> str:
    if spec.get("ipipMode", "Never") != "Never":
        return f"IPIP {spec['ipipMode']}"
    if spec.get("vxlanMode", "Never") != "Never":
        return f"VXLAN {spec['vxlanMode']}"
    return "none"


def pool_lines(pools: t.Sequence[Row]) -> list[str]:
    rows = []
    for pool in pools:
        spec, addresses = pool["spec"], pool["utilization"]["addresses"]
        blocks = pool["utilization"]["blocks"]
        rows.append(
            (
                pool["name"],
                spec["cidr"],
                f"/{spec['blockSize']}",
                encapsulation(spec),
                "yes" if spec.get("natOutgoing") else "no",
                "disabled" if spec.get("disabled") else "enabled",
                f"{addresses['in_use']:,}",
                f"{addresses['capacity']:,}",
                f"{blocks['allocated']:,} of {blocks['possible']:,}",
            )
        )
    header = ("POOL", "CIDR", "BLOCK", "ENCAPSULATION", "NAT", "STATE", ">IN USE", ">ADDRESSES", ">BLOCKS")
    return table(header, rows)


def node_lines(pools: t.Sequence[Row]) -> list[str]:
    rows = [
        (
            node["node"] or "(no owner)",
            pool["name"],
            f"{node['blocks']:,}",
            f"{node['in_use']:,}",
            f"{node['free']:,}",
            gauge(node["in_use"], node["addresses"]),
        )
        for pool in pools
        for node in pool["utilization"]["nodes"]
    ]
    return table(("NODE", "POOL", ">BLOCKS", ">IN USE", ">FREE", ""), sorted(rows))


def block_lines(pool: Row, blocks: t.Sequence[Row]) -> list[str]:
    """The pool's blocks: one a line while they are few, else a map with one cell a block."""
    size = pool["spec"]["blockSize"]
    if not blocks:
        return [f"BLOCKS of {pool['name']} (/{size}): none"]
    head = f"BLOCKS of {pool['name']} (/{size}, {blocks[0]['size']} addresses each)"
    if len(blocks) <= LISTED_BLOCKS:
        rows = [
            (
                block["cidr"],
                block["node"] or "(no owner)",
                gauge(block["in_use"], block["size"]),
                f"{block['in_use']}/{block['size']}",
                f"{block['borrowed']} borrowed" if block["borrowed"] else "",
            )
            for block in blocks
        ]
        return [head, *table(("BLOCK", "NODE", "", ">IN USE", ""), rows)]
    cells = "".join(SHADES[-(-block["in_use"] * (len(SHADES) - 1) // block["size"])] for block in blocks)
    legend = f"one cell a block in order of address: {SHADES[0]} empty {SHADES[1:]} filling, first {blocks[0]['cidr']}"
    return [head, legend, *[cells[i : i + MAP_WIDTH] for i in range(0, len(cells), MAP_WIDTH)]]


def render(pools: t.Sequence[Row], blocks: t.Sequence[Row], damaged: t.Sequence[str] = ()) -> list[str]:
    """The whole report: pools, nodes, the blocks of each pool, and a line for each damaged record."""
    if not pools:
        return ["This cluster has no IP pools.", *_damage(damaged)]
    lines = [*pool_lines(pools), "", *node_lines(pools)]
    for pool in pools:
        lines += ["", *block_lines(pool, [block for block in blocks if block["pool"] == pool["name"]])]
    strays = [block for block in blocks if not block["pool"]]
    if strays:
        rows = [
            (block["cidr"], block["node"] or "(no owner)", f"{block['in_use']}/{block['size']}") for block in strays
        ]
        lines += ["", "BLOCKS outside every pool", *table(("BLOCK", "NODE", ">IN USE"), rows)]
    return [*lines, *_damage(damaged)]


def _damage(damaged: t.Sequence[str]) -> list[str]:
    return ["", "DAMAGED RECORDS", *damaged] if damaged else []
