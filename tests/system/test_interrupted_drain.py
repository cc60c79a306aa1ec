# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a drain puts back at its end is put back by whoever comes next, also by an undo that drains another pool.

A drain may be killed while CronJobs sleep, a pod without a controller is between its eviction and its new life, and a
Deployment has a strategy for the time of its restart only.
"""

from __future__ import annotations

import os
import typing as t

import pytest
from drain_lab import rolling, template, workload
from modes_lab import DEFAULT, Lab, Mode
from procedures import MIGRATE, RESIZE, change_block_size, migrate_pool, rollback
from simulation import Killed, SimulatedApi, Write, simulate, simulated, with_calico

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    IP_POOLS,
    PODS,
)

NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
NEW = {"name": "new", "cidr": "10.0.0.0/16"}
CONSENT = {"consent": ["bare_pods", "suspend_cron_jobs"]}
SPACE = "shop"
FORWARD: dict[str, t.Callable[[t.Any], object]] = {
    MIGRATE: lambda api: migrate_pool(api, DEFAULT, NEW, **CONSENT),
    RESIZE: lambda api: change_block_size(api, DEFAULT, 28, {"cidr": "10.0.0.0/16"}, **CONSENT),
}
CONTAINER = {"name": "shell", "image": "registry.example.com/shop/shell:1"}
# By day those where something is only half done, by what was written last; all writes of the drain at night.
HALF_DONE = ("patch CronJob nightly", "evict Pod shell", "patch Deployment alone")


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def begin(there: bool) -> Lab:
    """The small cluster with what a drain has to put back; ``there``: the target is there before."""
    lab = Lab(Mode("crd_v1"))
    jobs = {"spec": {"template": template("nightly", {"restartPolicy": "Never"})}}
    create(lab, CRON_JOBS, {"metadata": {"name": "nightly"}, "spec": {"schedule": "0 3 * * *", "jobTemplate": jobs}})
    create(lab, PODS, {"metadata": {"name": "shell"}, "spec": {"containers": [CONTAINER]}})
    # Its only pod would be missed: it gets one more for the time of its restart.
    create(lab, DEPLOYMENTS, workload("alone", 1, strategy=rolling(0, 1)))
    if there:
        body = {"metadata": {"name": "new"}, "spec": {"cidr": NEW["cidr"], "ipipMode": "Always", "natOutgoing": True}}
        lab.admin.create(IP_POOLS, {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", **body})
    assert lab.twin.settle() == []
    lab.twin.recorder.restart()
    return lab


def create(lab: Lab, resource: Resource, thing: Object) -> None:
    lab.admin.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **thing}, SPACE)


def writes(procedure: str, there: bool) -> list[Write]:
    with begin(there) as lab:
        api = with_calico(SimulatedApi(lab.twin))
        FORWARD[procedure](api)
        put_back(lab)
        return simulated(api).writes


def moments(procedure: str, there: bool) -> list[int]:
    found = writes(procedure, there)
    drained = [write.number for write in found if write.verb == "evict" or write.resource in (CRON_JOBS, DEPLOYMENTS)]
    if NIGHTLY:
        return list(range(drained[0], drained[-1] + 1))
    first = {str(write).partition(" ")[2]: write.number for write in reversed(found)}
    return [first[each] for each in HALF_DONE]


def put_back(lab: Lab) -> None:
    lab.advance(60)
    nightly = lab.admin.get(CRON_JOBS, "nightly", SPACE)
    assert not nightly["spec"].get("suspend") and not nightly["metadata"].get("annotations")
    assert lab.admin.get(PODS, "shell", SPACE)["status"]["phase"] == "Running"
    assert [item for item in lab.admin.list(CONFIG_MAPS).items if "calico-ops" in item["metadata"]["name"]] == []
    alone = lab.admin.get(DEPLOYMENTS, "alone", SPACE)
    assert alone["spec"]["strategy"] == rolling(0, 1)
    assert not [key for key in alone["metadata"]["annotations"] if key.startswith("ipam.calico-ops.io/original")]
    record = lab.twin.recorder.record()
    assert record["budget_violations"] == []


CASES = [
    pytest.param(MIGRATE, False, True, id="migrate undone"),
    pytest.param(MIGRATE, True, True, id="migrate to a pool that was there undone"),
    pytest.param(MIGRATE, False, False, id="migrate finished"),
    pytest.param(RESIZE, False, True, id="resize undone"),
    pytest.param(RESIZE, False, False, id="resize finished"),
]


@pytest.mark.timeout(1800)
# By day those that go different ways.
@pytest.mark.parametrize(("procedure", "there", "undo"), CASES if NIGHTLY else CASES[:3])
def test_killed_in_the_drain(procedure: str, there: bool, undo: bool) -> None:
    for number in moments(procedure, there):
        with begin(there) as lab:

            def die(write: Write, number: int = number) -> None:
                if write.number == number:
                    raise Killed(str(write))

            with pytest.raises(Killed):
                FORWARD[procedure](with_calico(SimulatedApi(lab.twin, after=die)))
            lab.advance(3)
            api = with_calico(SimulatedApi(lab.twin))
            if undo:
                rollback(api, procedure, DEFAULT, **CONSENT)
            else:
                FORWARD[procedure](api)
            put_back(lab)
