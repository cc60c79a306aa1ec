# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several engine tests need: the invariants of spec ipam-engine.md §21, and a store that tells its writes."""

from __future__ import annotations

import typing as t
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import parse_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore


def check_block(block: Block, now: datetime) -> None:
    size = block.cidr.size
    assert block.cidr.value % size == 0  # 1
    assert len(block.allocations) == size  # 2
    used = {index for index in block.allocations if index is not None}
    assert used == set(range(len(block.attributes)))  # 3, 4
    assert len(set(block.unallocated)) == len(block.unallocated)  # 5
    assert all(0 <= ordinal < size and block.allocations[ordinal] is None for ordinal in block.unallocated)
    assert len(block.unallocated) + sum(index is not None for index in block.allocations) == size  # 6
    assert all(attribute.handle_id != "" for attribute in block.attributes)  # 7
    assert all(block.allocations[ordinal] is not None for ordinal in block.sequences)  # 8
    assert all(number <= block.sequence for number in block.sequences.values())  # 9
    for attribute in block.attributes:  # 10
        if attribute.released_at is not None:
            assert attribute[:3] == (None, None, None)
            assert parse_time(attribute.released_at) <= now + timedelta(seconds=1)
    assert block.affinity is None or block.owner is not None and block.owner[1]  # 11
    assert block.claim_time is None or block.affinity is not None


def check_store(store: MemoryStore, now: datetime, *, at_rest: bool = True, ownerless_empty: bool = False) -> None:
    """``at_rest``: no write sequence was cut, so rows and blocks agree. ``ownerless_empty``: a cooldown was set."""
    blocks = [stored.value for stored in store.list_blocks()]
    held: t.Counter[tuple[str, t.Any]] = Counter()
    ranges: list[tuple[int, int, int]] = []
    for block in blocks:
        check_block(block, now)
        ranges.append((block.cidr.version, block.cidr.value, block.cidr.end))
        pool = next((pool for pool in store.pools() if pool.cidr.contains(block.cidr.first)), None)
        assert pool is None or pool.block_size == block.cidr.prefix  # 13
        if block.affinity is None and not ownerless_empty:
            assert len(block.unallocated) < block.cidr.size  # 14
        for index in block.allocations:
            if index is not None and block.attributes[index].handle_id:
                held[(block.attributes[index].handle_id or "", block.cidr)] += 1
    ranges.sort()
    assert all(a[0] != b[0] or a[2] < b[1] for a, b in zip(ranges, ranges[1:]))  # 12, 15
    rows = [stored.value for stored in store.list_affinities()]
    assert all(row.state in ("pending", "confirmed", "pendingDeletion") for row in rows)  # 20
    confirmed = Counter(row.cidr for row in rows if row.confirmed)
    assert all(count == 1 for count in confirmed.values())  # 19
    if at_rest:
        owners = {block.cidr: block.affinity for block in blocks}
        assert all(owners.get(row.cidr) == row.owner for row in rows if row.confirmed)  # 17
        known = {(row.owner, row.cidr) for row in rows}
        assert all((b.affinity, b.cidr) in known for b in blocks if b.affinity)  # 18
    counts = {stored.value.id: stored.value.blocks for stored in store.list_handles()}
    for (handle_id, cidr), number in held.items():  # 23, 24
        assert counts.get(handle_id, {}).get(cidr, 0) >= number, (handle_id, cidr)
    for blocks_of in counts.values():  # 25
        assert blocks_of and all(count > 0 for count in blocks_of.values())


class RecordingStore(MemoryStore):
    """Tells every write; ``fail_after`` ends the process, so to speak, after that many more writes.

    ``race(number, action)`` lets somebody else act right before the write of that number.
    """

    def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        self.writes: list[str] = []
        self.fail_after: int | None = None
        self._races: dict[int, t.Callable[[], None]] = {}
        self._attempts = 0

    def race(self, number: int, action: t.Callable[[], None]) -> None:
        self._races = {self._attempts + number: action}

    def _before(self) -> None:
        self._attempts += 1
        action = self._races.pop(self._attempts, None)
        if action is not None:
            action()

    def _told(self, verb: str, kind: str, detail: str = "") -> None:
        self.writes.append(f"{kind} {verb}{detail}")
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after <= 0:
                self.fail_after = None
                raise Crash

    def _create(self, records: t.Any, key: t.Any, value: t.Any, kind: str) -> t.Any:
        self._before()
        stored = super()._create(records, key, value, kind)
        self._told("create", kind.lower())
        return stored

    def _update(self, records: t.Any, key: t.Any, stored: t.Any, value: t.Any, kind: str) -> t.Any:
        self._before()
        written = super()._update(records, key, stored, value, kind)
        self._told("update", kind.lower(), f" {value.state}" if kind == "Affinity" else "")
        return written

    def _delete(self, records: t.Any, key: t.Any, stored: t.Any, kind: str) -> None:
        self._before()
        super()._delete(records, key, stored, kind)
        self._told("delete", kind.lower())


class Crash(BaseException):
    """The process is gone: nothing may handle this."""


class Time:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 8, 20, 9, 0, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.moment

    def pass_seconds(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def check() -> t.Callable[..., None]:
    return check_store


@pytest.fixture
def recording_store() -> type[RecordingStore]:
    return RecordingStore


@pytest.fixture
def crash() -> type[Crash]:
    return Crash


@pytest.fixture
def now() -> Time:
    return Time()
