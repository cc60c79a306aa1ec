# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both procedures on one family of a cluster whose pods and tunnels have addresses of both, in virtual time.

The other family is watched at every moment: its tunnels stay, and no pod is ready without an address of it. By day
some of the changes, and few places to be killed at; all of them at night.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

import pytest
from kubespray_lab import RANGE, RANGE6, scenario
from modes_lab import Mode, empty_etcd
from procedures import change_block_size, migrate_pool, mortal, rollback
from runbook import Runbook
from simulation import Killed, SimulatedApi, Write, simulate, simulated, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    IP_POOLS,
    IPAM_BLOCKS,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

NIGHTLY = int(os.environ.get("CALICO_OPS_NIGHTLY") or 0)
POOLS = {4: "default-pool", 6: "default-pool-ipv6"}
RANGES = {4: RANGE, 6: RANGE6}
SIZES = {4: 26, 6: 122}
ELSEWHERE = {4: "10.234.128.0/18", 6: "fd85:ee78:d8a6:8607::3:0/112"}
TUNNELS = {4: "projectcalico.org/IPv4VXLANTunnelAddr", 6: "projectcalico.org/IPv6VXLANTunnelAddr"}
MOST_WRITES = 200


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@dataclass(frozen=True)
class Change:
    """A procedure for the pool of one family, from one block size to another."""

    version: int
    size: int
    from_size: int
    moves: bool = False

    def __str__(self) -> str:
        return f"IPv{self.version}-{'migrate' if self.moves else 'resize'}-{self.from_size}-{self.size}"

    @property
    def pool(self) -> str:
        return "default-pool-2" + ("" if self.version == 4 else "-ipv6") if self.moves else POOLS[self.version]

    @property
    def cidr(self) -> str:
        return ELSEWHERE[self.version] if self.moves else RANGES[self.version]

    def run(self, api: CalicoApi) -> Runbook:
        if self.moves:
            target = {"name": self.pool, "cidr": self.cidr, "block_size": self.size}
            return migrate_pool(api, POOLS[self.version], target)
        return change_block_size(api, POOLS[self.version], self.size, {"cidr": ELSEWHERE[self.version]})

    def undo(self, api: CalicoApi) -> Runbook:
        return rollback(api, "migrate_pool" if self.moves else "change_block_size", POOLS[self.version])


MODES = [
    Mode("crd_v1"),
    Mode("crd_v3"),
    Mode("apiserver"),
    Mode("etcd"),
    Mode("apiserver", operator=True),
    Mode("crd_v3", operator=True),
]
CHANGES = [
    Change(4, 28, 26),
    Change(4, 26, 28),
    Change(6, 124, 122),
    Change(6, 122, 124),
    Change(4, 26, 26, moves=True),
    Change(6, 122, 122, moves=True),
]
# Where a killed run is undone, while the old pool is there.
UNDONE_AT = (5, 12)
every_change = pytest.mark.parametrize("change", CHANGES, ids=str)
grown, shrunk, moved = CHANGES[1], CHANGES[2], CHANGES[5]


@dataclass
class Watcher:
    """What happens to the other family: its tunnels by node, and pods that were ready without an address of each."""

    twin: Twin
    version: int
    tunnels: dict[str, set[str]] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)
    looks: int = 0
    _revision: int = -1

    def look(self) -> None:
        if self._revision == self.twin.objects.revision:
            return
        self._revision = self.twin.objects.revision
        self.looks += 1
        for node in with_calico(SimulatedApi(self.twin)).list(NODES).items:
            address = (node["metadata"].get("annotations") or {}).get(TUNNELS[self.version], "none")
            self.tunnels.setdefault(node["metadata"]["name"], set()).add(address)
        for pod in self.twin.server.objects.list(PODS):
            ready = any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions") or ()
            )
            if ready and not pod["spec"].get("hostNetwork") and versions(pod) != [4, 6]:
                self.bare.append(pod["metadata"]["name"])


def versions(pod: Object) -> list[int]:
    return [parse_address(each["ip"]).version for each in pod["status"].get("podIPs") or ()]


def prepared(change: Change, mode: Mode = MODES[0]) -> Twin:
    documents = scenario(both=True)
    for document in documents:
        if document["kind"] == "IPPool" and document["metadata"]["name"] == POOLS[change.version]:
            document["spec"] = {**document["spec"], "blockSize": change.from_size}
    twin = local_twin(
        documents, installation=mode.installation, operator=mode.operator, etcd_endpoints=empty_etcd(mode)
    )
    twin.clock.advance(30)
    return twin


def client(twin: Twin, watcher: Watcher, **hooks: t.Any) -> CalicoApi:
    api = SimulatedApi(twin, **hooks)
    api.ticks.append(watcher.look)
    return with_calico(api)


