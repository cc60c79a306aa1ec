# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of policies and lists of allowed addresses that name the old range (hazards B26, B27)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import RESIZE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.named_ranges import Move
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    ADMIN_NETWORK_POLICIES,
    BASELINE_ADMIN_NETWORK_POLICIES,
    BGP_FILTERS,
    BGP_PEERS,
    CALICO_NETWORK_POLICIES,
    CLUSTER_NETWORK_POLICIES,
    GLOBAL_NETWORK_POLICIES,
    GLOBAL_NETWORK_SETS,
    INGRESSES,
    NETWORK_POLICIES,
    NETWORK_SETS,
)

# Copies of what is said elsewhere: by kubectl of the object itself, and by Calico of Kubernetes' policies.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_COPIED_POLICY = "knp."
_OWN_CONFIG_MAPS = "calico-ops-"


def move_of(now: Situation) -> Move | None:
    """The ranges that pods leave and get; None for a procedure that moves none."""
    if now.source is None or now.source.pool is None or now.target is None:
        return None
    return Move((now.source.pool.cidr,), () if now.target.pool is None else (now.target.pool.cidr,))


def policies_name_range(now: Situation) -> t.Iterator[Problem]:
    """B26: policies of Kubernetes and of Calico, and Calico's sets of networks."""
    move = move_of(now)
    if move is None:
        return
    hits = [
        f"{label} ({', '.join(ranges)})"
        for label, entries in _policies(now)
        for ranges in [list(dict.fromkeys(move.upset_among(entries)))]
        if ranges
    ]
    if hits:
        yield Problem(
            BLOCKER,
            f"{counted(len(hits), 'policy or set of networks names', 'policies or sets of networks name')} addresses "
            f"of {_said(move)}, so that those the pods get are treated differently, first {hits[0]}.",
            "Add the new range beside the old one before the pods move; take the old one away when the pool is gone.",
            tuple(hits),
        )


def _policies(now: Situation) -> t.Iterator[tuple[str, list[t.Any]]]:
    around = now.view.surroundings
    for policy in around.of(NETWORK_POLICIES):
        yield _label(policy, "NetworkPolicy"), list(_ip_blocks(policy))
    for resource in (CALICO_NETWORK_POLICIES, GLOBAL_NETWORK_POLICIES):
        for policy in around.of(resource):
            if not str(policy["metadata"]["name"]).startswith(_COPIED_POLICY):
                yield _label(policy, f"Calico {resource.kind}"), list(_nets(policy))
    for resource in (NETWORK_SETS, GLOBAL_NETWORK_SETS):
        for networks in around.of(resource):
            yield _label(networks, resource.kind), list(_spec(networks).get("nets") or ())
    for resource in (ADMIN_NETWORK_POLICIES, BASELINE_ADMIN_NETWORK_POLICIES, CLUSTER_NETWORK_POLICIES):
        for policy in around.of(resource):
            entries = [
                net
                for rule in _spec(policy).get("egress") or ()
                for peer in rule.get("to") or ()
                for net in peer.get("networks") or ()
            ]
            yield _label(policy, resource.kind), entries


def _ip_blocks(policy: Object) -> t.Iterator[t.Any]:
    spec = _spec(policy)
    for rules, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(rules) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                yield block.get("cidr")
                # What a rule leaves out is meant as much as what it lets in.
                yield from block.get("except") or ()


def _nets(policy: Object) -> t.Iterator[str]:
    spec = _spec(policy)
    for rules in ("ingress", "egress"):
        for rule in spec.get(rules) or ():
            for side in ("source", "destination"):
                entity = rule.get(side) or {}
                yield from entity.get("nets") or ()
                yield from entity.get("notNets") or ()


def lists_name_range(now: Situation) -> t.Iterator[Problem]:
    """B26: who may reach a Service or an Ingress, and ConfigMaps where the user wants them searched."""
    move = move_of(now)
    if move is None:
        return
    hits = [f"{label} ({', '.join(ranges)})" for label, ranges in _lists(now, move) if ranges]
    if hits:
        yield Problem(
            WARNING,
            f"{counted(len(hits), 'list of addresses names', 'lists of addresses name')} some of {_said(move)} but "
            f"not those the pods get, first {hits[0]}.",
            "Add the new range where pods are meant.",
            tuple(hits),
        )


