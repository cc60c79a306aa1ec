# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A range made clean on an API: killed after each write, waiting for what is about to be free, nodes that are late."""

from __future__ import annotations

import typing as t

import pytest
from simulation import Killed, SimulatedApi, SimulatedClock, Write, simulate
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, Affinity, claim_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_cleaning import Cleaned, make_clean
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

NETWORK = parse_network("10.9.0.0/24")
FULL, OWNERLESS, MISSING, HALF = (parse_network(f"10.9.0.{start}/28") for start in (0, 16, 32, 48))
MOST_WRITES = 60


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


class Range:
    """What a disabled pool ``old`` has left behind."""

    def __init__(self, cooldown: int = 0) -> None:
        self.twin = local_twin("small")
        self.admin = SimulatedApi(self.twin)
        self.store = KubernetesStore(self.admin)
        self.lines: list[str] = []
        spec = {"cidr": str(NETWORK), "blockSize": 28, "nodeSelector": "all()", "allowedUses": ["Workload"]}
        body = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": "old"}, "spec": spec}
        self.admin.create(IP_POOLS, body)
        if cooldown:
            config = self.store.config
            settings = {"strictAffinity": False, "autoAllocateBlocks": True, "ipCooldownSeconds": cooldown}
            head = {"apiVersion": config.api_version, "kind": config.kind, "metadata": {"name": "default"}}
            self.admin.create(config, {**head, "spec": settings})

    def disable(self, disabled: bool = True) -> None:
        self.admin.patch(IP_POOLS, "old", {"spec": {"disabled": disabled}})

    def take(self, pod: str = "gone") -> None:
        attributes = {"namespace": "shop", "pod": pod, "node": "node-1"}
        address = parse_address("10.9.0.3")
        assign_ip(self.store, address, "node-1", handle_id=pod, attributes=attributes, now=self.twin.clock.now)

    def give_back(self, pod: str = "gone") -> None:
        release_by_handle(self.store, pod, now=self.twin.clock.now)

    def litter(self) -> None:
        claim_block(access_to(self.store, self.twin.clock.now), "node-1", HOST, FULL)
        self.store.create_block(new_block(OWNERLESS, 7))
        self.store.create_affinity(Affinity("node-2", HOST, MISSING, "pending"))
        self.store.create_affinity(Affinity("node-2", HOST, HALF, "pendingDeletion", deleted=True))
        self.store.create_handle(Handle("lost", {MISSING: 2}))

    def left(self) -> list[str]:
        """The API's own view, soft-deleted records included."""
        found = [
            item["spec"]["cidr"] for kind in (IPAM_BLOCKS, BLOCK_AFFINITIES) for item in self.admin.list(kind).items
        ]
        counts = [cidr for item in self.admin.list(IPAM_HANDLES).items for cidr in item["spec"]["block"]]
        return [text for text in (*found, *counts) if NETWORK.overlaps(parse_network(text))]

    def clean(self, timeout: float = 60, **hooks: t.Any) -> Cleaned:
        api = SimulatedApi(self.twin, **hooks)
        api.ticks = self.admin.ticks
        return make_clean(
            api,
            KubernetesStore(api),
            NETWORK,
            watched=IPAM_BLOCKS,
            timeout=timeout,
            settle=5,
            clock=SimulatedClock(api),
            report=lambda event: self.lines.append(str(event)),
            check_mode=False,
        )


def at_each_write(event: t.Callable[[Range, Write], None], when: str) -> t.Iterator[tuple[Range, str]]:
    """Clean with the event at the first write, then at the second, until there are no more."""
    for number in range(1, MOST_WRITES):
        place = Range()
        place.litter()
        place.disable()
        happened: list[Write] = []

        def happen(write: Write, place: Range = place, number: int = number) -> None:
            if write.number == number:
                happened.append(write)  # noqa: B023
                event(place, write)

        message = ""
        try:
            place.clean(**{when: happen})
        except Killed:
            message = "killed"
        except IpamError as error:
            message = error.message
        if not happened:
            assert place.left() == []
            assert number > 10
            return
        yield place, f"{message} [{happened[0]}]"
        place.twin.close()
    raise AssertionError("the cleaning has more writes than this test allows for")


def test_a_kill_after_each_write_is_made_good_by_the_next_run() -> None:
    def die(place: Range, write: Write) -> None:
        raise Killed

    for place, message in at_each_write(die, "after"):
        assert place.clean().after.clean
        assert place.left() == [], message


def test_every_write_may_lose_to_another() -> None:
    def touch(place: Range, write: Write) -> None:
        if write.verb != "create":
            place.admin.patch(write.resource, write.name, {"metadata": {"annotations": {"touched": "yes"}}})

    for place, message in at_each_write(touch, "before"):
        assert message.startswith(" ["), message
        assert place.left() == []


def test_a_deletion_that_somebody_else_begins_and_never_ends() -> None:
    def begin(place: Range, write: Write) -> None:
        place.store.create_affinity(Affinity("node-9", HOST, MISSING, "pendingDeletion", deleted=True))

    for place, message in at_each_write(begin, "before"):
        assert message.startswith(" ["), message
        assert place.left() == [], message


def test_an_address_taken_at_the_last_moment_keeps_its_block_and_its_owner() -> None:
    """By a node that read the pool before it was disabled."""

    def take(place: Range, write: Write) -> None:
        place.disable(False)
        place.take()
        place.disable()

    for place, message in at_each_write(take, "before"):
        blocks = {item["spec"]["cidr"]: item["spec"] for item in place.admin.list(IPAM_BLOCKS).items}
        assert blocks[str(FULL)]["allocations"][3] is not None, message
        assert "Nobody held an address there any more, but" in message
        owner = blocks[str(FULL)].get("affinity", "").partition(":")[2]
        rows = [item["spec"] for item in place.admin.list(BLOCK_AFFINITIES).items]
        assert (owner, str(FULL)) in {(row["node"], row["cidr"]) for row in rows}, message
        place.give_back()
        assert place.clean().after.clean and place.left() == []


def test_it_ends_with_the_last_address() -> None:
    place = Range()
    place.take()
    place.disable()
    begun = place.twin.clock.monotonic()

    def collect() -> None:
        if place.twin.clock.monotonic() - begun > 20 and place.left() and "gone" in str(place.store.list_handles()):
            place.admin.ticks.clear()
            place.give_back()

    place.admin.ticks.append(collect)
    assert place.clean().after.clean
    assert 19 < place.twin.clock.monotonic() - begun < 30
    assert "waiting for 1 addresses of pod shop/gone on node-1" in place.lines[0]


def test_a_cooldown_is_waited_out_although_nothing_happens() -> None:
    place = Range(cooldown=40)
    place.take()
    place.give_back()
    place.disable()
    begun = place.twin.clock.monotonic()
    with pytest.raises(Refused, match="1 cooling addresses are still not free"):
        place.clean(timeout=10)
    assert place.clean().after.clean and place.left() == []
    assert 39 < place.twin.clock.monotonic() - begun < 45
