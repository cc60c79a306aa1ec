# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes before a pool is stopped, on a cluster in this process and in virtual time."""

from __future__ import annotations

import os
import typing as t

import pytest
from modes_lab import DEFAULT, Lab, Mode
from procedures import migrate_pool
from runbook import Stopped
from simulation import simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    NAMESPACES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import ProbeOptions, plan_probe, probe
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe_pods import LABEL

# What makes a pod of the twin end by itself.
ENDS = {"ipam.calico-ops.io/twin-run-seconds": "1"}
FAILS = {**ENDS, "ipam.calico-ops.io/twin-exit-code": "7"}


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


EVERYWHERE = ("crd_v1", "crd_v3", "apiserver", "etcd")


# An etcd takes its time, and by day one test does.
@pytest.fixture(params=EVERYWHERE if os.environ.get("CALICO_OPS_NIGHTLY") else EVERYWHERE[:3])
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(Mode(request.param)) as found:
        found.present("new", cidr="10.0.0.0/16", ipip_mode="Always")
        yield found


@pytest.fixture
def usual() -> t.Iterator[Lab]:
    with Lab(Mode("crd_v1")) as found:
        found.present("new", cidr="10.0.0.0/16", ipip_mode="Always")
        yield found


def run(lab: Lab, **options: t.Any) -> list[dict[str, t.Any]]:
    try:
        return [each.as_dict() for each in probe(lab.api, ProbeOptions("new", **options), lab.clock)]
    finally:
        assert lab.admin.list(NAMESPACES, label_selector=f"{LABEL}=true").items == []


@pytest.mark.parametrize("lab", EVERYWHERE, indirect=True)
def test_a_pinned_pod_on_every_node_while_the_old_pool_serves(lab: Lab) -> None:
    found = run(lab, pinned=True, every_node=True)
    assert [(each["node"], each["pool"]) for each in found] == [("node-1", "new"), ("node-2", "new")]
    assert all(each["address"].startswith("10.0.") for each in found)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_pool_of_an_ip_version_that_pods_do_not_get(usual: Lab, pinned: bool) -> None:
    """B47: an annotation that asks for it changes nothing, so the reason is not the pool."""
    usual.present("six", cidr="fd00:1::/112", block_size=122)
    with pytest.raises(Refused, match=r"got \S+ and no IPv6 address, .* must ask for it \(assign_ipv6\)"):
        probe(usual.api, ProbeOptions("six", pinned=pinned, every_node=True), usual.clock)


def test_nodes_without_calico_are_left_out(usual: Lab) -> None:
    usual.admin.patch(NODES, "node-2", {"metadata": {"labels": {"eks.amazonaws.com/compute-type": "fargate"}}})
    assert [each["node"] for each in run(usual, pinned=True, every_node=True)] == ["node-1"]


def test_what_must_be_reached_is_tried_before_the_old_pool_is_stopped(usual: Lab) -> None:
    """B27, minimum gate 2: the image that only sleeps cannot try it, and the role stops there."""
    with pytest.raises(Stopped, match="has no shell to try targets and checks with"):
        migrate_pool(
            usual.api,
            DEFAULT,
            {"name": "new", "cidr": "10.0.0.0/16"},
            probe_targets=["198.51.100.7:443"],
            probe_checks=["dns"],
        )
    assert not usual.stored(DEFAULT)["spec"].get("disabled")


def test_every_node_that_takes_part(usual: Lab) -> None:
    usual.edit("new", nodeSelector="kubernetes.io/hostname == 'node-2'")
    assert [each["node"] for each in run(usual, pinned=True, every_node=True)] == ["node-2"]
    thing = usual.admin.get(NODES, "node-2")
    conditions = [{"type": "Ready", "status": "Unknown"}]
    usual.twin.server.objects.update(NODES, {**thing, "status": {**thing["status"], "conditions": conditions}})
    with pytest.raises(Refused, match="selects no node that is ready"):
        run(usual, pinned=True, every_node=True)


