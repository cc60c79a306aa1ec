# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single decisions of the steps; whole drains are tested on the twin."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, make_task, wanted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_writes import still_here

from .drain_objects import POOL, Shelf, pod, ref


def run_of(*pods: t.Any, shelf: t.Any = None) -> Run:
    api = t.cast("t.Any", shelf or Shelf())
    view = View(Owners(api), "old", POOL)
    for thing in pods:
        view.apply("pods", "ADDED", thing)
    view.finish_loading()
    return Run(api, view, DrainOptions("old"), SystemClock())


def test_an_owner_that_does_not_say_how_many_pods_it_wants_wants_those_there_are() -> None:
    """Also those not ready yet: or else its one ready pod would pass for all there is, and be evicted."""
    squad = ref("Squad", "squad", "example.com/v1")
    run = run_of(*(pod(f"squad-{number}", ready=number == 0, owner=squad) for number in range(3)))
    task = make_task(run, Owner("shop", "squad", "Squad"))
    assert wanted(run, task) == 3


def test_a_pod_whose_name_another_has_by_now_is_forgotten() -> None:
    database = ref("StatefulSet", "db")
    old = pod("db-0", owner=database)
    successor = {**pod("db-0", owner=database), "metadata": {**old["metadata"], "uid": "db-0-again"}}
    run = run_of(old, shelf=Shelf(successor))
    (facts,) = run.view.in_pool()
    assert not still_here(run, facts)
    assert run.view.in_pool() == []
