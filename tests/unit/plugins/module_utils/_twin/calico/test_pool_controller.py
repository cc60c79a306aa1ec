# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Spec ippool.md 5.2, 5.3 and 6: what becomes of pools where the v3 CRDs are the store."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Conflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.cni import CalicoCni, CniError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.kube_controllers import KubeControllers
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.pool_controller import (
    FINALIZER,
    PoolController,
)

GRACE = 900.0


class Lab:
    """Two nodes, kube-controllers with its pool controller, and the CNI plugin."""

    def __init__(self, world: t.Any, ready: bool = True) -> None:
        self.world = world
        self.pools = world.places.pools
        world.node("n1")
        world.node("n2")
        self.cni = CalicoCni(world.store, world.objects, world.clock, world.places)
        self.collector = KubeControllers(
            world.store,
            world.objects,
            world.clock,
            GRACE,
            world.places,
            lambda: self.controller.came_up(),  # pylint: disable=unnecessary-lambda
        )
        self.controller = PoolController(
            world.api, world.store, world.objects, world.clock, world.places, lambda: self.collector.running
        )
        self.collector.start()
        self.controller.start()
        self.ready(ready)

    def ready(self, ready: bool) -> None:
        self.world.put(PODS, "controllers", "shop", metadata={"labels": {"k8s-app": "calico-kube-controllers"}})
        pod = self.world.objects.get(PODS, "shop", "controllers")
        status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        self.world.api.replace(PODS, {**pod, "status": status}, "shop", subresource="status")

    def pass_time(self, seconds: float = 2.0) -> None:
        self.world.clock.advance(seconds)

    def running_pod(self, name: str = "web", node: str = "n1") -> str:
        (address,) = self.cni.add(self.world.pod(name, node), node)
        self.world.pod(name, node, addresses=[address])
        return t.cast(str, address)

    def stop_pod(self, name: str = "web", node: str = "n1") -> None:
        self.cni.delete(self.world.objects.get(PODS, "shop", name), node)
        self.world.objects.delete(PODS, "shop", name)

    def patch(self, name: str, **spec: t.Any) -> None:
        self.world.api.patch(self.pools, name, {"spec": spec})

    def delete(self, name: str) -> None:
        self.world.api.delete(self.pools, name)

    def pool(self, name: str) -> dict[str, t.Any] | None:
        return t.cast("dict[str, t.Any] | None", self.world.objects.get(self.pools, None, name))

    def state(self, name: str) -> str:
        """The reason of the condition, with ``+`` where the finalizer is on; ``-`` without a condition, or gone."""
        pool = self.pool(name)
        if pool is None:
            return "gone"
        conditions = (pool.get("status") or {}).get("conditions") or [{"reason": "-"}]
        guarded = FINALIZER in (pool["metadata"].get("finalizers") or [])
        return conditions[0]["reason"] + ("+" if guarded else "")

    def left(self) -> tuple[int, int]:
        """How many blocks and affinities there are."""
        return len(self.world.store.list_blocks()), len(self.world.store.list_affinities())


@pytest.fixture
def lab(world_v3: t.Any) -> Lab:
    return Lab(world_v3)


def test_a_new_pool_is_judged_and_guarded_soon(lab: Lab) -> None:
    lab.world.pool()
    assert lab.state("p") == "-"
    lab.pass_time(0.5)
    assert lab.state("p") == "OK+"
    assert (lab.pool("p") or {})["metadata"]["generation"] == 1


def test_at_rest_nothing_is_written(lab: Lab) -> None:
    lab.world.pool("a")
    lab.world.pool("b")
    lab.world.pool("c", disabled=True)
    lab.pass_time()
    before = lab.world.objects.revision
    lab.pass_time(1000)
    assert lab.world.objects.revision == before


def test_without_kube_controllers_nobody_judges(world_v3: t.Any) -> None:
    lab = Lab(world_v3, ready=False)
    lab.world.pool()
    lab.pass_time(1000)
    assert lab.state("p") == "-"
    # A pool without a condition is used all the same.
    assert lab.running_pod()
    lab.delete("p")
    assert lab.state("p") == "gone"
    assert lab.left() == (1, 1)


def test_a_new_process_of_kube_controllers_catches_up(lab: Lab) -> None:
    lab.ready(False)
    lab.world.pool()
    lab.pass_time()
    assert lab.state("p") == "-"
    lab.ready(True)
    lab.pass_time()
    assert lab.state("p") == "OK+"


