# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is asked when. What a real cluster answers is in tests/unit/plugins/inventory/test_kubeconfig.py."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet import (
    Facts,
    ask,
    ask_all,
    is_facts,
    unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet_contexts import ClusterContext

GOOD: Facts = {**unreachable(""), "reachable": True, "mode": "crd_v1"}


def contexts(count: int) -> list[ClusterContext]:
    return [ClusterContext("/k", f"c{number}") for number in range(count)]


def test_so_many_at_once_and_each_once() -> None:
    lock = threading.Lock()
    now, most, asked = 0, 0, []

    def ask_one(context: ClusterContext, _seconds: float) -> Facts:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            asked.append(context)
        time.sleep(0.002)
        with lock:
            now -= 1
        return GOOD

    many = contexts(40)
    found = ask_all([*many, *many], 60, 5, ask_one=ask_one)
    assert sorted(found, key=str) == sorted(many, key=str) and set(map(id, found.values())) == {id(GOOD)}
    assert len(asked) == 40 and 1 < most <= 5


def test_one_that_hangs_costs_its_time_and_no_more() -> None:
    over = threading.Event()

    def ask_one(context: ClusterContext, _seconds: float) -> Facts:
        if context.context in ("c0", "c1"):
            over.wait(60)
        return GOOD

    began = time.monotonic()
    found = ask_all(contexts(6), 0.3, 1, ask_one=ask_one)
    took = time.monotonic() - began
    over.set()
    assert 0.6 <= took < 5
    assert [found[each]["reachable"] for each in contexts(6)] == [False, False, True, True, True, True]
    assert found[contexts(1)[0]]["reason"] == "The cluster did not answer within 0.3 seconds."


def test_a_strange_cluster_leaves_the_others_alone() -> None:
    def ask_one(context: ClusterContext, _seconds: float) -> Facts:
        if context.context == "c1":
            raise KeyError("metadata")
        return GOOD

    found = ask_all(contexts(3), 10, 3, ask_one=ask_one)
    assert [found[each]["reachable"] for each in contexts(3)] == [True, False, True]
    assert "KeyError: 'metadata'" in found[contexts(2)[1]]["reason"]


def test_a_context_that_leads_nowhere_is_a_reason(tmp_path: t.Any) -> None:
    found = ask(ClusterContext(str(tmp_path / "missing"), "prod"), 1)
    assert found["reachable"] is False and "does not exist" in found["reason"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(GOOD, True), (unreachable("x"), False), ({"reachable": True}, False), ("x", False), (None, False)],
)
def test_what_a_cache_may_hold(value: t.Any, expected: bool) -> None:
    assert is_facts(value) is expected
