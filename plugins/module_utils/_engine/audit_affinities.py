# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is wrong with block affinities, by themselves and against the blocks (spec ipam-engine.md §2.3, §7.5, §21)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import ClusterFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    AFFINITY,
    BLOCK,
    ERROR,
    NODE,
    NOTE,
    WARNING,
    Finding,
    delete_command,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import (
    OWNER_TYPES,
    AffinityRow,
    BlockRow,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    affinity_labels,
    affinity_name,
    block_name,
)

_STATES = ("", "pending", "confirmed", "pendingDeletion")
_FATE = ("the node makes one there with its next assignment.", "nobody but a cleaning of the range removes it.")
_REMOVE = "When it is still there in the next audit: "


def affinity_findings(
    rows: t.Iterable[AffinityRow],
    blocks: t.Mapping[str, BlockRow],
    facts: ClusterFacts,
    kubernetes: bool = True,
    unreadable: t.Container[str] = (),
) -> t.Iterator[Finding]:
    """``blocks`` by CIDR text, ``unreadable`` the names of damaged ones.

    Labels and names are only looked at in the Kubernetes datastore.
    """
    ordered = sorted(rows, key=lambda row: row.name)
    live = [row for row in ordered if not row.deleted]
    for row in ordered:
        if row.deleted:
            yield _finding(
                row,
                "unfinished-delete",
                NOTE,
                f"The deletion of {_says(row)} was begun and not finished.",
                f"Finish it: {delete_command(AFFINITY, row.name)}",
                f"{AFFINITY}/{row.name}",
            )
    by_block: t.Dict[str, t.List[AffinityRow]] = {}
    for row in live:
        by_block.setdefault(str(row.cidr), []).append(row)
        yield from _one(row, facts, kubernetes)
        if block_name(row.cidr) not in unreadable:
            yield from _against(row, blocks.get(str(row.cidr)), facts)
    for text, of_block in by_block.items():
        confirmed = [row for row in of_block if row.state in ("", "confirmed")]
        if len(confirmed) > 1:
            yield Finding(
                "affinity-twice",
                text,
                ERROR,
                f"{len(confirmed)} affinities to block {text} are confirmed: {', '.join(r.owner for r in confirmed)}.",
                tuple(f"{AFFINITY} {row.name}" for row in confirmed),
                "Remove those that the block itself does not name as its owner.",
                {"owners": [row.owner for row in confirmed]},
                (*((AFFINITY, row.name) for row in confirmed), (BLOCK, block_name(confirmed[0].cidr))),
            )
    if kubernetes:
        yield from _marks(live)
    yield from _without_row(blocks.values(), by_block)
    yield from _lost_nodes(live, blocks.values(), facts)


def _one(row: AffinityRow, facts: ClusterFacts, kubernetes: bool) -> t.Iterator[Finding]:
    faults = []
    if row.state not in _STATES:
        faults.append(f"state {row.state!r} is none of {', '.join(_STATES[1:])}")
    if row.type and row.type not in OWNER_TYPES:
        faults.append(f"type {row.type!r} is neither host nor virtual")
    if not row.node:
        faults.append("it names no node")
    if kubernetes and row.node and row.name != affinity_name(row.node, row.cidr):
        faults.append("its name does not belong to its node and CIDR")
    if faults:
        yield _finding(
            row,
            "invalid-affinity",
            ERROR,
            f"{_says(row)} contradicts itself: {faults[0]}.",
            _REMOVE + delete_command(AFFINITY, row.name),
            data={"faults": faults},
        )
    pool = facts.pool_over(row.cidr)
    if pool is not None and row.cidr.prefix != pool.block_size:
        yield _finding(
            row,
            "affinity-size",
            ERROR,
            f"{_says(row)} lies in pool {pool.name}, whose blocks are /{pool.block_size}: the node would make a block "
            "of the wrong size over others.",
            f"When no block of that CIDR is in use: {delete_command(AFFINITY, row.name)}",
            data={"pool": pool.name, "block_size": pool.block_size},
        )


def _against(row: AffinityRow, block: t.Optional[BlockRow], facts: ClusterFacts) -> t.Iterator[Finding]:
    under_way = row.state in ("pending", "pendingDeletion")
    if under_way:
        yield _finding(
            row,
            "affinity-state",
            NOTE,
            f"{_says(row)} is {row.state}: a change is under way, or was never finished.",
            "Nothing: the node's next assignment repairs it.",
            data={"state": row.state, "block": block is not None},
        )
    if block is None:
        pool = facts.pool_over(row.cidr)
        idle = pool is None or not pool.enabled
        yield _finding(
            row,
            "affinity-without-block",
            NOTE if under_way else WARNING,
            f"{_says(row)} has no block; " + _FATE[idle],
            f"Clean the range: calico_ops.ipam.ipam_range with cidr {row.cidr}."
            if idle
            else _REMOVE + delete_command(AFFINITY, row.name),
        )
    elif block.affinity != row.owner:
        yield _finding(
            row,
            "affinity-owner",
            NOTE if under_way else ERROR,
            f"{_says(row)} contradicts the block, whose owner is {block.affinity or 'nobody'}.",
            _REMOVE + delete_command(AFFINITY, row.name),
            data={"owner": block.affinity or None},
        )


