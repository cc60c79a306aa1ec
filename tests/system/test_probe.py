# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe against the twin over HTTPS."""

from __future__ import annotations

import typing as t

import pytest
from drain_lab import Lab

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import (
    LABEL,
    POOL_NOTE,
    ProbeOptions,
    plan_probe,
    probe,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    made.close()


def leftovers(lab: Lab) -> list[str]:
    return [item["metadata"]["name"] for item in lab.api.list(NAMESPACES, label_selector=f"{LABEL}=true").items]


def test_one_pod_anywhere(lab: Lab) -> None:
    lab.allow("new")
    found = probe(lab.api, ProbeOptions("new", timeout=20), SystemClock())
    assert [entry.pool for entry in found] == ["new"]
    assert found[0].address.startswith("10.0.")
    assert found[0].node.startswith("node-")
    assert leftovers(lab) == []


def test_one_pod_on_each_node_named(lab: Lab) -> None:
    lab.allow("new")
    found = probe(lab.api, ProbeOptions("new", nodes=("node-1", "node-3"), timeout=20), SystemClock())
    assert [entry.node for entry in found] == ["node-1", "node-3"]


def test_an_address_from_elsewhere(lab: Lab) -> None:
    lab.allow("old")
    with pytest.raises(Refused) as caught:
        probe(lab.api, ProbeOptions("new", timeout=20), SystemClock())
    assert "which is of IPPool 'old', and not of IPPool 'new': check that the pool is enabled" in caught.value.message
    assert leftovers(lab) == []


def test_another_pool_may_serve_but_not_the_one_that_is_replaced(lab: Lab) -> None:
    lab.allow("old")
    found = probe(lab.api, ProbeOptions("new", instead_of="gone", timeout=20), SystemClock())
    assert [entry.pool for entry in found] == ["old"]
    with pytest.raises(Refused, match=r"of IPPool 'old', and not of IPPool 'new' or another than 'old': check that"):
        probe(lab.api, ProbeOptions("new", instead_of="old", timeout=20), SystemClock())
    assert leftovers(lab) == []


def test_no_address_at_all(lab: Lab) -> None:
    for pool in ("old", "new"):
        lab.api.patch(IP_POOLS, pool, {"spec": {"disabled": True}})
    with pytest.raises(Refused) as caught:
        probe(lab.api, ProbeOptions("new", nodes=("node-2",), timeout=2), SystemClock())
    assert caught.value.message.startswith(
        "A new pod got no address within 2 s, so IPPool 'new' is not proven: node-2: "
    )
    assert "no event says why" not in caught.value.message
    assert leftovers(lab) == []


def test_what_killed_probes_left_behind_is_removed(lab: Lab) -> None:
    lab.allow("new")
    for name, pool in (("mine", "new"), ("others", "old")):
        metadata = {"name": f"left-{name}", "labels": {LABEL: "true"}, "annotations": {POOL_NOTE: pool}}
        lab.api.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    probe(lab.api, ProbeOptions("new", timeout=20), SystemClock())
    assert leftovers(lab) == ["left-others"]
    lab.api.delete(NAMESPACES, "left-others")


def test_a_failing_cluster_is_not_left_dirty(lab: Lab) -> None:
    lab.allow("new")
    lab.twin.inject({"verb": "create", "resource": "pods", "code": 500, "message": "out of order"})
    with pytest.raises(ServerError, match="out of order"):
        probe(lab.api, ProbeOptions("new", timeout=20), SystemClock())
    assert leftovers(lab) == []


def test_a_namespace_whose_answer_was_lost_is_cleaned_up_too(lab: Lab) -> None:
    lab.allow("new")
    lab.twin.inject({"verb": "create", "resource": "namespaces", "drop": "after"})
    assert [entry.pool for entry in probe(lab.api, ProbeOptions("new", timeout=20), SystemClock())] == ["new"]
    assert leftovers(lab) == []


def test_mistakes(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match=r"There is no IPPool 'none'; the pools of this cluster are: new, old"):
        probe(lab.api, ProbeOptions("none"), SystemClock())
    with pytest.raises(InvalidInput, match="the cluster has no node 'moon'; it has node-1, node-2, node-3"):
        probe(lab.api, ProbeOptions("new", nodes=("moon",)), SystemClock())


def test_the_plan_creates_nothing(lab: Lab) -> None:
    steps = plan_probe(lab.api, ProbeOptions("new", nodes=("node-1",)))
    assert "on each of the nodes node-1" in steps[0]
    assert leftovers(lab) == []
