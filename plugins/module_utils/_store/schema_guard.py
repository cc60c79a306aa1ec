# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Keeping what older CRDs do not know out of what is written to them (spec ipam-engine.md §22).

A server prunes members its schema lacks, or refuses the object when asked to be strict, as
our client does. Each member is one of two sorts:

* what the releases that lack it do without: it is left out, which is all that pruning would do;
* what says who holds an address: without it the address would belong to nobody for ever, a leak
  that no collector sees. Such a write is refused.

A cooldown is the one setting whose effect is such a member. Where ``releasedAt`` is not kept,
the store answers with a cooldown of 0 seconds instead: Calico before v3.33 has none, and a
release that were refused would leave the address with a pod that is gone. Refusing the
write stays as the second line, for blocks that come with ``releasedAt`` from somewhere else.

Where the schema cannot be read, everything is written but ``releasedAt``, unless the record
has one already: a strict server refuses what it does not know, and leaving out sequence
numbers on a server that keeps them would do harm.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import (
    ITEMS,
    Schema,
    keeps,
    served_schema,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused

# Per resource the members of ``spec`` that releases without them do without.
_OPTIONAL = {
    "ipamblocks": ("affinityClaimTime", "sequenceNumber", "sequenceNumberForAllocation"),
    "blockaffinities": ("type",),
}
# Members of a block's attributes that must not be lost, with the release that brought them.
_NEEDED = {"alternateOwnerAttrs": "v3.32", "releasedAt": "v3.33"}
_RELEASED_AT = "releasedAt"


class SchemaGuard:
    """Learns once, and only when it has to, what the server keeps of a record."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._schemas: t.Dict[str, t.Optional[Schema]] = {}

    def cools(self, blocks: Resource) -> bool:
        """Whether it is certain that the server keeps the time at which an address was released."""
        schema = self._schema(blocks)
        return schema is not None and keeps(schema, ("spec", "attributes", ITEMS, _RELEASED_AT))

    def fit(self, resource: Resource, body: Object, origin: t.Optional[Object] = None) -> Object:
        """``body`` as the server can keep it; Refused when that would lose the holder of an address."""
        optional = _OPTIONAL.get(resource.plural)
        if optional is None:
            return body
        spec = body["spec"]
        if resource.plural == "ipamblocks":
            self._check_attributes(resource, body, origin)
        schema = self._schema(resource)
        if schema is None:
            return body
        lost = [member for member in optional if member in spec and not keeps(schema, ("spec", member))]
        if not lost:
            return body
        if "type" in lost and spec["type"] != HOST:
            raise self._refused(resource, body, "type", "v3.30")
        return {**body, "spec": {member: value for member, value in spec.items() if member not in lost}}

    def _check_attributes(self, resource: Resource, body: Object, origin: t.Optional[Object]) -> None:
        for member, release in _NEEDED.items():
            if not _has(body, member) or (origin is not None and _has(origin, member)):
                continue
            schema = self._schema(resource)
            unknown = schema is None and member != _RELEASED_AT
            if not unknown and (schema is None or not keeps(schema, ("spec", "attributes", ITEMS, member))):
                raise self._refused(resource, body, member, release)

    def _refused(self, resource: Resource, body: Object, member: str, release: str) -> Refused:
        name = body["metadata"]["name"]
        return Refused(
            f"{resource.kind} {name} cannot be written: the server's {resource.plural}.{resource.group} is not known "
            f"to keep {member}, which comes with Calico {release}; bring the CRDs up to date.",
            kind=resource.kind,
            name=name,
            member=member,
        )

    def _schema(self, resource: Resource) -> t.Optional[Schema]:
        if resource.plural not in self._schemas:
            self._schemas[resource.plural] = served_schema(self._api, resource)
        return self._schemas[resource.plural]


def _has(block: Object, member: str) -> bool:
    return any(entry.get(member) is not None for entry in block["spec"].get("attributes") or ())
