# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.placement import NodeFacts, node_facts
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_places import Places

NEW = frozenset({"new"})
LOOSE = Settings()
STRICT = Settings(strict_affinity=True)


def pool(cidr: str = "10.0.0.0/28", size: int = 30, name: str = "new", **spec: object) -> Object:
    return {"metadata": {"name": name}, "spec": {"cidr": cidr, "blockSize": size, **spec}}


def block(cidr: str, host: str, free: int, **spec: object) -> Object:
    network = parse_network(cidr)
    name = cidr.replace(".", "-").replace("/", "-").replace(":", "-")
    affinity = {"affinity": f"host:{host}"} if host else {}
    taken = network.size - free
    return {
        "metadata": {"name": name},
        "spec": {"cidr": cidr, **affinity, "unallocated": [*range(taken, taken + free)], **spec},
    }


def nodes(*names: str) -> list[NodeFacts]:
    return [node_facts({"metadata": {"name": name}}) for name in names]


def places(*blocks: Object, settings: Settings = LOOSE, reserved: str = "") -> Places:
    found = Places("old", 4, settings, Reservations([parse_network(reserved)] if reserved else []))
    found.apply_pool(pool(), gone=False)
    for each in blocks:
        found.apply_block(each, gone=False)
    return found


@pytest.mark.parametrize(
    ("found", "left", "full"),
    [
        (places(), 16, ""),
        (places(block("10.0.0.0/30", "a", 1)), 13, ""),
        # Blocks of nobody, and those of other nodes, are borrowed from.
        (places(*[block(f"10.0.0.{n}/30", "gone", int(n == 12)) for n in (0, 4, 8, 12)]), 1, ""),
        (places(*[block(f"10.0.0.{n}/30", "", int(n == 12)) for n in (0, 4, 8, 12)]), 1, ""),
        (places(*[block(f"10.0.0.{n}/30", "a", 0) for n in (0, 4, 8, 12)]), 0, "abc"),
        # Not with strict affinity: only one's own.
        (places(*[block(f"10.0.0.{n}/30", "a", 2) for n in (0, 4, 8, 12)], settings=STRICT), 8, "bc"),
        # Three want what is there for one: nobody knows who gets it.
        (places(*[block(f"10.0.0.{n}/30", "gone", 2) for n in (0, 4, 8)], settings=STRICT), 4, "abc"),
        (places(*[block(f"10.0.0.{4 * n}/30", host, 2) for n, host in enumerate("ab")], settings=STRICT), 12, ""),
        (places(block("10.0.0.0/30", "a", 0), settings=Settings(True, True, 1)), 12, "a"),
        (places(block("10.0.0.0/30", "a", 1), settings=Settings(True, True, 1)), 13, ""),
        # Whoever may not have a block does not borrow either.
        (places(block("10.0.0.0/30", "a", 0), settings=Settings(False, False)), 12, "abc"),
        (places(reserved="10.0.0.0/29"), 8, ""),
        (places(block("10.0.0.0/30", "a", 3), reserved="10.0.0.0/31"), 14, ""),
        # Other families and what is being deleted do not count.
        (places(block("fd00::/126", "a", 0), block("10.0.0.0/30", "a", 0, deleted=True)), 16, ""),
    ],
)
def test_what_is_left_and_for_whom(found: Places, left: int, full: str) -> None:
    three = nodes("a", "b", "c")
    assert (found.left(NEW, three), found.full(NEW, three)) == (left, frozenset(full))


def test_every_change_is_counted() -> None:
    found = places()
    assert found.revision == 1
    found.apply_block(block("10.0.0.0/30", "a", 3), gone=False)
    found.apply_block(block("10.0.0.0/30", "a", 2), gone=False)
    assert (found.left(NEW, []), found.revision) == (14, 2)  # that one has a block now is news, an address less is none
    found.apply_block(block("10.0.0.0/30", "a", 0), gone=False)
    assert (found.left(NEW, []), found.revision) == (12, 3)
    found.apply_pool(pool("10.0.0.0/27"), gone=False)
    assert found.left(NEW, []) == 28
    found.apply_block(block("10.0.0.0/30", "a", 0), gone=True)
    assert found.left(NEW, []) == 32
    for spec in ({"disabled": True}, {"assignmentMode": "Manual"}, {"allowedUses": ["Tunnel"]}, {"cidr": "nonsense"}):
        found.apply_pool(pool(**{**pool()["spec"], **spec, "size": 30}), gone=False)  # type: ignore[arg-type]
        assert (found.pools, found.left(NEW, [])) == ({}, 0), spec
        found.apply_pool(pool(), gone=False)
        assert found.left(NEW, []) == 16
    found.apply_pool(pool(), gone=True)
    assert found.pools == {}


def test_whether_the_drained_pool_is_at_rest() -> None:
    found = places()
    for spec, again in (({"disabled": True}, False), ({"nodeSelector": "!all()"}, False), ({}, True)):
        found.apply_pool({"metadata": {"name": "old"}, "spec": {"cidr": "10.1.0.0/28", **spec}}, gone=False)
        assert found.enabled_again is again
    found.apply_pool({"metadata": {"name": "old", "deletionTimestamp": "x"}, "spec": {}}, gone=False)
    assert not found.enabled_again
    assert set(found.pools) == {"new"}
