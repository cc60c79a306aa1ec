# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of address ranges: do the pools overlap anything, are they where the cluster expects pods."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import supply_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import (
    BY_CLUSTER_CIDR,
    Ranges,
    local_traffic_mode,
    pod_ranges,
    service_ranges,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import MIGRATE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.known_ranges import (
    ANNOUNCED,
    NODE,
    OUTSIDE,
    PEER,
    SERVICE_ADDRESS,
    known_ranges,
    node_networks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_ipam import listed
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import (
    OVERLAP_RULE,
    new_ranges,
    rule_errors,
    to_write,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    Wanted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.temporary_cidr import propose_temporary_cidr

# Kind of a known range, what its owners are called, what would happen.
_IN_THE_WAY = (
    (NODE, "nodes", "pods would be given them too"),
    (PEER, "BGP peers", "nodes would lose their routes to them"),
)


def pool_overlap(now: Situation) -> t.Iterator[Problem]:
    """B09: other pools, nodes, BGP peers, and networks that the user has named."""
    known = list(known_ranges(now.view, now.request.external_ranges))
    for pool in to_write(now):
        if pool.live is None:
            for error in rule_errors(now, pool):
                if error.rule == OVERLAP_RULE:
                    yield Problem(BLOCKER, error.message, "Choose a free range.", (f"IPPool {pool.name}",), False)
        if pool.pool is None or not pool.is_new:
            continue
        for kind, what, why in _IN_THE_WAY:
            hits = [each.what for each in known if each.kind == kind and each.network.overlaps(pool.pool.cidr)]
            if hits:
                yield Problem(
                    BLOCKER,
                    f"Pool {pool.name!r} ({pool.pool.cidr}) contains the addresses of {len(hits)} {what}, first "
                    f"{hits[0]}: "
                    f"{why}.",
                    f"Choose a range without {what}.",
                    listed(dict.fromkeys(hits)),
                )
        yield from _on_the_link(now, pool)
        for each in known:
            if each.kind in (OUTSIDE, ANNOUNCED) and each.network.overlaps(pool.pool.cidr):
                yield Problem(
                    BLOCKER,
                    f"Pool {pool.name!r} ({pool.pool.cidr}) overlaps {each.what}.",
                    "Choose a range outside it.",
                    (f"IPPool {pool.name}", str(each.network)),
                )


def _on_the_link(now: Situation, pool: Wanted) -> t.Iterator[Problem]:
    """A range in the nodes' own network, where they look for neighbours on the wire, and later nodes for addresses."""
    if pool.pool is None:
        return
    cidr = pool.pool.cidr
    links = [each for each in node_networks(now.view) if each.network.overlaps(cidr)]
    own = {each.network for each in known_ranges(now.view) if each.kind == NODE}
    if links and not any(network.overlaps(cidr) for network in own):
        before = now.source.pool.cidr if now.source is not None and now.source.pool is not None else None
        same = before is not None and any(each.network.overlaps(before) for each in links)
        yield Problem(
            WARNING if same else BLOCKER,
            f"Pool {pool.name!r} ({cidr}) lies in the network {links[0].network} of {counted(len(links), 'node')}, "
            f"first {links[0].what}: nodes that come later, and machines beside them, may have the addresses of pods"
            f"{'; so does the pool of today' if same else ''}.",
            "Choose a range outside the network of the nodes.",
            listed(dict.fromkeys(each.what for each in links)),
        )


def service_cidr(now: Situation) -> t.Iterator[Problem]:
    """B09: the Service range, and addresses of Services wherever they are."""
    known = [each for each in known_ranges(now.view) if each.kind == SERVICE_ADDRESS]
    for pool in new_ranges(now):
        if pool.pool is not None and not _knows_services(now, pool.pool.version):
            yield Problem(
                WARNING,
                f"Nothing in the cluster names its IPv{pool.pool.version} Service range, so pool {pool.name!r} "
                f"({pool.pool.cidr}) was compared only with the addresses that Services have now.",
                "Name the range (--service-cluster-ip-range of the API server, service-cidr of K3s and RKE2) in "
                "external_ranges.",
                (f"IPPool {pool.name}",),
            )
        for ranges in service_ranges(now.view):
            hit = [network for network in ranges.networks if pool.pool is not None and network.overlaps(pool.pool.cidr)]
            if hit and pool.pool is not None:
                yield Problem(
                    BLOCKER,
                    f"Pool {pool.name!r} ({pool.pool.cidr}) overlaps the Service range {hit[0]} ({ranges.source}).",
                    "Choose a range outside it.",
                    (f"IPPool {pool.name}",),
                )
                break
        used = [each for each in known if pool.pool is not None and each.network.overlaps(pool.pool.cidr)]
        # Those that lie in the Service range have been said with it.
        used = [each for each in used if not any(network.contains(each.network) for network in _service_networks(now))]
        if used:
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} ({pool.spec['cidr']}) contains the addresses of "
                f"{counted(len(used), 'Service')}, first "
                f"{used[0].what}.",
                "Choose a range without them.",
                listed(dict.fromkeys(each.what for each in used)),
            )


def _knows_services(now: Situation, version: int) -> bool:
    """Whether the Service range is known, or the user has named ranges, or no Service has such an address."""
    named = [*_service_networks(now), *now.request.external_ranges]
    used = [each.network for each in known_ranges(now.view) if each.kind == SERVICE_ADDRESS]
    return any(network.version == version for network in named) or not any(each.version == version for each in used)


def _service_networks(now: Situation) -> list[Network]:
    return [network for ranges in service_ranges(now.view) for network in ranges.networks]


