# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Everything in a cluster that pins itself to a pool (spec ippool.md §9.2, hazards.md B15 to B17)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import controller_of, is_finished
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import (
    cni_configs,
    pod_annotations,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import owner_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import (
    ADDRESSES,
    FLOATING,
    POOLS,
    SERVICE_ADDRESSES,
    SERVICE_POOLS,
    addresses_in,
    means_pool,
    names_pool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView

OF_TEMPLATE = "of the pod template"
#: Before the kind and the name of an owner that is none of the known workloads.
OF_A_POD = " of a pod of "


@dataclass(frozen=True)
class Holder:
    """Something whose ``annotations`` decide the address of a future pod; ``where`` they stand on it."""

    kind: str
    namespace: str
    name: str
    where: str
    annotations: t.Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, order=True)
class Pin:
    """One thing that pins itself to a pool: ``how`` in words, ``value`` as it is written there."""

    kind: str
    namespace: str
    name: str
    how: str
    value: str

    def shown(self) -> dict[str, str]:
        """The pin in a module's result."""
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "how": self.how,
            "value": self.value,
        }


def holders(view: ClusterView) -> t.Iterator[Holder]:
    """Namespaces, the workloads at the top of each chain of owners, and pods that no known workload owns."""
    for namespace in view.namespaces:
        name = namespace["metadata"]["name"]
        yield Holder("Namespace", "", name, "", pod_annotations(namespace))
    for workload in view.workloads:
        # What another workload made from its own template is said once, by the one at the top.
        if owner_of(workload.thing, view) is None:
            annotations = pod_annotations(workload.template)
            yield Holder(workload.kind, workload.namespace, workload.name, OF_TEMPLATE, annotations)
    for pod in view.pods:
        if owner_of(pod, view) is None:
            yield _of_pod(pod)


def pinned_by(view: ClusterView, name: str, network: Network | None) -> list[Pin]:
    """What pins itself to the pool ``name`` whose range is ``network``, sorted.

    A pod that a workload owns counts by itself only where its template does not say the same.
    """
    pins = {pin for holder in holders(view) for pin in _pins_of(holder, name, network)}
    pins.update(_pins_of_pods(view, name, network))
    pins.update(_pins_of_configuration(view, name, network))
    for service in view.services:
        pins.update(_pins_of_service(service, name, network))
    return sorted(pins)


def _pins_of(holder: Holder, name: str, network: Network | None) -> t.Iterator[Pin]:
    keys = [key for key in POOLS if names_pool(holder.annotations.get(key), name, network)]
    # Calico reads addresses on pods only (spec ippool.md §9.2).
    if holder.kind != "Namespace":
        keys += [key for key in (*ADDRESSES, FLOATING) if addresses_in(holder.annotations.get(key), network)]
    for key in keys:
        how = f"annotation {key} {holder.where}".strip()
        yield Pin(holder.kind, holder.namespace, holder.name, how, holder.annotations[key])


def _pins_of_pods(view: ClusterView, name: str, network: Network | None) -> t.Iterator[Pin]:
    for pod in view.pods:
        owner = owner_of(pod, view)
        if owner is None or is_finished(pod):
            continue
        template, metadata = pod_annotations(owner.template), pod["metadata"]
        holder = Holder("Pod", metadata["namespace"], metadata["name"], "", pod_annotations(pod))
        for pin in _pins_of(holder, name, network):
            if template.get(pin.how.split()[1]) != pin.value:
                yield replace(pin, how=f"{pin.how}, other than the template of {owner}")


def _of_pod(pod: Object) -> Holder:
    metadata = pod["metadata"]
    owner = controller_of(pod)
    where = "" if owner is None else f"{OF_A_POD.strip()} {owner.kind} {owner.name}"
    return Holder("Pod", metadata["namespace"], metadata["name"], where, pod_annotations(pod))


def _pins_of_configuration(view: ClusterView, name: str, network: Network | None) -> t.Iterator[Pin]:
    for config in cni_configs(view):
        for key in ("ipv4_pools", "ipv6_pools"):
            asked = [str(entry) for entry in config.ipam.get(key) or []]
            if any(means_pool(entry, name, network) for entry in asked):
                yield Pin(
                    "ConfigMap", config.namespace, config.name, f"{key} of the CNI configuration", ", ".join(asked)
                )


def _pins_of_service(service: Object, name: str, network: Network | None) -> t.Iterator[Pin]:
    spec, metadata = service.get("spec") or {}, service["metadata"]
    if spec.get("type") != "LoadBalancer":
        return
    annotations = pod_annotations(service)
    found = [
        (f"annotation {key}", annotations[key])
        for key in SERVICE_POOLS
        if names_pool(annotations.get(key), name, network)
    ]
    if addresses_in(annotations.get(SERVICE_ADDRESSES), network):
        found.append((f"annotation {SERVICE_ADDRESSES}", annotations[SERVICE_ADDRESSES]))
    given = str(spec.get("loadBalancerIP") or "")
    if addresses_in(f'["{given}"]', network):
        found.append(("spec.loadBalancerIP", given))
    for how, value in found:
        yield Pin("Service", metadata["namespace"], metadata["name"], how, value)
