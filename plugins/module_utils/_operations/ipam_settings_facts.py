# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What has to be known about a cluster before its IPAM settings are changed."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import (
    ITEMS,
    keeps,
    served_schema,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings_review import SettingsFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

# Pods that take part in IPAM: the CNI plugin comes with calico-node, the collector is in kube-controllers.
COMPONENTS = "k8s-app in (calico-node, calico-node-windows, calico-kube-controllers, canal)"

IMAGE = re.compile(r"(?:node|cni|kube-controllers|calico)[a-z-]*:v?(\d+)\.(\d+)")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")

Version = t.Tuple[int, int]


def read_facts(
    api: KubeApi,
    store: Datastore,
    cluster_information: t.Callable[[], Object],
    before: Settings,
    after: Settings,
) -> SettingsFacts:
    """The facts for this change. What the user may not read is left out, which ``SettingsFacts`` can say."""
    facts = _node_facts(api, _block_facts(store))
    facts = replace(facts, unserved=_unserved(api, store, before, after))
    if before.cooldown_seconds == 0 and after.cooldown_seconds > 0:
        facts = replace(
            facts,
            versions=_versions(api, cluster_information()),
            keeps_released_at=_keeps_released_at(api, store),
            load_balancer=_load_balancer(store),
        )
    return facts


def _block_facts(store: Datastore) -> SettingsFacts:
    borrowed = vm_addresses = 0
    blocks_of: t.Dict[t.Tuple[str, int], int] = {}
    pools = [pool for pool in store.pools() if pool.enabled and "Workload" in pool.allowed_uses]
    taken: t.Dict[int, int] = {}
    for stored in store.list_blocks():
        block = stored.value
        version = block.cidr.version
        if block.deleted:
            continue
        if any(pool.cidr.contains(block.cidr) for pool in pools):
            taken[version] = taken.get(version, 0) + 1
        kind, host = block.owner or ("", "")
        if kind == "host":
            blocks_of[host, version] = blocks_of.get((host, version), 0) + 1
        vm, foreign = set(), set()
        for index, attribute in enumerate(block.attributes):
            owner = attribute.secondary or {}
            if host and (owner.get("node") or host) != host:
                foreign.add(index)
            if owner.get("vmi-name") or ".vmi." in (attribute.handle_id or ""):
                vm.add(index)
        if vm or foreign:
            borrowed += sum(1 for index in block.allocations if index in foreign)
            vm_addresses += sum(1 for index in block.allocations if index in vm)
    most: t.Dict[str, int] = {}
    for (host, _version), count in blocks_of.items():
        most[host] = max(most.get(host, 0), count)
    families = sorted({pool.version for pool in pools})
    return SettingsFacts(
        borrowed=borrowed,
        blocks_of=most,
        free_blocks=min((_free(pools, version, taken.get(version, 0)) for version in families), default=None),
        addresses_per_block=min((_block_size(pools, version) for version in families), default=None),
        vm_addresses=vm_addresses,
    )


def _free(pools: t.Sequence[Pool], version: int, taken: int) -> int:
    return max(0, sum(pool.block_count for pool in pools if pool.version == version) - taken)


def _block_size(pools: t.Sequence[Pool], version: int) -> int:
    return max(1 << (pool.cidr.bits - pool.block_size) for pool in pools if pool.version == version)


def _node_facts(api: KubeApi, facts: SettingsFacts) -> SettingsFacts:
    nodes: t.Dict[str, int] = {}
    windows: t.List[str] = []
    for node in _readable(api, NODES):
        name, status = node["metadata"]["name"], node.get("status") or {}
        pods = str((status.get("capacity") or {}).get("pods") or "")
        nodes[name] = int(pods) if pods.isdigit() else 0
        labels = node["metadata"].get("labels") or {}
        if "windows" in (labels.get("kubernetes.io/os"), (status.get("nodeInfo") or {}).get("operatingSystem")):
            windows.append(name)
    return replace(facts, nodes=nodes, windows_nodes=tuple(sorted(windows)))


def _versions(api: KubeApi, information: Object) -> t.Dict[str, Version]:
    """The version of every Calico component that says one: running pods by their images, and ClusterInformation."""
    versions: t.Dict[str, Version] = {}
    for pod in _readable(api, PODS, COMPONENTS):
        spec = pod["spec"]
        for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
            found = IMAGE.match(str(container.get("image") or "").rpartition("/")[2])
            if found:
                where = f"{container['name']} on {spec['nodeName']}" if spec.get("nodeName") else container["name"]
                versions[where] = int(found.group(1)), int(found.group(2))
    found = _VERSION.match(str((information.get("spec") or {}).get("calicoVersion") or ""))
    if found:
        versions["ClusterInformation default"] = int(found.group(1)), int(found.group(2))
    return versions


def _keeps_released_at(api: KubeApi, store: Datastore) -> t.Optional[bool]:
    if not isinstance(store, KubernetesStore):
        return True  # No schema stands between Calico and its own etcd.
    schema = served_schema(api, store.blocks)
    return None if schema is None else keeps(schema, ("spec", "attributes", ITEMS, "releasedAt"))


def _unserved(api: KubeApi, store: Datastore, before: Settings, after: Settings) -> t.Tuple[str, ...]:
    """Settings to be changed that the cluster's definition does not have."""
    schema = served_schema(api, store.config) if isinstance(store, KubernetesStore) else None
    if schema is None:
        return ()
    old = before.shown()
    changed = [member for member, value in after.shown().items() if value != old[member]]
    return tuple(member for member in changed if not keeps(schema, ("spec", member)))


def _load_balancer(store: Datastore) -> t.Tuple[str, ...]:
    pools = tuple(f"pool {pool.name}" for pool in store.pools() if "LoadBalancer" in pool.allowed_uses)
    if pools:
        return pools
    return tuple(f"block {row.value.cidr}" for row in store.list_affinities(affinity_type="virtual"))


def _readable(api: KubeApi, resource: Resource, label_selector: t.Optional[str] = None) -> t.List[Object]:
    try:
        return api.list(resource, label_selector=label_selector).items
    except (Forbidden, NotFound, UnknownResource):
        return []