def _lists(now: Situation, move: Move) -> t.Iterator[tuple[str, list[str]]]:
    for service in now.view.services:
        label = _label(service, "Service")
        yield (
            f"{label}, loadBalancerSourceRanges",
            move.upset_among(_spec(service).get("loadBalancerSourceRanges") or ()),
        )
        yield from _annotations(service, label, move)
    for ingress in now.view.surroundings.of(INGRESSES):
        yield from _annotations(ingress, _label(ingress, "Ingress"), move)
    for config_map in now.view.surroundings.config_maps:
        if not str(config_map["metadata"]["name"]).startswith(_OWN_CONFIG_MAPS):
            for key, text in (config_map.get("data") or {}).items():
                yield f"{_label(config_map, 'ConfigMap')}, key {key}", move.upset_in(str(text))


def _annotations(thing: Object, label: str, move: Move) -> t.Iterator[tuple[str, list[str]]]:
    for key, text in annotations_of(thing).items():
        if key != _LAST_APPLIED:
            yield f"{label}, annotation {key}", move.upset_in(text)


def bgp_filters(now: Situation) -> t.Iterator[Problem]:
    """B27, for the part of it that is in the cluster."""
    move = move_of(now)
    if move is None:
        return
    hits = []
    for thing in now.view.surroundings.of(BGP_FILTERS):
        spec = _spec(thing)
        rules = [rule for key in ("exportV4", "importV4", "exportV6", "importV6") for rule in spec.get(key) or ()]
        ranges = move.upset_among(rule.get("cidr") for rule in rules)
        if ranges:
            hits.append(f"{_label(thing, 'BGPFilter')} ({', '.join(dict.fromkeys(ranges))})")
    if hits:
        yield Problem(
            BLOCKER,
            f"{counted(len(hits), 'BGP filter has', 'BGP filters have')} rules for {_said(move)} that do not hold "
            "for the range the pods get, first "
            f"{hits[0]}: its routes may not be announced, or not be taken.",
            "Add rules for the new range first.",
            tuple(hits),
        )


def outside_the_cluster(now: Situation) -> t.Iterator[Problem]:
    """B27: what the API cannot tell, the user must confirm; louder where pods are seen from outside as they are."""
    move = move_of(now)
    if move is None or now.source is None:
        return
    peers = [_label(thing, "BGPPeer") for thing in now.view.surroundings.of(BGP_PEERS)]
    exported = bool(peers) and not now.source.spec.get("disableBGPExport")
    plain = not now.source.spec.get("natOutgoing")
    reasons = []
    if plain:
        reasons.append("natOutgoing is false, so everybody outside sees the pods' own addresses")
    if exported:
        reasons.append(f"its routes are announced to {counted(len(peers), 'configured BGP peer')}")
    new = f"{move.new[0]}" if move.new else "the new range"
    what = (
        "Confirm that firewalls, security groups, port security, static routes, BGP filters and access lists outside "
        f"the cluster treat {new} as they treat {move.old[0]}"
    )
    role = "change_block_size" if now.request.procedure == RESIZE else "migrate_pool"
    remedy = (
        f"Name what must be reached in {role}_probe_targets, and pods on every node try it before the old pool is "
        "stopped; waive outside-the-cluster when you have looked."
    )
    if reasons:
        yield Problem(WARNING, f"{what}: {' and '.join(reasons)}.", remedy, tuple(peers), confirm=True)
    else:
        yield Problem(NOTE, f"{what}; what is there cannot be seen from here.", remedy, confirm=True)


def _spec(thing: Object) -> dict[str, t.Any]:
    found: dict[str, t.Any] = thing.get("spec") or {}
    return found


def _label(thing: Object, kind: str) -> str:
    metadata = thing["metadata"]
    namespace = metadata.get("namespace")
    return f"{kind} {namespace}/{metadata['name']}" if namespace else f"{kind} {metadata['name']}"


def _said(move: Move) -> str:
    return f"{move.old[0]}"


CHECKS = (
    Check("policies-name-range", "no policy goes by the old addresses", ("B26",), policies_name_range),
    Check("lists-name-range", "no list of addresses goes by the old ones", ("B26",), lists_name_range, worst=WARNING),
    Check("bgp-filters", "BGP filters let the new range through", ("B27",), bgp_filters),
    Check(
        "outside-the-cluster",
        "the world outside knows the new range",
        ("B27",),
        outside_the_cluster,
        worst=WARNING,
        confirms=True,
    ),
)
