# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same move of all pods, done in three ways, and what the users of the cluster notice of each.

``our_drain`` is module ``ippool_drain``. ``delete_all`` is the recipe that is documented for Calico: delete all pods of
all namespaces. ``node_by_node`` is what ``kubectl drain`` does with one node after the other: cordon, evict what is no
DaemonSet's and no static pod, try refused evictions again every five seconds, wait until the evicted pods are gone,
uncordon; a node whose pods cannot be evicted within ten minutes is given up (``--timeout=10m``).

All begin with the new pool enabled and the old one disabled, and end when the cluster rests.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from drain_load import OLD, OLD_CIDR, make_load, prepare
from simulation import SimulatedApi, SimulatedClock
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, TooManyRequests
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    controller_of,
    is_finished,
    is_mirror,
    is_ready,
    is_terminating,
    on_host_network,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    IP_POOLS,
    NAMESPACES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Network,
    parse_address,
    parse_network,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event

# How long kubectl waits before it tries a refused eviction again.
_EVICTION_RETRY = 5.0
_NODE_TIMEOUT = 600.0
_LIMIT = 6 * 3600.0

Way = t.Callable[[SimulatedApi, str], None]


def our_drain(api: SimulatedApi, pool: str) -> None:
    given = DrainOptions(pool=pool, timeout=_LIMIT)
    drain_pool(api, given, SimulatedClock(api), lambda event: None, lambda text: None, check_mode=False)


def delete_all(api: SimulatedApi, pool: str) -> None:
    del pool
    for namespace in api.list(NAMESPACES).items:
        for pod in api.list(PODS, namespace["metadata"]["name"]).items:
            api.delete(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])


def node_by_node(api: SimulatedApi, pool: str) -> None:
    del pool
    for node in [each["metadata"]["name"] for each in api.list(NODES).items]:
        api.patch(NODES, node, {"spec": {"unschedulable": True}})
        waiting = [pod for pod in api.list(PODS, field_selector=f"spec.nodeName={node}").items if _is_drained(pod)]
        gone = {uid_of(pod) for pod in waiting}
        deadline = api.twin.clock.monotonic() + _NODE_TIMEOUT
        while waiting and api.twin.clock.monotonic() < deadline:
            waiting = [pod for pod in waiting if not _evicted(api, pod)]
            api.tick(_EVICTION_RETRY if waiting else 0.1)
        gone -= {uid_of(pod) for pod in waiting}
        while any(uid_of(pod) in gone for pod in api.list(PODS, field_selector=f"spec.nodeName={node}").items):
            api.tick(1.0)
        api.patch(NODES, node, {"spec": {"unschedulable": None}})


WAYS: dict[str, Way] = {
    "calico_ops.ipam.ippool_drain": our_drain,
    "delete all pods": delete_all,
    "kubectl drain, node by node": node_by_node,
}


def _is_drained(pod: Object) -> bool:
    owner = controller_of(pod)
    return not is_mirror(pod) and not is_finished(pod) and (owner is None or owner.kind != "DaemonSet")


def _evicted(api: SimulatedApi, pod: Object) -> bool:
    try:
        api.evict(pod["metadata"]["name"], pod["metadata"]["namespace"], uid=uid_of(pod))
    except TooManyRequests:
        return False
    except NotFound:
        return True
    return True


@dataclass
class Noticed:
    """What one way did to the cluster; times are seconds of the twin."""

    seconds: float = 0.0
    """Until the cluster rested again."""
    outages: dict[str, float] = field(default_factory=dict)
    """How long each workload of several replicas was without a ready one."""
    single_outages: dict[str, float] = field(default_factory=dict)
    """The same for workloads of one replica."""
    missing: float = 0.0
    """Pods that should have been ready and were not, times the seconds."""
    budgets: int = 0
    """Disruption budgets that were violated."""
    started: int = 0
    """Pods that were started."""
    left: int = 0
    """Pods that still have an address of the old pool."""