def test_an_overlapping_pool_is_accepted_and_hands_out_nothing(lab: Lab) -> None:
    lab.world.pool("a")
    lab.pass_time()
    lab.world.pool("b", "10.1.0.0/23")
    lab.pass_time()
    assert (lab.state("a"), lab.state("b")) == ("OK+", "CIDROverlap")
    lab.patch("a", disabled=True)
    with pytest.raises(CniError, match="no enabled IPv4 pool"):
        # b does not know yet that the ground is free.
        lab.running_pod()
    lab.pass_time()
    assert (lab.state("a"), lab.state("b")) == ("PoolDisabled", "OK+")
    assert lab.running_pod("again")


def test_the_oldest_that_waits_gets_the_ground(lab: Lab) -> None:
    for name in ("holder", "zz-older", "aa-younger"):
        lab.world.pool(name)
        lab.pass_time()
    lab.patch("holder", disabled=True)
    lab.pass_time()
    assert [lab.state(name) for name in ("holder", "zz-older", "aa-younger")] == ["PoolDisabled", "OK+", "CIDROverlap"]
    # And a pool that comes back has lost its ground.
    lab.patch("holder", disabled=False)
    lab.pass_time()
    assert [lab.state(name) for name in ("holder", "zz-older", "aa-younger")] == ["CIDROverlap", "OK+", "CIDROverlap"]


def test_the_ground_of_a_pool_that_is_gone_is_taken_at_once(lab: Lab) -> None:
    lab.world.pool("a")
    lab.pass_time()
    lab.world.pool("b")
    lab.pass_time()
    lab.delete("a")
    lab.pass_time()
    assert (lab.state("a"), lab.state("b")) == ("gone", "OK+")


def test_two_disabled_pools_may_share_a_range(lab: Lab) -> None:
    lab.world.pool("a", disabled=True)
    lab.world.pool("b", disabled=True)
    lab.pass_time()
    assert (lab.state("a"), lab.state("b")) == ("PoolDisabled", "PoolDisabled")


def test_an_enabled_pool_that_is_deleted_stays_until_its_last_address_is_gone(lab: Lab) -> None:
    lab.world.pool()
    lab.pass_time()
    lab.running_pod("one", "n1")
    lab.running_pod("two", "n2")
    assert lab.left() == (2, 2)
    lab.delete("p")
    with pytest.raises(CniError):
        # IPAM leaves it alone from that moment on, before kube-controllers has looked.
        lab.running_pod("three")
    lab.pass_time()
    assert lab.state("p") == "Terminating+"
    assert lab.left() == (2, 0)
    lab.stop_pod("one", "n1")
    lab.pass_time()
    assert (lab.state("p"), lab.left()) == ("Terminating+", (1, 0))
    lab.stop_pod("two", "n2")
    lab.pass_time()
    assert (lab.state("p"), lab.left()) == ("gone", (0, 0))


def test_empty_blocks_keep_no_pool(lab: Lab) -> None:
    lab.world.pool()
    lab.pass_time()
    lab.running_pod()
    lab.stop_pod()
    assert lab.left() == (1, 1)
    lab.delete("p")
    lab.pass_time()
    assert (lab.state("p"), lab.left()) == ("gone", (0, 0))


def test_a_disabled_pool_goes_at_once_and_leaves_blocks_and_affinities(lab: Lab) -> None:
    lab.world.pool()
    lab.pass_time()
    lab.running_pod()
    lab.patch("p", disabled=True)
    lab.pass_time()
    assert lab.state("p") == "PoolDisabled"
    lab.delete("p")
    assert lab.state("p") == "gone"
    lab.pass_time(1000)
    assert lab.left() == (1, 1)


def test_an_overlapped_pool_goes_at_once(lab: Lab) -> None:
    lab.world.pool("a")
    lab.pass_time()
    lab.world.pool("b")
    lab.pass_time()
    lab.delete("b")
    assert lab.state("b") == "gone"


def test_a_pool_deleted_before_its_disabling_was_seen_still_waits(lab: Lab) -> None:
    lab.world.pool()
    lab.pass_time()
    lab.running_pod()
    lab.patch("p", disabled=True)
    lab.delete("p")
    lab.pass_time()
    assert (lab.state("p"), lab.left()) == ("PoolDisabled+", (1, 0))
    lab.stop_pod()
    lab.pass_time()
    assert (lab.state("p"), lab.left()) == ("gone", (0, 0))


