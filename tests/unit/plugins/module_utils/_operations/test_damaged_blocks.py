# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blocks that something has damaged: shown as far as they can be read, or refused by name; never a traceback."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import UNKNOWN
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import holders
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import in_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import measure_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import block_cidrs

NETWORK = parse_network("10.0.0.0/24")


class Api:
    def __init__(self, *blocks: t.Any) -> None:
        self._blocks = list(blocks)

    def pages(self, *_args: t.Any) -> t.Iterator[Listing]:
        yield Listing(self._blocks, "1")


@pytest.mark.parametrize("spec", [{}, None, {"cidr": None}, {"cidr": "garbage"}, {"cidr": "10.0.0.0"}])
def test_a_block_without_a_range_is_named(spec: t.Any) -> None:
    block = {"metadata": {"name": "b-1"}, "spec": spec}
    for look in (
        lambda: measure_block(block, Reservations()),
        lambda: in_range(block, NETWORK),
        lambda: list(block_cidrs(t.cast("t.Any", Api(block)))),
    ):
        with pytest.raises(InvalidInput, match="^IPAMBlock b-1: "):
            look()


@pytest.mark.parametrize("attributes", [None, [], [None], [{}], [{"handle_id": None, "secondary": None}]])
@pytest.mark.parametrize("index", [-1, 0, 7])
def test_an_address_with_a_lost_holder_is_in_use(attributes: t.Any, index: int) -> None:
    spec = {"cidr": "10.0.0.0/30", "allocations": [index, None, None, None], "attributes": attributes}
    block = {"metadata": {"name": "b-1"}, "spec": {**spec, "unallocated": [1, 2, 3]}}
    assert measure_block(block, Reservations()).in_use == 1
    (entry,) = holders(block["spec"])
    assert entry.holder.kind == UNKNOWN