class _Watch:
    """Follows the pods of one cluster; ``ready`` by the name of the workload."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._owners: dict[str, str] = {}
        self._ready: dict[str, set[str]] = {}
        self.wanted: Counter[str] = Counter()
        self.without: Counter[str] = Counter()
        self.missing = 0.0
        for pod in twin.objects.list(PODS):
            self._look(pod)
        self.wanted = Counter({name: len(ready) for name, ready in self._ready.items() if ready})
        self._at = twin.clock.monotonic()
        self._stop = twin.objects.subscribe(self._on_event, PODS)

    def stop(self) -> None:
        self._pass()
        self._stop()

    def _pass(self) -> None:
        now = self._twin.clock.monotonic()
        for name, wanted in self.wanted.items():
            ready = len(self._ready[name])
            self.missing += max(0, wanted - ready) * (now - self._at)
            if ready == 0:
                self.without[name] += now - self._at  # type: ignore[assignment]
        self._at = now

    def _on_event(self, event: Event) -> None:
        self._pass()
        if event.type == "DELETED":
            self._ready[self._owner(event.object)].discard(uid_of(event.object))
        else:
            self._look(event.object)

    def _look(self, pod: Object) -> None:
        ready = self._ready.setdefault(self._owner(pod), set())
        if is_ready(pod) and not is_terminating(pod) and not is_finished(pod):
            ready.add(uid_of(pod))
        else:
            ready.discard(uid_of(pod))

    def _owner(self, pod: Object) -> str:
        uid = uid_of(pod)
        if uid not in self._owners:
            owner = controller_of(pod)
            name = f"Pod {pod['metadata']['name']}" if owner is None else f"{owner.kind} {owner.name}"
            if owner is not None and owner.kind == "ReplicaSet":
                # Of a Deployment: its name without the hash of the template.
                name = f"Deployment {owner.name.rpartition('-')[0]}"
            self._owners[uid] = f"{pod['metadata']['namespace']}/{name}"
        return self._owners[uid]


def move(twin: Twin, pool: str, network: Network, way: Way) -> Noticed:
    """Let one of the ``WAYS`` move the pods of a twin at rest. Jobs come and go; they are not counted."""
    twin.recorder.restart()
    watch = _Watch(twin)
    began = twin.clock.monotonic()
    way(SimulatedApi(twin), pool)
    waiting = twin.settle(_LIMIT)
    if waiting:
        raise RuntimeError(f"the cluster does not come to rest: {waiting}")
    seconds = twin.clock.monotonic() - began - twin.quiet
    watch.stop()
    record = twin.recorder.record()
    without = {name: span for name, span in watch.without.items() if span > 0.05 and "/Job " not in name}
    return Noticed(
        seconds,
        {name: span for name, span in without.items() if watch.wanted[name] > 1},
        {name: span for name, span in without.items() if watch.wanted[name] == 1},
        watch.missing,
        len({each["object"] for each in record["budget_violations"]}),
        int(record["counts"]["podsCreated"]),
        sum(
            not on_host_network(pod)
            and not is_finished(pod)
            and network.contains(parse_address(pod["status"].get("podIP") or "0.0.0.0"))
            for pod in twin.objects.list(PODS)
        ),
    )


def tutorial() -> tuple[Twin, str, Network]:
    """The cluster of Calico's guide with a new pool, the old one disabled; the pool and its range."""
    twin, pool = local_twin("tutorial"), "default-ipv4-ippool"
    api = SimulatedApi(twin)
    spec = api.get(IP_POOLS, pool)["spec"]
    new = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": "new"}}
    api.create(IP_POOLS, {**new, "spec": {**spec, "cidr": "10.0.0.0/16"}})
    api.patch(IP_POOLS, pool, {"spec": {"disabled": True}})
    twin.settle()
    return twin, pool, parse_network(spec["cidr"])


def large(pods: int, nodes: int) -> tuple[Twin, str, Network]:
    """The load of ``drain_load.py``, ready to be moved."""
    return prepare(make_load(pods, nodes), nodes), OLD, parse_network(OLD_CIDR)
