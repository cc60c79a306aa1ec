# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deleting a pool while nodes, controllers and people write at the worst moment: before each single write."""

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
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

NETWORK = parse_network("10.9.0.0/24")
MOST_WRITES = 40


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


class LateStore(KubernetesStore):
    """A CNI plugin that read the pools before one was disabled, and was then slow."""

    def __init__(self, api: SimulatedApi, pools: t.Sequence[Pool]) -> None:
        super().__init__(api)
        self._then = pools

    def pools(self) -> t.Sequence[Pool]:
        return self._then


class Cluster:
    """A pool ``old`` with blocks of both nodes and nobody in them, and somebody who still remembers it enabled."""

    def __init__(self) -> None:
        self.twin: Twin = local_twin("small")
        self.admin = SimulatedApi(self.twin)
        body = {
            "apiVersion": IP_POOLS.api_version,
            "kind": "IPPool",
            "metadata": {"name": "old", "labels": {"team": "net"}},
            "spec": {"cidr": str(NETWORK), "blockSize": 28, "nodeSelector": "all()", "allowedUses": ["Workload"]},
        }
        self.admin.create(IP_POOLS, body)
        self.late = LateStore(self.admin, KubernetesStore(self.admin).pools())
        self.held = 0
        for node in ("node-1", "node-2"):
            self.take(node)
        for handle in list(self.admin.list(IPAM_HANDLES).items):
            if handle["spec"]["handleID"].startswith("late-"):
                self.release(handle["spec"]["handleID"])
        assert len(self.blocks()) == 2

    def take(self, node: str) -> None:
        self.held += 1
        request = AssignRequest(
            host=node,
            num_v4=1,
            handle_id=f"late-{self.held}",
            attributes={"namespace": "shop", "pod": f"late-{self.held}", "node": node},
            requested_v4=[NETWORK],
        )
        assert auto_assign(self.late, request, now=self.twin.clock.now).error is None

    def release(self, handle: str) -> None:
        release_by_handle(KubernetesStore(self.admin), handle, now=self.twin.clock.now)

    def blocks(self) -> dict[str, t.Any]:
        found = (item["spec"] for item in self.admin.list(IPAM_BLOCKS).items)
        return {spec["cidr"]: spec for spec in found if NETWORK.overlaps(parse_network(spec["cidr"]))}

    def rows(self) -> list[t.Any]:
        found = (item["spec"] for item in self.admin.list(BLOCK_AFFINITIES).items)
        return [spec for spec in found if NETWORK.overlaps(parse_network(spec["cidr"]))]

    def in_use(self) -> int:
        return sum(index is not None for spec in self.blocks().values() for index in spec["allocations"])

    def exists(self) -> bool:
        return any(item["metadata"]["name"] == "old" for item in self.admin.list(IP_POOLS).items)

    def delete(self, before: t.Callable[[Write], None] | None = None, **hooks: t.Any) -> SimulatedApi:
        api = SimulatedApi(self.twin, before=before, **hooks)
        delete_pool(
            api,
            KubernetesStore(api),
            "old",
            timeout=30,
            clock=SimulatedClock(api),
            report=lambda event: None,
            check_mode=False,
        )
        return api


def at_each_write(event: t.Callable[[Cluster, Write], None], after: bool = False) -> t.Iterator[tuple[Cluster, str]]:
    """Delete the pool with the event at the first write, then at the second, until there are no more."""
    for number in range(1, MOST_WRITES):
        cluster = Cluster()
        happened: list[Write] = []

        def happen(write: Write, cluster: Cluster = cluster, number: int = number) -> None:
            if write.number == number:
                happened.append(write)  # noqa: B023
                event(cluster, write)

        message = ""
        try:
            cluster.delete(**{"after" if after else "before": happen})
        except IpamError as error:
            message = error.message
        except Killed:
            message = "killed"
        if not happened:
            assert message == ""
            return
        yield cluster, f"{message} [{happened[0]}]"
    raise AssertionError("the deletion has more writes than this test allows for")


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_an_address_taken_at_the_last_moment_keeps_the_pool(node: str) -> None:
    """Between the look for addresses and the deletion of the pool there is no lock, but there are the blocks."""
    moments = 0
    for cluster, message in at_each_write(lambda cluster, write: cluster.take(node)):
        moments += 1
        assert cluster.in_use() == 1
        assert cluster.exists() and message[0] != " ", message
        # Whoever has the address still has its routes: its block is owned, by a node with a row for it.
        blocks = cluster.blocks().values()
        (used,) = (spec for spec in blocks if any(index is not None for index in spec["allocations"]))
        owned = {(row["node"], row["cidr"]) for row in cluster.rows()}
        assert (str(used.get("affinity")).partition(":")[2], used["cidr"]) in owned, message
        pool = cluster.admin.get(IP_POOLS, "old")
        assert pool["spec"]["disabled"] and pool["metadata"]["labels"] == {"team": "net"}
        # Once it is released, the next run brings all to its end.
        cluster.release(f"late-{cluster.held}")
        cluster.delete()
        assert (cluster.exists(), cluster.blocks(), cluster.rows()) == (False, {}, [])
    assert moments > 8


