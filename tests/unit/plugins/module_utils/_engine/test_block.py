# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blocks as values: worked cases of spec ipam-engine.md §5."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import (
    Attribute,
    Block,
    HostReserved,
    clean_up,
    free_count,
    handle_hash,
    is_empty,
    longest_prefix,
    new_block,
    next_revision,
    ordinals_of_handle,
    without_owner,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_assign import assign, assign_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import (
    ReleaseRequest,
    release_addresses,
    release_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    BadHandle,
    BadSequenceNumber,
    ClaimConflict,
    InvalidInput,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import parse_reservations

CIDR = parse_network("10.77.4.8/30")
NOW = datetime(2026, 8, 20, 11, 2, 40, 500000, tzinfo=timezone.utc)
START = 1787217245204418100


def block(**changes: object) -> Block:
    return replace(new_block(CIDR, START, "host:worker-7", "2026-08-20T09:14:05Z"), **changes)


def ip(last: int) -> Address:
    return parse_address(f"10.77.4.{last}")


def test_a_new_block_is_free_in_order() -> None:
    made = block()
    assert made.allocations == (None,) * 4
    assert made.unallocated == (0, 1, 2, 3)
    assert (made.attributes, dict(made.sequences), made.sequence) == ((), {}, START)
    assert is_empty(made)


def test_a_windows_block_reserves_its_ends_without_sequence_numbers() -> None:
    made = new_block(parse_network("10.0.0.0/29"), START, "host:w", None, HostReserved(3, 1, note="hns"))
    assert made.allocations == (0, 0, 0, None, None, None, None, 0)
    assert made.unallocated == (3, 4, 5, 6)
    assert made.attributes == (Attribute("windows-reserved-ipam-handle", {"note": "hns"}),)
    assert dict(made.sequences) == {}
    assert is_empty(made)
    assert made.in_use == 4


@pytest.mark.parametrize(
    ("version", "reserved", "prefix"),
    [
        (4, None, 32),
        (6, None, 128),
        (4, HostReserved(3, 1), 29),
        (6, HostReserved(3, 1), 125),
        (4, HostReserved(1, 0), 31),
    ],
)
def test_longest_prefix(version: int, reserved: HostReserved | None, prefix: int) -> None:
    assert longest_prefix(version, reserved) == prefix


def test_reserving_nothing_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="hostReserved"):
        longest_prefix(4, HostReserved(0, 0))


def test_addresses_of_one_call_share_an_attribute() -> None:
    first, taken = assign(block(), 2, "h", {"pod": "a"})
    assert taken == (0, 1)
    assert first.allocations == (0, 0, None, None)
    assert dict(first.sequences) == {0: START, 1: START}
    second, taken = assign(next_revision(first), 1, "h", {"pod": "a"})
    assert taken == (2,)
    assert second.attributes == (Attribute("h", {"pod": "a"}),)
    assert second.sequences[2] == START + 1


@pytest.mark.parametrize(("one", "other", "count"), [({}, {}, 1), (None, None, 1), ({}, None, 2), ({"a": "b"}, {}, 2)])
def test_a_missing_map_is_not_an_empty_one(one: dict[str, str], other: dict[str, str], count: int) -> None:
    after, _taken = assign(block(), 1, "h", one)
    after, _taken = assign(after, 1, "h", other)
    assert len(after.attributes) == count


def test_reserved_addresses_are_skipped_but_stay_in_place() -> None:
    reservations = parse_reservations([" 10.77.4.8 ", "10.77.4.10/32", "rubbish", "10.77.4.10/31x"])
    after, taken = assign(block(unallocated=(2, 1, 0, 3)), 3, None, None, reservations=reservations)
    assert taken == (1, 3)
    assert after.unallocated == (2, 0)
    assert free_count(after, reservations) == 0
    assert free_count(after) == 2


def test_the_owner_is_checked_only_when_asked() -> None:
    for affinity in (None, "host:other", "virtual:worker-7"):
        with pytest.raises(ClaimConflict):
            assign(block(affinity=affinity), 1, None, None, owner="host:worker-7")
        assert assign(block(affinity=affinity), 1, None, None)[1] == (0,)


