# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Bind a node to pools: the labels that their nodeSelectors want (spec ippool.md §8.5)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused, SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import enabled_pools, selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selector_labels import labels_wanted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_pools import resolve_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_target import Target
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_binding import (
    Asked,
    BindingWrite,
    carry_out,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools

# The kubelet writes these itself and sets them back.
_OF_THE_KUBELET = frozenset(
    f"{prefix}kubernetes.io/{name}" for prefix in ("", "beta.") for name in ("hostname", "os", "arch", "instance-type")
)
_OF_KUBERNETES = ("kubernetes.io", "k8s.io")


def ensure_node_binding(api: PagedApi, name: str, asked: Asked, *, present: bool, check_mode: bool) -> BindingWrite:
    """Let the pools' nodeSelectors select the node, or select it no longer, by its labels.

    Refused when a selector does not say which label that takes, or when the label is not ours to set.
    """
    target = Target(NODES, name)

    def attempt() -> BindingWrite:
        live = target.read(api)
        if live is None and present:
            raise InvalidInput(f"There is no {target}.", field="node", value=name)
        return BindingWrite(Plan(), None) if live is None else _decide(api, target, live, asked, present)

    return carry_out(api, target, attempt, check_mode)


def _decide(api: PagedApi, target: Target, live: Object, asked: Asked, present: bool) -> BindingWrite:
    pools = engine_pools(read_pools(api))
    wanted = [
        pool
        for version, entries in asked.items()
        # Whether pods get addresses of a pool does not matter to a node that it shall not select.
        for pool in resolve_pools(entries or (), pools, version, f"ipv{version}_pools", serving=present)
    ]
    before, own = calico_labels(live), labels_of(live)
    edits: dict[str, str | None] = {}
    for pool in wanted:
        if selects_node(pool, before) == present:
            continue
        for key, value in _labels(pool, target, present).items():
            change = _change(own, key, value, present)
            if change is not None or (not present and key in own):
                if edits.get(key, change) != change:
                    raise Refused(f"The pools asked for want different values of label {key!r}: no node can have both.")
                _require_free(key, own, pool, target)
                edits[key] = change
    after = {key: value for key, value in {**before, **edits}.items() if value is not None}
    for pool in wanted:
        if selects_node(pool, after) != present:
            raise Refused(
                f"Pool {pool.name!r} {'would still not select' if present else 'would still select'} {target}: its "
                f"nodeSelector is {pool.node_selector!r}, and labels set with calicoctl or for another pool count, too."
            )
    selecting = _selecting(pools, after)
    binding = {
        "kind": "Node",
        "namespace": None,
        "name": target.name,
        "annotations": {},
        "labels": {key: after[key] for key in _keys(wanted) if key in after},
        **{f"ipv{version}_pools": [pool.name for pool in selecting if pool.version == version] for version in (4, 6)},
    }
    asleep = _asked_for_only(wanted) if present else ()
    if not edits:
        return BindingWrite(Plan((), tuple(asleep)), binding)
    names = " and ".join(pool.name for pool in wanted)
    step = Step(
        "update",
        str(target),
        f"{names} shall {'select' if present else 'no longer select'} it",
        before={"labels": {key: own[key] for key in edits if key in own}},
        after={"labels": {key: value for key, value in edits.items() if value is not None}},
        undo="set the labels back",
    )
    warnings = (*asleep, *_warnings(target, own, edits, pools, wanted, before, after))
    patch = {"metadata": {"labels": edits, "resourceVersion": live["metadata"]["resourceVersion"]}}
    return BindingWrite(Plan((step,), warnings), binding, patch)


def _asked_for_only(pools: t.Sequence[Pool]) -> list[str]:
    return [
        f"Pool {pool.name!r} is Manual: whatever a node's labels, only what asks for it by annotation takes addresses "
        "of it."
        for pool in pools
        if pool.assignment_mode == "Manual"
    ]


def _labels(pool: Pool, target: Target, present: bool) -> dict[str, str | None]:
    labels = labels_wanted(pool.node_selector)
    if labels is None:
        raise Refused(
            f"The nodeSelector {pool.node_selector!r} of pool {pool.name!r} does not say which label to set: only == "
            f"and has(), joined by &&, do. Change the labels of {target} or the selector by hand.",
            pool=pool.name,
        )
    if not labels and not present:
        raise Refused(
            f"Pool {pool.name!r} selects every node: change its nodeSelector instead of a label.", pool=pool.name
        )
    return labels


def _change(own: t.Mapping[str, str], key: str, value: str | None, present: bool) -> str | None:
    """The value to write; None when there is nothing to write, or the label is to go."""
    if not present or (key in own and value in (None, own[key])):
        return None
    return value or ""


def _require_free(key: str, own: t.Mapping[str, str], pool: Pool, target: Target) -> None:
    domain = key.rpartition("/")[0]
    foreign = any(domain == each or domain.endswith(f".{each}") for each in _OF_KUBERNETES)
    if key in _OF_THE_KUBELET or (foreign and key in own):
        raise Refused(
            f"Pool {pool.name!r} selects nodes by label {key!r}, which belongs to Kubernetes and means more than this "
            f"pool; change it on {target} by hand if that is wanted.",
            pool=pool.name,
        )


def _warnings(
    target: Target,
    own: t.Mapping[str, str],
    edits: t.Mapping[str, str | None],
    pools: t.Sequence[Pool],
    wanted: t.Sequence[Pool],
    before: t.Mapping[str, str],
    after: t.Mapping[str, str],
) -> t.Iterator[str]:
    for key, value in edits.items():
        if key in own:
            now = "is gone" if value is None else f"is {value!r} now"
            yield f"Label {key!r} of {target} was {own[key]!r} and {now}; whatever else selects nodes by it follows."
    old, new = _selecting(pools, before), _selecting(pools, after)
    for pool in old:
        if pool not in new:
            yield (
                f"Pool {pool.name!r} no longer selects {target}: pods there keep its addresses until they are created "
                "anew, and its empty blocks are given back."
            )
    for version in (4, 6):
        if any(pool.version == version for pool in old) and not any(pool.version == version for pool in new):
            yield f"No IPv{version} pool selects {target} any more: new pods there get no IPv{version} address."
    for pool in new:
        if pool not in old and pool not in wanted:
            yield f"Pool {pool.name!r} selects {target} now, too."
    others = [pool.name for pool in new if pool not in wanted and any(pool.version == each.version for each in wanted)]
    if others and any(pool in new and pool not in old for pool in wanted):
        yield (
            f"{target} is selected by {', '.join(others)} as well: pods there take addresses of all of these pools, "
            "first from the blocks the node has."
        )


def _selecting(pools: t.Sequence[Pool], labels: t.Mapping[str, str]) -> list[Pool]:
    """The pools that give pods on a node with these labels addresses unasked."""
    return [
        pool
        for version in (4, 6)
        for pool in enabled_pools(pools, version)
        if pool.assignment_mode == "Automatic" and "Workload" in pool.allowed_uses and _selects(pool, labels)
    ]


def _selects(pool: Pool, labels: t.Mapping[str, str]) -> bool:
    try:
        return selects_node(pool, labels)
    except SelectorError:
        return False


def _keys(pools: t.Sequence[Pool]) -> list[str]:
    return sorted({key for pool in pools for key in labels_wanted(pool.node_selector) or ()})
