# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of spec kubespray.md §2, a case for each of its rows, and the rules of §1 behind it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import Declared
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_runs import (
    CLUSTER,
    FAILS_AT_APPLY,
    FAILS_IN_CHECK,
    PASSES,
    REMOVE,
    SCALE,
    TAGS,
    UPGRADE,
    Run,
    predict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

from .kubespray_objects import (
    NEW,
    NEW_RANGE,
    OUTSIDE,
    POOL,
    POOL6,
    RANGE,
    RANGE6,
    both_families,
    declared,
    pool,
)

SUBNET = (parse_network("10.234.0.0/16"),)


def runs(inventory: Declared, *pools: StoredPool, subnets: t.Any = SUBNET) -> dict[str, Run]:
    return {run.name: run for run in predict(inventory, pools, subnets)}


@dataclass(frozen=True)
class Row:
    """One row: the verdicts of cluster.yml (and upgrade-cluster.yml), scale.yml and ``--tags network``."""

    name: str
    inventory: t.Mapping[str, t.Any]
    pools: t.Sequence[StoredPool]
    cluster: str
    scale: str
    tags: str
    effect: str = ""
    hidden: str = ""
    subnet: str = "10.234.0.0/16"


ROWS = [
    Row(
        "same name, new block size, inventory old",
        {},
        (pool(blockSize=28),),
        *(FAILS_IN_CHECK, FAILS_IN_CHECK, PASSES),
        hidden="keeps blockSize 28 although calico_pool_blocksize is 26",
    ),
    Row(
        "same name, new CIDR, inventory old",
        {},
        (pool(cidr=NEW_RANGE),),
        *(FAILS_IN_CHECK, FAILS_IN_CHECK, FAILS_AT_APPLY),
    ),
    Row(
        "new name, old pool disabled, inventory old",
        {},
        (pool(disabled=True), pool(NEW, NEW_RANGE)),
        *(PASSES, PASSES, PASSES),
    ),
    Row(
        "new name, old pool deleted, inventory old, no overlap",
        {},
        (pool(NEW, NEW_RANGE),),
        *(PASSES, PASSES, PASSES),
        effect=f"creates IPPool {POOL} ({RANGE}), enabled",
    ),
    Row(
        "as above, but the old range overlaps the new one",
        {},
        (pool(NEW, "10.234.32.0/19"),),
        *(FAILS_AT_APPLY, PASSES, FAILS_AT_APPLY),
    ),
    Row(
        "inventory new with the same name, cluster old",
        {"calico_pool_cidr": NEW_RANGE},
        (pool(),),
        *(FAILS_IN_CHECK, FAILS_IN_CHECK, FAILS_AT_APPLY),
    ),
    Row(
        "inventory new with the same name and only another block size, cluster old",
        {"calico_pool_blocksize": 28},
        (pool(),),
        *(FAILS_IN_CHECK, FAILS_IN_CHECK, PASSES),
        hidden="keeps blockSize 26 although calico_pool_blocksize is 28",
    ),
    Row(
        "inventory new with a new name, cluster old",
        {"calico_pool_name": NEW, "calico_pool_cidr": NEW_RANGE},
        (pool(),),
        *(PASSES, PASSES, PASSES),
        effect=f"creates IPPool {NEW} ({NEW_RANGE}), enabled",
    ),
    Row(
        "kube_pods_subnet changed, which the pool's range follows",
        {"calico_pool_cidr": "", "kube_pods_subnet": "10.240.0.0/16"},
        (pool(cidr="10.234.0.0/16"),),
        *(FAILS_IN_CHECK, FAILS_IN_CHECK, FAILS_AT_APPLY),
    ),
    Row(
        "new range outside kube_pods_subnet, and its pool is there",
        {"calico_pool_name": NEW, "calico_pool_cidr": OUTSIDE},
        (pool(disabled=True), pool(NEW, OUTSIDE)),
        *(PASSES, PASSES, PASSES),
    ),
    Row(
        "new range outside kube_pods_subnet, and no pool has it",
        {"calico_pool_name": NEW, "calico_pool_cidr": OUTSIDE},
        (pool(),),
        *(FAILS_AT_APPLY, PASSES, FAILS_AT_APPLY),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_table(row: Row) -> None:
    found = runs(declared(**row.inventory), *row.pools)
    verdicts = {name: run.verdict for name, run in found.items()}
    assert verdicts == {
        CLUSTER: row.cluster,
        UPGRADE: row.cluster,
        SCALE: row.scale,
        TAGS: row.tags,
        REMOVE: PASSES,
    }
    for name, run in found.items():
        assert bool(run.reasons) == (run.verdict != PASSES)
        # Nothing is written by scale.yml, nor by a run that fails before.
        applies = run.verdict == PASSES and name in (CLUSTER, UPGRADE, TAGS)
        assert run.effects == ((row.effect,) if row.effect and applies else ())
        assert [text.partition(" ")[2].partition(" ")[2] for text in run.hides] == (
            [row.hidden] if row.hidden and applies else []
        )


def test_the_pods_subnet_alone() -> None:
    """The pool has a range of its own, so only the rest of the row is left."""
    found = runs(declared(kube_pods_subnet="10.234.0.0/15"), pool())
    assert {run.verdict for run in found.values()} == {PASSES}
    assert found[CLUSTER].effects == ("writes the pods' subnet 10.234.0.0/15 into kubeadm's file on the hosts only",)
    assert found[UPGRADE].effects == (
        "changes the pods' subnet of kube-proxy and kube-controller-manager to 10.234.0.0/15",
    )
    assert found[SCALE].effects == ("joins new nodes with the pods' subnet that the cluster has, 10.234.0.0/16",)
    assert found[TAGS].effects == ()


def test_nothing_is_said_of_ranges_that_cannot_be_read() -> None:
    assert runs(declared(kube_pods_subnet="10.234.0.0/15"), pool(), subnets=())[CLUSTER].effects == ()


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"ipipMode": "Always", "vxlanMode": "Never"}, "calico_ipip_mode"),
        ({"vxlanMode": "CrossSubnet"}, "calico_vxlan_mode"),
    ],
)
def test_encapsulation_changed_live_fails_the_check_and_is_put_back_without_it(spec: t.Any, name: str) -> None:
    found = runs(declared(), pool(**spec))
    assert found[CLUSTER].verdict == FAILS_IN_CHECK
    assert name in " ".join(found[CLUSTER].reasons)
    assert found[TAGS].verdict == PASSES
    assert len(found[TAGS].effects) == len(spec)


