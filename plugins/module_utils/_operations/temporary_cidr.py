# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Find room for a pool: for the temporary one of a change of the block size, or for a new range."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import largest_prefix_that_fits
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import (
    BY_CLUSTER_CIDR,
    local_traffic_mode,
    pod_ranges,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import demand_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.known_ranges import known_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation

# Where to look outside the cluster's pod range: the private ranges (RFC 1918), then the shared one (RFC 6598).
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


@dataclass(frozen=True)
class Proposal:
    """A free range; ``reason`` says where it lies and for how much it is enough.

    ``inside``: it lies in the range that the cluster knows as that of its pods. ``consequences``
    are sentences on what comes with it, most of them when it does not.
    """

    cidr: Network
    reason: str
    inside: bool = True
    consequences: tuple[str, ...] = ()

    def as_result(self) -> dict[str, t.Any]:
        return {
            "cidr": str(self.cidr),
            "inside_pod_range": self.inside,
            "reason": self.reason,
            "consequences": list(self.consequences),
        }


def propose_temporary_cidr(now: Situation) -> Proposal | None:
    """A free range that holds the pool's pods for a while; None when there is none.

    Inside the cluster's pod range where there is room, for full nodes or at least for the pods of
    today; else outside. It overlaps nothing that ``known_ranges`` knows.
    """
    size = now.request.target.get("block_size") or (
        now.source.spec.get("blockSize") if now.source is not None else None
    )
    return _propose(now, size)


def propose_new_cidr(now: Situation) -> Proposal | None:
    """A free range inside the cluster's pod range for good: as large as the old one, or enough for full nodes."""
    if now.source is None or now.source.pool is None:
        return None
    found = _propose(now, now.request.block_size, (now.source.pool.cidr.prefix,))
    return found if found is not None and found.inside else None


def _propose(now: Situation, size: t.Any, prefixes: tuple[int, ...] = ()) -> Proposal | None:
    if now.source is None or now.source.pool is None:
        return None
    pool = now.source.pool
    if not isinstance(size, int) or not 0 < size <= pool.cidr.bits:
        return None
    demand = demand_of(pool, now)
    nodes = demand.nodes + demand.more_nodes
    full = largest_prefix_that_fits(pool.version, demand.per_node, nodes, size)
    spread = -(-demand.addresses // max(demand.nodes, 1))
    today = largest_prefix_that_fits(
        pool.version, max(spread, demand.busiest_node_pods + demand.surge + demand.tunnels), nodes, size
    )
    wanted = [(prefix, f"as large as {pool.cidr}", "") for prefix in prefixes if prefix <= full]
    wanted.append((full, f"enough for {nodes} full nodes", ""))
    if today > full and not prefixes:
        said = "It is enough for the pods of today, and not for nodes that are filled up meanwhile."
        wanted.append((today, f"enough for the {demand.pods} pods of today on {demand.nodes} nodes", said))
    known = [each.network for each in known_ranges(now.view, now.request.external_ranges)]
    ranges = [each for each in pod_ranges(now.view) if any(n.version == pool.version for n in each.networks)]
    for prefix, enough, consequence in wanted:
        for each in ranges[:1]:
            for network in each.networks:
                if network.version == pool.version and network.prefix <= prefix:
                    free = first_free(network, prefix, known)
                    if free is not None:
                        more = (consequence,) if consequence else ()
                        return Proposal(free, f"inside {each.source}, {enough}", True, more)
    known += [network for each in ranges for network in each.networks]
    return _outside(now, pool.cidr, (full, f"enough for {nodes} full nodes"), known, bool(ranges))


def _outside(
    now: Situation, old: Network, wanted: tuple[int, str], known: t.Sequence[Network], named: bool
) -> Proposal | None:
    if named and now.view.installation.operator.value:
        return None  # The operator refuses what lies outside the platform's range (B24).
    prefix, enough = wanted
    for network in _private(old):
        free = first_free(network, prefix, known) if network.prefix <= prefix else None
        if free is not None:
            where = (
                "there is no room for it inside the cluster's pod range" if named else "no range is known to hold pods"
            )
            return Proposal(free, f"{where}; {enough}", False, tuple(_consequences(now, free)))
    return None


def _private(old: Network) -> t.Iterator[Network]:
    if old.version == 4:
        yield from (parse_network(text) for text in _PRIVATE)
        return
    # A unique local prefix (RFC 4193) that is the same at each run on the same pool.
    digest = int.from_bytes(hashlib.sha256(str(old).encode()).digest()[:5], "big")
    yield Network(6, (0xFD << 120) | (digest << 80), 48)


def _consequences(now: Situation, cidr: Network) -> t.Iterator[str]:
    if now.view.ebpf or local_traffic_mode(now.view) != BY_CLUSTER_CIDR:
        yield f"Parts of the cluster that go by its pod range do not count pods in {cidr} as pods."
    else:
        yield (
            f"kube-proxy masquerades Service traffic of pods in {cidr}, so NetworkPolicies that name pods or "
            "namespaces "
            "deny it; widen its clusterCIDR and restart it before the first pod moves."
        )
    yield f"Firewalls, routers and BGP filters outside must let {cidr} through, unless natOutgoing hides it."
    yield f"NO_PROXY and kubelet settings on the nodes do not name {cidr}."
    yield f"Whether {cidr} is in use outside the cluster cannot be seen from it."


def first_free(network: Network, prefix: int, busy: t.Iterable[Network]) -> Network | None:
    """The first subnet of ``network`` with this prefix that overlaps none of the busy ones."""
    step = 1 << (network.bits - prefix)
    taken = sorted((other for other in busy if other.overlaps(network)), key=lambda other: other.value)
    value = network.value
    for other in taken:
        if other.value >= value + step:
            break
        end = other.value + other.size
        if end > value:
            value = -(-end // step) * step
    return Network(network.version, value, prefix) if value + step <= network.value + network.size else None
