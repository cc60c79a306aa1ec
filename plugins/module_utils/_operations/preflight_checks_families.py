# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the data plane and of both IP versions (hazards B46, B47)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import CALICO_IPAM
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import cni_configs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import new_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import DECLARE, Situation


def service_data_plane(now: Situation) -> t.Iterator[Problem]:
    """B46: whoever does the work of kube-proxy keeps a view of the pools of its own."""
    if now.target is None:
        return
    if now.view.ebpf:
        who = "Calico's eBPF data plane does the work of kube-proxy"
    elif "calico-node" in _daemons(now) and not any(name.startswith("kube-proxy") for name in _daemons(now)):
        who = "There is no DaemonSet kube-proxy; something else, or kube-proxy outside the cluster, leads to Services"
    else:
        return
    yield Problem(
        NOTE,
        f"{who}, with its own view of which addresses are pods.",
        "Reach a Service from a pod of the new pool, and one of its pods from outside, before all pods move.",
    )


def ip_version_in_use(now: Situation) -> t.Iterator[Problem]:
    """B47: pods get addresses of an IP version only where the CNI configuration, the nodes and Felix have it."""
    for pool in (*new_ranges(now), *(each for each in now.wanted if not each.is_new and each is now.target)):
        if pool.pool is None or "Workload" not in pool.pool.allowed_uses or pool.deleted:
            continue
        version = pool.pool.version
        have = sum(1 for pod in now.view.pods if any(each.version == version for each in pod_addresses(pod)))
        missing = list(_without(now, version, nodes=not have))
        if not missing:
            continue
        reasons = " and ".join(why for why, _remedy, _where in missing)
        if have:
            yield Problem(
                WARNING,
                f"{counted(have, 'pod has an', 'pods have')} IPv{version} {'address' if have == 1 else 'addresses'}, "
                f"and {reasons}: unless their annotations ask for it, pods that are started again have none.",
                missing[0][1],
                tuple(where for _why, _remedy, where in missing),
            )
        else:
            yield Problem(
                WARNING if now.request.procedure == DECLARE else BLOCKER,
                f"Pool {pool.name!r} ({pool.pool.cidr}) is IPv{version} and no pod of the cluster has an IPv{version} "
                f"address: {reasons}, so no pod would get an address of it.",
                missing[0][1],
                (f"IPPool {pool.name}", *(where for _why, _remedy, where in missing)),
            )


def _without(now: Situation, version: int, *, nodes: bool) -> t.Iterator[tuple[str, str, str]]:
    """What the cluster lacks for an IP version: why, what to do, and which object says so.

    Where pods have such addresses, the nodes (``nodes``) need not be asked: kubelets may report one version only.
    """
    for config in cni_configs(now.view):
        asks = config.assign_ipv6 if version == 6 else config.assign_ipv4
        if config.ipam_type == CALICO_IPAM and not asks:
            yield (
                f"the CNI configuration does not ask for one ({config.source})",
                f'Set assign_ipv{version} of its ipam to "true" (with the operator, by a pool of that IP version in '
                "the Installation; with Kubespray, by ipv6_stack), restart calico-node, and make sure that every node "
                f"has an IPv{version} address.",
                config.source,
            )
    named = [node for node in now.view.nodes if _versions(node)] if nodes else []
    without = [node["metadata"]["name"] for node in named if version not in _versions(node)]
    if named and len(without) == len(named):
        yield (
            f"no node has an IPv{version} address",
            f"Give the nodes IPv{version} addresses first, and let kubelet and calico-node know them.",
            f"Node {without[0]}",
        )
    said = _felix_without_ipv6(now) if version == 6 else ""
    if said:
        yield f"Felix does not handle IPv6 ({said})", "Set ipv6Support to true and restart calico-node.", said


def _versions(node: Object) -> set[int]:
    """The IP versions that a node has addresses or a podCIDR of, as far as anybody says."""
    annotations, spec = node["metadata"].get("annotations") or {}, node.get("spec") or {}
    texts = [entry.get("address") for entry in (node.get("status") or {}).get("addresses") or ()]
    texts += [annotations.get(f"projectcalico.org/IPv{version}Address") for version in (4, 6)]
    texts += spec.get("podCIDRs") or [spec.get("podCIDR")]
    found = set()
    for text in texts:
        try:
            found.add(parse_address(str(text or "").partition("/")[0]).version)
        except InvalidInput:
            continue  # Host names stand among the addresses.
    return found


