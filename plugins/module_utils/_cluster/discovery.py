# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a cluster serves, by its discovery documents or, where those are not to be had, by asking.

Everybody who is logged in may read discovery by default; that right can be taken away.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)


@t.runtime_checkable
class _Discovering(t.Protocol):
    """A KubeApi that can fetch discovery documents, as ``client.py`` does."""

    def api_groups(self) -> frozenset[str]: ...

    def api_resources(self, group: str, version: str) -> frozenset[str]: ...


def group_versions(api: KubeApi) -> frozenset[str] | None:
    """Every ``group/version`` of the API; None when the list of them cannot be read."""
    if not isinstance(api, _Discovering):
        return None
    try:
        return api.api_groups()
    except (Forbidden, NotFound, UnknownResource):
        return None


def resources_in(api: KubeApi, group: str, version: str) -> frozenset[str] | None:
    """The plural names in one group and version, empty when it is not served; None when that cannot be read.

    Raises ``ServerError`` with status 503 when the server that should answer for the group is down.
    """
    if not isinstance(api, _Discovering):
        return None
    try:
        return api.api_resources(group, version)
    except Forbidden:
        return None
    except (NotFound, UnknownResource):
        # An API that is wrapped around one without discovery answers so, too, and tells nothing by it.
        return None if group_versions(api) is None else frozenset()


def is_served(api: KubeApi, resource: Resource) -> bool | None:
    """Whether a list of the resource is answered; None when the user may not list it, served or not.

    Raises what else the API raises.
    """
    try:
        api.list(resource)
    except (NotFound, UnknownResource):
        return False
    except Forbidden:
        return None
    return True


def readable(api: KubeApi, resource: Resource) -> list[Object] | None:
    """The objects of a resource, none when it is not served; None when they may not be read."""
    try:
        return api.list(resource).items
    except (NotFound, UnknownResource):
        return []
    except Forbidden:
        return None


def readable_object(
    api: KubeApi, resource: Resource, name: str, namespace: str | None = None
) -> tuple[Object | None, str]:
    """One object with its name in words, or None with the reason why there is none."""
    what = f"{resource.kind} {namespace + '/' if namespace else ''}{name}"
    try:
        return api.get(resource, name, namespace), what
    except (NotFound, UnknownResource):
        return None, f"there is no {what}"
    except Forbidden:
        return None, f"no right to read {what}"
