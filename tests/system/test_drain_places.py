# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places for pods that run out on the way, and pools and nodes that change meanwhile (hazards.md D03, D04, D14)."""

from __future__ import annotations

import typing as t

import pytest
from drain_lab import workload
from drain_room import SPACE, Lab
from simulation import SimulatedApi, Write, simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    IP_POOLS,
    IPAM_CONFIGS,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainStopped


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def narrow(lab: Lab, cidr: str, block_size: int = 29, **more: t.Any) -> None:
    """Put a smaller pool in the place of ``new``."""
    lab.admin.delete(IP_POOLS, "new")
    spec = {"cidr": cidr, "blockSize": block_size, "nodeSelector": "all()", **more}
    lab.create(IP_POOLS, {"metadata": {"name": "new"}, "spec": spec}, None)


def strict(lab: Lab, **more: t.Any) -> None:
    lab.create(
        IPAM_CONFIGS,
        {"metadata": {"name": "default"}, "spec": {"strictAffinity": True, "autoAllocateBlocks": True, **more}},
        None,
    )


def hanging(lab: Lab) -> list[str]:
    """Pods without an address that have a node."""
    return [
        pod["metadata"]["name"]
        for pod in lab.admin.list(PODS, SPACE).items
        if pod["spec"].get("nodeName") and not pod["status"].get("podIP")
    ]


def writes(api: SimulatedApi) -> list[Write]:
    return [write for write in api.writes if write.resource in (DEPLOYMENTS, PODS)]


def node(name: str) -> Object:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}


class TestTooFew:
    def test_nothing_is_begun_when_not_all_fit(self) -> None:
        lab = Lab(1)
        for number in range(5):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 4))
        lab.begin()
        narrow(lab, "10.9.0.0/28")
        plan = lab.drain(check_mode=True)
        assert plan.notes[-1] == (
            "nothing would be begun, since 20 pods still want an address, and IPPool 'new' has 16 left"
        )
        api = SimulatedApi(lab.twin)
        with pytest.raises(DrainStopped) as caught:
            lab.drain(api=api)
        assert caught.value.message == (
            "The drain of IPPool 'old' begins no further workload, since 20 pods still want an address, and IPPool "
            "'new' has 16 left: add or enlarge a pool that serves them, then run it again."
        )
        assert writes(api) == []
        assert caught.value.result.seconds < 20
        lab.unharmed()

    def test_others_fill_the_pool_on_the_way(self) -> None:
        lab = Lab(1)
        for number in range(5):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 4))
        lab.begin()
        narrow(lab, "10.9.0.0/27")
        begun: list[str] = []

        def crowd(write: Write) -> None:
            begun.append(write.name)
            if len(begun) == 2:
                lab.create(DEPLOYMENTS, workload("others", 15))

        api = SimulatedApi(lab.twin, after=lambda write: crowd(write) if write.resource == DEPLOYMENTS else None)
        with pytest.raises(DrainStopped, match=r"\d+ pods still want an address, and IPPool 'new' has \d+ left"):
            lab.drain(api=api, max_parallel=2)
        # What was begun has come to its end, and nobody waits for an address.
        assert hanging(lab) == []
        assert len(writes(api)) < 5
        lab.unharmed()

    def test_it_goes_on_when_a_pool_is_added_in_time(self) -> None:
        lab = Lab(1)
        for number in range(5):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 4))
        lab.begin()
        narrow(lab, "10.9.0.0/28")
        start = lab.twin.clock.monotonic()

        def help_out() -> None:
            if lab.twin.clock.monotonic() - start > 5:
                lab.admin.ticks.clear()
                spec = {"cidr": "10.8.0.0/24", "blockSize": 26, "nodeSelector": "all()"}
                lab.create(IP_POOLS, {"metadata": {"name": "more"}, "spec": spec}, None)

        lab.admin.ticks.append(help_out)
        assert lab.drain().left == ()
        lab.unharmed()

    def test_a_pool_that_is_disabled_on_the_way(self) -> None:
        lab = Lab(1)
        for number in range(4):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 2))
        lab.begin()
        done = []

        def disable() -> None:
            moved = [
                pod for pod in lab.admin.list(PODS, SPACE).items if pod["status"].get("podIP", "").startswith("10.")
            ]
            if len(moved) >= 2 and not done and not hanging(lab):
                done.append(True)
                lab.admin.patch(IP_POOLS, "new", {"spec": {"disabled": True}})

        lab.admin.ticks.append(disable)
        api = SimulatedApi(lab.twin)
        # Whoever is on the way just then gets none; nobody else is sent after them.
        with pytest.raises(DrainStopped, match="no enabled pool gives any|gets no address: .*no enabled IPv4 pool"):
            lab.drain(api=api, max_parallel=2)
        assert len(writes(api)) <= 3
        lab.unharmed()


class TestNodes:
    def test_a_node_that_joins_and_gets_no_block(self) -> None:
        lab = Lab(1)
        strict(lab)
        for number in range(4):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 2))
        lab.begin()
        narrow(lab, "10.9.0.0/27", 29)  # four blocks
        lab.create(DEPLOYMENTS, workload("here", 6))
        assert lab.twin.settle() == []  # three of them have got an owner
        for name in ("node-8", "node-9"):
            lab.create(NODES, node(name), None)
        api = SimulatedApi(lab.twin)
        result = lab.drain(api=api)
        assert writes(api) == []
        assert {entry.reason for entry in result.left} == {
            "its pods may be started on node node-8, for which no enabled pool has addresses: cordon the node, or let "
            "a pool with free blocks select it"
        }
        for name in ("node-8", "node-9"):
            lab.admin.patch(NODES, name, {"spec": {"unschedulable": True}})
        assert lab.drain().left == ()
        assert hanging(lab) == []
        lab.unharmed()

    def test_nodes_that_join_on_the_way_and_find_blocks(self) -> None:
        lab = Lab(1)
        strict(lab)
        for number in range(6):
            lab.create(DEPLOYMENTS, workload(f"app-{number}", 3))
        lab.begin()
        narrow(lab, "10.9.0.0/25", 28)
        joined: list[str] = []

        def join(write: Write) -> None:
            if write.resource == DEPLOYMENTS and len(joined) < 3:
                joined.append(f"node-{9 - len(joined)}")
                lab.create(NODES, node(joined[-1]), None)

        assert lab.drain(api=SimulatedApi(lab.twin, after=join), max_parallel=2).left == ()
        assert len(joined) == 3
        lab.unharmed()
