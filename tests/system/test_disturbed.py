# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody else does something, right before any write of a procedure or of its undo: success, or one sentence.

What they did is made good afterwards where nobody but them can do that; then a new run finishes. By day each deed once,
at another write and in another work; at night at each write.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

import pytest
from simulation import SimulatedApi, Write, simulate
from test_bad_weather import FORWARD, WORKS, as_it_was, prepared, undo_migrate, undo_resize
from test_faults import POOL, attempt, finish, harmless, migrate, resize

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    IP_POOLS,
    LEASES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import NAME as LOCK

NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
Deed = t.Callable[[SimulatedApi], object]


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def nothing(api: SimulatedApi) -> None:
    """The deed may stay."""


def others(api: SimulatedApi) -> list[str]:
    """The pools that a procedure has made."""
    return [name for name in (pool["metadata"]["name"] for pool in api.list(IP_POOLS).items) if name != POOL]


def enable_all(api: SimulatedApi) -> None:
    for name in (POOL, *others(api)):
        with contextlib.suppress(NotFound):
            api.patch(IP_POOLS, name, {"spec": {"disabled": False}})


def disable_other(api: SimulatedApi) -> None:
    for name in others(api):
        api.patch(IP_POOLS, name, {"spec": {"disabled": True}})


def label_pools(api: SimulatedApi) -> None:
    for name in (POOL, *others(api)):
        with contextlib.suppress(NotFound):
            api.patch(IP_POOLS, name, {"metadata": {"labels": {"team": "net"}}})


def controllers(replicas: int) -> Deed:
    return lambda api: api.patch(
        DEPLOYMENTS, "calico-kube-controllers", {"spec": {"replicas": replicas}}, "kube-system"
    )


def lose_lock(api: SimulatedApi) -> None:
    with contextlib.suppress(NotFound):
        api.delete(LEASES, LOCK, "kube-system")


def take_lock(api: SimulatedApi) -> None:
    with contextlib.suppress(NotFound):
        api.patch(LEASES, LOCK, {"spec": {"holderIdentity": "somebody/0123"}}, "kube-system")


def join(api: SimulatedApi) -> None:
    node = api.get(NODES, "node-1")
    labels = {**node["metadata"]["labels"], "kubernetes.io/hostname": "node-9"}
    metadata = {"name": "node-9", "labels": labels, "annotations": {"projectcalico.org/IPv4Address": "172.31.0.99/24"}}
    api.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": node["status"]})


def cordon(yes: bool) -> Deed:
    return lambda api: api.patch(NODES, "node-1", {"spec": {"unschedulable": yes}})


def scale(api: SimulatedApi) -> None:
    for kind, name in ((DEPLOYMENTS, "web"), (STATEFUL_SETS, "db")):
        api.patch(kind, name, {"spec": {"replicas": 5}}, "shop")


def budget(spec: Object) -> Deed:
    return lambda api: api.patch(POD_DISRUPTION_BUDGETS, "web", {"spec": spec}, "shop")


def image(name: str) -> Deed:
    containers = [{"name": "web", "image": name}]
    return lambda api: api.patch(
        DEPLOYMENTS, "web", {"spec": {"template": {"spec": {"containers": containers}}}}, "shop"
    )


# What is done, and what is done about it before the next run.
DEEDS: dict[str, tuple[Deed, Deed]] = {
    "enables all pools": (enable_all, nothing),
    "disables the other pool": (disable_other, enable_all),
    "labels the pools": (label_pools, nothing),
    "stops kube-controllers": (controllers(0), controllers(1)),
    "deletes the lock": (lose_lock, nothing),
    "takes the lock": (take_lock, lose_lock),
    "adds a node": (join, nothing),
    "cordons a node": (cordon(True), cordon(False)),
    "scales up": (scale, nothing),
    "forbids disruption": (
        budget({"maxUnavailable": 0, "minAvailable": None}),
        budget({"maxUnavailable": 1, "minAvailable": None}),
    ),
    "breaks an image": (
        image("registry.example.com/shop/web:broken"),
        image("registry.example.com/shop/web:1.0.1"),
    ),
}


# How many writes there are, roughly.
ABOUT = {migrate: 30, resize: 52, undo_migrate: 22, undo_resize: 22}


def writes_of(work: t.Any) -> int:
    api = SimulatedApi(prepared(work))
    assert attempt(work, api) == ""
    return len(api.writes)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DEEDS)
@pytest.mark.parametrize("work", WORKS if NIGHTLY else [None])
def test_somebody(name: str, work: t.Any) -> None:
    if work is not None:
        for number in range(2, writes_of(work) + 1):
            disturb(name, work, number)
        return
    turn = list(DEEDS).index(name)
    work = WORKS[turn % len(WORKS)]
    assert disturb(name, work, 2 + ABOUT[work] * (5 * turn % 11) // 12)


def disturb(name: str, work: t.Any, number: int) -> bool:
    """False when the work was over before."""
    deed, mend = DEEDS[name]
    twin = prepared(work)
    done: list[Write] = []

    def before(write: Write) -> None:
        if write.number == number:
            done.append(write)
            deed(SimulatedApi(twin))

    where = f"{name} before write {number} of {work.__name__}"
    said = attempt(work, SimulatedApi(twin, before=before))
    assert "Traceback" not in said and "\n" not in said, where
    harmless(twin)
    mend(SimulatedApi(twin))
    twin.clock.advance(60)
    if work not in FORWARD:
        finish(twin, work)
        return bool(done)
    again = attempt(work, SimulatedApi(twin))
    assert again == "", f"{where}: {said} THEN {again}"
    twin.clock.advance(60)
    as_it_was(twin)
    return bool(done)
