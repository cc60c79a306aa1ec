# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a crash leaves and who heals it: the table of spec ipam-engine.md §7.5, row by row, on every store."""

from __future__ import annotations

import contextlib
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import (
    release_host_affinities,
    release_pool_affinities,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    delete_rows_without_block,
    prove_clean,
    rows_without_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.ownership import claim_affinity, release_affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[5]))

from crash_lab import STORES, KubernetesLab, Lab, make_lab
from invariants import check

# One block, so that nobody can avoid it.
BLOCK = "10.0.0.0/30"
CIDR = parse_network(BLOCK)
ROW_A = ("host:a", BLOCK)
ROW_B = ("host:b", BLOCK)


@pytest.fixture(params=STORES)
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    lab = make_lab(request.param)
    lab.pool("p", BLOCK, 30)
    lab.node("a")
    lab.node("b")
    yield lab
    # However a test ends, the records agree with each other.
    assert check(lab.state(), empty_ownerless=True) == []


def take(lab: Lab, host: str, handle: str = "pod", count: int = 1) -> int:
    return len(auto_assign(lab.store, AssignRequest(host, count, handle_id=handle), now=lab.now).addresses)


def die(lab: Lab, last: str, act: t.Callable[[], t.Any]) -> None:
    """Let it die right after its first write of that name."""
    if last.endswith(" gone") and not isinstance(lab, KubernetesLab):
        last = last.replace("gone", "delete")  # one step in memory
    with lab.dying_after(last) as died:
        act()
    assert died, f"{last} was not among {lab.writes}"


def sequence(lab: Lab) -> int:
    return t.cast("int", lab.store.get_block(CIDR).value.sequence)


def assert_mine(lab: Lab, host: str = "a") -> None:
    """Block and row agree that the host owns it."""
    assert lab.owners() == {BLOCK: f"host:{host}"}
    assert lab.rows() == {(f"host:{host}", BLOCK): "confirmed"}


def test_row_created(lab: Lab) -> None:
    die(lab, "affinity create pending", lambda: take(lab, "a"))
    assert (lab.rows(), lab.owners(), lab.counts()) == ({ROW_A: "pending"}, {}, {})
    assert take(lab, "a") == 1
    assert_mine(lab)


def test_row_created_and_another_host_takes_the_block(lab: Lab) -> None:
    die(lab, "affinity create pending", lambda: take(lab, "a"))
    assert take(lab, "b") == 1
    assert lab.rows() == {ROW_A: "pending", ROW_B: "confirmed"}
    assert take(lab, "a", "other") == 1  # found stale; borrowed
    assert_mine(lab, "b")


def test_block_created_and_the_same_host_goes_on(lab: Lab) -> None:
    die(lab, "block create", lambda: take(lab, "a"))
    assert (lab.rows(), lab.owners(), lab.counts()) == ({ROW_A: "pending"}, {BLOCK: "host:a"}, {})
    assert sum(lab.held().values()) == 0
    before = sequence(lab)
    assert take(lab, "a") == 1
    assert_mine(lab)
    # Rewritten for whoever is deleting it, then written with the address.
    assert sequence(lab) == before + 2


@pytest.mark.parametrize("strict", [False, True])
def test_block_created_and_another_host_takes_it_after_a_minute(lab: Lab, strict: bool) -> None:
    lab.settings(Settings(strict_affinity=strict))
    die(lab, "block create", lambda: take(lab, "a"))
    lab.now.pass_seconds(59)
    assert take(lab, "b") == (0 if strict else 1)  # borrowed, not taken away
    assert lab.owners() == {BLOCK: "host:a"}
    with contextlib.suppress(NotFoundInStore):
        release_by_handle(lab.store, "pod", now=lab.now)
    lab.now.pass_seconds(1)
    assert take(lab, "b") == 1
    assert_mine(lab, "b")


def test_handle_increased(lab: Lab) -> None:
    die(lab, "handle create", lambda: take(lab, "a", count=2))
    assert_mine(lab)
    assert (lab.counts(), sum(lab.held().values())) == ({"pod": {BLOCK: 2}}, 0)
    # Nobody heals it, and it harms nobody.
    assert release_by_handle(lab.store, "pod", now=lab.now) == 0
    assert take(lab, "a") == 1
    assert release_by_handle(lab.store, "pod", now=lab.now) == 1
    assert lab.counts() == {"pod": {BLOCK: 2}}


def test_block_written_and_the_result_not_delivered(lab: Lab) -> None:
    die(lab, "block update", lambda: take(lab, "a", count=2))
    assert (lab.counts(), lab.held()) == ({"pod": {BLOCK: 2}}, {"pod": 2})
    assert take(lab, "a", count=2) == 2  # the caller tries again and knows of these two only
    assert release_by_handle(lab.store, "pod", now=lab.now) == 4
    assert (lab.counts(), sum(lab.held().values())) == ({}, 0)


@pytest.mark.parametrize("used", [0, 2])
def test_row_to_pending_deletion(lab: Lab, used: int) -> None:
    claim_affinity(lab.store, CIDR, "a", now=lab.now)
    take(lab, "a", "old", used)
    die(lab, "affinity update pendingDeletion", lambda: release_host_affinities(lab.store, "a", now=lab.now))
    assert (lab.rows(), lab.owners()) == ({ROW_A: "pendingDeletion"}, {BLOCK: "host:a"})
    assert lab.held() == ({"old": used} if used else {})
    assert take(lab, "a") == 1
    assert_mine(lab)


