# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a procedure has to do on a Kubespray cluster, and why it must not be begun (spec kubespray.md §5)."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import MIGRATE, RESIZE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    IPV4,
    IPV6,
    Declared,
    read_declared,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_drift import differences
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import Live
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_moves import (
    FINISH,
    LOOK,
    UNDO,
    Move,
    Stop,
    moves_for,
    stops_for,
)

from . import kubespray_objects as ks

MOVED = (ks.pool(disabled=True), ks.pool(ks.NEW, ks.NEW_RANGE))
NEW_INVENTORY = {"calico_pool_name": ks.NEW, "calico_pool_cidr": ks.NEW_RANGE}
RESIZED = {"block_size": 28, "temporary_cidr": "10.234.128.0/18"}


def move(declared: Declared, live: Live, **target: t.Any) -> Move:
    (found,) = moves_for(MIGRATE, declared, live, {IPV4: {"cidr": ks.NEW_RANGE, **target}})
    return found


def stops(
    procedure: str, declared: Declared, live: Live, targets: t.Any = None, waivers: t.Collection[str] = ()
) -> list[str]:
    moves = moves_for(procedure, declared, live, targets or {})
    return [stop.id for stop in every(procedure, declared, live, moves, waivers) if not stop.waived]


def every(
    procedure: str, declared: Declared, live: Live, moves: t.Sequence[Move], waivers: t.Collection[str] = ()
) -> tuple[Stop, ...]:
    return stops_for(procedure, declared, live, differences(declared, live), moves, waivers)


def test_a_move_to_a_new_name_that_need_not_be_given() -> None:
    assert move(ks.declared(), ks.live()) == Move(IPV4, ks.POOL, to={"name": ks.NEW, "cidr": ks.NEW_RANGE})
    assert move(ks.declared(), ks.live(), name="pods", block_size=27).to == {
        "name": "pods",
        "cidr": ks.NEW_RANGE,
        "block_size": 27,
    }


@pytest.mark.parametrize(
    ("names", "new"),
    [
        (["default-pool"], "default-pool-2"),
        (["default-pool", "default-pool-2"], "default-pool-3"),
        (["default-pool", "default-pool-2-ipv6"], "default-pool-3"),
        (["pods-9"], "pods-10"),
    ],
)
def test_the_next_name(names: list[str], new: str) -> None:
    pools = [ks.pool(name, f"10.{index}.0.0/18") for index, name in enumerate(names)]
    declared = ks.declared(calico_pool_name=names[0], calico_pool_cidr="10.0.0.0/18")
    assert move(declared, ks.live(*pools)).to["name"] == new


def test_an_interrupted_move_keeps_its_name() -> None:
    live = ks.live(*MOVED, journals=(ks.journal(new="pods"),))
    assert move(ks.declared(), live).to["name"] == "pods"


def test_both_families_move_together() -> None:
    targets = {IPV4: {"cidr": ks.NEW_RANGE}, IPV6: {"cidr": ks.NEW_RANGE6}}
    live = ks.live(ks.pool(), ks.POOL6)
    found = moves_for(MIGRATE, ks.both_families(), live, targets)
    assert [(each.version, each.pool, each.to["name"]) for each in found] == [
        (IPV4, "default-pool", "default-pool-2"),
        (IPV6, "default-pool-ipv6", "default-pool-2-ipv6"),
    ]
    assert every(MIGRATE, ks.both_families(), live, found) == ()


@pytest.mark.parametrize(
    ("version", "target", "option"),
    [(IPV4, ks.NEW_RANGE, "kubespray_target_ipv6"), (IPV6, ks.NEW_RANGE6, "kubespray_target")],
)
def test_one_family_alone_cannot_be_described(version: int, target: str, option: str) -> None:
    live = ks.live(ks.pool(), ks.POOL6)
    moves = moves_for(MIGRATE, ks.both_families(), live, {version: {"cidr": target}})
    (stop,) = every(MIGRATE, ks.both_families(), live, moves)
    assert stop.id == "kubespray-families"
    assert f"Set {option} as well" in stop.message
    assert every(MIGRATE, ks.both_families(), live, moves, ["kubespray-families"])[0].waived


def test_a_change_of_block_size_concerns_its_family_only() -> None:
    live = ks.live(ks.pool(), ks.POOL6)
    target = {"block_size": 124, "temporary_cidr": "fd85:ee78:d8a6:8607::3:0/112"}
    (found,) = moves_for(RESIZE, ks.both_families(), live, {IPV6: target})
    assert found == Move(IPV6, "default-pool-ipv6", block_size=124, temporary_cidr=target["temporary_cidr"])
    assert every(RESIZE, ks.both_families(), live, (found,)) == ()
    assert found.shown() == {"family": "ipv6", "pool": "default-pool-ipv6", **target}