def is_as_wanted(twin: Twin, watcher: Watcher, pools: dict[str, tuple[str, int]]) -> None:
    """``pools`` are all there are, with range and block size; every record and address is of one of them."""
    twin.clock.advance(60)
    api = with_calico(SimulatedApi(twin))
    assert {pool.name: (pool.spec["cidr"], pool.spec["blockSize"]) for pool in read_pools(api)} == pools
    networks = {parse_network(cidr).version: (parse_network(cidr), size) for cidr, size in pools.values()}
    for item in (*api.list(IPAM_BLOCKS).items, *api.list(BLOCK_AFFINITIES).items):
        block = parse_network(item["spec"]["cidr"])
        network, size = networks[block.version]
        assert network.contains(block) and block.prefix == size, str(block)
    pods = [pod for pod in api.list(PODS).items if not pod["spec"].get("hostNetwork")]
    assert pods
    for pod in pods:
        addresses = [parse_address(each["ip"]) for each in pod["status"]["podIPs"]]
        assert [address.version for address in addresses] == [4, 6]
        assert all(networks[address.version][0].contains(address) for address in addresses), pod["status"]["podIPs"]
    for node in api.list(NODES).items:
        for version, annotation in TUNNELS.items():
            address = node["metadata"]["annotations"][annotation]
            assert networks[version][0].contains(parse_address(address)), (node["metadata"]["name"], address)
    found = Runbook(api, mortal()).module("ipam_audit_info")
    assert [line for line in found["findings"] if line["severity"] != "note"] == [], found["lines"]
    record = twin.recorder.record()
    assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])
    # The other family: the same tunnel address all the time, and no pod was ready without an address of it.
    assert watcher.looks > 10
    assert all(len(seen) == 1 and "none" not in seen for seen in watcher.tunnels.values()), watcher.tunnels
    assert watcher.bare == []


def all_pools(change: Change, done: bool = True) -> dict[str, tuple[str, int]]:
    other = 10 - change.version
    mine = (change.pool, (change.cidr, change.size))
    was = (POOLS[change.version], (RANGES[change.version], change.from_size))
    return dict([mine if done else was, (POOLS[other], (RANGES[other], SIZES[other]))])


@pytest.mark.skipif(not NIGHTLY, reason="by day what is killed and run again shows as much")
@every_change
def test_one_family_changes(change: Change) -> None:
    twin = prepared(change)
    watcher = Watcher(twin, 10 - change.version)
    change.run(client(twin, watcher))
    is_as_wanted(twin, watcher, all_pools(change))
    again = client(twin, watcher)
    change.run(again)
    assert simulated(again).writes == []
    twin.close()


def cut(change: Change, twin: Twin, watcher: Watcher, number: int) -> bool:
    """Run until right after that write; false when there are fewer."""

    def die(write: Write) -> None:
        if write.number == number:
            raise Killed(str(write))

    try:
        change.run(client(twin, watcher, after=die))
    except Killed:
        return True
    return False


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("change", CHANGES if NIGHTLY else [grown, moved], ids=str)
def test_killed_and_run_again(change: Change) -> None:
    """After every seventh write at night, after one by day."""
    first = 2 + CHANGES.index(change)
    for number in range(first, MOST_WRITES, 7) if NIGHTLY else (first + 7,):
        twin = prepared(change)
        watcher = Watcher(twin, 10 - change.version)
        was_cut = cut(change, twin, watcher, number)
        twin.clock.advance(number % 7)
        change.run(client(twin, watcher))
        is_as_wanted(twin, watcher, all_pools(change))
        twin.close()
        if not was_cut:
            return


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("change", CHANGES if NIGHTLY else [shrunk], ids=str)
def test_killed_and_undone(change: Change) -> None:
    for number in UNDONE_AT if NIGHTLY else UNDONE_AT[1:]:
        twin = prepared(change)
        watcher = Watcher(twin, 10 - change.version)
        assert cut(change, twin, watcher, number)
        change.undo(client(twin, watcher))
        is_as_wanted(twin, watcher, all_pools(change, done=False))
        twin.close()


@pytest.mark.skipif(not NIGHTLY, reason="by day in one installation only")
@pytest.mark.parametrize("mode", MODES[1:], ids=str)
@pytest.mark.parametrize("change", [grown, shrunk, moved], ids=str)
def test_in_every_installation(mode: Mode, change: Change) -> None:
    twin = prepared(change, mode)
    watcher = Watcher(twin, 10 - change.version)
    assert cut(change, twin, watcher, 9)
    change.run(client(twin, watcher))
    is_as_wanted(twin, watcher, all_pools(change))
    twin.close()


@pytest.mark.skipif(not NIGHTLY, reason="each family has its own test")
def test_both_families_one_after_the_other() -> None:
    """As Kubespray's playbook does it, since no inventory could describe one alone."""
    first, second = CHANGES[4:]
    twin = prepared(first)
    watcher = Watcher(twin, 6)
    first.run(client(twin, watcher))
    is_as_wanted(twin, watcher, all_pools(first))
    watcher = Watcher(twin, 4)
    second.run(client(twin, watcher))
    pools = {change.pool: (change.cidr, change.size) for change in (first, second)}
    is_as_wanted(twin, watcher, pools)
    api = with_calico(SimulatedApi(twin))
    assert not [item for item in api.list(IP_POOLS).items if item["spec"].get("disabled")]
    twin.close()
