# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the API server does with CustomResourceDefinition objects: accept them and serve their types at once."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CUSTOM_RESOURCE_DEFINITIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import kind_from_crd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.served import ServedKinds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause, invalid, qualified


class CrdSchemas(t.Protocol):
    """The part of the schema registry that learns the schemas of definitions."""

    def install(self, crd: Object) -> t.Any: ...

    def remove(self, crd_name: str) -> t.Any: ...


class Definitions:
    """Keeps what is served in step with the stored definitions, from the moment it is made."""

    def __init__(self, objects: ObjectStore, served: ServedKinds, schemas: CrdSchemas) -> None:
        self._objects = objects
        self._served = served
        self._schemas = schemas
        self._aggregated: dict[tuple[str, str, str], Object] = {}
        for crd in objects.list(CUSTOM_RESOURCE_DEFINITIONS):
            self._serve(crd)
        objects.subscribe(self._follow, CUSTOM_RESOURCE_DEFINITIONS)

    def _follow(self, event: Event) -> None:
        if event.type == DELETED:
            self._served.withdraw(event.object["metadata"]["name"])
            self._schemas.remove(event.object["metadata"]["name"])
            return
        # A change of the status alone defines nothing new.
        if event.previous is None or event.previous.get("spec") != event.object.get("spec"):
            self._serve(event.object)

    def _serve(self, crd: Object) -> None:
        self._served.serve(crd["metadata"]["name"], kind_from_crd(crd))
        spec = crd["spec"]
        if not any(self._served.is_aggregated(spec["group"], each["name"]) for each in spec.get("versions") or ()):
            self._schemas.install(crd)

    def aggregate(self, place: tuple[str, str], kinds: t.Iterable[Kind], definitions: t.Mapping[str, Object]) -> None:
        """Serve the types of an aggregated API; ``definitions`` are their schemas by plural, in the form of CRDs."""
        self._served.aggregate(place, kinds)
        for crd in self._objects.list(CUSTOM_RESOURCE_DEFINITIONS):
            if crd["spec"]["group"] == place[0]:
                self._schemas.remove(crd["metadata"]["name"])
        for plural, definition in definitions.items():
            self._aggregated[(*place, plural)] = definition
            self._schemas.install(definition)

    def crd_of(self, kind: Kind) -> Object | None:
        """The definition of a custom type."""
        if kind.aggregated:
            return self._aggregated.get((kind.resource.group, kind.resource.version, kind.resource.plural))
        name = qualified(kind.resource.plural, kind.resource.group)
        return self._objects.get(CUSTOM_RESOURCE_DEFINITIONS, None, name)


def accepted(crd: Object, now: str) -> Object:
    """The definition as the server stores it: names filled in and, unlike the real one, established already.

    Raises the 422 ``Fault`` when its name is not ``<plural>.<group>``.
    """
    spec = crd.get("spec") or {}
    names = dict(spec.get("names") or {})
    name, wanted = crd["metadata"]["name"], f"{names.get('plural', '')}.{spec.get('group', '')}"
    if name != wanted:
        message = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        cause = Cause("FieldValueInvalid", message, "metadata.name")
        raise invalid("CustomResourceDefinition", "apiextensions.k8s.io", name, [cause])
    names.setdefault("singular", str(names.get("kind", "")).lower())
    names.setdefault("listKind", f"{names.get('kind', '')}List")
    stored = [each["name"] for each in spec.get("versions") or () if each.get("storage")]
    status = crd.get("status") or {}
    conditions = status.get("conditions") or [
        {
            "type": "NamesAccepted",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "NoConflicts",
            "message": "no conflicts found",
        },
        {
            "type": "Established",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]
    versions = list(dict.fromkeys([*(status.get("storedVersions") or []), *stored]))
    return {
        **crd,
        "spec": {**spec, "names": names},
        "status": {"conditions": conditions, "acceptedNames": names, "storedVersions": versions},
    }