def _felix_without_ipv6(now: Situation) -> str:
    if now.view.calico.felix.get("ipv6Support") is False:
        return "ipv6Support of FelixConfiguration default"
    if now.view.calico_node_env.get("FELIX_IPV6SUPPORT", "").lower() == "false":
        return "FELIX_IPV6SUPPORT of DaemonSet calico-node"
    return ""


def _daemons(now: Situation) -> list[str]:
    return [workload.name for workload in now.view.workloads if workload.kind == "DaemonSet"]


def ip_families(now: Situation) -> t.Iterator[Problem]:
    """B47: a restart moves both addresses of a pod, the procedure drains one pool of one IP version."""
    if now.source is None or now.source.pool is None or now.target is None:
        return
    version = now.source.pool.version
    other = 6 if version == 4 else 4
    pods = now.source_pods()
    both = [pod for pod in pods if any(address.version == other for address in pod_addresses(pod))]
    staying = [pool for pool in _staying(now) if pool.version == other]
    if not both:
        yield from _asked_in_vain(now, other, staying)
        return
    if not staying:
        yield Problem(
            BLOCKER,
            f"{counted(len(both), 'pod that is to move has', 'pods that are to move have')} IPv{other} addresses "
            f"too, and no enabled IPv{other} pool gives "
            "addresses to pods: they would not start again.",
            f"Enable an IPv{other} pool first.",
        )
        return
    yield Problem(
        NOTE,
        f"{counted(len(both), 'pod has', 'pods have')} addresses of both IP versions. Only those of IPv{version} "
        "change their pool, but a "
        f"restarted pod gets a new IPv{other} address as well.",
        f"If the IPv{other} pool is to be changed too, create its successor and disable it first: one restart moves "
        "both.",
    )
    yield from _masquerade(now, other, staying)


def _masquerade(now: Situation, other: int, staying: t.Sequence[Pool]) -> t.Iterator[Problem]:
    if now.target is None or now.target.pool is None:
        return
    target = now.target.pool
    different = [pool.name for pool in staying if _nat(now, pool.name) != bool(now.target.spec.get("natOutgoing"))]
    same_before = now.source is not None and all(
        _nat(now, pool.name) == bool(now.source.spec.get("natOutgoing")) for pool in staying
    )
    if different and same_before:
        yield Problem(
            WARNING,
            f"natOutgoing is {_said(now.target.spec.get('natOutgoing'))} in pool {target.name!r} and "
            f"{_said(not now.target.spec.get('natOutgoing'))} in the IPv{other} pool {different[0]!r}.",
            "Make sure that this is meant.",
            tuple(f"IPPool {name}" for name in different),
        )


def _asked_in_vain(now: Situation, other: int, staying: t.Sequence[Pool]) -> t.Iterator[Problem]:
    for config in cni_configs(now.view):
        asks = config.assign_ipv6 if other == 6 else config.assign_ipv4
        if config.ipam_type == CALICO_IPAM and asks and not staying:
            yield Problem(
                BLOCKER,
                f"{config.source} asks for an IPv{other} address for every pod, and no enabled IPv{other} pool gives "
                "any: no restarted pod would start.",
                f"Create an IPv{other} pool, or set assign_ipv{other} to false and restart calico-node.",
                (config.source,),
            )


def _staying(now: Situation) -> list[Pool]:
    leaving = {pool.name for pool in now.leaving()}
    return [
        pool
        for pool in engine_pools(now.view.pools)
        if pool.name not in leaving and pool.enabled and "Workload" in pool.allowed_uses
    ]


def _nat(now: Situation, name: str) -> bool:
    return any(bool(pool.spec.get("natOutgoing")) for pool in now.view.pools if pool.name == name)


def _said(value: t.Any) -> str:
    return "true" if value else "false"


CHECKS = (
    Check("service-data-plane", "Services lead to the new addresses", ("B46",), service_data_plane, worst=NOTE),
    Check("ip-version-in-use", "pods get addresses of the new pool's IP version", ("B47",), ip_version_in_use),
    Check("ip-families", "both IP versions are planned for", ("B47",), ip_families),
)
