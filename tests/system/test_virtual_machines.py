# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual machine of KubeVirt in a pool that is to be stopped (hazard B18), in virtual time."""

from __future__ import annotations

import os
import typing as t

import pytest
from modes_lab import DEFAULT, Lab, Mode
from simulation import simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    IP_POOLS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gates import GateRequest, pass_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import NO_NODE
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.virtual_machines import (
    MACHINE_INSTANCES,
    VIRTUAL_MACHINES,
)


# Nothing here depends on where pools are kept, but for how they are watched: that is for the night.
@pytest.fixture(params=["crd_v1", "etcd"] if os.environ.get("CALICO_OPS_NIGHTLY") else ["crd_v1"])
def lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Lab]:
    """The small cluster with KubeVirt's kinds, the machine shop/mill and a second pool."""
    simulate(monkeypatch)
    with Lab(Mode(request.param)) as found:
        for kind in (VIRTUAL_MACHINES, MACHINE_INSTANCES):
            found.admin.create(CUSTOM_RESOURCE_DEFINITIONS, definition(kind))
        found.advance(2)
        found.admin.create(VIRTUAL_MACHINES, machine(VIRTUAL_MACHINES), "shop")
        found.admin.create(MACHINE_INSTANCES, machine(MACHINE_INSTANCES), "shop")
        start(found, "virt-launcher-mill-1")
        found.present("new", cidr="10.0.0.0/16", ipip_mode="Always")
        yield found


def definition(kind: Resource) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"plural": kind.plural, "singular": kind.kind.lower(), "kind": kind.kind, "listKind": f"{kind.kind}List"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]}
    api_version = CUSTOM_RESOURCE_DEFINITIONS.api_version
    metadata = {"name": f"{kind.plural}.{kind.group}"}
    return {"apiVersion": api_version, "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}


def machine(kind: Resource) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "mill"}, "spec": {}}


def start(lab: Lab, name: str) -> list[str]:
    """What KubeVirt does to start the machine; the addresses of its pod."""
    instance = lab.admin.get(MACHINE_INSTANCES, "mill", "shop")
    owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "mill", "controller": True}
    metadata = {
        "name": name,
        "labels": {"kubevirt.io": "virt-launcher", "vm.kubevirt.io/name": "mill"},
        "ownerReferences": [{**owner, "uid": instance["metadata"]["uid"]}],
    }
    spec = {"containers": [{"name": "compute", "image": "virt-launcher"}]}
    lab.admin.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, "shop")
    lab.advance(20)
    return addresses(lab.admin.get(PODS, name, "shop"))


def end(lab: Lab, name: str) -> None:
    lab.admin.delete(PODS, name, "shop")
    lab.advance(40)


def gate(lab: Lab, name: str, **options: t.Any) -> dict[str, t.Any]:
    stores = open_stores(lab.api)
    return pass_gate(
        lab.api, stores, GateRequest(name, DEFAULT, **options), clock=lab.clock, report=lambda _event: None
    )


def test_the_way_that_lets_the_machine_go_on(lab: Lab) -> None:
    before = gate(lab, "before_disable", target="new")
    assert (before["stop_way"], before["machines"]) == ("node_selector", ["shop/mill"])
    address = addresses(lab.admin.get(PODS, "virt-launcher-mill-1", "shop"))
    since = lab.twin.clock.timestamp()
    lab.edit(DEFAULT, nodeSelector=NO_NODE)
    end(lab, "virt-launcher-mill-1")
    assert start(lab, "virt-launcher-mill-2") == address
    after = gate(lab, "after_disable", tunnels=before["tunnels"], since=since)
    assert (len(after["tunnels"]), after["young_pods"]) == (2, ["shop/virt-launcher-mill-2"])
    # Everybody else leaves, and the machine is named until it is gone.
    for pod in lab.admin.list(PODS).items:
        if not pod["metadata"]["name"].startswith("virt-launcher"):
            lab.admin.delete(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])
    lab.advance(60)
    with pytest.raises(Refused, match=r"1 virtual machine\(s\) \(shop/mill"):
        gate(lab, "before_delete")
    # A machine that is stopped keeps its address, and counts although no pod has it.
    end(lab, "virt-launcher-mill-2")
    with pytest.raises(Refused, match=r"1 virtual machine\(s\) \(shop/mill"):
        gate(lab, "before_delete")
    assert start(lab, "virt-launcher-mill-3") == address
    lab.admin.delete(VIRTUAL_MACHINES, "mill", "shop")
    lab.admin.delete(MACHINE_INSTANCES, "mill", "shop")
    end(lab, "virt-launcher-mill-3")
    assert gate(lab, "before_delete", soak=5)["holders"] == []


def test_in_a_disabled_pool_the_machine_does_not_come_back(lab: Lab) -> None:
    lab.admin.patch(IP_POOLS, DEFAULT, {"spec": {"disabled": True}})
    end(lab, "virt-launcher-mill-1")
    assert start(lab, "virt-launcher-mill-2") == []
    lab.admin.patch(IP_POOLS, DEFAULT, {"spec": {"disabled": False}})
    lab.advance(60)
    assert addresses(lab.admin.get(PODS, "virt-launcher-mill-2", "shop"))[0].startswith("192.168.")
