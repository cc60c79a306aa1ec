# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenario ``nasty``: preflight names what is in the way, the drain leaves just that, and the remedies work."""

from __future__ import annotations

import typing as t

import pytest
from procedures import Procedure
from simulation import SimulatedApi, simulate
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    EVENTS,
    IP_POOLS,
    NAMESPACES,
    POD_DISRUPTION_BUDGETS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions, DrainResult
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import (
    preflight,
    preflight_request,
)

POOL = "default-ipv4-ippool"
ANNOTATION = "cni.projectcalico.org/"

# What preflight has to say: the check, the object it names, and how grave it is.
NAMED = [
    ("pool-pinned", "Namespace tied", "blocker"),
    ("fixed-addresses", "Deployment plant/gateway (192.168.200.10)", "blocker"),
    ("webhooks-stay-up", "ValidatingWebhookConfiguration pod-policy (pods.policy.example.com)", "blocker"),
    ("drain-can-finish", "Deployment policy-system/pod-policy", "blocker"),
    ("budgets-allow", "PodDisruptionBudget payments/ledger", "blocker"),
    ("budgets-allow", "StatefulSet payments/ledger", "blocker"),
    ("unmovable-pods", "legacy/debug-shell", "blocker"),
    ("unmovable-pods", "kube-system/node-agent-worker-2", "blocker"),
    ("unmovable-pods", "Deployment shop/newsletter", "warning"),
    ("unmovable-pods", "StatefulSet data/archive", "warning"),
    ("peers-by-address", "StatefulSet data/archive", "warning"),
]

# Whom no finding may name: they move by themselves, or have no address of the pool.
UNTROUBLED = ("node-exporter", "year-end", "licences", "Job legacy")

# Whom the drain leaves behind, and what its sentence has to say: why, and what to do.
LEFT = {
    "kube-system/node-agent-worker-2": ("static pod", "restart it on its node"),
    "legacy/debug-shell": ("no controller", "create it again"),
    "payments/ledger-0": ("budget payments/ledger (maxUnavailable 0)", "relax it, or add replicas"),
    "payments/ledger-1": ("budget payments/ledger (maxUnavailable 0)", "relax it, or add replicas"),
    "payments/ledger-2": ("budget payments/ledger (maxUnavailable 0)", "relax it, or add replicas"),
    "plant/gateway": ("cni.projectcalico.org/ipAddrs", "change it"),
    "policy-system/pod-policy": ("only pod behind webhook pods.policy.example.com", "add a replica"),
    "tied/partner-api": ("cni.projectcalico.org/ipv4pools", "change it"),
}


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


class Lab:
    """The cluster, and what its operator does."""

    def __init__(self) -> None:
        self.twin = local_twin("nasty")
        self.api = SimulatedApi(self.twin)
        self.do = Procedure(self.api)

    def findings(self) -> list[Object]:
        params = {
            "procedure": "migrate_pool",
            "pool": POOL,
            "target": {"name": "new", "cidr": "10.0.0.0/16"},
            "block_size": None,
            "pools": None,
            "waivers": [],
        }
        request = preflight_request(params)
        return t.cast("list[Object]", preflight(request, fetch_view(self.do.api, request.pool))["findings"])

    def begin(self) -> None:
        spec = self.api.get(IP_POOLS, POOL)["spec"]
        self.do.present("new", definition={"spec": spec}, cidr="10.0.0.0/16", disabled=False)
        self.do.present(POOL, disabled=True)
        self.twin.recorder.restart()

    def drain(self) -> DrainResult:
        options = DrainOptions(pool=POOL, timeout=1800)
        return drain_pool(self.api, options, self.do.clock, lambda event: None, lambda text: None, check_mode=False)

    def changes(self) -> int:
        """Writes so far, without the Events that tell of them."""
        return sum(write.resource != EVENTS for write in self.api.writes)

    def follow_the_remedies(self) -> None:
        """In the words of the sentences: relax, change, restart, delete and create again."""
        self.api.patch(DEPLOYMENTS, "pod-policy", {"spec": {"replicas": 2}}, "policy-system")
        self.api.patch(POD_DISRUPTION_BUDGETS, "ledger", {"spec": {"maxUnavailable": 1}}, "payments")
        self.api.patch(NAMESPACES, "tied", {"metadata": {"annotations": {f"{ANNOTATION}ipv4pools": '["new"]'}}})
        address = {f"{ANNOTATION}ipAddrs": '["10.0.200.10"]'}
        self.api.patch(DEPLOYMENTS, "gateway", {"spec": {"template": {"metadata": {"annotations": address}}}}, "plant")
        assert self.twin.behaviour.kubelets.restart_static("kube-system", "node-agent-worker-2")
        shell = self.api.get(PODS, "debug-shell", "legacy")
        self.api.delete(PODS, "debug-shell", "legacy", grace_seconds=0)
        again = {"name": "debug-shell", "labels": shell["metadata"]["labels"]}
        spec = {key: shell["spec"][key] for key in ("containers", "volumes")}
        self.api.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": again, "spec": spec}, "legacy")

    def unharmed(self) -> None:
        record = self.twin.recorder.record()
        assert record["outages"] == []
        assert record["budget_violations"] == []


def test_preflight_names_each_of_them() -> None:
    findings = Lab().findings()
    for check, thing, severity in NAMED:
        assert any(
            each["id"] == check and each["severity"] == severity and thing in each["objects"] for each in findings
        ), (check, thing)
    for name in UNTROUBLED:
        assert not any(name in thing for each in findings for thing in each["objects"]), name


def test_preflight_has_no_blocker_left_once_they_are_followed() -> None:
    lab = Lab()
    lab.follow_the_remedies()
    lab.api.tick(60)
    # Those that can only be followed once the old pool gives out no addresses any more.
    later = {"kube-system/node-agent-worker-2", "legacy/debug-shell"}
    left = {thing for each in lab.findings() if each["severity"] == "blocker" for thing in each["objects"]}
    assert left == later


def test_the_drain_leaves_just_those_and_the_remedies_end_it() -> None:
    lab = Lab()
    lab.begin()
    result = lab.drain()
    lab.unharmed()
    check_left(result)
    # To run it again without having done anything changes nothing.
    writes = lab.changes()
    assert {entry.reason for entry in lab.drain().left} == {entry.reason for entry in result.left}
    assert lab.changes() == writes
    lab.follow_the_remedies()
    lab.api.tick(60)
    assert lab.drain().left == ()
    lab.unharmed()
    lab.do.nobody_in(POOL)
    lab.do.absent(POOL)
    with pytest.raises(NotFound):
        lab.api.get(IP_POOLS, POOL)
    assert lab.twin.settle() == []
    # What was none of the drain's business is as it was.
    assert lab.api.get(PODS, "importer", "legacy")["metadata"]["finalizers"] == ["example.com/clean-up"]
    assert lab.api.get(DEPLOYMENTS, "newsletter", "shop")["spec"]["paused"] is True


def check_left(result: DrainResult) -> None:
    wanted = dict(LEFT)
    for entry in result.left:
        name = f"{entry.namespace}/{entry.pod}"
        (found,) = [each for each in wanted if name == each or name.startswith(f"{each}-")] or [""]
        assert found, str(entry)
        for words in wanted[found]:
            assert words in entry.reason
        assert "\n" not in entry.reason
    names = {f"{entry.namespace}/{entry.pod}" for entry in result.left}
    assert all(any(name == each or name.startswith(f"{each}-") for name in names) for each in wanted)
