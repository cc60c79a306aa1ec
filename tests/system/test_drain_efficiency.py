# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drain takes little more time than it must; ``benchmarks/drain.py`` in small."""

from __future__ import annotations

import os

import pytest
from drain_load import PAUSE, Bound, Measured, lower_bound, make_load, measure, prepare
from simulation import simulate

NIGHTLY = os.environ.get("CALICO_OPS_NIGHTLY") == "1"


def judge(measured: Measured, ratio: float) -> None:
    assert measured.result.left == ()
    assert measured.result.moved == measured.result.total
    assert measured.record["outages"] == measured.record["budget_violations"] == []
    assert measured.ratio <= ratio, (measured.seconds, measured.bound)
    assert measured.writes_per_pod <= 2.0, measured.writes
    assert measured.lists == 0, measured.reads


def test_two_hundred_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)
    load = make_load(200, 10)
    judge(measure(prepare(load, 10), load, max_parallel=20), 1.2)


def test_few_places_and_one_workload_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workloads that take all places at once must not keep them empty while a long one holds a single one."""
    simulate(monkeypatch)
    load = make_load(200, 10, 2)
    judge(measure(prepare(load, 10, 2), load, max_parallel=5), 1.2)


@pytest.mark.skipif(not NIGHTLY, reason="minutes of computing: CALICO_OPS_NIGHTLY=1")
@pytest.mark.parametrize("max_parallel", [20, 50, 100])
def test_two_thousand_pods(monkeypatch: pytest.MonkeyPatch, max_parallel: int) -> None:
    simulate(monkeypatch)
    load = make_load(2000, 70)
    judge(measure(prepare(load, 70), load, max_parallel=max_parallel), 1.2)


def test_the_bound_by_hand() -> None:
    """One workload of each sort, computed with pencil and paper."""
    by_name = {each.name: each for each in make_load(200, 10)}
    bound = lower_bound(list(by_name.values()), 5)
    servers = by_name["coredns"]
    # Two pods, one added and one taken away at once: one round, and the new ones have to start.
    assert bound.name_servers == servers.least(5) == servers.start
    agent = by_name["agent-0"]
    # Ten nodes, a tenth at once: one after the other, each stopped before the next one starts.
    assert (agent.at_once(5), agent.least(5)) == (1, 10 * (agent.start + agent.stop))
    surging = by_name["agent-1"]
    assert surging.least(5) == 10 * surging.start + surging.stop
    sets = [each for each in by_name.values() if each.kind == "StatefulSet"]
    for each in sets:
        # Strictly one at a time, and of three or more with a pause between them.
        pauses = PAUSE * (each.pods - 1) if each.pods >= 3 else 0.0
        assert each.least(5) == each.pods * (each.start + each.stop) + pauses
    assert Bound(1.0, 7.0, 5.0).seconds == 8.0