def test_a_second_run_finds_nothing_to_do() -> None:
    # The old pool is kept and the inventory is new; the old pool is gone and the inventory is old or new.
    for inventory, pools in (
        (NEW_INVENTORY, MOVED),
        ({}, MOVED[1:]),
        (NEW_INVENTORY, MOVED[1:]),
    ):
        declared = ks.declared(**inventory)
        found = move(declared, ks.live(*pools))
        assert (found.pool, found.done) == (ks.NEW, True)
        assert every(MIGRATE, declared, ks.live(*pools), (found,)) == ()
    resized = ks.live(ks.pool(blockSize=28))
    (found,) = moves_for(RESIZE, ks.declared(), resized, {IPV4: RESIZED})
    assert found.done
    assert every(RESIZE, ks.declared(), resized, (found,)) == ()


def test_a_run_that_was_cut_short_goes_on() -> None:
    # In the middle of a change of block size the pool itself is not there.
    gone = ks.live(ks.pool("default-pool-temporary", "10.234.128.0/18"), journals=(ks.journal(procedure=RESIZE),))
    (found,) = moves_for(RESIZE, ks.declared(), gone, {IPV4: RESIZED})
    assert (found.pool, found.done) == (ks.POOL, False)
    assert every(RESIZE, ks.declared(), gone, (found,)) == ()
    # It is there with its new size, and the pods are on their way back.
    back = ks.live(ks.pool(blockSize=28), journals=(ks.journal(procedure=RESIZE),))
    (found,) = moves_for(RESIZE, ks.declared(), back, {IPV4: RESIZED})
    assert not found.done
    assert every(RESIZE, ks.declared(), back, (found,)) == ()
    # The old pool of a move is deleted, and the journal is not closed yet.
    deleted = ks.live(MOVED[1], journals=(ks.journal(keep_pool=False),))
    found = move(ks.declared(), deleted)
    assert (found.pool, found.to["name"], found.done) == (ks.POOL, ks.NEW, False)
    # Somebody changed the inventory in the middle of a move.
    early = ks.live(*MOVED, journals=(ks.journal(keep_pool=False),))
    found = move(ks.declared(**NEW_INVENTORY), early)
    assert (found.pool, found.to["name"], found.done) == (ks.POOL, ks.NEW, False)


@pytest.mark.parametrize(
    ("inventory", "stop"),
    [
        ({"kube_network_plugin": "cilium"}, "kubespray-plugin"),
        ({"calico_ipam_host_local": True}, "kubespray-host-local"),
    ],
)
def test_where_there_are_no_pools_of_kubesprays(inventory: t.Any, stop: str) -> None:
    for waivers in ((), (stop,)):
        assert stops(LOOK, ks.declared(**inventory), ks.live(), waivers=waivers) == [stop]


def test_an_inventory_that_differs_already() -> None:
    live = ks.live(ks.pool(blockSize=28))
    targets = {IPV4: {"cidr": ks.NEW_RANGE}}
    assert stops(MIGRATE, ks.declared(), live, targets) == ["kubespray-drift"]
    assert stops(MIGRATE, ks.declared(), live, targets, ["kubespray-drift"]) == []
    assert stops(LOOK, ks.declared(), live) == []


def test_settings_and_ranges_that_differ_are_no_reason_to_stop() -> None:
    live = ks.live(settings={**ks.SETTINGS, "maxBlocksPerHost": 4})
    assert stops(MIGRATE, ks.declared(), live, {IPV4: {"cidr": ks.NEW_RANGE}}) == []


def test_a_run_of_kubesprays_in_progress() -> None:
    targets = {IPV4: {"cidr": ks.NEW_RANGE}}
    for rest in ({"rolling": "1 of 3 pods are new"}, {"cordoned": ("node-1",)}):
        live = ks.live(**rest)  # type: ignore[arg-type]
        assert stops(MIGRATE, ks.declared(), live, targets) == ["kubespray-running"]
        assert stops(MIGRATE, ks.declared(), live, targets, ["kubespray-running"]) == []
        assert stops(LOOK, ks.declared(), live) == []


@pytest.mark.parametrize(
    ("unreadable", "right"),
    [("nodes", "list nodes"), ("DaemonSet calico-node", "get daemonsets in namespace kube-system")],
)
def test_a_run_of_kubesprays_that_nobody_may_see(unreadable: str, right: str) -> None:
    targets = {IPV4: {"cidr": ks.NEW_RANGE}}
    live = ks.live(unreadable=(unreadable,))
    moves = moves_for(MIGRATE, ks.declared(), live, targets)
    (stop,) = every(MIGRATE, ks.declared(), live, moves)
    assert stop.id == "kubespray-running"
    assert f"without the right to {right}. Grant it, or waive kubespray-running" in stop.message
    assert stops(MIGRATE, ks.declared(), live, targets, ["kubespray-running"]) == []
    assert stops(LOOK, ks.declared(), live) == []


