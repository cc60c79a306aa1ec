# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Addresses of KubeVirt's virtual machines, which belong to the machine and not to the pod it runs in.

Source: spec ipam-engine.md 17.1. A pod that is started for a machine with an address takes that one and only
becomes its owner, which Calico does among the enabled pools alone. The address is given back when the
machine is deleted. Live migration, where two pods share an address, is not simulated.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore, NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import vm_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.owner import OwnerChange, set_owner_attributes
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

VIRTUAL_MACHINES = Resource("kubevirt.io", "v1", "virtualmachines", "VirtualMachine", True)
MACHINE_INSTANCES = Resource("kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance", True)


class Machine(t.NamedTuple):
    """The machine that a pod runs. Its instance has the same name."""

    namespace: str
    name: str

    def handle(self, network: str) -> str:
        """The handle under which Calico keeps its addresses."""
        return vm_handle(self.namespace, self.name, network)

    def stays(self, objects: ObjectStore) -> bool:
        """Whether it is there and not being deleted: the VirtualMachine, or an instance without one."""
        for kind in (VIRTUAL_MACHINES, MACHINE_INSTANCES):
            thing = objects.get(kind, self.namespace, self.name)
            if thing is not None:
                return thing["metadata"].get("deletionTimestamp") is None
        return False


def machine_of(pod: Object, datastore: Datastore) -> Machine | None:
    """The machine whose address the pod takes; None for other pods, and where machines keep no addresses."""
    metadata = pod["metadata"]
    if (metadata.get("labels") or {}).get("kubevirt.io") != "virt-launcher":
        return None
    if datastore.settings().vm_address_persistence == "Disabled":
        return None
    owner = next((each for each in metadata.get("ownerReferences") or () if each.get("controller")), None)
    if owner is None or owner.get("kind") != MACHINE_INSTANCES.kind:
        return None
    return Machine(str(metadata["namespace"]), str(owner["name"]))


def machine_attributes(machine: Machine, attributes: t.Mapping[str, str]) -> dict[str, str]:
    """The attributes of a machine's address: those of its pod, and whose it is."""
    return {**attributes, "vmi-name": machine.name}


def taken_over(
    datastore: Datastore, machine: Machine, network: str, attributes: t.Mapping[str, str], now: Clock
) -> list[Address]:
    """The addresses that the machine has, with the pod as their owner from now on; none when it has none yet.

    Raises NotFoundInStore when one lies in no enabled pool.
    """
    handle = machine.handle(network)
    try:
        found = ips_by_handle(datastore, handle, now=now)
    except NotFoundInStore:
        return []
    owner = OwnerChange(attributes=machine_attributes(machine, attributes))
    for address in found:
        set_owner_attributes(datastore, address, handle, now=now, active=owner)
    return found