def test_a_given_address() -> None:
    after = assign_address(block(), ip(10), "h", {})
    assert after.allocations == (None, None, 0, None)
    assert after.unallocated == (0, 1, 3)
    with pytest.raises(AddressTaken, match=r"10\.77\.4\.10"):
        assign_address(after, ip(10), "h", {})


def used() -> Block:
    """The block of §2.5: a pod, a tunnel address, a cooling one, a free one."""
    return block(
        allocations=(0, 1, 2, None),
        unallocated=(3,),
        attributes=(
            Attribute("k8s-pod-network.9d1e44b0c7", {"pod": "cart"}),
            Attribute("vxlan-tunnel-addr-worker-7", {"type": "vxlanTunnelAddress"}),
            Attribute(released_at="2026-08-20T11:02:40Z"),
        ),
        sequence=START + 4,
        sequences={0: START + 1, 1: START + 2, 2: START + 3},
    )


@pytest.mark.parametrize(
    ("seconds", "cooldown", "freed"),
    [
        (0, 30, False),
        (30, 30, False),  # exactly at the end is still cooling
        (31, 30, True),
        (-100, 0, False),  # released in the future: keeps cooling
        (1, 0, True),
        (-100, -1, True),
    ],
)
def test_clean_up_after_the_cooldown(seconds: int, cooldown: int, freed: bool) -> None:
    released = datetime(2026, 8, 20, 11, 2, 40, tzinfo=timezone.utc)
    after = clean_up(used(), released + timedelta(seconds=seconds), cooldown)
    if freed:
        assert after.unallocated == (3, 2)
        assert after.allocations == (0, 1, None, None)
        assert len(after.attributes) == 2
        assert set(after.sequences) == {0, 1}
    else:
        assert after == used()


def test_clean_up_drops_attributes_nobody_points_to() -> None:
    before = block(
        allocations=(3, 1, None, None),
        unallocated=(2, 3),
        attributes=tuple(Attribute(name) for name in "abcd"),
    )
    after = clean_up(before, NOW, 0)
    assert [attribute.handle_id for attribute in after.attributes] == ["b", "d"]
    assert after.allocations == (1, 0, None, None)


def test_cooling_makes_a_block_not_empty() -> None:
    cooling = block(allocations=(0, None, None, None), unallocated=(1, 2, 3), attributes=(Attribute(released_at="x"),))
    assert not is_empty(cooling)


def test_release_without_cooldown_frees_at_once_at_the_end_of_the_queue() -> None:
    result = release_addresses(used(), [ReleaseRequest(ip(8))], NOW, 0)
    assert result.ordinals == (0,)
    assert result.counts == {"k8s-pod-network.9d1e44b0c7": 1}
    # The old cooling address, whose time is over too, is freed in the same pass.
    assert result.block.unallocated == (3, 0, 2)
    assert [attribute.handle_id for attribute in result.block.attributes] == ["vxlan-tunnel-addr-worker-7"]


def test_release_with_cooldown_keeps_the_address_and_renumbers_it() -> None:
    result = release_addresses(used(), [ReleaseRequest(ip(8))], NOW, 60)
    assert result.block.unallocated == (3,)
    assert result.block.attribute_at(0) == Attribute(released_at="2026-08-20T11:02:40Z")
    assert result.block.sequences[0] == START + 4


def test_free_and_cooling_addresses_were_not_allocated() -> None:
    result = release_addresses(used(), [ReleaseRequest(ip(10)), ReleaseRequest(ip(11), "whoever")], NOW, 600)
    assert result.not_allocated == (ip(10), ip(11))
    assert result.block == used()


def test_any_stale_request_rejects_them_all() -> None:
    with pytest.raises(BadHandle):
        release_addresses(used(), [ReleaseRequest(ip(8)), ReleaseRequest(ip(9), "mine")], NOW, 0)
    with pytest.raises(BadSequenceNumber):
        release_addresses(used(), [ReleaseRequest(ip(8), None, START)], NOW, 0)
    with pytest.raises(BadSequenceNumber):  # checked first, even for a free address
        release_addresses(used(), [ReleaseRequest(ip(11), None, START)], NOW, 0)