def empty_and_deleted(lab: Lab) -> None:
    claim_affinity(lab.store, CIDR, "a", now=lab.now)
    die(lab, "block gone", lambda: release_host_affinities(lab.store, "a", now=lab.now))
    assert (lab.rows(), lab.owners()) == ({ROW_A: "pendingDeletion"}, {})


def test_block_deleted_and_the_host_makes_it_anew(lab: Lab) -> None:
    empty_and_deleted(lab)
    assert take(lab, "a") == 1
    assert_mine(lab)


def test_block_deleted_and_no_release_ever_removes_the_row(lab: Lab) -> None:
    empty_and_deleted(lab)
    assert release_affinity(lab.store, CIDR, "a", now=lab.now) == ()
    for must_be_empty in (False, True):
        release_host_affinities(lab.store, "a", now=lab.now, must_be_empty=must_be_empty)
        release_pool_affinities(lab.store, CIDR, now=lab.now, must_be_empty=must_be_empty)
    assert lab.rows() == {ROW_A: "pendingDeletion"}
    lab.pool("p", BLOCK, 30, disabled=True)
    rows = rows_without_block(lab.store, CIDR)
    assert delete_rows_without_block(lab.store, rows).released == (CIDR,)
    assert prove_clean(lab.store, CIDR).clean


def test_block_stripped_of_its_owner(lab: Lab) -> None:
    take(lab, "a", "old", 2)
    die(lab, "block update", lambda: release_host_affinities(lab.store, "a", now=lab.now))
    assert (lab.rows(), lab.owners()) == ({ROW_A: "pendingDeletion"}, {BLOCK: None})
    assert take(lab, "a") == 1  # borrowed: to everybody the block is nobody's
    assert (lab.rows(), lab.owners()) == ({}, {BLOCK: None})
    assert release_by_handle(lab.store, "old", now=lab.now) == 2
    assert release_by_handle(lab.store, "pod", now=lab.now) == 1
    assert prove_clean(lab.store, CIDR).clean


def test_block_released_and_the_handle_not_decreased(lab: Lab) -> None:
    take(lab, "a", count=2)
    die(lab, "block update", lambda: release_by_handle(lab.store, "pod", now=lab.now))
    assert (lab.counts(), sum(lab.held().values())) == ({"pod": {BLOCK: 2}}, 0)
    assert release_by_handle(lab.store, "pod", now=lab.now) == 0
    assert lab.counts() == {"pod": {BLOCK: 2}}  # left to whoever deletes handles without an address


# Row of the table: the first request of a soft delete was sent, the second was not. Custom resources only.


@pytest.fixture(params=STORES[1:])
def kubernetes(request: pytest.FixtureRequest) -> Lab:
    lab = make_lab(request.param)
    lab.pool("p", BLOCK, 30)
    lab.node("a")
    lab.node("b")
    return lab


def test_a_block_half_deleted(kubernetes: Lab) -> None:
    lab = kubernetes
    claim_affinity(lab.store, CIDR, "a", now=lab.now)
    die(lab, "block delete", lambda: release_host_affinities(lab.store, "a", now=lab.now))
    assert lab.half_deleted() == ["block 10-0-0-0-30"]
    assert [stored.value.cidr for stored in lab.store.list_blocks()] == [CIDR]  # lists show it still (§2.4)
    with pytest.raises(NotFoundInStore):
        lab.store.get_block(CIDR)
    assert lab.half_deleted() == []
    assert take(lab, "a") == 1
    assert_mine(lab)


def test_a_block_half_deleted_is_not_written_to(kubernetes: Lab) -> None:
    lab = kubernetes
    take(lab, "a", "old", 1)
    release_pool_affinities(lab.store, CIDR, now=lab.now)
    die(lab, "block delete", lambda: release_by_handle(lab.store, "old", now=lab.now))
    assert lab.half_deleted() == ["block 10-0-0-0-30"]
    # The search takes the CIDR for taken; the borrower's Get finishes the delete, so the second try succeeds.
    assert [take(lab, "b"), take(lab, "b")] == [0, 1]
    assert_mine(lab, "b")


def test_a_row_half_deleted(kubernetes: Lab) -> None:
    lab = kubernetes
    claim_affinity(lab.store, CIDR, "a", now=lab.now)
    die(lab, "affinity delete", lambda: release_host_affinities(lab.store, "a", now=lab.now))
    assert (lab.half_deleted(), lab.rows()) == (["row a-10-0-0-0-30"], {})
    assert take(lab, "b") == 1
    assert_mine(lab, "b")
    release_by_handle(lab.store, "pod", now=lab.now)
    release_host_affinities(lab.store, "b", now=lab.now)
    assert take(lab, "a") == 1  # its create meets the old row, its Get removes it
    assert_mine(lab)
    assert lab.half_deleted() == []


def test_a_row_half_deleted_is_finished_by_the_cleaning(kubernetes: Lab) -> None:
    lab = kubernetes
    claim_affinity(lab.store, CIDR, "a", now=lab.now)
    die(lab, "affinity delete", lambda: release_host_affinities(lab.store, "a", now=lab.now))
    lab.store.finish_deletes(CIDR)
    assert lab.half_deleted() == []


def test_a_handle_half_deleted(kubernetes: Lab) -> None:
    lab = kubernetes
    take(lab, "a")
    die(lab, "handle delete", lambda: release_by_handle(lab.store, "pod", now=lab.now))
    assert (lab.half_deleted(), sum(lab.held().values())) == (["handle pod"], 0)
    with pytest.raises(NotFoundInStore):
        release_by_handle(lab.store, "pod", now=lab.now)
    assert lab.half_deleted() == []
    assert take(lab, "a") == 1
    assert lab.counts() == {"pod": {BLOCK: 1}}