def pool_inside_cluster_cidr(now: Situation) -> t.Iterator[Problem]:
    """B23 and B24: every source that names the pod range for this IP version (spec ippool.md §7.4); B46."""
    sources = list(pod_ranges(now.view))
    for pool in new_ranges(now):
        if pool.pool is None or "LoadBalancer" in pool.pool.allowed_uses:
            continue
        cidr = pool.pool.cidr
        named = [ranges for ranges in sources if any(network.version == cidr.version for network in ranges.networks)]
        outside = [ranges for ranges in named if not any(network.contains(cidr) for network in ranges.networks)]
        if not named:
            yield Problem(
                NOTE,
                f"Nothing in the cluster names its IPv{cidr.version} pod range, so whether pool {pool.name!r} ({cidr}) "
                "lies inside it could not be checked.",
                "Compare it with --cluster-cidr of kube-proxy and kube-controller-manager (with K3s and RKE2, "
                "cluster-cidr of the servers): where kube-proxy has a range, Service traffic of pods outside it is "
                "masqueraded.",
            )
        elif outside:
            severity, consequence = _outside(now, named, outside)
            ranges = ", ".join(str(network) for network in outside[0].networks if network.version == cidr.version)
            more = f", nor of {', '.join(each.source for each in outside[1:])}" if outside[1:] else ""
            yield Problem(
                severity,
                f"Pool {pool.name!r} ({cidr}) is not inside the cluster's pod range {ranges} "
                f"({outside[0].source}{more}): "
                f"{consequence}",
                _inside_remedy(now, pool),
                (f"IPPool {pool.name}", *(each.source for each in outside)),
            )


def _outside(now: Situation, named: t.Sequence[Ranges], outside: t.Sequence[Ranges]) -> tuple[str, str]:
    """How bad it is that some sources do not have the range, and why."""
    declared = WARNING if now.request.procedure == DECLARE else BLOCKER
    platform = [ranges for ranges in outside if "kubeadm-config" in ranges.source or "clusterNetwork" in ranges.source]
    if now.view.installation.operator.value and platform:
        return declared, f"the Tigera operator refuses pools outside {platform[0].source}."
    if now.view.ebpf:
        return (
            WARNING,
            "the eBPF data plane goes by the pools and not by that range, but other parts of the cluster may not.",
        )
    mode = local_traffic_mode(now.view)
    if mode != BY_CLUSTER_CIDR:
        return (
            WARNING,
            f"kube-proxy tells pods by {mode} and not by that range, but other parts of the cluster may not.",
        )
    proxy = [ranges for ranges in named if "kube-proxy" in ranges.source]
    if proxy and proxy[0] not in outside:
        return WARNING, "kube-proxy has it in its range, but other parts of the cluster do not."
    if not proxy and named[0] not in outside:
        return WARNING, f"it is inside {named[0].source}, so the sources contradict each other."
    return declared, "kube-proxy may masquerade its traffic, and policies by pod then deny it."


def reservations_carried(now: Situation) -> t.Iterator[Problem]:
    """B31: what is reserved in the old range and not in the new one, and reservations that take the new one's room."""
    if now.source is None or now.target is None or now.source.pool is None or now.target.pool is None:
        return
    old, new = now.source.pool.cidr, now.target.pool.cidr
    before, after = _reserved(now, old), _reserved(now, new)
    count_before, count_after = _addresses(before, old), _addresses(after, new)
    if before and not after and now.request.procedure == MIGRATE:
        yield Problem(
            WARNING,
            f"{counted(count_before, 'address is', 'addresses are')} reserved in {old} of pool {now.source.name!r}, "
            f"and none in {new} of pool "
            f"{now.target.name!r}: pods can be given every address of it.",
            "Reserve what gateways and appliances have in the new range, with ip_reservation.",
            listed(dict.fromkeys(f"IPReservation {name}" for name, _network in before)),
        )
    if after:
        yield Problem(
            BLOCKER if count_after >= new.size else WARNING if count_after * 2 >= new.size else NOTE,
            f"{count_after} of the {new.size} addresses of {new} of pool {now.target.name!r} are reserved "
            f"({count_before} in {old} of pool {now.source.name!r}).",
            "Make sure that the reservations are meant for this range.",
            listed(dict.fromkeys(f"IPReservation {name}" for name, _network in after)),
        )


def _reserved(now: Situation, cidr: Network) -> list[tuple[str, Network]]:
    return [(name, network) for name, network in now.view.reserved if network.overlaps(cidr)]


def _addresses(reserved: t.Iterable[tuple[str, Network]], cidr: Network) -> int:
    return supply_of(cidr, cidr.bits, [network for _name, network in reserved]).reserved_addresses


def _inside_remedy(now: Situation, pool: Wanted) -> str:
    proposal = propose_temporary_cidr(now) if now.target is pool else None
    free = f" such as {proposal.cidr}" if proposal is not None and proposal.inside else ""
    return f"Choose a range inside it{free}, or widen the pod range first and restart kube-proxy."


CHECKS = (
    Check("pool-overlap", "the pools overlap nothing", ("B09", "B08"), pool_overlap),
    Check("service-cidr", "the pools lie outside the Service range", ("B09",), service_cidr),
    Check(
        "pool-inside-cluster-cidr",
        "the pools lie inside the pod range",
        ("B23", "B24", "B46"),
        pool_inside_cluster_cidr,
    ),
    Check("reservations-carried", "reservations fit the new range", ("B31",), reservations_carried),
)
