# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every ``Datastore`` must do, whatever keeps the records (spec ipam-engine.md §2.4, §3).

Import all of it into a test file that has a fixture ``store``, which is empty at first::

    from store_contract import *  # noqa: F403
"""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity, claim_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_assign import assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import (
    Handle,
    decrement_handle,
    increment_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import prove_clean
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle, release_by_handle

__all__ = [
    "crud",
    "test_a_host_takes_and_gives_back_addresses",
    "test_a_name_can_be_created_once",
    "test_a_record_comes_back_as_it_was_written",
    "test_an_owner_can_be_taken_away",
    "test_counting_handles",
    "test_every_member_of_a_block_survives",
    "test_rows_are_found_by_host_type_and_family_in_name_order",
    "test_what_lies_in_a_range",
    "test_writes_need_the_revision_read_last",
]

CIDR = parse_network("10.77.4.8/30")
BLOCK = new_block(CIDR, 1787217245204418101, "host:worker-7", "2026-08-20T09:14:05Z")
ROW = Affinity("worker-7", "host", CIDR, "pending")
HANDLE = Handle("Net.ABC", {CIDR: 2, parse_network("fd00::/122"): 1})

Crud = t.Tuple[t.Any, t.Any, t.Callable[[], t.Any], t.Any, t.Any]


@pytest.fixture(params=["block", "affinity", "handle"])
def crud(request: pytest.FixtureRequest, store: t.Any) -> Crud:
    """create, a changed value, get, update, delete of one kind of record."""
    if request.param == "block":
        changed: t.Any = replace(assign(BLOCK, 2, "h", {"pod": "p"})[0], sequence=BLOCK.sequence + 1)
        calls = (lambda: store.create_block(BLOCK), lambda: store.get_block(CIDR))
    elif request.param == "affinity":
        changed = replace(ROW, state="confirmed")
        calls = (lambda: store.create_affinity(ROW), lambda: store.get_affinity("worker-7", "host", CIDR))
    else:
        changed = replace(HANDLE, blocks={CIDR: 1})
        calls = (lambda: store.create_handle(HANDLE), lambda: store.get_handle("Net.ABC"))
    update, delete = (getattr(store, f"{verb}_{request.param}") for verb in ("update", "delete"))
    return calls[0], changed, calls[1], update, delete


def test_a_record_comes_back_as_it_was_written(crud: Crud) -> None:
    create, changed, get, update, _delete = crud
    with pytest.raises(NotFoundInStore):
        get()
    created = create()
    assert get().value == created.value
    written = update(created, changed)
    assert written.value == changed
    assert get() == written


def test_a_name_can_be_created_once(crud: Crud) -> None:
    create = crud[0]
    create()
    with pytest.raises(AlreadyInStore):
        create()


def test_writes_need_the_revision_read_last(crud: Crud) -> None:
    create, changed, get, update, delete = crud
    first = create()
    second = update(first, changed)
    with pytest.raises(UpdateConflict):
        update(first, changed)
    with pytest.raises(UpdateConflict):
        delete(first)
    delete(second)
    with pytest.raises(NotFoundInStore):
        get()
    with pytest.raises(NotFoundInStore):
        update(second, changed)
    with pytest.raises(NotFoundInStore):
        delete(second)
    create()


def test_every_member_of_a_block_survives(store: t.Any) -> None:
    block = replace(
        BLOCK,
        affinity="virtual:load-balancer",
        allocations=(0, 1, 2, 3),
        unallocated=(),
        attributes=(
            Attribute("a", {"pod": "x"}, {"pod": "y"}),
            Attribute(None, {}),
            Attribute(released_at="2026-08-20T11:02:40Z"),
            Attribute(),
        ),
        sequence=2**63 - 1,
        sequences={0: 2**63 - 2, 3: 1787217245204418101},
    )
    store.create_block(block)
    assert store.get_block(CIDR).value == block
    assert store.list_blocks(6) == []
    assert [stored.value for stored in store.list_blocks(4)] == [block]
    assert store.block_index()[CIDR].value == block


def test_an_owner_can_be_taken_away(store: t.Any) -> None:
    stored = store.create_block(BLOCK)
    store.update_block(stored, replace(BLOCK, affinity=None, claim_time=None))
    assert (store.get_block(CIDR).value.affinity, store.get_block(CIDR).value.claim_time) == (None, None)


def test_rows_are_found_by_host_type_and_family_in_name_order(store: t.Any) -> None:
    def row(host: str, kind: str, cidr: str) -> Stored[Affinity]:
        return t.cast("Stored[Affinity]", store.create_affinity(Affinity(host, kind, parse_network(cidr), "confirmed")))

    def found(*wanted: t.Any) -> list[str]:
        return [str(stored.value.cidr) for stored in store.list_affinities(*wanted)]

    for last in (64, 0, 128, 192):
        row("a", "host", f"10.0.0.{last}/26")
    row("a", "host", "fd00::/122")
    row("b", "host", "10.0.1.0/26")
    row("load-balancer", "virtual", "10.0.2.0/26")
    assert found("a", "host", 4) == ["10.0.0.0/26", "10.0.0.128/26", "10.0.0.192/26", "10.0.0.64/26"]
    assert found("a", "host", 6) == ["fd00::/122"]
    assert found("a", "virtual") == []
    assert found("load-balancer") == ["10.0.2.0/26"]
    assert len(found()) == 7
    with pytest.raises(NotFoundInStore):
        store.get_affinity("load-balancer", "host", parse_network("10.0.2.0/26"))


def test_counting_handles(store: t.Any) -> None:
    other = parse_network("10.77.4.12/30")
    increment_handle(store, "h", CIDR, 2)
    increment_handle(store, "h", other, 1)
    increment_handle(store, "h", CIDR, 1)
    assert store.get_handle("h").value.blocks == {CIDR: 3, other: 1}
    assert decrement_handle(store, "h", CIDR, 4) == f"Handle h counts only 3 in block {CIDR}, not 4."
    assert decrement_handle(store, "h", CIDR, 3) is None
    assert "no count" in (decrement_handle(store, "h", CIDR, 1) or "")
    assert decrement_handle(store, "h", other, 1) is None
    with pytest.raises(NotFoundInStore):
        store.get_handle("h")
    assert decrement_handle(store, "h", other, 1) == "Handle h does not exist."


def test_what_lies_in_a_range(store: t.Any) -> None:
    wide = parse_network("10.77.4.0/24")
    store.create_block(BLOCK)
    store.create_block(new_block(parse_network("10.77.5.0/30"), 1))
    store.create_handle(HANDLE)
    store.create_handle(Handle("elsewhere", {parse_network("10.77.5.0/30"): 1}))
    assert [stored.value.cidr for stored in store.blocks_in(wide)] == [CIDR]
    assert [stored.value.cidr for stored in store.blocks_in(parse_network("10.77.4.9/32"))] == [CIDR]
    assert [stored.value.id for stored in store.handles_in(wide)] == ["Net.ABC"]
    assert store.handles_in(parse_network("fd00::/16"))[0].value == HANDLE
    assert store.blocks_in(parse_network("fd00::/16")) == []


def test_a_host_takes_and_gives_back_addresses(store: t.Any) -> None:
    def now() -> datetime:
        return datetime(2026, 8, 20, 9, 14, 5, tzinfo=timezone.utc)

    claimed = claim_block(access_to(store, now), "worker-7", "host", CIDR)
    block, ordinals = assign(claimed.value, 3, "Net.ABC", {"pod": "cart"})
    increment_handle(store, "Net.ABC", CIDR, 3)
    access_to(store, now).write(claimed, block)
    assert len(ordinals) == 3
    assert ips_by_handle(store, "Net.ABC", now=now) == [CIDR.address(ordinal) for ordinal in ordinals]
    release_pool_affinities(store, CIDR, now=now)
    assert store.get_block(CIDR).value.affinity is None
    assert store.list_affinities() == []
    assert release_by_handle(store, "Net.ABC", now=now) == 3
    assert prove_clean(store, CIDR).clean
