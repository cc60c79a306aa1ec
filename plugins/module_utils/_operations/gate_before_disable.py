# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Before a pool is stopped: somebody else must serve every tunnel and every workload that it serves now.

Stopping a pool moves the tunnel addresses of all nodes at once, and takes them away where no other pool
qualifies (spec ipam-engine.md §17.2; hazards D01, D02, B14, D04, A03). What would happen is tried on a copy
of the IPAM records, so that blocks, limits, borrowing and reservations count as they do for Calico.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NAMESPACES, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import (
    BY_TYPE,
    DEVICES,
    Device,
    serves,
    why_no_tunnel,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_answer import (
    SELECTORS,
    USUAL,
    Answer,
    Place,
    decide,
    read_cni,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import CniConfig
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_windows
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gate_closed import (
    managers_of,
    operator_complaints,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import Holding
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import (
    Tunnel,
    node_names_ready,
    tunnels_in,
    tunnels_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_condition import wait_until_allocatable
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    read_pools,
    require,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writers import pool_writer
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import Report, held_now
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.rehearsal import Rehearsal
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import (
    StopWay,
    is_stopped,
    machines_in,
    stop_way,
)

#: Ids of preflight checks; one that was waived there is not asked again here.
OF_SELECTORS = ("selector-covers-nodes",)
OF_REQUESTS = ("pool-pinned", "cni-config-pins-pool", "fixed-addresses")
OF_SIGHT = ("rights-sufficient", "cni-config-pins-pool")
OF_ROOM = ("block-count", "host-block-limit", "address-capacity")

NAMED = 5


@dataclass(frozen=True)
class LeftOut:
    """Somebody who would get no address once the pool is stopped; ``waivers`` are ids that let it be."""

    kind: str
    name: str
    why: str
    waivers: tuple[str, ...] = ()

    def as_result(self) -> dict[str, t.Any]:
        return {"kind": self.kind, "name": self.name, "why": self.why, "waivers": list(self.waivers)}


@dataclass(frozen=True)
class _View:
    """What is looked at, read once. ``pool`` is the one to be stopped, ``after`` all pools once it is."""

    pool: Pool
    before: t.Sequence[StoredPool]
    after: t.Sequence[StoredPool]
    nodes: t.Mapping[str, Object]
    namespaces: t.Mapping[str, Object]
    pods: t.Sequence[Object]
    config: CniConfig
    held: t.Sequence[Holding]
    tunnels: t.Sequence[Tunnel]
    answers: dict[t.Any, Answer] = field(default_factory=dict)

    def answer(self, namespace: str, node: str, *, stopped: bool) -> Answer:
        """Which pools serve new pods of a namespace on a node; the same for all nodes with the same labels."""
        labels = frozenset(calico_labels(self.nodes[node]).items())
        key = (namespace, labels, stopped)
        if key not in self.answers:
            place = Place([self.nodes[node]], True, self.namespaces.get(namespace))
            self.answers[key] = decide(place, self.after if stopped else self.before, self.config)
        return self.answers[key]


def before_disable(
    api: PagedApi,
    store: Datastore,
    name: str,
    *,
    target: str | None,
    waivers: t.Collection[str] = (),
    timeout: float,
    clock: Clock,
    report: Report,
) -> dict[str, t.Any]:
    """Prove that ``name`` may be stopped, and tell how.

    ``target`` is the pool that is to serve from then on; for ``timeout`` seconds it is waited for until it is
    allocatable where v3 CRDs are the store. Refused naming the nodes and namespaces that would be left out.
    """
    pools = read_pools(api)
    live = require(pools, name)
    pool = live.pool()
    if pool is None:
        raise Refused(f"IPPool {name!r} cannot be stopped safely: its CIDR {live.spec.get('cidr')!r} does not parse.")
    _require_content_operator(api, name)
    if target is not None:
        require_target(api, require(pools, target), pool, clock=clock, timeout=timeout, report=report)
    taken = clock.now()
    pods, held = list(api.list(PODS).items), held_now(api, store, pool.cidr, clock)
    inside = [pod for pod in pods if any(pool.cidr.contains(address) for address in pod_addresses(pod))]
    way = stop_way(
        machines_in(held, inside),
        store.settings().vm_address_persistence,
        can_disable=bool(live.spec.get("disabled")) or pool_writer(api, detect(api)).can_disable(name),
    )
    view = _view(api, pools, live, pool, way, pods, held, waivers)
    report(f"IPPool {name}: looking who would serve {len(view.tunnels)} tunnel addresses and {len(inside)} pods")
    rehearsal = Rehearsal(store, engine_pools(view.after), view.nodes.values(), clock.now)
    left = [*_without_pool(view)]
    if not left:
        left = [*_without_tunnel(view, rehearsal), *_without_address(view, inside, rehearsal)]
    waived = [each for each in left if set(each.waivers) & set(waivers)]
    left = [each for each in left if each not in waived]
    result = {
        **way.as_result(),
        "stopped": is_stopped(live.spec),
        "taken": format_time(taken),
        "managers": managers_of(live),
        "tunnels": [tunnel.as_result() for tunnel in view.tunnels],
        "left_out": [each.as_result() for each in (*left, *waived)],
    }
    if left:
        raise Refused(f"IPPool {name!r} must not be stopped yet: {sentence_of(left)}.", pool=name, **result)
    return result


def require_target(
    api: PagedApi, target: StoredPool, pool: Pool, *, clock: Clock, timeout: float, report: Report
) -> None:
    """Refused unless addresses can be taken from the pool that is to serve instead."""
    other = target.pool()
    if other is None or other.version != pool.version:
        raise Refused(
            f"IPPool {target.name!r} cannot take over from {pool.name!r}: its CIDR is {target.spec.get('cidr')!r}, and "
            f"an IPv{pool.version} one is needed.",
            pool=target.name,
        )
    if target.terminating or is_stopped(target.spec):
        how = "being deleted" if target.terminating else "stopped itself"
        raise Refused(
            f"IPPool {target.name!r} cannot take over from {pool.name!r}: it is {how}; no node would have a pool.",
            pool=target.name,
        )
    if detect(api).mode.value == CRD_V3:
        wait_until_allocatable(api, target, clock=clock, timeout=timeout, report=report)


def _require_content_operator(api: PagedApi, name: str) -> None:
    """B20, B21: an operator that cannot carry out what its Installation says could not take it back either."""
    complaints = list(operator_complaints(calico_api(api).raw, detect(api)))
    if complaints:
        status, what = complaints[0]
        raise Refused(
            f"IPPool {name!r} must not be stopped yet: the Tigera operator manages pools and is not content itself; "
            f"see TigeraStatus {status} and {what}.",
            pool=name,
            status=status,
        )


def sentence_of(left: t.Sequence[LeftOut]) -> str:
    """Who is left out, by reason, the first few by name."""
    by_reason: dict[tuple[str, str], dict[str, None]] = {}
    for each in left:
        by_reason.setdefault((each.kind, each.why), {})[each.name] = None
    parts = []
    for (kind, why), unique in by_reason.items():
        names = list(unique)
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        parts.append(f"{kind} {shown}: {why}".strip() if shown else f"{kind}: {why}")
    return "; ".join(parts)


def _view(
    api: PagedApi,
    pools: t.Sequence[StoredPool],
    live: StoredPool,
    pool: Pool,
    way: StopWay,
    pods: t.Sequence[Object],
    held: t.Sequence[Holding],
    waivers: t.Collection[str],
) -> _View:
    config, unreadable = read_cni(api)
    if config is None and unreadable and not set(OF_SIGHT) & set(waivers):
        raise Refused(
            f"IPPool {live.name!r} must not be stopped yet: whether the CNI configuration asks for it is not known, "
            f"since {', '.join(unreadable)} cannot be read; look at what the nodes have with the playbook "
            f"calico_ops.ipam.preflight_hosts, then waive {' or '.join(OF_SIGHT)}.",
            pool=live.name,
            unreadable=list(unreadable),
        )
    nodes = {str(node["metadata"]["name"]): node for node in api.list(NODES).items}
    stopped = StoredPool(live.name, {**live.thing, "spec": {**live.spec, **way.changes}})
    return _View(
        pool=pool,
        before=pools,
        after=[stopped if each.name == live.name else each for each in pools],
        nodes=nodes,
        namespaces={str(item["metadata"]["name"]): item for item in api.list(NAMESPACES).items},
        pods=[pod for pod in pods if pod["spec"].get("nodeName") in nodes and pod_addresses(pod)],
        config=config or USUAL,
        held=held,
        tunnels=_tunnels(nodes.values(), pool, held),
    )


def _tunnels(nodes: t.Iterable[Object], pool: Pool, held: t.Sequence[Holding]) -> list[Tunnel]:
    """Tunnel addresses in the pool, by what nodes say and by what is allocated, which may be ahead of it."""
    found = {(tunnel.node, tunnel.device): tunnel for tunnel in tunnels_in(nodes, pool.cidr)}
    for holding in held:
        device = BY_TYPE.get(holding.holder.name)
        if device is not None and holding.holder.node and pool.cidr.contains(holding.address):
            found.setdefault((holding.holder.node, device), Tunnel(holding.holder.node, device, holding.address))
    return sorted(found.values(), key=lambda tunnel: (tunnel.node, tunnel.device.type))


def _without_pool(view: _View) -> t.Iterator[LeftOut]:
    """A03: a family without any pool makes calico-node create one of its own at its next start."""
    stopped = {each.name for each in view.after if is_stopped(each.spec)}
    if view.nodes and not any(
        other.version == view.pool.version
        and other.enabled
        and other.name != view.pool.name
        and "LoadBalancer" not in other.allowed_uses
        and other.name not in stopped
        for other in engine_pools(view.after)
    ):
        yield LeftOut(f"all {len(view.nodes)} nodes", "", f"no other enabled IPv{view.pool.version} pool is left")


def _without_tunnel(view: _View, rehearsal: Rehearsal) -> t.Iterator[LeftOut]:
    others = [pool for pool in engine_pools(view.after) if pool.name != view.pool.name]
    for node, device in _lost(view):
        problem = rehearsal.tunnel(node, device)
        if problem is not None:
            yield LeftOut(
                "node", node, f"the pool is stopped already, and it has lost its {device} address ({problem})"
            )
    for tunnel in view.tunnels:
        if tunnel.node not in view.nodes:
            continue  # Nobody runs there who could want it; the garbage collection takes it.
        problem = rehearsal.tunnel(tunnel.node, tunnel.device)
        if problem is None:
            continue
        labels = calico_labels(view.nodes[tunnel.node])
        whys = [f"{pool.name} {why}" for pool in others if (why := why_no_tunnel(pool, tunnel.device, labels))]
        detail = problem if len(whys) < len(others) else "; ".join(whys) or "there is no other pool"
        yield LeftOut("node", tunnel.node, f"it would lose its {tunnel.device} address ({detail})")


def _lost(view: _View) -> t.Iterator[tuple[str, Device]]:
    """Where a run was killed after the stop: devices in use that the pool served, on nodes that have none any more."""
    if not view.pool.disabled:
        return
    before = replace(view.pool, disabled=False, allocatable=True)
    have = {(tunnel.node, tunnel.device) for node in view.nodes.values() for tunnel in tunnels_of(node)}
    in_use = {device for _node, device in have}
    ready = node_names_ready(view.nodes.values())
    for name, node in view.nodes.items():
        if not ready[name] or is_windows(node):
            continue
        for device in DEVICES:
            keyed = not device.key or annotations_of(node).get(device.key)
            if (
                device in in_use
                and keyed
                and (name, device) not in have
                and serves(before, device, calico_labels(node))
            ):
                yield name, device


def _without_address(view: _View, inside: t.Sequence[Object], rehearsal: Rehearsal) -> t.Iterator[LeftOut]:
    version = view.pool.version
    here = {(pod["metadata"]["namespace"], pod["spec"].get("nodeName")) for pod in inside}
    places = {(pod["metadata"]["namespace"], str(pod["spec"]["nodeName"])) for pod in view.pods}
    tried: set[str] = set()
    for namespace, node in sorted(places):
        after = view.answer(namespace, node, stopped=True)
        serving = [entry for entry in after.serve if entry["ip_version"] == version]
        if serving:
            if node in tried or (namespace, node) not in here:
                continue
            tried.add(node)
            ranges = [pool.cidr for pool in engine_pools(view.after) if pool.name in {each["pool"] for each in serving}]
            labels = (view.namespaces.get(namespace) or {}).get("metadata", {}).get("labels") or {}
            problem = rehearsal.pod(node, version, ranges, labels)
            if problem is not None:
                yield LeftOut("node", node, f"no address is left for its pods ({problem})", OF_ROOM)
            continue
        before = view.answer(namespace, node, stopped=False)
        if (namespace, node) in here or any(entry["ip_version"] == version for entry in before.serve):
            source = after.source.get(f"ipv{version}", SELECTORS)
            pinned = source not in (SELECTORS, "nothing")
            why = after.problems[0].rstrip(".") if after.problems else "no pool serves it"
            yield LeftOut(
                "namespace",
                namespace if pinned else f"{namespace} on {node}",
                f"{source} asks for a pool that would be stopped ({why})" if pinned else why,
                OF_REQUESTS if pinned else OF_SELECTORS,
            )
