# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The arithmetic of a Deployment's rollout: pure functions over numbers.

How far old ReplicaSets may shrink and the new one may grow at this moment, so that never more
than ``maxSurge`` pods are too many and never more than ``maxUnavailable`` are missing.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from fractions import Fraction

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.amount import scaled


@dataclass(frozen=True)
class Set:
    """A ReplicaSet as far as the arithmetic needs it; ``highest`` is its ``max-replicas`` annotation."""

    name: str
    replicas: int
    available: int
    created: str = ""
    highest: int = 0


def bounds(spec: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: surge rounds up, unavailable down, and never both are 0."""
    strategy = spec.get("strategy") or {}
    replicas = int(spec.get("replicas", 1))
    if strategy.get("type") == "Recreate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def grow(new: int, total: int, wanted: int, surge: int) -> int:
    """The new ReplicaSet's size now; ``total`` counts the replicas of all, new included."""
    if new >= wanted:
        return wanted
    room = wanted + surge - total
    return new + max(0, min(room, wanted - new))


def shrink(old: t.Sequence[Set], new: Set, wanted: int, unavailable: int) -> dict[str, int]:
    """The old ReplicaSets that shrink now, with their new sizes."""
    everything = sum(each.replicas for each in old) + new.replicas
    lowest = wanted - unavailable
    allowed = everything - lowest - max(0, new.replicas - new.available)
    if allowed <= 0:
        return {}
    sizes = {each.name: each.replicas for each in old}
    ordered = sorted(old, key=lambda each: (each.created, each.name))
    # Pods that serve nobody go first: removing them costs no availability.
    for each in ordered:
        useless = max(0, each.replicas - each.available)
        step = min(useless, allowed)
        sizes[each.name] -= step
        allowed -= step
    spare = sum(each.available for each in old) + new.available - lowest
    for each in ordered:
        step = max(0, min(sizes[each.name], spare, allowed))
        sizes[each.name] -= step
        spare -= step
        allowed -= step
    return {each.name: sizes[each.name] for each in ordered if sizes[each.name] != each.replicas}


def proportional(sets: t.Sequence[Set], wanted: int, surge: int, former: int) -> dict[str, int]:
    """Sizes after the Deployment was scaled in the middle of a rollout, shared in proportion.

    ``former`` is the number of pods the Deployment had, for ReplicaSets without ``highest``.
    """
    active = [each for each in sets if each.replicas > 0]
    total = sum(each.replicas for each in active)
    allowed = wanted + surge if wanted > 0 else 0
    change = allowed - total
    grows = change > 0
    # Larger ones first; among equals the newest when growing, the oldest when shrinking.
    ordered = sorted(active, key=lambda each: (each.created, each.name), reverse=grows)
    ordered.sort(key=lambda each: -each.replicas)
    sizes: dict[str, int] = {}
    added = 0
    for each in ordered:
        share = 0
        if change != 0 and change != added:
            base = each.highest or former
            if wanted == 0:
                share = -each.replicas
            elif base:
                share = round(Fraction(each.replicas * (wanted + surge), base)) - each.replicas
            left = change - added
            share = max(0, min(share, left)) if grows else min(0, max(share, left))
        sizes[each.name] = each.replicas + share
        added += share
    if ordered and added != change:
        first = ordered[0].name
        sizes[first] = max(0, sizes[first] + change - added)
    return sizes