def test_a_later_duplicate_replaces_an_earlier_one() -> None:
    requests = [ReleaseRequest(ip(8), "mine"), ReleaseRequest(ip(8), "k8s-pod-network.9d1e44b0c7")]
    assert release_addresses(used(), requests, NOW, 0).ordinals == (0,)


def test_handles_are_compared_up_to_a_carriage_return() -> None:
    taken, _ordinals = assign(block(), 1, "win\r\n", {})
    assert ordinals_of_handle(taken, "win") == [0]
    assert release_addresses(taken, [ReleaseRequest(ip(8), "win\rx")], NOW, 0).counts == {"win": 1}


def test_release_by_handle_takes_all_of_it_and_honours_a_sequence_number() -> None:
    one, _taken = assign(block(), 2, "h", {})
    two, _taken = assign(next_revision(one), 1, "h", None)
    two, _taken = assign(two, 1, "other", None)
    assert release_handle(two, "h", NOW, 0).ordinals == (0, 1, 2)
    only = release_handle(two, "h", NOW, 0, sequence=START + 1)
    assert only.ordinals == (2,)
    assert only.block.unallocated == (2,)
    assert release_handle(two, "nobody", NOW, 0).block is two


def test_release_and_assign_again_moves_the_number_by_two() -> None:
    taken, _ordinals = assign(block(unallocated=(0,)), 1, "h", {})
    stored = next_revision(taken)
    released = next_revision(release_handle(stored, "h", NOW, 0).block)
    again, _ordinals = assign(released, 1, "h", {})
    assert again.sequences[0] == taken.sequences[0] + 2


class Step(t.NamedTuple):
    """What happens to a block next: ``kind`` of change, which ``number`` of handle or address, at what ``second``."""

    kind: str
    number: int
    second: int


@given(
    st.lists(
        st.builds(
            Step,
            st.sampled_from(["assign", "nameless", "one", "by handle", "by address", "clean", "write", "disown"]),
            st.integers(0, 5),
            st.integers(0, 40),
        ),
        max_size=25,
    ),
    st.sampled_from([0, 10]),
    st.booleans(),
)
def test_what_a_block_remembers_is_true(steps: list[Step], cooldown: int, windows: bool) -> None:
    """``settled`` and ``handle_hashes`` are worth nothing if they ever differ from what a fresh look finds (§5.5)."""
    cidr = parse_network("10.0.0.0/28")
    known = new_block(cidr, 7, "host:a", reserved=HostReserved(3, 1) if windows else None)
    for step in steps:
        now = NOW + timedelta(seconds=step.second)
        handle = f"h{step.number}"
        if step.kind == "assign":
            known, _taken = assign(known, 2, handle, {"node": "a"})
        elif step.kind == "nameless":
            known, _taken = assign(known, 1, None, None)
        elif step.kind == "one":
            address = cidr.address(step.number + 4)
            if known.allocations[step.number + 4] is None:
                known = assign_address(known, address, handle, None)
        elif step.kind == "by handle":
            known = release_handle(known, handle, now, cooldown).block
        elif step.kind == "by address":
            known = release_addresses(known, [ReleaseRequest(cidr.address(step.number + 4))], now, cooldown).block
        elif step.kind == "clean":
            known = clean_up(known, now, cooldown)
        elif step.kind == "disown":
            known = without_owner(known)
        else:
            known = next_revision(known)
        fresh = replace(known)
        assert (fresh.settled, fresh.handle_hashes) == (False, None)
        assert fresh == known
        if known.settled:
            assert clean_up(fresh, NOW + timedelta(days=1), -1) is fresh
        if known.handle_hashes is not None:
            assert known.handle_hashes == b"".join(handle_hash(a.handle_id) for a in known.attributes)
        # The next assignment is the same whether or not anything is remembered.
        assert assign(known, 1, handle, {"node": "a"}) == assign(fresh, 1, handle, {"node": "a"})
