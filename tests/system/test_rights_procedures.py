# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both procedures by a user who has the role migrator and nothing else (docs/rbac), to the end or undone."""

from __future__ import annotations

import typing as t

import pytest
from modes_lab import DEFAULT, Mode
from procedures import MIGRATE, change_block_size, migrate_pool, rollback
from rights_lab import WRITES, Lab
from simulation import Killed, SimulatedApi, SimulatedClock, Write, with_calico
from test_rights import DONE_WITHOUT, NOT_GRANTED

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, IP_POOLS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.write_rights import (
    REVIEWS,
    Needed,
    needed_rights,
)

MODES = [
    Mode("crd_v1"),
    Mode("crd_v3"),
    Mode("apiserver"),
    Mode("etcd"),
    Mode("apiserver", operator=True),
    Mode("crd_v3", operator=True),
]
TARGET = {"name": "temporary", "cidr": "10.0.0.0/16"}
NEW = {"name": "new", "cidr": "10.1.0.0/16"}


@pytest.fixture(params=MODES, ids=str)
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    lab = Lab(request.param, scenario="small")
    yield lab
    lab.close()


def test_change_block_size_then_migrate_pool(lab: Lab) -> None:
    if lab.mode.operator:
        lab.bind_beside("operator-pools", "migrator")
    asked_first = {(each.verb, each.resource.group, kind_of(each)) for each in needed_rights(detect(lab.api))}
    lab.server.authorizer.forget()
    with lab.server.modules():
        api = lab.server.calico(lab.user("migrator"))
        change_block_size(api, DEFAULT, 28, TARGET)
        lab.twin.clock.advance(60)
        in_pool(lab, "192.168.0.0/16", 28)
        migrate_pool(api, DEFAULT, {"name": "new", "cidr": "10.1.0.0/16"})
    lab.twin.clock.advance(60)
    in_pool(lab, "10.1.0.0/16", 28)
    record = lab.twin.recorder.record()
    assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])
    written = {each[:3] for each in lab.asked("migrator") if each.allowed and each.verb in WRITES}
    # Nobody needs the one, and the other is how the rest is asked for.
    assert written <= asked_first | {("create", "", "events"), ("create", REVIEWS.group, REVIEWS.plural)}
    denied = {each[:3] for each in lab.asked("migrator") if not each.allowed}
    assert denied <= NOT_GRANTED | DONE_WITHOUT.get(lab.installation, {}).get("migrator", set())


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_undoing_what_was_killed(lab: Lab, there: bool) -> None:
    """In the middle of the drain, by an administrator; also where the target was there before."""
    if str(lab.mode) not in ("crd_v1", "crd_v3-operator"):
        pytest.skip("they differ in what is written to and in nothing else")
    if lab.mode.operator:
        lab.bind_beside("operator-pools", "migrator")
    with lab.server.modules():
        migrator = lab.server.calico(lab.user("migrator"))
        if there:
            ensure_pool(migrator, pool_request(NEW), check_mode=False, clock=SimulatedClock(migrator))
        with pytest.raises(Killed):
            migrate_pool(with_calico(SimulatedApi(lab.twin, after=die_in_drain)), DEFAULT, NEW)
        lab.server.authorizer.forget()
        rollback(migrator, MIGRATE, DEFAULT)
    assert [pool["metadata"]["name"] for pool in lab.api.list(IP_POOLS).items] == [DEFAULT, *(["new"] if there else [])]
    denied = {each[:3] for each in lab.asked("migrator") if not each.allowed}
    # Saved manifests of pods are looked for, and done without.
    assert denied <= NOT_GRANTED | ({("list", "", "configmaps")} if there else set())


def kind_of(right: Needed) -> str:
    """As a role has it."""
    return f"{right.resource.plural}/{right.subresource}" if right.subresource else right.resource.plural


def test_every_right_that_is_asked_for_first_is_in_its_role(lab: Lab) -> None:
    needed = needed_rights(detect(lab.api), ["bare_pods", "suspend_cron_jobs"])
    assert len(set(needed)) == len(needed)
    for right in needed:
        granted = lab.manifests[right.role.partition("calico-ops-ipam-")[2]].rights
        assert any(
            each[:3] == (right.verb, right.resource.group, kind_of(right))
            and each.namespace in ("", right.namespace)
            and (not each.names or right.name in each.names)
            for each in granted
        ), right


@pytest.mark.parametrize("right", [("patch", "apps", "daemonsets"), ("create", "", "pods/eviction")])
def test_a_right_for_the_middle_of_a_run_is_missed_at_its_beginning(lab: Lab, right: t.Any) -> None:
    if str(lab.mode) != "crd_v1":
        pytest.skip("the same everywhere")
    missing = next(each for each in lab.manifests["migrator"].rights if each[:3] == right)
    verb, group, what = right
    words = f"{verb} {what}.{group}".rstrip(".")
    lab.server.authorizer.forget()
    with lab.server.modules(), lab.without("migrator", missing), pytest.raises(IpamError) as caught:
        change_block_size(lab.server.calico(lab.user("migrator")), DEFAULT, 28, TARGET)
    assert f"The user may not {words}, so this run would stop half-way: give them calico-ops-ipam-migrator of" in str(
        caught.value
    )
    written = {each[1:3] for each in lab.asked("migrator") if each.allowed and each.verb in WRITES}
    assert written == {("authorization.k8s.io", "selfsubjectaccessreviews")}


def test_without_consent_rights_there_is_no_consent(lab: Lab) -> None:
    if str(lab.mode) != "crd_v1":
        pytest.skip("the same everywhere")
    with (
        lab.server.modules(),
        pytest.raises(IpamError, match=r"may not create configmaps, .* give them calico-ops-ipam-cons"),
    ):
        migrate_pool(lab.server.calico(lab.user("migrator")), DEFAULT, NEW, consent=["bare_pods"])


def die_in_drain(write: Write) -> None:
    if write.resource == DEPLOYMENTS:
        raise Killed(str(write))


def test_nobody_changes_anything(lab: Lab) -> None:
    lab.server.authorizer.forget()
    with lab.server.modules(), pytest.raises(IpamError, match="cannot (get|list) resource"):
        change_block_size(lab.server.calico(lab.user("nobody")), DEFAULT, 28, TARGET)
    assert [each for each in lab.asked("nobody") if each.allowed] == []


def in_pool(lab: Lab, cidr: str, size: int) -> None:
    (pool,) = lab.api.list(IP_POOLS).items
    assert (pool["spec"]["cidr"], pool["spec"]["blockSize"]) == (cidr, size)
    addresses = [pod["status"]["podIP"] for pod in lab.api.list(PODS).items if not pod["spec"].get("hostNetwork")]
    assert addresses and all(parse_network(cidr).contains(parse_address(each)) for each in addresses)