def test_a_pool_that_goes_holds_its_range_against_others(lab: Lab) -> None:
    lab.world.pool("old")
    lab.pass_time()
    lab.running_pod()
    lab.delete("old")
    lab.world.pool("new", blockSize=27)
    lab.pass_time()
    assert (lab.state("old"), lab.state("new")) == ("Terminating+", "CIDROverlap")
    lab.stop_pod()
    lab.pass_time()
    assert (lab.state("old"), lab.state("new")) == ("gone", "OK+")


def test_a_block_without_a_pod_keeps_the_pool_until_it_is_released(lab: Lab) -> None:
    lab.world.pool()
    lab.pass_time()
    address = lab.running_pod()
    handle = lab.world.allocated()[address]
    lab.delete("p")
    lab.pass_time(1000)
    assert lab.state("p") == "Terminating+"
    release_by_handle(lab.world.store, handle, now=lab.world.clock.now)
    lab.pass_time()
    assert lab.state("p") == "gone"


def test_blocks_of_other_pools_do_not_matter(lab: Lab) -> None:
    lab.world.pool("a", nodeSelector="kubernetes.io/hostname == 'n1'")
    lab.world.pool("b", "10.2.0.0/24", nodeSelector="kubernetes.io/hostname == 'n2'")
    lab.pass_time()
    lab.running_pod("other", "n2")
    lab.delete("a")
    lab.pass_time()
    assert (lab.state("a"), lab.state("b"), lab.left()) == ("gone", "OK+", (1, 1))


def test_finalizers_of_others_are_left_alone(lab: Lab) -> None:
    lab.world.put(lab.pools, "p", metadata={"finalizers": ["example.org/mine"]}, spec={"cidr": "10.1.0.0/24"})
    lab.pass_time()
    assert (lab.pool("p") or {})["metadata"]["finalizers"] == ["example.org/mine", FINALIZER]
    lab.delete("p")
    lab.pass_time()
    assert (lab.pool("p") or {})["metadata"]["finalizers"] == ["example.org/mine"]
    lab.world.api.patch(lab.pools, "p", {"metadata": {"finalizers": None}})
    assert lab.state("p") == "gone"


def test_what_somebody_took_away_comes_back(lab: Lab) -> None:
    lab.world.pool()
    lab.pass_time()
    lab.world.api.patch(lab.pools, "p", {"metadata": {"finalizers": None}})
    pool = lab.pool("p") or {}
    lab.world.api.replace(lab.pools, {**pool, "status": {}}, subresource="status")
    lab.pass_time()
    assert lab.state("p") == "OK+"


def test_a_status_in_a_write_of_the_spec_is_not_taken(lab: Lab) -> None:
    lab.world.pool()
    lab.pass_time()
    lab.world.api.patch(lab.pools, "p", {"status": {"conditions": []}, "spec": {"natOutgoing": False}})
    pool = lab.pool("p") or {}
    assert pool["status"]["conditions"][0]["reason"] == "OK"
    assert pool["spec"]["natOutgoing"] is False
    with pytest.raises(Conflict):
        lab.world.api.replace(lab.pools, {**pool, "metadata": {**pool["metadata"], "resourceVersion": "1"}})


def test_every_five_minutes_it_looks_again(world_v3: t.Any) -> None:
    runs = [True]
    controller = PoolController(
        world_v3.api, world_v3.store, world_v3.objects, world_v3.clock, world_v3.places, lambda: runs[0]
    )
    controller.start()
    world_v3.node("n1")
    world_v3.pool()
    world_v3.clock.advance(2)
    pod = world_v3.pod()
    cni = CalicoCni(world_v3.store, world_v3.objects, world_v3.clock, world_v3.places)
    cni.add(pod, "n1")
    world_v3.api.delete(world_v3.places.pools, "p")
    world_v3.clock.advance(2)
    # The block goes in a moment in which nobody looks.
    runs[0] = False
    cni.delete(pod, "n1")
    runs[0] = True
    assert world_v3.store.list_blocks() == []
    world_v3.clock.advance(290)
    assert world_v3.objects.get(world_v3.places.pools, None, "p") is not None
    world_v3.clock.advance(15)
    assert world_v3.objects.get(world_v3.places.pools, None, "p") is None
