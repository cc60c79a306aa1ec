# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Why a new pod got an address of a pool that should give none."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of, metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import pin
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped


def why_enabled(api: KubeApi, pool_name: str) -> str:
    """That the pool gives out addresses, and who saw to it, as a clause; ``""`` when it does not (hazards.md D03)."""
    try:
        pool = api.get(IP_POOLS, pool_name)
    except NotFound:
        return ""
    return "" if is_stopped(pool.get("spec") or {}) else f"it has been enabled again{_last_writer(pool)}"


def why_in_pool(api: KubeApi, pool_name: str, network: Network, pod: PodFacts) -> str:
    """The likeliest cause, as the second half of a sentence (hazards.md D03, B15, B16)."""
    try:
        pool = api.get(IP_POOLS, pool_name)
    except NotFound:
        return "the pool has been deleted meanwhile, and another pool covers the address"
    spec = pool.get("spec") or {}
    if not is_stopped(spec):
        return f"the pool has been enabled again{_last_writer(pool)}"
    tie = pin(pod.pins, pool_name, network)
    if tie:
        return f"its annotation {tie} ties it to the pool; change it in the pod template"
    try:
        tie = pin(annotations_of(api.get(NAMESPACES, pod.namespace)), pool_name, network)
    except ApiError:
        tie = ""
    if tie:
        return f"the annotation {tie} of its namespace ties it to the pool"
    return (
        f"the pool gives no address by itself, so the CNI configuration of node {pod.node or 'unknown'} may name it "
        "(ipv4_pools, ipv6_pools), or the pod was given its address before the pool was stopped"
    )


def _last_writer(thing: Object) -> str:
    entries = [entry for entry in metadata_of(thing).get("managedFields") or () if entry.get("time")]
    if not entries:
        return ""
    last = max(entries, key=lambda entry: str(entry["time"]))
    return f" (last written by {last.get('manager') or 'someone unnamed'} at {last['time']})"
