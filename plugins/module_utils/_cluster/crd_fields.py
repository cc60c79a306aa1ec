# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether the schema of a custom resource keeps a field; what it does not know is pruned or refused."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CUSTOM_RESOURCE_DEFINITIONS

#: Stands for the elements of a list in a path.
ITEMS = "[]"


def keeps_field(api: KubeApi, resource: Resource, path: t.Sequence[str]) -> bool | None:
    """Whether a field such as ``("spec", "attributes", ITEMS, "releasedAt")`` is kept.

    None when it cannot be told, because the CRD is not there or may not be read.
    """
    try:
        definition = api.get(CUSTOM_RESOURCE_DEFINITIONS, f"{resource.plural}.{resource.group}")
    except (Forbidden, NotFound, UnknownResource):
        return None
    for version in definition["spec"].get("versions") or ():
        if version.get("name") == resource.version:
            return _keeps((version.get("schema") or {}).get("openAPIV3Schema") or {}, path)
    return None


def _keeps(schema: t.Mapping[str, t.Any], path: t.Sequence[str]) -> bool:
    for member in path:
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return True
        below = schema.get("items") if member == ITEMS else (schema.get("properties") or {}).get(member)
        if below is None:
            return bool(schema.get("additionalProperties"))
        schema = below
    return True
