# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role operator-pools (docs/rbac), for pools of the Tigera operator: what is bound beside the other roles."""

from __future__ import annotations

import typing as t

import pytest
from modes_lab import Mode
from rights_lab import Job, Lab, Right, Run, covers, manifests

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import INSTALLATIONS, IP_POOLS

ROLE = "operator-pools"
TEAL: dict[str, t.Any] = {"name": "teal", "cidr": "10.7.0.0/16", "labels": {"team": "red"}}
LIFE = (
    Job("ippool", TEAL),
    Job("ippool", {"name": "teal", "nat_outgoing": True}),
    Job("ippool", {"name": "teal", "disabled": True, "labels": {"team": "blue"}}),
    Job("ippool", {"name": "teal", "state": "absent"}),
)
PATCH = Right("patch", "operator.tigera.io", "installations", "", ("default",))
GET_POOL = Right("get", "projectcalico.org", "ippools")
# A gate of the procedures: test_rights_procedures.py.
GATE = Right("get", "operator.tigera.io", "tigerastatuses")
# Who may not see what the operator says goes by the pools alone.
QUIET = {("list", "tigerastatuses"), ("watch", "tigerastatuses")}


@pytest.fixture(scope="module", params=["crd_v3", "apiserver"])
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    lab = Lab(Mode(request.param, operator=True))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def lives(lab: Lab) -> dict[str, list[Run]]:
    """A pool from its beginning to its end, by each of the users."""
    found = {}
    for user in ("pool-editor", "migrator"):
        lab.bind_beside(ROLE, user)
        found[user] = [lab.run(user, job) for job in LIFE]
    lab.bind_beside(ROLE, "pool-editor")
    return found


def entries(lab: Lab) -> list[str]:
    listed = lab.api.get(INSTALLATIONS, "default")["spec"]["calicoNetwork"]["ipPools"]
    return [entry["name"] for entry in listed]


@pytest.mark.parametrize("user", ["pool-editor", "migrator"])
def test_the_role_is_enough(lives: dict[str, list[Run]], user: str) -> None:
    for job, run in zip(LIFE, lives[user]):
        assert run.said == "", f"{job}: {run.said}"
        assert run.result["changed"], job
    made, changed, disabled, deleted = lives[user]
    for run in (made, changed, deleted):
        assert "patch installations" in run.wrote
    assert "patch ippools" in made.wrote
    assert "create ippools" not in made.wrote and "delete ippools" not in deleted.wrote
    assert disabled.wrote == ["patch installations", "patch ippools"]


def test_the_role_has_nothing_to_spare(lives: dict[str, list[Run]]) -> None:
    used = [each for run in lives["pool-editor"] for each in run.asked]
    rights = [right for right in manifests()[ROLE].rights if right != GATE]
    assert [right for right in rights if not any(covers(right, each) for each in used)] == []
    # Nor is any of it in the other role already.
    assert not {right[:3] for right in rights} & {right[:3] for right in manifests()["pool-editor"].rights}


@pytest.mark.parametrize("job", LIFE, ids=["create", "change", "disable", "delete"])
def test_without_it_nothing_is_written(lab: Lab, lives: dict[str, list[Run]], job: Job) -> None:
    if job is not LIFE[0]:
        lab.finish(LIFE[0])
    before = entries(lab)
    lab.grant([{**document, "rules": []} for document in manifests()[ROLE].documents])
    try:
        run = lab.run("pool-editor", job)
    finally:
        lab.grant(manifests()[ROLE].documents)
    assert PATCH.words in run.said and "grant that right, or use other credentials" in run.said
    assert run.wrote == []
    assert entries(lab) == before


def test_without_reading_a_pool_its_labels_stay(lab: Lab, lives: dict[str, list[Run]]) -> None:
    lab.finish(LIFE[0])
    with lab.without(ROLE, GET_POOL):
        run = lab.run("pool-editor", Job("ippool", {"name": "teal", "labels": {"team": "blue"}}))
    assert GET_POOL.words in run.said and "grant that right" in run.said
    assert run.wrote == []
    assert lab.api.get(IP_POOLS, "teal")["metadata"]["labels"]["team"] == "red"


def test_what_is_not_needed_is_done_without(lab: Lab, lives: dict[str, list[Run]]) -> None:
    rights = [right for right in manifests()[ROLE].rights if right not in (PATCH, GET_POOL, GATE)]
    assert {(right.verb, right.resource) for right in rights} == QUIET
    lab.finish(LIFE[-1])
    for right, job in zip(rights, (LIFE[0], LIFE[1])):
        with lab.without(ROLE, right):
            run = lab.run("pool-editor", job)
        assert run.said == "" and run.result["changed"]
