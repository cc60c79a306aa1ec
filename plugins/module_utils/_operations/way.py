# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which way to another block size: back into the same range in two moves, or into a new range in one.

A block size cannot be changed in place (spec hazards.md, "Facts the run order must be built on"). The user
decides; this weighs what the cluster shows.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import DONE, RESIZE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    PreflightRequest,
    Situation,
    situation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.temporary_cidr import (
    Proposal,
    propose_new_cidr,
    propose_temporary_cidr,
)

SAME_RANGE = "same_range"
NEW_RANGE = "new_range"

# Findings that say that somebody names the old range and would have to learn a new one.
_NAMED = {
    "policies-name-range": "policies name the range of the pool",
    "lists-name-range": "lists of addresses name the range of the pool",
    "bgp-filters": "BGP filters name the range of the pool",
    "fixed-addresses": "pods ask for fixed addresses of the pool",
}


@dataclass(frozen=True)
class Way:
    """One way: with which procedure, in how many moves of every pod, into which range; what is for and against it."""

    way: str
    procedure: str
    moves: int
    range: Proposal | None
    variables: t.Mapping[str, t.Any]
    good: tuple[str, ...]
    bad: tuple[str, ...]

    def as_result(self) -> dict[str, t.Any]:
        return {
            "way": self.way,
            "procedure": self.procedure,
            "moves": self.moves,
            "possible": self.range is not None,
            "range": self.range.as_result() if self.range is not None else None,
            "variables": dict(self.variables),
            "for": list(self.good),
            "against": list(self.bad),
        }


@dataclass(frozen=True)
class Recommendation:
    """The ``way`` that is recommended, why, and both ways."""

    way: str
    reasons: tuple[str, ...]
    ways: tuple[Way, ...]

    def as_result(self) -> dict[str, t.Any]:
        return {"way": self.way, "reasons": list(self.reasons), "ways": [way.as_result() for way in self.ways]}

    def lines(self) -> t.Iterator[str]:
        """For a terminal."""
        words = {SAME_RANGE: "the same name and range", NEW_RANGE: "a new name and range"}
        yield f"recommended: {words[self.way]}. {' '.join(self.reasons)}"
        for way in self.ways:
            where = f", {way.range.cidr} ({way.range.reason})" if way.range is not None else ""
            moves = "one move" if way.moves == 1 else f"{way.moves} moves"
            yield f"  {words[way.way]}: role {way.procedure}, {moves} of every pod{where}"


def with_temporary_range(request: PreflightRequest, view: ClusterView) -> PreflightRequest:
    """The request with the CIDR of the temporary pool filled in, where a change of the block size leaves it out.

    It is that of the live temporary pool, else what the journal kept, else the one that is proposed.
    Refused when the live pool contradicts the journal.
    """
    if request.procedure != RESIZE or request.target.get("cidr") or not request.target.get("name"):
        return request
    live = find(view.pools, str(request.target["name"]))
    cidr = live.spec.get("cidr") if live is not None else None
    if not cidr and view.journal is not None:
        cidr = view.journal.target.get("cidr")
    if not cidr:
        now = situation(request, view)
        proposal = propose_temporary_cidr(now) if now.phase != DONE else None
        cidr = str(proposal.cidr) if proposal is not None else None
    return replace(request, target={**request.target, "cidr": cidr}) if cidr else request


def recommend(now: Situation, found: t.Collection[str]) -> Recommendation | None:
    """For a change of the block size that has not begun; ``found`` are the ids of the checks that found something."""
    if now.request.procedure != RESIZE or now.resumed or now.phase == DONE or now.source is None:
        return None
    if now.source.pool is None or now.request.block_size is None:
        return None
    named = [why for check, why in _NAMED.items() if check in found]
    same, new = _same_range(now), _new_range(now)
    reasons: list[str]
    if new.range is None:
        way = SAME_RANGE
        reasons = [
            "No range inside the cluster's pod range is free for a new pool, and one outside would stay for good what "
            "a "
            "temporary pool is for a while."
        ]
    elif named:
        way = SAME_RANGE
        reasons = [f"{_upper(', and '.join(named))}, which stays right when the pool keeps its range."]
    else:
        way = NEW_RANGE
        reasons = [
            f"{new.range.cidr} is free, every pod is restarted once instead of twice, and no old block or affinity can "
            "come back into the range."
        ]
    if way == SAME_RANGE and same.range is None and new.range is not None:
        way = NEW_RANGE
        reasons = ["No range is free for a temporary pool, so the pods have nowhere to wait.", *reasons]
    return Recommendation(way, tuple(reasons), (same, new))


def _same_range(now: Situation) -> Way:
    proposal = propose_temporary_cidr(now)
    pool = now.request.pool or ""
    good = (
        "The pool keeps its name and range: policies, firewalls, inventories and dashboards that name them stay right.",
    )
    bad = (
        "Every pod is restarted twice, and the tunnel addresses of all nodes change twice.",
        "An affinity of the old block size that is left on any node would make old blocks again, over the new ones "
        "(projectcalico/calico#10778, seen with v3.30); the role creates the pool again only when none is left, and "
        "looks "
        "at every node afterwards.",
        "Between the deletion of the pool and its return, only the temporary pool gives out addresses.",
        *(proposal.consequences if proposal is not None else ("No range is free for a temporary pool.",)),
    )
    variables: dict[str, t.Any] = {
        "change_block_size_pool": pool,
        "change_block_size_block_size": now.request.block_size,
    }
    if proposal is not None:
        variables["change_block_size_temporary_cidr"] = str(proposal.cidr)
    return Way(SAME_RANGE, "change_block_size", 2, proposal, variables, good, bad)


def _new_range(now: Situation) -> Way:
    proposal = propose_new_cidr(now)
    pool, size = now.request.pool or "", now.request.block_size
    good = (
        "Every pod is restarted once.",
        "Nothing of the old pool can come back into the new range.",
        "The old pool can be enabled again until it is deleted.",
    )
    bad = (
        "Whatever names the old pool or its range must learn the new ones: policies, firewalls, inventories, "
        "dashboards.",
        *(() if proposal is not None else ("No range inside the cluster's pod range is free.",)),
        *_smaller(now, proposal),
    )
    variables: dict[str, t.Any] = {"migrate_pool_from": pool}
    if proposal is not None:
        target = {"name": f"{pool}-{size}", "cidr": str(proposal.cidr), "block_size": size}
        variables["migrate_pool_to"] = target
    return Way(NEW_RANGE, "migrate_pool", 1, proposal, variables, good, bad)


def _smaller(now: Situation, proposal: Proposal | None) -> t.Iterator[str]:
    old = now.source.pool.cidr if now.source is not None and now.source.pool is not None else None
    if proposal is not None and old is not None and proposal.cidr.prefix > old.prefix:
        yield f"{proposal.cidr} is smaller than {old}; a larger one is not free inside the cluster's pod range."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
