# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is wrong with handles: their counts are upper bounds, nothing more (spec ipam-engine.md §6, §21, 23 to 26)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    BLOCK,
    ERROR,
    HANDLE,
    NOTE,
    WARNING,
    Finding,
    delete_command,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import HandleRow, canonical
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import block_name, handle_name

#: How many addresses a handle, in lower case, holds in a block, by its CIDR text.
Counts = t.Dict[t.Tuple[str, str], int]


def handle_findings(
    rows: t.Iterable[HandleRow],
    held: Counts,
    within: t.Optional[Network] = None,
    unreadable: t.Collection[str] = (),
    fold: t.Callable[[str], str] = handle_name,
) -> t.Iterator[Finding]:
    """``held`` is used up. ``within``: only blocks there were counted; ``unreadable``: names of damaged blocks.

    ``fold`` is what was done to the ids in ``held``; in etcd their case counts.
    """
    holding = {handle for handle, _block in held}
    known: t.Set[str] = set()
    high, excess = 0, 0
    for row in sorted(rows, key=lambda each: each.name):
        handle = fold(row.id)
        known.add(handle)
        counts = [(text, count) for text, count in row.counts if within is None or _inside(text, within)]
        if row.deleted:
            if within is None or counts:
                yield _unfinished(row)
            for text, _count in counts:
                held.pop((handle, text), 0)
            continue
        faults = [f"it counts {count} addresses in {text}" for text, count in counts if count <= 0]
        if fold is handle_name and row.name not in (handle, row.id, "?"):
            faults.append("its name is not its id in lower case")
        if faults:
            yield _finding(row, "invalid-handle", WARNING, f"Handle {row.id} contradicts itself: {faults[0]}.")
        above = 0
        for text, count in counts:
            real = held.pop((handle, text), 0) or held.pop((handle, canonical(text)), 0)
            if count < real:
                yield _low(row, text, count, real)
            above += max(0, count - real)
        if unreadable and any(_name(text) in unreadable for text, _count in counts):
            continue
        if handle not in holding:
            if within is None or (counts and len(counts) == len(row.counts)):
                yield _finding(
                    row,
                    "handle-without-address",
                    WARNING,
                    f"Handle {row.id} holds no address any more.",
                    "Harmless; remove it with calico_ops.ipam.ipam_release and this result.",
                )
        elif above:
            high, excess = high + 1, excess + above
    if high:
        yield Finding(
            "handle-count-high",
            "",
            NOTE,
            f"{high} handles count {excess} addresses more than they hold.",
            remedy="Nothing: counts are upper bounds, and older releases of Calico leave them too high.",
            data={"handles": high, "excess": excess},
        )
    yield from _uncounted(held, known)


def _uncounted(held: t.Mapping[t.Tuple[str, str], int], known: t.Container[str]) -> t.Iterator[Finding]:
    """What no handle counted: the handle leaves the block out, or there is no handle."""
    missing: t.Dict[str, t.Dict[str, int]] = {}
    for (handle, text), real in held.items():
        if handle in known:
            yield _low(HandleRow(handle, handle, (), False), text, 0, real)
        else:
            missing.setdefault(handle, {})[text] = real
    for handle, blocks in missing.items():
        yield Finding(
            "missing-handle",
            handle,
            WARNING,
            f"{sum(blocks.values())} addresses are allocated under handle {handle}, which has no record: whoever "
            "releases by handle will not find them.",
            tuple(f"{BLOCK} {_name(text)}" for text in blocks),
            "Restart the pod; when it is gone, release the address with calico_ops.ipam.ipam_release.",
            {"handle": handle, "blocks": blocks},
            ((HANDLE, handle), *((BLOCK, _name(text)) for text in blocks)),
        )


def _low(row: HandleRow, text: str, count: int, real: int) -> Finding:
    return Finding(
        "handle-count-low",
        f"{row.name}/{text}",
        ERROR,
        f"Handle {row.id} counts {count} addresses in {text} and holds {real}: an update was lost, and a release by "
        "handle leaves the rest behind.",
        (f"{HANDLE} {row.name}", f"{BLOCK} {_name(text)}"),
        "Restart the pod; then release what is left with calico_ops.ipam.ipam_release.",
        {"handle": row.id, "block": text, "count": count, "held": real},
        ((HANDLE, row.name), (BLOCK, _name(text))),
    )


def _unfinished(row: HandleRow) -> Finding:
    return Finding(
        "unfinished-delete",
        f"{HANDLE}/{row.name}",
        NOTE,
        f"The deletion of handle {row.id} was begun and not finished.",
        (f"{HANDLE} {row.name}",),
        f"Finish it: {delete_command(HANDLE, row.name)}",
        {"kind": HANDLE, "name": row.name},
        ((HANDLE, row.name),),
    )


def _finding(row: HandleRow, check: str, severity: str, message: str, remedy: str = "") -> Finding:
    return Finding(
        check,
        row.name,
        severity,
        message,
        (f"{HANDLE} {row.name}",),
        remedy or "Harmless while it has no address; otherwise restart the pod that it belongs to.",
        {"handle": row.id, "blocks": dict(row.counts)},
        ((HANDLE, row.name), *((BLOCK, _name(text)) for text, _count in row.counts)),
    )


def _inside(text: str, within: Network) -> bool:
    try:
        return within.overlaps(parse_network(text, strict=False))
    except InvalidInput:
        return False


def _name(text: str) -> str:
    try:
        return block_name(parse_network(text, strict=False))
    except InvalidInput:
        return text
