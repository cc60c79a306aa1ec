# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of what pods ask for: pools and addresses that are named somewhere, selectors."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import is_finished, on_host_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import why_not
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import cni_configs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import unintelligible
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import selected_nodes
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pinned_by import OF_A_POD, Pin
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import (
    ADDRESSES,
    FLOATING,
    POOLS,
    addresses_in,
    means_pool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import (
    pins_of,
    pools_afterwards,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    Situation,
    Wanted,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import (
    VIRT_LAUNCHER,
    VIRT_LAUNCHER_LABEL,
)


def pool_pinned(now: Situation) -> t.Iterator[Problem]:
    """B15."""
    for pool in _draining(now):
        where = list(dict.fromkeys(name for name, _pin in _pins(now, pool, POOLS)))
        if where:
            yield Problem(
                BLOCKER,
                f"{counted(len(where), 'object asks', 'objects ask')} for pool {pool.name!r} by annotation, first "
                f"{where[0]}: once it is "
                "disabled, new pods get no address there.",
                "Change the annotations cni.projectcalico.org/ipv4pools and ipv6pools first, those of namespaces and "
                "workloads with ippool_binding: let them name another pool, or none (state: absent).",
                tuple(where),
            )


def cni_config_pins_pool(now: Situation) -> t.Iterator[Problem]:
    """B16, for the configuration that the cluster keeps; what is on the nodes, only they show."""
    pools = _draining(now)
    unknown = unintelligible(now.view.config_maps, now.view.cni_places)
    if pools and unknown:
        yield Problem(
            BLOCKER,
            f"{unknown[0]} is no CNI configuration that can be understood, so whether it names pool "
            f"{pools[0].name!r} is not known: if it does, no new pod starts once the pool is disabled.",
            "Look at what the nodes have with the playbook calico_ops.ipam.preflight_hosts, then waive this check.",
            tuple(unknown),
        )
    elif pools and now.view.blocks and not any(True for _config in cni_configs(now.view)):
        yield Problem(
            NOTE,
            "No ConfigMap or DaemonSet shows the CNI configuration of the nodes, so whether it names pool "
            f"{pools[0].name!r} could not be looked at.",
            "Look on the nodes with the playbook calico_ops.ipam.preflight_hosts.",
        )
    for config in cni_configs(now.view):
        asked = [*(config.ipam.get("ipv4_pools") or []), *(config.ipam.get("ipv6_pools") or [])]
        for pool in pools:
            if any(means_pool(entry, pool.name, _range(pool)) for entry in asked):
                yield Problem(
                    BLOCKER,
                    f"{config.source} gives every pod an address of pool {pool.name!r}: once it is disabled, no new "
                    "pod starts.",
                    "Take the pool out of ipv4_pools and ipv6_pools there and restart calico-node (kubectl rollout "
                    "restart of its DaemonSet); that it has come to every node, the playbook "
                    "calico_ops.ipam.preflight_hosts shows.",
                    (config.source,),
                )


def fixed_addresses(now: Situation) -> t.Iterator[Problem]:
    """B17."""
    for pool in _draining(now):
        where = list(
            dict.fromkeys(
                f"{name} ({address})"
                for name, pin in _pins(now, pool, (*ADDRESSES, FLOATING))
                for address in addresses_in(pin.value, _range(pool))
            )
        )
        if where:
            yield Problem(
                BLOCKER,
                f"{counted(len(where), 'object asks', 'objects ask')} for a fixed address of pool {pool.name!r}, "
                f"first {where[0]}: once the pool "
                "is disabled, that address cannot be given.",
                "Let their owners choose other addresses, or take the annotation away first.",
                tuple(where),
            )


def selector_covers_nodes(now: Situation) -> t.Iterator[Problem]:
    """B14: every node and namespace with pods must find a pool while the old one is disabled."""
    if now.target is not None and now.target.pool is None:
        return  # Without its range nobody can say whom the new pool serves.
    pools = pools_afterwards(now)
    nodes = {node["metadata"]["name"]: node for node in now.view.nodes}
    namespaces = {thing["metadata"]["name"]: thing for thing in now.view.namespaces}
    left: dict[tuple[str, str], str] = {}
    for pod in now.source_pods():
        node, namespace = nodes.get(pod["spec"].get("nodeName")), namespaces.get(pod["metadata"]["namespace"])
        for address in pod_addresses(pod):
            key = (str(pod["spec"].get("nodeName")), str(pod["metadata"]["namespace"]))
            if node is None or key in left or not _in_source(now, address):
                continue
            left[key] = _why_none(pools, address.version, node, namespace)
    missed = {key: why for key, why in left.items() if why}
    if missed:
        (node_name, namespace_name), why = min(missed.items())
        yield Problem(
            BLOCKER,
            f"Pods of {counted(len({namespace for _node, namespace in missed}), 'namespace')} on "
            f"{counted(len({name for name, _namespace in missed}), 'node')} would find no pool, first namespace "
            f"{namespace_name} on node {node_name}: {why}",
            "Widen the selectors of the new pool.",
            tuple(f"namespace {namespace} on node {name}" for name, namespace in sorted(missed)),
        )
    yield from _nodes_without_pool(now, pools, {name for name, _namespace in left})
    yield from _namespaces_without_pool(now, pools, {namespace for _name, namespace in left})


def _nodes_without_pool(now: Situation, pools: t.Sequence[Pool], seen: t.Collection[str]) -> t.Iterator[Problem]:
    for pool in _draining(now):
        if pool.pool is None:
            continue
        empty = [
            node["metadata"]["name"]
            for node in selected_nodes(pool.pool, now.view)
            if node["metadata"]["name"] not in seen and _why_none(pools, pool.pool.version, node, None)
        ]
        if empty:
            yield Problem(
                WARNING,
                f"{counted(len(empty), 'node')} without pods of pool {pool.name!r} now would find no pool later.",
                "Widen the node selector of the new pool.",
                tuple(empty),
            )


def _namespaces_without_pool(now: Situation, pools: t.Sequence[Pool], seen: t.Collection[str]) -> t.Iterator[Problem]:
    """Namespaces without pods of the pool now, which it serves and nothing would serve later."""
    for pool in _draining(now):
        if pool.pool is None:
            continue
        nodes = selected_nodes(pool.pool, now.view)
        empty = [
            thing["metadata"]["name"]
            for thing in now.view.namespaces
            if thing["metadata"]["name"] not in seen
            and nodes
            and not _why_none([pool.pool], pool.pool.version, nodes[0], thing)
            and all(_why_none(pools, pool.pool.version, node, thing) for node in nodes)
        ]
        if empty:
            yield Problem(
                WARNING,
                f"{counted(len(empty), 'namespace')} without pods of pool {pool.name!r} now would find no pool later.",
                "Widen the namespace selector of the new pool.",
                tuple(f"Namespace {name}" for name in empty),
            )


def virtual_machines(now: Situation) -> t.Iterator[Problem]:
    """B18: no drain restarts a machine, and one that is restarted comes back with its address."""
    machines = [
        full_name(pod)
        for pod in now.source_pods()
        if (pod["metadata"].get("labels") or {}).get(VIRT_LAUNCHER_LABEL) == VIRT_LAUNCHER
    ]
    if machines and now.view.settings.get("kubeVirtVMAddressPersistence") == "Disabled":
        yield Problem(
            BLOCKER,
            f"{counted(len(machines), 'virtual machine')} would stay in the old pool, first {machines[0]}: the drain "
            "restarts no machine, so it would stop there.",
            "Waive this check; once the old pool is disabled and the drain has stopped, restart the machines "
            "(virtctl restart) and run the procedure again: kubeVirtVMAddressPersistence is "
            "Disabled, so they come back with new addresses.",
            tuple(machines),
        )
    elif machines:
        yield Problem(
            BLOCKER,
            f"{counted(len(machines), 'virtual machine keeps its', 'virtual machines keep their')} address over "
            "restarts, "
            f"first {machines[0]}: restarted, it comes back into the old pool.",
            "Waive this check, and the old pool is kept usable for them; once it gives out no other addresses, stop "
            "each of them (virtctl stop), release its address (ipam_release with kind: vm), start it again, and run "
            "the procedure again. Or set kubeVirtVMAddressPersistence to Disabled first (ipam_config), which forbids "
            "live migration.",
            tuple(machines),
        )


def _draining(now: Situation) -> tuple[Wanted, ...]:
    """Pools whose pods go elsewhere; one that is to be deleted must be empty (pool-in-use)."""
    return tuple(pool for pool in now.leaving() if not pool.deleted)


def _pins(now: Situation, pool: Wanted, keys: t.Collection[str]) -> t.Iterator[tuple[str, Pin]]:
    """Whatever has one of the annotations and will have new pods, with its name.

    Pods whose owner is of a kind that nobody here knows are said as that owner's. Pods that have another
    annotation than their template got it from a webhook, which will give it to the next ones, too.
    """
    over = _over(now)
    for pin in pins_of(now, pool):
        key = pin.how.partition("annotation ")[2].partition(" ")[0].rstrip(",")
        if key not in keys or pin.kind == "Service" or (pin.kind, pin.namespace, pin.name) in over:
            continue
        owner = pin.how.partition(OF_A_POD)[2]
        kind, _space, name = owner.partition(" ")
        if owner:
            yield f"{kind} {pin.namespace}/{name}, its pods", pin
        else:
            yield f"{pin.kind} {pin.namespace}/{pin.name}" if pin.namespace else f"{pin.kind} {pin.name}", pin


def _over(now: Situation) -> set[tuple[str, str, str]]:
    """What gets no address any more, or never one of a pool: jobs and pods that ended, and the host network."""
    found = set()
    for workload in now.view.workloads:
        conditions = (workload.thing.get("status") or {}).get("conditions") or ()
        ended = any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in conditions)
        if (workload.kind == "Job" and ended) or (workload.template.get("spec") or {}).get("hostNetwork"):
            found.add(workload.key)
    for pod in now.view.pods:
        if is_finished(pod) or on_host_network(pod):
            found.add(("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"]))
    return found


