# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the journals of all writers say against what is stored in the end.

Nothing lost: what a writer was told to have is recorded under its handle. Nothing doubled: no two writers were
told to have one address at the same time. Nothing invented: every allocation is somebody's, or of a process
that died before it was told.
"""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from invariants import State, allocated

Line = t.Dict[str, t.Any]


class Holding(t.NamedTuple):
    """From the answer that gave an address to the intention to release it; ``end`` None: held to the end."""

    address: str
    start: float
    end: float | None
    handle: str
    slot: str


@dataclass
class Evidence:
    """``doubtful``: handles of which an intention was never answered, or whose answer may not be the whole truth."""

    holdings: list[Holding] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def read(journals: t.Iterable[Path]) -> dict[str, list[Line]]:
    """The lines of the journals by their names."""
    return {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in journals
    }


def hear(journals: t.Mapping[str, t.Sequence[Line]]) -> Evidence:
    evidence = Evidence()
    for slot, lines in journals.items():
        _hear(evidence, slot, lines)
    return evidence


def _hear(evidence: Evidence, slot: str, lines: t.Sequence[Line]) -> None:
    began: dict[str, Line] = {}
    open_since: dict[tuple[str, str], float] = {}
    told: dict[str, Line] = {}

    def close(handle: str, address: str, moment: float) -> None:
        start = open_since.pop((handle, address), None)
        if start is not None:
            evidence.holdings.append(Holding(address, start, moment, handle, slot))

    for line in lines:
        if "wrong" in line:
            evidence.wrong.append(line["wrong"])
        elif "doubt" in line:
            evidence.doubtful.add(line["doubt"])
        elif "who" in line:
            told[line["who"]] = line
        elif "do" in line:
            began[line["n"]] = line
            if line["do"] == "release":
                everything = [address for handle, address in open_since if handle == line["handle"]]
                for address in everything if line.get("all") else line["gone"]:
                    close(line["handle"], address, line["t"])
        else:
            intention = began.pop(line["n"])
            for address in line.get("got", ()):
                open_since[intention["handle"], address] = line["t"]
    evidence.doubtful.update(line["handle"] for line in began.values())
    for (handle, address), start in open_since.items():
        evidence.holdings.append(Holding(address, start, None, handle, slot))
    for line in told.values():
        evidence.counts.update({key: value for key, value in line.items() if key != "who"})


def judge(evidence: Evidence, state: State) -> list[str]:
    found = list(evidence.wrong)
    by_address: dict[str, list[Holding]] = {}
    for holding in evidence.holdings:
        by_address.setdefault(holding.address, []).append(holding)
    for holdings in by_address.values():
        holdings.sort(key=lambda holding: holding.start)
        for before, after in zip(holdings, holdings[1:]):
            if before.end is None or before.end > after.start:
                found.append(f"doubled: {before} and {after}")
    recorded = {
        (str(address), entry.get("handle_id"))
        for block in state.cleaned().blocks
        for address, entry in allocated(block).items()
        if entry.get("releasedAt") is None
    }
    expected = {(holding.address, holding.handle) for holding in evidence.holdings if holding.end is None}
    found.extend(f"lost: {address} of {handle}" for address, handle in sorted(expected - recorded))
    found.extend(
        f"invented: {address} of {handle}"
        for address, handle in sorted(recorded - expected, key=str)
        if handle not in evidence.doubtful
    )
    return found