def test_a_block_claimed_in_between_goes_too() -> None:
    def claim_and_leave(cluster: Cluster, write: Write) -> None:
        cluster.take("node-1")
        cluster.release(f"late-{cluster.held}")

    for cluster, message in at_each_write(claim_and_leave):
        if "delete IPPool old" not in message and message.startswith(" ["):
            assert not cluster.exists()
        cluster.delete()
        assert (cluster.exists(), cluster.blocks(), cluster.rows()) == (False, {}, []), message


def test_kube_controllers_release_at_the_same_time() -> None:
    def release(cluster: Cluster, write: Write) -> None:
        release_pool_affinities(cluster.twin.store, NETWORK, now=cluster.twin.clock.now)

    for cluster, message in at_each_write(release):
        assert message.startswith(" ["), message
        assert (cluster.exists(), cluster.blocks(), cluster.rows()) == (False, {}, [])


def test_every_write_may_lose_to_another() -> None:
    def touch(cluster: Cluster, write: Write) -> None:
        if write.verb != "create":
            cluster.admin.patch(write.resource, write.name, {"metadata": {"annotations": {"touched": "yes"}}})

    for cluster, message in at_each_write(touch):
        assert message.startswith(" ["), message
        assert (cluster.exists(), cluster.blocks(), cluster.rows()) == (False, {}, [])


def test_a_kill_after_each_write_is_made_good_by_the_next_run() -> None:
    def die(cluster: Cluster, write: Write) -> None:
        raise Killed

    for cluster, message in at_each_write(die, after=True):
        cluster.twin.clock.advance(40)
        cluster.delete()
        assert (cluster.exists(), cluster.blocks(), cluster.rows()) == (False, {}, []), message


def test_rows_deleted_by_hand_do_not_keep_the_pool_for_ever() -> None:
    cluster = Cluster()
    for item in list(cluster.admin.list(BLOCK_AFFINITIES).items):
        if NETWORK.overlaps(parse_network(item["spec"]["cidr"])):
            cluster.admin.delete(BLOCK_AFFINITIES, item["metadata"]["name"])
    cluster.delete()
    assert (cluster.exists(), cluster.blocks(), cluster.rows()) == (False, {}, [])


def test_two_runs_never_delete_the_last_two_pools() -> None:
    cluster = Cluster()

    def disable_the_other(write: Write) -> None:
        if write.number == 1:
            # What another run does first that deletes the other pool.
            cluster.admin.patch(IP_POOLS, "default-ipv4-ippool", {"spec": {"disabled": True}})

    with pytest.raises(Refused, match="no other enabled IPv4 pool is left"):
        cluster.delete(disable_the_other)
    assert cluster.exists()


def test_a_pool_enabled_again_meanwhile_is_kept() -> None:
    def enable(cluster: Cluster, write: Write) -> None:
        if write.number > 1:
            cluster.admin.patch(IP_POOLS, "old", {"spec": {"disabled": False}})

    for cluster, message in at_each_write(enable):
        if "[1 " not in message and "delete IPPool old" not in message:
            assert cluster.exists()
            assert "enabled" in message


def test_another_run_deletes_it_first() -> None:
    def gone(cluster: Cluster, write: Write) -> None:
        if cluster.exists():
            cluster.admin.delete(IP_POOLS, "old")

    for cluster, message in at_each_write(gone):
        assert message.startswith(" ["), message
        assert (cluster.exists(), cluster.rows()) == (False, [])


def clean_after(cluster: Cluster, network: str) -> Plan:
    api = SimulatedApi(cluster.twin)
    return delete_pool(
        api,
        KubernetesStore(api),
        "old",
        network=parse_network(network),
        timeout=30,
        clock=SimulatedClock(api),
        report=lambda event: None,
        check_mode=False,
    )


def test_the_range_of_a_pool_that_is_gone_is_cleaned_once() -> None:
    cluster = Cluster()
    cluster.admin.delete(IP_POOLS, "old")
    assert len(cluster.blocks()) == 2
    assert clean_after(cluster, str(NETWORK)).changed
    assert (cluster.blocks(), cluster.rows()) == ({}, [])
    assert not clean_after(cluster, str(NETWORK)).changed


def test_the_range_of_a_pool_that_is_gone_is_left_alone_while_in_use() -> None:
    cluster = Cluster()
    cluster.take("node-1")
    cluster.admin.delete(IP_POOLS, "old")
    with pytest.raises(Refused, match="cannot be cleaned: 1 addresses"):
        clean_after(cluster, str(NETWORK))
    assert len(cluster.blocks()) == 2


def test_the_range_of_another_pool_is_not_touched() -> None:
    cluster = Cluster()
    cluster.admin.delete(IP_POOLS, "old")
    assert not clean_after(cluster, "192.168.0.0/16").changed
    assert len(cluster.blocks()) == 2


def test_a_pool_with_another_range_is_not_the_one_that_was_meant() -> None:
    cluster = Cluster()
    with pytest.raises(Refused, match="not the pool that was to be deleted"):
        clean_after(cluster, "10.99.0.0/24")
    assert cluster.exists()
