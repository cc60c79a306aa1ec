# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""ControllerRevisions: the former templates of StatefulSets and DaemonSets."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import owner_reference
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.template import (
    REVISION_LABEL,
    same_template,
    template_hash,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import CONTROLLER_REVISIONS


def revisions_of(ctx: ControllerContext, owner: Object) -> list[Object]:
    """The owner's revisions, oldest first."""
    return sorted(ctx.controlled(CONTROLLER_REVISIONS, owner), key=lambda each: int(each.get("revision") or 0))


def template_of(revision: Object) -> Object:
    """The pod template that a revision holds."""
    template = dict(((revision.get("data") or {}).get("spec") or {}).get("template") or {})
    template.pop("$patch", None)
    return template


def current_revision(
    ctx: ControllerContext, resource: Resource, owner: Object, *, short_label: bool, known_hash: str = ""
) -> Object:
    """The revision that holds the owner's present template, made or made newest when needed.

    The label ``controller-revision-hash`` of the revision is the bare hash for a DaemonSet
    (``short_label``) and the revision's whole name for a StatefulSet. ``known_hash`` is what the pods
    of an owner without any revision carry: objects copied from a real cluster without their
    revisions must not be rolled out for that.
    """
    template = owner["spec"]["template"]
    known = revisions_of(ctx, owner)
    last = int(known[-1].get("revision") or 0) if known else 0
    same = [each for each in known if same_template(template_of(each), template)]
    if same:
        newest = same[-1]
        if int(newest.get("revision") or 0) < last:
            newest = ctx.update(CONTROLLER_REVISIONS, {**newest, "revision": last + 1})
        return newest
    collisions = int((owner.get("status") or {}).get("collisionCount") or 0)
    while True:
        suffix = (known_hash if not known else "") or template_hash(template, collisions)
        name = f"{owner['metadata']['name']}-{suffix}"
        labels = {
            **((template.get("metadata") or {}).get("labels") or {}),
            REVISION_LABEL: suffix if short_label else name,
        }
        body: Object = {
            "apiVersion": CONTROLLER_REVISIONS.api_version,
            "kind": CONTROLLER_REVISIONS.kind,
            "metadata": {
                "name": name,
                "namespace": owner["metadata"]["namespace"],
                "labels": labels,
                "ownerReferences": [owner_reference(resource, owner)],
            },
            "data": {"spec": {"template": {**template, "$patch": "replace"}}},
            "revision": last + 1,
        }
        try:
            return ctx.api.create(CONTROLLER_REVISIONS, body, owner["metadata"]["namespace"])
        except AlreadyExists:
            known_hash = ""
            collisions += 1


def common_hash(pods: t.Iterable[Object], owner: Object) -> str:
    """The one hash that all pods carry, when the owner's status says that its rollout is complete; else ``""``."""
    if (owner.get("status") or {}).get("observedGeneration") != owner["metadata"].get("generation"):
        return ""
    found = {(pod["metadata"].get("labels") or {}).get(REVISION_LABEL, "") for pod in pods}
    return found.pop().removeprefix(f"{owner['metadata']['name']}-") if len(found) == 1 else ""


def revision_label(revision: Object) -> str:
    """What the pods of a revision carry under ``controller-revision-hash``."""
    return str((revision["metadata"].get("labels") or {}).get(REVISION_LABEL) or revision["metadata"]["name"])


def trim_history(ctx: ControllerContext, owner: Object, in_use: t.Collection[str]) -> None:
    """Delete the oldest revisions beyond ``revisionHistoryLimit``; ``in_use`` names those to keep anyway."""
    limit = int(owner["spec"].get("revisionHistoryLimit", 10))
    spare = [each for each in revisions_of(ctx, owner) if each["metadata"]["name"] not in in_use]
    for each in spare[: max(0, len(spare) - limit)]:
        ctx.delete(CONTROLLER_REVISIONS, each)
