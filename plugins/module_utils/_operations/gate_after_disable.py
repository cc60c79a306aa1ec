# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""After a pool was stopped: every tunnel address must have left it, and no new pod may have come to it.

calico-node moves its addresses within seconds of the change (spec ipam-engine.md §17.2). A node that gets no
other address loses its tunnel, so the pool must be enabled again when this does not end well (hazards D01 to D03).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    IP_POOLS,
    NAMESPACES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Notice, Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import POOL_ANNOTATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.tunnels import DEVICES, Device, serves
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_windows
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.last_write import (
    last_write,
    last_writer_clause,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import (
    Tunnel,
    node_names_ready,
    shown_with_tunnels,
    tunnel_source,
    tunnels_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    read_pools,
    require,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import Report
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import (
    NODE_SELECTOR,
    VIRT_LAUNCHER,
    VIRT_LAUNCHER_LABEL,
    is_stopped,
    way_of,
)

#: Members of a pool's spec that say whether it is stopped.
STOPPING = ("disabled", "nodeSelector")
_ASKING = (*POOL_ANNOTATIONS.values(), "cni.projectcalico.org/ipAddrs")

NAMED = 5
Key = t.Tuple[str, Device]


@dataclass(frozen=True)
class TunnelProgress:
    """Progress: how many tunnel addresses have moved, and whose have not."""

    pool: str
    moved: int
    total: int
    left: tuple[str, ...]

    def __str__(self) -> str:
        waiting = f", waiting for {_some(self.left)}" if self.left else ""
        return f"IPPool {self.pool}: {self.moved} of {self.total} tunnel addresses are out of it{waiting}"


@dataclass
class _Seen:
    """The nodes and the pool as the watches tell of them."""

    pool: str
    network: Network
    waiting: set[str]
    nodes: dict[str, Object] = field(default_factory=dict)
    tunnels: dict[str, dict[Device, Address]] = field(default_factory=dict)
    stopped: bool | None = None

    def take(self, notice: Notice) -> bool:
        """Whether the notice may have changed the answer."""
        source, change = notice.source, notice.change
        if change.type == "SYNCED":
            self.waiting.discard(source)
            return True
        name = str(change.object["metadata"]["name"])
        gone = change.type == "DELETED"
        if source == "pools":
            if name != self.pool:
                return False
            self.stopped = not gone and is_stopped(change.object.get("spec") or {})
            return True
        if source == "nodes":
            if gone:
                self.nodes.pop(name, None)
            else:
                self.nodes[name] = change.object
        if source == "tunnels" or "tunnels" not in self.sources:
            found = {} if gone else {each.device: each.address for each in _tunnels(change.object)}
            changed = self.tunnels.get(name, {}) != found
            self.tunnels[name] = found
            return changed or source == "nodes"
        return True

    sources: frozenset[str] = frozenset()

    def unmoved(self, expected: t.Collection[Key]) -> list[tuple[Key, str]]:
        """What still keeps an address in the pool, or has none although it should; with what is wrong."""
        ready = node_names_ready(self.nodes.values())
        left = []
        wanted = set(expected) | {(name, device) for name, found in self.tunnels.items() for device in found}
        for name, device in sorted(wanted, key=lambda key: (key[0], key[1].type)):
            if name not in ready:
                continue
            address = self.tunnels.get(name, {}).get(device)
            if address is not None and self.network.contains(address):
                left.append(((name, device), f"its {device} address is still {address}"))
            elif address is None and (name, device) in expected:
                left.append(((name, device), f"it has no {device} address any more"))
        return left


def after_disable(
    api: PagedApi,
    name: str,
    *,
    tunnels: t.Sequence[Tunnel] | None,
    since: str | None,
    timeout: float,
    clock: Clock,
    report: Report,
) -> dict[str, t.Any]:
    """Wait until every tunnel address is out of the stopped pool, then prove that no young pod has an address in it.

    ``tunnels`` are those there were before, None where nobody wrote them down. A node is also expected to have an
    address of every device that a pool serves it for. ``since`` is when the pool was stopped, RFC 3339, by
    default when that field of the pool was written last. Nodes that are not ready are waited for no longer than
    the others and reported, since nobody runs there who could move their addresses. Refused when it does not
    come to that within ``timeout`` seconds, and when the pool is enabled.
    """
    pools = read_pools(api)
    live = require(pools, name)
    _require_stopped(live)
    network = live.pool_cidr
    if network is None:
        raise Refused(f"IPPool {name!r} cannot be checked: its CIDR {live.spec.get('cidr')!r} does not parse.")
    expected = {(tunnel.node, tunnel.device) for tunnel in tunnels} if tunnels is not None else None
    moved, not_ready = _wait(api, live, network, expected, timeout, clock, report)
    young = _young_pods(api, live, network, since)
    return {
        "tunnels": [each.as_result() for each in moved],
        "not_ready": not_ready,
        "young_pods": young,
        "since": _stopped_since(live, since),
    }


def _wait(
    api: PagedApi,
    live: StoredPool,
    network: Network,
    expected: set[Key] | None,
    timeout: float,
    clock: Clock,
    report: Report,
) -> tuple[list[Tunnel], list[str]]:
    begun = clock.monotonic()
    source = tunnel_source(api)
    sources = {"pools", "nodes"} | ({"tunnels"} if source != NODES else set())
    seen = _Seen(live.name, network, set(sources), sources=frozenset(sources))
    complete = False
    told = -1
    with Watches(api) as watches:
        watches.follow("pools", IP_POOLS)
        watches.follow("nodes", NODES)
        if source != NODES:
            watches.follow("tunnels", source)
        left: list[tuple[Key, str]] = []
        while True:
            notice = watches.next(max(0.0, begun + timeout - clock.monotonic()))
            if notice is None:
                break
            if not seen.take(notice) or seen.waiting:
                continue
            if not seen.stopped:
                _require_stopped(require(read_pools(api), live.name))
            if not complete:
                # A run that was killed has seen only what was left of the addresses before.
                expected = (expected or set()) | _expected(seen, engine_pools(read_pools(api)))
                complete = True
            expected = expected or set()
            left = seen.unmoved(expected)
            total = len(expected | {key for key, _why in left})
            if len(left) != told:
                told = len(left)
                report(
                    TunnelProgress(live.name, total - told, total, tuple(f"{key[1]} of {key[0]}" for key, _w in left))
                )
            if not left:
                break
    ready = node_names_ready(seen.nodes.values())
    failed = [(key, why) for key, why in left if ready.get(key[0])]
    if failed or seen.waiting:
        raise _not_moved(live.name, failed, clock.monotonic() - begun)
    moved = [
        Tunnel(node, device, address)
        for node, found in sorted(seen.tunnels.items())
        for device, address in found.items()
        if not network.contains(address)
    ]
    return moved, sorted({key[0] for key, _why in left})


def _expected(seen: _Seen, pools: t.Sequence[Pool]) -> set[Key]:
    """What every node should have, where nobody wrote down what it had: calico-node takes what a pool offers."""
    in_use = {device for found in seen.tunnels.values() for device in found}
    expected = set()
    for name, node in seen.nodes.items():
        labels, annotations = calico_labels(node), annotations_of(node)
        for device in DEVICES:
            if device not in in_use or is_windows(node) or (device.key and not annotations.get(device.key)):
                continue
            if any(serves(pool, device, labels) for pool in pools):
                expected.add((name, device))
    return expected


def _not_moved(name: str, failed: t.Sequence[tuple[Key, str]], waited: float) -> Refused:
    whys: dict[str, list[str]] = {}
    for (node, _device), why in failed:
        whys.setdefault(node, []).append(why)
    shown = _some([f"node {node} ({' and '.join(words)})" for node, words in whys.items()])
    return Refused(
        f"IPPool {name!r} is stopped, and after {waited:.0f} seconds these nodes have no tunnel address elsewhere: "
        f"{shown or 'nobody could be asked'}; enable it again before traffic to those nodes is lost, and see the log "
        "of calico-node there.",
        pool=name,
        nodes=[{"node": node, "type": device.type, "why": why} for (node, device), why in failed],
    )


def _require_stopped(live: StoredPool) -> None:
    if not is_stopped(live.spec):
        raise Refused(
            f"IPPool {live.name!r} gives out addresses: it is neither disabled nor has it a nodeSelector that matches "
            f"nothing; {last_writer_clause(live.thing, STOPPING)}.",
            pool=live.name,
        )


def _stopped_since(live: StoredPool, since: str | None) -> str:
    """The later of what the caller knows and what the server does, so that clocks that differ accuse no pod."""
    written = last_write(live.thing, STOPPING)
    return max(since or "", written.time if written else "")


def _young_pods(api: KubeApi, live: StoredPool, network: Network, since: str | None) -> list[str]:
    """D03: pods created after the pool was stopped must have no address of it, unless they ask for it.

    Those that ask are returned; anybody else is refused.
    """
    begun = _stopped_since(live, since)
    if not begun:
        return []
    young = [
        pod
        for pod in api.list(PODS).items
        if str(pod["metadata"].get("creationTimestamp") or "") > begun
        and any(network.contains(address) for address in pod_addresses(pod))
    ]
    asking = set() if not young else {item["metadata"]["name"] for item in api.list(NAMESPACES).items if _asks(item)}
    allowed = way_of(live.spec) == NODE_SELECTOR
    accused = [pod for pod in young if not (allowed and (_asks(pod) or pod["metadata"]["namespace"] in asking))]
    if accused:
        named = [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in accused]
        raise Refused(
            f"IPPool {live.name!r} is stopped since {begun}, and pods created later have addresses of it: "
            f"{_some(named)}; {last_writer_clause(live.thing, STOPPING)}; find out who enabled it in between.",
            pool=live.name,
            pods=named,
        )
    return [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in young]


def _asks(thing: Object) -> bool:
    notes, labels = annotations_of(thing), thing["metadata"].get("labels") or {}
    return any(notes.get(key) for key in _ASKING) or labels.get(VIRT_LAUNCHER_LABEL) == VIRT_LAUNCHER


def _some(names: t.Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown


def _tunnels(thing: Object) -> list[Tunnel]:
    return tunnels_of(shown_with_tunnels(thing))
