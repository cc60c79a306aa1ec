# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    addresses,
    controller_of,
    is_finished,
    is_mirror,
    is_ready,
    on_host_network,
    trouble,
)


def pod(**status: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {}, "status": status}


READY = [{"type": "Ready", "status": "True"}]


def test_addresses() -> None:
    assert addresses(pod()) == []
    assert addresses(pod(podIP="192.0.2.1")) == ["192.0.2.1"]
    both = pod(podIP="192.0.2.1", podIPs=[{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}])
    assert addresses(both) == ["192.0.2.1", "2001:db8::1"]


def test_ready_is_what_budgets_count() -> None:
    assert is_ready(pod(phase="Running", conditions=READY))
    assert not is_ready(pod(phase="Running", conditions=[{"type": "Ready", "status": "False"}]))
    assert not is_ready(pod(phase="Succeeded", conditions=READY))
    leaving = pod(phase="Running", conditions=READY)
    leaving["metadata"]["deletionTimestamp"] = "2026-08-20T09:00:00Z"
    assert not is_ready(leaving)


@pytest.mark.parametrize(
    ("phase", "finished"), [("Running", False), ("Pending", False), ("Succeeded", True), ("Failed", True)]
)
def test_finished(phase: str, finished: bool) -> None:
    assert is_finished(pod(phase=phase)) is finished


def test_mirror_pods() -> None:
    shadow = pod()
    shadow["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    owned = pod()
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "x", "controller": True}
    ]
    assert is_mirror(shadow)
    assert is_mirror(owned)
    assert not is_mirror(pod())


def test_only_a_controller_is_an_owner() -> None:
    thing = pod()
    thing["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "x"}]
    assert controller_of(thing) is None


def test_host_network() -> None:
    thing = pod()
    assert not on_host_network(thing)
    thing["spec"]["hostNetwork"] = True
    assert on_host_network(thing)


def test_trouble() -> None:
    assert trouble(pod()) == ""
    unplaced = [{"type": "PodScheduled", "status": "False", "message": "0/4 nodes are available"}]
    assert trouble(pod(conditions=unplaced)) == "it cannot be scheduled: 0/4 nodes are available"
    waiting = [{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    assert trouble(pod(containerStatuses=waiting)) == "container c is waiting: ImagePullBackOff: no such image"
    starting = [{"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]
    assert trouble(pod(containerStatuses=starting)) == ""
