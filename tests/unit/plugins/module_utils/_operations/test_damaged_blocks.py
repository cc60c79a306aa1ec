# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blocks that something has damaged: shown as far as they can be read, or refused by name; never a traceback."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import UNKNOWN
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import BlockFigures, holders
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import BlockFilter, blocks_with_holders
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.damaged import (
    damage_lines,
    shown_damaged,
    warn_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import in_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import measure_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import block_cidrs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report import render

NETWORK = parse_network("10.0.0.0/24")
SPEC: dict[str, t.Any] = {
    "cidr": "10.0.0.0/30",
    "allocations": [0, None, None, None],
    "unallocated": [1, 2, 3],
    "attributes": [{"handle_id": "h"}],
}


class Api:
    def __init__(self, *blocks: t.Any) -> None:
        self._blocks = list(blocks)

    def pages(self, *_args: t.Any) -> t.Iterator[Listing]:
        yield Listing(self._blocks, "1")


def block(**changes: t.Any) -> dict[str, t.Any]:
    return {"kind": "IPAMBlock", "metadata": {"name": "10-0-0-0-30"}, "spec": {**SPEC, **changes}}


def measured(thing: t.Any) -> tuple[BlockFigures | None, list[dict[str, t.Any]]]:
    found: list[CorruptRecord] = []
    figures = measure_block(thing, Reservations(), found.append)
    return figures, shown_damaged(found)


@pytest.mark.parametrize("spec", [{}, None, {"cidr": None}, {"cidr": "garbage"}, {"cidr": "10.0.0.0"}])
def test_a_block_without_a_range_is_named(spec: t.Any) -> None:
    block = {"kind": "IPAMBlock", "metadata": {"name": "b-1"}, "spec": spec}
    for look in (
        lambda: in_range(block, NETWORK),
        lambda: list(block_cidrs(t.cast("t.Any", Api(block)))),
    ):
        with pytest.raises(InvalidInput, match="^IPAMBlock b-1: "):
            look()
    figures, damaged = measured(block)
    assert figures is None
    assert [(each["kind"], each["name"]) for each in damaged] == [("IPAMBlock", "b-1")]


@pytest.mark.parametrize("attributes", [None, [], [{}], [{"handle_id": None, "secondary": None}]])
@pytest.mark.parametrize("index", [-1, 0, 7])
def test_an_address_with_a_lost_holder_is_in_use(attributes: t.Any, index: int) -> None:
    thing = block(allocations=[index, None, None, None], attributes=attributes)
    figures, damaged = measured(thing)
    assert figures is not None
    assert figures.in_use == 1
    assert bool(damaged) == (index >= len(attributes or ()) or index < 0)
    (entry,) = holders(thing["spec"])
    assert entry.holder.kind == UNKNOWN


@pytest.mark.parametrize(
    ("changes", "fault", "shown"),
    [
        ({"cidr": "10.0.0.1/30"}, "spells its CIDR '10.0.0.1/30' where Calico writes 10.0.0.0/30", True),
        ({"cidr": "10.0.0.4/30"}, "has the CIDR 10.0.0.4/30, which has another name", True),
        ({"unallocated": [1, 1, 2]}, "lists a free ordinal twice", True),
        ({"unallocated": [1, 2, -3]}, "lists a free ordinal outside its CIDR", True),
        ({"unallocated": [0, 1, 2, 3]}, "lists an ordinal as free that is allocated", True),
        (
            {"unallocated": [1, 2]},
            "has 1 addresses that are neither free nor allocated, so that nobody gets them",
            True,
        ),
        ({"allocations": [0]}, "has 1 allocations where its CIDR has 4 addresses", True),
        ({"allocations": "0"}, "has allocations that are not a list of whole numbers and nulls", False),
        ({"attributes": [None]}, "has attributes that are not a list of objects", False),
    ],
)
def test_a_damaged_block_is_named_and_shown_as_far_as_it_can_be_read(
    changes: dict[str, t.Any], fault: str, shown: bool
) -> None:
    figures, damaged = measured(block(**changes))
    assert damaged == [{"kind": "IPAMBlock", "name": "10-0-0-0-30", "fault": fault}]
    assert (figures is not None) == shown


def test_a_report_goes_on_and_warns_once() -> None:
    found: list[CorruptRecord] = []
    good, bad = block(), block(unallocated=[1, 1, 2])
    others = [{"kind": "IPAMBlock", "metadata": {"name": f"b-{number}"}} for number in range(7)]
    result = blocks_with_holders([], [bad, *others, good], Reservations(), BlockFilter(), found.append)
    assert [shown["cidr"] for shown in result["blocks"]] == ["10.0.0.0/30"] * 2
    warnings: list[str] = []
    warn_of(shown_damaged(found), warnings.append)
    assert warnings == [
        "Damaged IPAM records: IPAMBlock 10-0-0-0-30 lists a free ordinal twice; IPAMBlock b-0 has no spec; "
        "IPAMBlock b-1 has no spec; IPAMBlock b-2 has no spec; IPAMBlock b-3 has no spec; and 3 more."
    ]
    # What several lists have met is one record.
    assert shown_damaged([*found, *found]) == shown_damaged(found)
    warn_of([], warnings.append)
    assert len(warnings) == 1
    assert render([], [], damage_lines(shown_damaged(found[:1])))[-2:] == [
        "DAMAGED RECORDS",
        "IPAMBlock 10-0-0-0-30 lists a free ordinal twice",
    ]
