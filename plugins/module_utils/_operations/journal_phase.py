# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How far a procedure came: a pure function of what was asked for, what was written down, and the live pools."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    MIGRATE,
    NAMESPACE,
    RESIZE,
    ROLLBACK,
    Journal,
    sentence_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    find,
    shown_spec,
)

NOT_STARTED = "not_started"
MOVING_OUT = "moving_out"
RECREATE = "recreate"
MOVING_BACK = "moving_back"
UNDOING = "undoing"
DONE = "done"


@dataclass(frozen=True)
class JournalRequest:
    """Which procedure is meant, and for what.

    ``target`` are the options of the pool that the pods move to (the temporary pool of
    ``change_block_size``); ``block_size`` is the new size for ``change_block_size``. With neither,
    whatever the journal says is meant.
    """

    procedure: str
    pool: str
    target: t.Mapping[str, t.Any] = field(default_factory=dict)
    block_size: int | None = None
    namespace: str = NAMESPACE

    @property
    def any(self) -> bool:
        """Whether this is about the pool's procedure as it was begun, whatever its target and size."""
        return not self.target and self.block_size is None

    def same_as(self, journal: Journal) -> bool:
        """Whether a journal was written for this very request: same pools, ranges and sizes."""
        if (self.procedure, self.pool) != (journal.procedure, journal.pool):
            return False
        same_size = self.block_size is None or self.block_size == journal.block_size
        return same_size and (not self.target or _identity(self.target) == _identity(journal.target))

    def sentence(self) -> str:
        return sentence_of(self.procedure, self.pool, self.target, self.block_size)


def phase_of(
    request: JournalRequest, journal: Journal | None, live: StoredPool | None, target: StoredPool | None
) -> str:
    """How far the procedure came, from its journal and the two pools as they are now.

    ``not_started``: nothing is written down and nothing shows that it was done. ``moving_out``:
    the old pool is still there as recorded. ``recreate``: it is gone. ``moving_back``: it has
    the new block size and the journal is not closed. ``undoing``: the old pool is there as recorded
    and a rollback was begun. ``done``: no journal, and the cluster is as wanted. Refused when the
    live pool is neither the recorded nor the wanted one.
    """
    size = shown_spec(live.spec).get("blockSize") if live is not None else None
    if journal is None:
        if request.procedure == RESIZE:
            return DONE if live is not None and size == request.block_size else NOT_STARTED
        return DONE if live is None and target is not None and _is_target(target, request.target) else NOT_STARTED
    if live is None:
        return RECREATE
    there = UNDOING if journal.direction == ROLLBACK else MOVING_OUT
    if journal.procedure == MIGRATE:
        return there
    recorded = journal.definition["spec"].get("blockSize")
    if size == recorded:
        return there
    if size == journal.block_size:
        return MOVING_BACK
    raise Refused(
        f"IPPool {live.name!r} has blockSize {size}, but the journal of {journal.sentence()} recorded {recorded} and "
        f"wants {journal.block_size}: somebody else re-created the pool, so decide by hand which one is right."
    )


def phase_in(request: JournalRequest, journal: Journal | None, pools: t.Sequence[StoredPool]) -> str:
    """``phase_of`` with the two pools looked up among all."""
    target = (request.target or (journal.target if journal is not None else {})).get("name")
    return phase_of(request, journal, find(pools, request.pool), find(pools, target) if target else None)


def _identity(target: t.Mapping[str, t.Any]) -> tuple[t.Any, ...]:
    cidr = target.get("cidr")
    # A CIDR that does not parse is named where the pool is created.
    with contextlib.suppress(InvalidInput):
        cidr = str(parse_network(cidr)) if cidr else None
    return (target.get("name"), cidr, target.get("block_size"))


def _is_target(pool: StoredPool, target: t.Mapping[str, t.Any]) -> bool:
    return not target.get("cidr") or shown_spec(pool.spec).get("cidr") == _identity(target)[1]
