# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a watch shows of an event when it has a namespace or selectors (spec kubernetes-api-behaviour.md 13)."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import Filter
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ADDED, DELETED, MODIFIED, Event


def visible(event: Event, namespace: str | None, chosen: Filter) -> tuple[str, Object] | None:
    """(type, object) as that watch sees the event, or None when it does not.

    An object that stops matching is DELETED in its last matching state under the new version; one
    that starts matching is ADDED.
    """
    if namespace and event.object["metadata"].get("namespace") != namespace:
        return None
    if chosen.everything:
        return event.type, event.object
    before = event.previous is not None and chosen.matches(event.previous)
    if event.type == DELETED:
        return (DELETED, event.object) if before else None
    now = chosen.matches(event.object)
    if now:
        return (MODIFIED if before else ADDED), event.object
    if before and event.previous is not None:
        return DELETED, _at_version_of(event.previous, event.object)
    return None


def _at_version_of(state: Object, newer: Object) -> Object:
    version = newer["metadata"]["resourceVersion"]
    return {**state, "metadata": {**state["metadata"], "resourceVersion": version}}
