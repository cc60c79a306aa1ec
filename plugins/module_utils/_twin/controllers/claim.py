# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which pods (or ReplicaSets) belong to an owner: adopting orphans and releasing strangers."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import (
    controller_of,
    owner_reference,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_active,
    is_terminating,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import selector_of, selects


def claim_pods(ctx: ControllerContext, resource: Resource, owner: Object) -> list[Object]:
    """The owner's pods, after adopting matching orphans and releasing pods that no longer match."""
    parsed = selector_of((owner.get("spec") or {}).get("selector"))
    kept: list[Object] = []
    strangers: list[Object] = []
    for pod in ctx.controlled(PODS, owner):
        mine = parsed is not None and parsed.matches(pod["metadata"].get("labels") or {})
        (kept if mine else strangers).append(pod)
    if is_terminating(owner):
        return kept
    for pod in strangers:
        if not is_terminating(pod):
            _release(ctx, pod, owner)
    for pod in ctx.orphan_pods(owner["metadata"]["namespace"], parsed):
        if is_active(pod):
            kept.append(_adopt(ctx, PODS, pod, resource, owner))
    return kept


def adopt_orphans(
    ctx: ControllerContext, child: Resource, candidates: list[Object], resource: Resource, owner: Object
) -> list[Object]:
    """Take over those of ``candidates`` that match the owner's selector and have no controller."""
    selector = (owner.get("spec") or {}).get("selector")
    return [
        _adopt(ctx, child, each, resource, owner)
        for each in candidates
        if controller_of(each) is None
        and not is_terminating(each)
        and selects(selector, each["metadata"].get("labels"))
    ]


def _adopt(ctx: ControllerContext, child: Resource, obj: Object, resource: Resource, owner: Object) -> Object:
    metadata = obj["metadata"]
    references = [*(metadata.get("ownerReferences") or ()), owner_reference(resource, owner)]
    return ctx.update(child, {**obj, "metadata": {**metadata, "ownerReferences": references}})


def _release(ctx: ControllerContext, pod: Object, owner: Object) -> None:
    metadata = pod["metadata"]
    uid = owner["metadata"]["uid"]
    references = [each for each in metadata.get("ownerReferences") or () if each["uid"] != uid]
    ctx.update(PODS, {**pod, "metadata": {**metadata, "ownerReferences": references}})
