# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The schema by which a server keeps, prunes or refuses members of a custom resource.

It stands in the CustomResourceDefinition, which not everybody may read, and again in the
OpenAPI document, which everybody who is logged in may read by default.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CUSTOM_RESOURCE_DEFINITIONS

Schema = t.Mapping[str, t.Any]

#: Stands for the elements of a list in a path of members.
ITEMS = "[]"


@t.runtime_checkable
class _Documented(t.Protocol):
    """A KubeApi that can fetch the server's OpenAPI document."""

    def openapi(self, group: str, version: str) -> Object: ...


def served_schema(api: KubeApi, resource: Resource) -> t.Optional[Schema]:
    """The structural schema of a custom resource; None when the server does not let it be read."""
    try:
        crd = api.get(CUSTOM_RESOURCE_DEFINITIONS, f"{resource.plural}.{resource.group}")
    except (Forbidden, NotFound, UnknownResource):
        return _documented(api, resource)
    for version in crd["spec"].get("versions") or ():
        if version.get("name") == resource.version:
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            return schema if isinstance(schema, dict) else None
    return None


def keeps(schema: Schema, path: t.Sequence[str]) -> bool:
    """Whether a member such as ``("spec", "attributes", ITEMS, "releasedAt")`` is kept and not pruned."""
    for member in path:
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return True
        below = schema.get("items") if member == ITEMS else (schema.get("properties") or {}).get(member)
        if below is None:
            return bool(schema.get("additionalProperties"))
        schema = below
    return True


def _documented(api: KubeApi, resource: Resource) -> t.Optional[Schema]:
    if not isinstance(api, _Documented):
        return None
    try:
        document = api.openapi(resource.group, resource.version)
    except (Forbidden, NotFound, UnknownResource):
        return None
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    for schema in ((document.get("components") or {}).get("schemas") or {}).values():
        if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
            return t.cast("Schema", schema)
    return None