def test_journals_that_nobody_may_see() -> None:
    """Or a move that kept its pool would be taken for none."""
    live = ks.live(unreadable=("configmaps",))
    for procedure in (FINISH, UNDO):
        assert stops(procedure, ks.declared(), live, waivers=["kubespray-journals"]) == ["kubespray-journals"]
    assert stops(LOOK, ks.declared(), live) == []


def test_finish_follows_the_inventory() -> None:
    kept = ks.live(*MOVED, journals=(ks.journal(),))
    new = ks.declared(**NEW_INVENTORY)
    assert moves_for(FINISH, new, kept, {}) == (Move(IPV4, ks.POOL, to={"name": ks.NEW, "cidr": ks.NEW_RANGE}),)
    assert stops(FINISH, new, kept) == []
    assert stops(FINISH, ks.declared(), kept, waivers=["kubespray-old-inventory"]) == ["kubespray-old-inventory"]
    assert moves_for(FINISH, new, ks.live(MOVED[1]), {}) == ()


def test_undoing_finds_what_was_begun() -> None:
    """For both families, whether the inventory was changed already or not; a finished change is not undone."""
    journals = (ks.journal(), ks.journal("default-pool-ipv6", "default-pool-2-ipv6", ks.NEW_RANGE6))
    new6 = ks.pool("default-pool-2-ipv6", ks.NEW_RANGE6)
    live = ks.live(*MOVED, ks.POOL6, new6, journals=journals)
    both = (Move(IPV6, "default-pool-ipv6", undoes=MIGRATE), Move(IPV4, ks.POOL, undoes=MIGRATE))
    for inventory in ({}, {**NEW_INVENTORY, "calico_pool_cidr_ipv6": ks.NEW_RANGE6}):
        declared = ks.both_families(**inventory)
        assert moves_for(UNDO, declared, live, {}) == both
        assert every(UNDO, declared, live, both) == ()
    assert both[1].shown() == {"family": "ipv4", "pool": ks.POOL, "undoes": MIGRATE}
    resized = ks.live(ks.pool(blockSize=28), ks.POOL6, journals=(ks.journal(procedure=RESIZE),))
    assert moves_for(UNDO, ks.both_families(), resized, {}) == (Move(IPV4, ks.POOL, undoes=RESIZE),)
    assert moves_for(UNDO, ks.both_families(), ks.live(ks.pool(), ks.POOL6), {}) == ()
    # No variable names the pool.
    unnamed = read_declared({"calico_pool_cidr": ks.RANGE})
    assert moves_for(UNDO, unnamed, ks.live(*MOVED, journals=journals), {}) == both[1:]


def test_without_variables_the_only_pool_of_the_family_is_meant() -> None:
    nothing = read_declared({})
    assert move(nothing, ks.live(ks.pool("pods"), ks.pool("pods6", ks.RANGE6))).pool == "pods"
    with pytest.raises(InvalidInput, match="Which IPv4 pool is Kubespray's.*default-pool, racks"):
        move(nothing, ks.live(ks.pool(), ks.pool("racks", "10.9.0.0/24")))


@pytest.mark.parametrize(
    ("procedure", "targets", "said"),
    [
        (MIGRATE, {}, "kubespray_target: say where to"),
        (MIGRATE, {IPV4: {"name": "pods"}}, "kubespray_target: the cidr of the new pool is missing"),
        (MIGRATE, {IPV4: {"cidr": ks.NEW_RANGE6}}, "is not an IPv4 range"),
        (MIGRATE, {IPV4: {"cidr": "10.234.64.0"}}, "10.234.64.0"),
        (MIGRATE, {IPV6: {"cidr": ks.NEW_RANGE6, "name": "six"}}, "'six'"),
        (
            MIGRATE,
            {IPV4: {"cidr": ks.NEW_RANGE, "name": "pods"}, IPV6: {"cidr": ks.NEW_RANGE6, "name": "other-ipv6"}},
            "names its IPv6 pool pods-ipv6",
        ),
        (RESIZE, {IPV4: {"block_size": 28}}, "needs block_size and temporary_cidr"),
        (RESIZE, {IPV4: {**RESIZED, "cidr": ks.NEW_RANGE}}, "keeps name and CIDR"),
    ],
)
def test_targets_that_cannot_be_meant(procedure: str, targets: t.Any, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        moves_for(procedure, ks.both_families(), ks.live(ks.pool(), ks.POOL6), targets)
    assert said in error.value.message


def test_a_family_that_the_cluster_does_not_have() -> None:
    with pytest.raises(InvalidInput, match="no IPv6"):
        moves_for(MIGRATE, ks.declared(), ks.live(), {IPV6: {"cidr": ks.NEW_RANGE6}})


def test_a_pool_that_is_not_there() -> None:
    """The inventory came first: row 6 of the table."""
    with pytest.raises(
        InvalidInput, match="IPPool default-pool-2, which calico_pool_name names, is not in the cluster"
    ):
        move(ks.declared(**NEW_INVENTORY), ks.live())
