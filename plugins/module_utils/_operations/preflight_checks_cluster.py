# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the cluster itself: may its pools be changed at all, and by us."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import places_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import unsupported_reason
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import CALICO_IPAM, Fact
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IPAM_CONFIGS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import ipam_sources
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_windows
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import DECLARE, Situation


def calico_ipam_in_use(now: Situation) -> t.Iterator[Problem]:
    """B19, by the sources of spec ippool.md §7.3 in their order; one that live pods disprove is a leftover."""
    found = [(source, name) for source, name in ipam_sources(now.view) if name]
    others = [(source, name) for source, name in found if name != CALICO_IPAM]
    if others and others[0] != found[0] and _pods_in_blocks(now):
        source, name = others[0]
        yield Problem(
            WARNING,
            f"{found[0][0]} says that pods get their addresses from Calico IPAM, and {source} says {name}.",
            "Find out whether that is a leftover: where nodes get their addresses from, the playbook "
            "calico_ops.ipam.preflight_hosts reads on each of them.",
            (source,),
        )
    elif others:
        source, name = others[0]
        yield Problem(
            BLOCKER,
            f"Pods get their addresses from {name}, not from Calico's IP pools ({source}): a change of pools would "
            "move nothing.",
            "Switch the cluster to Calico IPAM first.",
            (source,),
        )
    elif not found and not now.view.blocks:
        yield Problem(
            WARNING,
            "No configuration in the cluster says that pods get their addresses from Calico IPAM, and there is no "
            "IPAM block.",
            "Look at the CNI configuration on the nodes with the playbook calico_ops.ipam.preflight_hosts: ipam.type "
            "of the calico plugin must be calico-ipam.",
        )


def _pods_in_blocks(now: Situation) -> bool:
    """Whether a live pod has an address that Calico IPAM has on record for it."""
    pods = {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in now.view.pods}
    return any(
        each.holder.kind == POD
        and (each.holder.namespace, each.holder.pod) in pods
        and each.address in pod_addresses(pods[each.holder.namespace, each.holder.pod])
        for block in now.view.blocks
        for each in block.allocations
    )


def orchestrator_supported(now: Situation) -> t.Iterator[Problem]:
    if now.view.installation.openshift.value:
        ranges = ", ".join(now.view.openshift_cidrs) or "unknown"
        yield Problem(
            BLOCKER,
            f"The cluster is OpenShift, whose pod range ({ranges}) cannot be changed after its installation.",
            "Pools of an OpenShift cluster must stay as they were installed.",
        )


def datastore_ready(now: Situation) -> t.Iterator[Problem]:
    if now.view.installation.locked.value:
        yield Problem(
            BLOCKER,
            "ClusterInformation default says datastoreReady: false: Calico's datastore is locked, so no new pod gets "
            "an address.",
            "Finish or undo the datastore migration that locked it (calicoctl datastore migrate unlock, once nobody is "
            "at it any more).",
            ("ClusterInformation default",),
        )


def installation_supported(now: Situation) -> t.Iterator[Problem]:
    found = now.view.installation
    # OpenShift and the lock are said by their own checks.
    said = replace(found, openshift=Fact(False, ""), locked=Fact(False, "") if found.locked.value else found.locked)
    reason = unsupported_reason(said)
    if reason is None:
        return
    pools = found.operator_pools.value
    yield Problem(BLOCKER, reason, "Use the way of changing pools that this installation has.", pools)


def rights_sufficient(now: Situation) -> t.Iterator[Problem]:
    if now.view.unreadable:
        what = ", ".join(now.view.unreadable)
        yield Problem(
            BLOCKER,
            f"The user may not read {what}, so the checks that need it are blind.",
            "Bind the user to the ClusterRole calico-ops-ipam-migrator or calico-ops-ipam-reporter (docs/rbac of the "
            "collection), or add the rights to get and list these.",
            tuple(now.view.unreadable),
        )


def windows_nodes(now: Situation) -> t.Iterator[Problem]:
    """B29: Windows nodes need a node by node rebuild, which no step of ours does."""
    for pool in now.leaving():
        windows = [
            node["metadata"]["name"]
            for node in now.view.nodes
            if is_windows(node) and (pool.pool is None or _selects(pool.pool, node))
        ]
        if windows:
            yield Problem(
                BLOCKER,
                f"{len(windows)} Windows nodes may hold addresses of pool {pool.name!r}, and their host network must "
                "be rebuilt by hand for another range.",
                "Exclude them with the pool's nodeSelector, or plan their rebuild and waive this check.",
                tuple(windows),
            )


def _selects(pool: t.Any, node: t.Mapping[str, t.Any]) -> bool:
    try:
        return selects_node(pool, node["metadata"].get("labels") or {})
    except SelectorError:
        return True


def strict_affinity_pair(now: Situation) -> t.Iterator[Problem]:
    """B03, and B04 where nodes may take no block at all."""
    name = f"{places_of(now.view.installation.mode.value)[IPAM_CONFIGS].kind} default"
    new = [pool for pool in now.wanted if pool.is_new and "LoadBalancer" not in (pool.spec.get("allowedUses") or [])]
    if new and now.view.settings.get("autoAllocateBlocks") is False:
        yield Problem(
            WARNING if now.request.procedure == DECLARE else BLOCKER,
            f"{name} has autoAllocateBlocks false, as it also reads when it is stored without: no node can take a "
            f"block of pool {new[0].name!r}, so no pod gets an address of it.",
            "Set auto_allocate_blocks to true (ipam_config).",
            (name, *(f"IPPool {pool.name}" for pool in new)),
        )
    limit = now.view.settings.get("maxBlocksPerHost") or 0
    if limit and not now.view.settings.get("strictAffinity"):
        yield Problem(
            NOTE,
            f"maxBlocksPerHost is {limit} while strictAffinity is off: a node at its limit gets an error and never "
            "borrows.",
            "Set maxBlocksPerHost to 0, or strictAffinity to true.",
            (name,),
        )


CHECKS = (
    Check("calico-ipam-in-use", "pods get addresses from Calico IPAM", ("B19",), calico_ipam_in_use, False, True),
    Check("orchestrator-supported", "the orchestrator allows it", ("B24",), orchestrator_supported, False, True),
    Check("datastore-ready", "Calico's datastore is not locked", ("B36",), datastore_ready, False, True),
    Check(
        "installation-supported",
        "this release knows the installation",
        ("B20",),
        installation_supported,
        False,
        True,
        decisive=True,
    ),
    Check("rights-sufficient", "everything can be read", (), rights_sufficient, True, True),
    Check("windows-nodes", "no Windows node is concerned", ("B29",), windows_nodes),
    Check("ipam-settings", "the IPAM settings let nodes take blocks", ("B03", "B04"), strict_affinity_pair),
)