def _marks(rows: t.Sequence[AffinityRow]) -> t.Iterator[Finding]:
    """The trap of §2.3: rows that lists by label do not see."""
    untyped = [row for row in rows if not row.type]
    if untyped:
        yield _many(
            "affinity-untyped",
            WARNING,
            untyped,
            f"{len(untyped)} block affinities have no type: they do not count against the limit of blocks, and "
            "removing their node leaves them behind.",
            "Set spec.type: host and the label projectcalico.org/affinity-type: host on each.",
        )
    unlabelled = [row for row in rows if row.type and row.node and not _labelled(row)]
    if unlabelled:
        yield _many(
            "affinity-unlabelled",
            NOTE,
            unlabelled,
            f"{len(unlabelled)} block affinities lack their labels, so that their node does not find them by itself.",
            "Restart calico-node on their nodes: it labels them when it starts (Calico v3.31 and newer).",
        )


def _without_row(
    blocks: t.Iterable[BlockRow], by_block: t.Mapping[str, t.Sequence[AffinityRow]]
) -> t.Iterator[Finding]:
    for block in blocks:
        if (
            block.owner
            and not block.deleted
            and not any(row.owner == block.affinity for row in by_block.get(block.text, ()))
        ):
            row_name = affinity_name(block.owner, block.cidr)
            yield Finding(
                "block-without-affinity",
                block.text,
                WARNING,
                f"Block {block.text} belongs to {block.affinity}, which has no affinity to it: the node neither uses "
                "it nor gives it back.",
                (f"{BLOCK} {block.name}",),
                "Move its pods away; then remove the empty block.",
                {"owner": block.affinity},
                ((BLOCK, block.name), (AFFINITY, row_name)),
            )


def _lost_nodes(
    rows: t.Iterable[AffinityRow], blocks: t.Iterable[BlockRow], facts: ClusterFacts
) -> t.Iterator[Finding]:
    lost: t.Dict[str, t.Tuple[t.List[str], t.List[t.Tuple[str, str]]]] = {}
    for row in rows:
        if row.type in ("", "host") and row.node and row.node not in facts.nodes:
            names, rests = lost.setdefault(row.node, ([], []))
            names.append(f"{AFFINITY} {row.name}")
            rests.append((AFFINITY, row.name))
    windows: t.Set[str] = set()
    for block in blocks:
        if block.owner_type == "host" and not block.deleted and block.owner not in facts.nodes:
            names, rests = lost.setdefault(block.owner, ([], []))
            names.append(f"{BLOCK} {block.name}")
            rests.append((BLOCK, block.name))
            if block.windows:
                windows.add(block.owner)
    for node, (names, rests) in lost.items():
        reserved = " Addresses that it kept for Windows hold the collector back." if node in windows else ""
        yield Finding(
            "missing-node",
            node,
            WARNING,
            f"Node {node} does not exist and still owns blocks or affinities ({len(names)} records).",
            tuple(names),
            f"calico-kube-controllers removes them when nothing on them is in use.{reserved}",
            {"node": node},
            ((NODE, node), *rests),
        )


def _labelled(row: AffinityRow) -> bool:
    labels = row.labels
    return all(labels.get(key) == value for key, value in affinity_labels(row.node, row.type, row.cidr.version).items())


def _says(row: AffinityRow) -> str:
    return f"The affinity of {row.owner} to {row.cidr}"


def _finding(
    row: AffinityRow,
    check: str,
    severity: str,
    message: str,
    remedy: str,
    subject: str = "",
    data: t.Optional[t.Mapping[str, t.Any]] = None,
) -> Finding:
    return Finding(
        check,
        subject or row.name,
        severity,
        message[0].upper() + message[1:],
        (f"{AFFINITY} {row.name}",),
        remedy,
        {"cidr": str(row.cidr), "node": row.node, **(data or {})},
        ((AFFINITY, row.name), (BLOCK, block_name(row.cidr))),
    )


def _many(check: str, severity: str, rows: t.Sequence[AffinityRow], message: str, remedy: str) -> Finding:
    return Finding(check, "", severity, message, tuple(f"{AFFINITY} {row.name}" for row in rows), remedy)