def _range(pool: Wanted) -> Network | None:
    return pool.pool.cidr if pool.pool is not None else None


def _in_source(now: Situation, address: t.Any) -> bool:
    return any(pool.pool is not None and pool.pool.cidr.contains(address) for pool in _draining(now))


def _why_none(pools: t.Sequence[Pool], version: int, node: Object, namespace: Object | None) -> str:
    """Empty when one of the pools serves pods of the namespace on the node; else why none does."""
    node_labels = calico_labels(node)
    namespace_labels = (namespace["metadata"].get("labels") or {}) if namespace is not None else None
    reasons = []
    for pool in pools:
        if pool.version != version:
            continue
        reason = why_not(pool, version, node_labels, namespace_labels, "Workload")
        if reason is None:
            return ""
        reasons.append(reason)
    return reasons[-1] if reasons else f"there is no other IPv{version} pool."


CHECKS = (
    Check("pool-pinned", "nobody asks for the old pool", ("B15",), pool_pinned),
    Check("cni-config-pins-pool", "the CNI configuration asks for no old pool", ("B16",), cni_config_pins_pool),
    Check("fixed-addresses", "nobody asks for an address of the old pool", ("B17",), fixed_addresses),
    Check("selector-covers-nodes", "every node and namespace finds a pool", ("B14",), selector_covers_nodes),
    Check("virtual-machines", "no virtual machine keeps its address", ("B18",), virtual_machines),
)