def test_nat_is_not_checked_but_put_back() -> None:
    found = runs(declared(), pool(natOutgoing=False))
    assert (found[CLUSTER].verdict, found[SCALE].effects) == (PASSES, ())
    assert found[CLUSTER].effects == (f"sets natOutgoing of IPPool {POOL} from false back to true",)


def test_the_check_compares_text() -> None:
    """The same range in another spelling fails, as it does with Kubespray."""
    assert runs(declared(calico_pool_cidr="10.234.0.1/18"), pool())[CLUSTER].verdict == FAILS_IN_CHECK


def test_the_check_is_skipped_where_the_inventory_says_so() -> None:
    found = runs(declared(ignore_assert_errors=True), pool(blockSize=28))
    assert (found[CLUSTER].verdict, found[SCALE].verdict) == (PASSES, PASSES)
    assert found[CLUSTER].hides


def test_both_encapsulations_at_once_fail_without_any_pool() -> None:
    assert runs(declared(calico_ipip_mode="Always"))[SCALE].verdict == FAILS_IN_CHECK


def test_ipv6_is_never_checked() -> None:
    other = pool("default-pool-ipv6", "fd85:ee78:d8a6:8607::2:0/112", blockSize=120)
    found = runs(both_families(), pool(), other)
    assert (found[SCALE].verdict, found[CLUSTER].verdict) == (PASSES, FAILS_AT_APPLY)
    assert RANGE6 in found[CLUSTER].reasons[0]
    resized = pool("default-pool-ipv6", RANGE6, blockSize=120)
    assert runs(both_families(), pool(), resized)[CLUSTER].hides
    assert runs(both_families(), pool(), POOL6)[CLUSTER] == Run(CLUSTER, PASSES)


def test_tunnels_that_ipv6_does_not_have_fail_the_check() -> None:
    found = runs(both_families(calico_ipip_mode_ipv6="Always"), pool(), POOL6)
    assert found[SCALE].verdict == FAILS_IN_CHECK
    assert found[SCALE].reasons == ("calico_ipip_mode_ipv6 is Always, and there is no IP-in-IP for IPv6",)
    assert runs(declared(calico_ipip_mode_ipv6="Always"), pool())[SCALE].verdict == PASSES