def test_a_namespace_like_each(usual: Lab) -> None:
    for name, color in (("blue", "blue"), ("azure", "blue"), ("red", "red")):
        metadata = {"name": name, "labels": {"color": color}}
        usual.admin.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    usual.edit("new", namespaceSelector="color == 'blue'", allowedUses=["Workload"])
    usual.edit(DEFAULT, disabled=True)
    # Those that Calico cannot tell apart are proven once.
    assert [each["namespace"] for each in run(usual, nodes=["node-1"], namespaces=["blue", "azure"])] == ["blue"]
    with pytest.raises(Refused) as refused:
        run(usual, nodes=["node-1"], namespaces=["blue", "red"], timeout=20)
    assert "node-1, as in namespace red: no enabled pool selects the node and the namespace" in refused.value.message
    with pytest.raises(InvalidInput, match="there is no namespace 'green'"):
        run(usual, namespaces=["green"])


def test_pods_that_reach_everything(lab: Lab) -> None:
    wanted = {"image": "busybox", "targets": ["198.51.100.7:443"], "checks": ["dns", "api"]}
    sent: list[t.Any] = []
    lab.simulated.ticks.append(lambda: sent.extend(w.body for w in lab.simulated.writes if w.resource == PODS))
    found = run(lab, pinned=True, every_node=True, annotations=ENDS, **wanted)
    assert [each["reached"] for each in found] == [["198.51.100.7:443", "dns", "api"]] * 2
    container = sent[0]["spec"]["containers"][0]
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "CALICO_OPS_TARGETS": "198.51.100.7:443",
        "CALICO_OPS_NAMES": "kubernetes.default.svc",
        "CALICO_OPS_API": "yes",
    }


def test_a_pod_that_does_not_reach_everything(usual: Lab) -> None:
    with pytest.raises(Refused) as refused:
        run(usual, pinned=True, nodes=["node-1"], image="busybox", checks=["dns"], annotations=FAILS)
    assert "do not reach everything from there: node-1: its command ended with exit code 7" in refused.value.message


def test_a_command_that_does_not_end(usual: Lab) -> None:
    with pytest.raises(Refused, match="The command of a new pod did not end within 30 s.*node-1: it is still running"):
        run(usual, pinned=True, nodes=["node-1"], image="busybox", command=["sleep", "inf"], timeout=30)


def test_an_image_that_cannot_be_pulled(usual: Lab) -> None:
    with pytest.raises(Refused, match="container probe is waiting: ImagePullBackOff"):
        run(usual, pinned=True, nodes=["node-1"], image="busybox:broken", checks=["api"], timeout=30)


def test_the_words_of_a_failing_sandbox_are_explained(usual: Lab) -> None:
    usual.edit("new", disabled=True)
    with pytest.raises(Refused, match="a pool or an address is asked for that is disabled or gone") as refused:
        run(usual, pinned=True, nodes=["node-1"], timeout=20)
    assert refused.value.details["pods"][0]["node"] == "node-1"
    usual.edit("new", disabled=False, cidr="10.0.0.0/16")
    usual.admin.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": False}})
    with pytest.raises(Refused, match="Calico's datastore is locked: set datastoreReady"):
        run(usual, pinned=True, nodes=["node-1"], timeout=20)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"targets": ["198.51.100.7"], "image": "busybox"}, "targets: '198.51.100.7' is not host:port"),
        ({"targets": ["$(reboot):80"], "image": "busybox"}, "is not host:port"),
        ({"targets": ["a:99999"], "image": "busybox"}, "is not host:port"),
        ({"targets": ["a:80"]}, "has no shell to try targets and checks with"),
    ],
)
def test_mistakes(usual: Lab, options: dict[str, t.Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        run(usual, **options)
    assert sentence in refused.value.message


def test_the_plan_names_nodes_and_namespaces(usual: Lab) -> None:
    options = ProbeOptions("new", every_node=True, namespaces=["shop"], image="busybox", checks=["dns"])
    steps = plan_probe(usual.api, options)
    assert "like shop each" in steps[0] and "on each of the nodes node-1, node-2" in steps[0]
    assert steps[1].endswith("lies in IPPool new, and that its command ends well")
