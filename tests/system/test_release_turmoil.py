# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaks are released in a cluster that never rests: pods go and come at every request, some die without a trace.

However the dice fall, no running pod loses its address, and in the end no leak is left.
"""

from __future__ import annotations

import random
import typing as t

import pytest
from simulation import SimulatedApi, SimulatedClock, Write
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    KUBE_CONTROLLERS_CONFIGURATIONS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit import audit
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import KubernetesRecords
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_addresses import release_leaked
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_request import wanted_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

LONG_AGO = "2026-08-19 09:00:00.000000001 +0000 UTC"


class Turmoil:
    """Whatever may happen to pods, by chance."""

    def __init__(self, seed: int) -> None:
        self.twin = local_twin("small", seed=seed)
        self.admin = SimulatedApi(self.twin)
        self.store = KubernetesStore(self.admin)
        self.chance = random.Random(seed)
        self.lost = 0

    def pods(self) -> list[Object]:
        return [pod for pod in self.admin.list(PODS, "shop").items if not pod["metadata"].get("deletionTimestamp")]

    def happen(self, *_details: t.Any) -> None:
        dice = self.chance.random()
        if dice < 0.25:
            self.twin.clock.advance(self.chance.choice([0.1, 1, 5]))
        elif dice < 0.35 and self.pods():
            self.delete(grace_seconds=None)
        elif dice < 0.45:
            self.lose()
        elif dice < 0.5:
            replicas = self.chance.randint(1, 6)
            self.admin.patch(DEPLOYMENTS, "web", {"spec": {"replicas": replicas}}, "shop")

    def delete(self, grace_seconds: int | None) -> None:
        pod = self.chance.choice(self.pods())["metadata"]
        try:
            self.admin.delete(PODS, pod["name"], "shop", grace_seconds=grace_seconds)
        except NotFound:
            return

    def lose(self) -> None:
        """A node dies between the CNI plugin's write and the pod's status; later the pod is deleted by force."""
        self.lost += 1
        name = f"lost-{self.lost}"
        node = self.chance.choice(["node-1", "node-2"])
        attributes = {"namespace": "shop", "pod": name, "node": node, "timestamp": LONG_AGO}
        request = AssignRequest(
            host=node,
            num_v4=self.chance.choice([1, 1, 2]),
            handle_id=f"k8s-pod-network.{name}",
            attributes=attributes,
        )
        assert auto_assign(self.store, request, now=self.twin.clock.now).error is None


class ShortGraceApi(SimulatedApi):
    """Or nothing that a real pod has left would be more than possibly leaked within this test."""

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> Listing:
        if resource == KUBE_CONTROLLERS_CONFIGURATIONS:
            spec = {"controllers": {"node": {"leakGracePeriod": "1s"}}}
            return Listing([{"metadata": {"name": "default"}, "spec": spec}], "1")
        return super().list(resource, namespace, **selectors)


class RestlessApi(ShortGraceApi):
    """Every request, reads included, may find another cluster than the one before."""

    turmoil: Turmoil

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self.turmoil.happen()
        return super().get(resource, name, namespace)

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> Listing:
        self.turmoil.happen()
        return super().list(resource, namespace, **selectors)


def audited(turmoil: Turmoil) -> dict[str, t.Any]:
    api = ShortGraceApi(turmoil.twin)
    return audit(api, KubernetesRecords(api), KubernetesStore(api).pools(), SimulatedClock(api))


@pytest.mark.parametrize("seed", range(6))
def test_nobody_loses_an_address(seed: int) -> None:
    turmoil = Turmoil(seed)
    for _pod in range(4):
        turmoil.lose()
        turmoil.twin.clock.advance(3)

    def before(write: Write) -> None:
        turmoil.happen()

    api = RestlessApi(turmoil.twin, before=before)
    api.turmoil = turmoil
    options = {"addresses": None, "handles": None, "certainty": "likely"}
    released = 0
    for _round in range(3):
        wanted = wanted_of({**options, "audit": audited(turmoil), "interval": turmoil.chance.choice([0, 1, 30])})
        done = release_leaked(
            api, KubernetesStore(api), wanted, clock=SimulatedClock(api), report=lambda event: None, check_mode=False
        )
        released += len(done.addresses)
        assert {seen.allocation.holder.pod[:5] for seen in done.addresses} <= {"lost-"}
    turmoil.twin.clock.advance(60)
    last = audited(turmoil)
    assert [each for each in last["findings"] if each["severity"] == "error"] == []
    wanted = wanted_of({**options, "audit": last, "interval": 0})
    quiet = ShortGraceApi(turmoil.twin)
    release_leaked(
        quiet, KubernetesStore(quiet), wanted, clock=SimulatedClock(quiet), report=lambda event: None, check_mode=False
    )
    end = audited(turmoil)
    assert end["leaked"] == []
    assert sum(1 for each in end["findings"] if each["check"].startswith("handle-without")) == 0
    assert [each["id"] for each in end["findings"] if each["severity"] == "error"] == []
    assert released > 0
    turmoil.twin.close()
