# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Admission of objects: decode or prune, default, validate, for built-in types and custom resources.

``SchemaRegistry`` is what the API server calls for every create and update. Nothing it is
given is changed in place.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import structural
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin import (
    decode,
    decode_metadata,
    undecodable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin_rules import validate
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cel import BadRule
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster_ip import ClusterAddresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import CustomKind, kinds_from_crd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.defaults import DefaultContext, fill_in
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.field_errors import (
    BLOCKING,
    invalid_object,
    rules_not_checked,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import PRIORITY_CLASSES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause, Fault, invalid

_Place = t.Tuple[str, str, str]


class Stored(t.Protocol):
    """The part of the object store that defaults look things up in."""

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None: ...

    def list(self, resource: Resource, namespace: str | None = None) -> t.List[Object]: ...


class SchemaRegistry:
    """What the API server knows about the shape of objects.

    ``objects`` is asked for what some defaults depend on: addresses of services and values
    of priority classes. ``service_range`` is where cluster addresses come from.
    """

    def __init__(self, objects: Stored | None = None, *, service_range: str = "10.96.0.0/12") -> None:
        self._stored = objects
        addresses = ClusterAddresses(service_range, self._cluster_ips)
        self._context = DefaultContext(cluster_ip=addresses.allocate, priority_of=self._priority_of)
        self._custom: dict[_Place, CustomKind] = {}
        self._nodes: dict[_Place, structural.Node] = {}
        self._places: dict[str, list[_Place]] = {}

    def _cluster_ips(self) -> list[str]:
        services = self._stored.list(SERVICES) if self._stored is not None else []
        return [str(each["spec"].get("clusterIP")) for each in services]

    def _priority_of(self, name: str) -> int | None:
        found = self._stored.get(PRIORITY_CLASSES, None, name) if self._stored is not None else None
        return None if found is None else int(found.get("value") or 0)

    # ---- custom resource definitions

    def install(self, crd: Object) -> list[Kind]:
        """Know what a definition defines, instead of what it defined before; its kinds."""
        self.remove(crd["metadata"]["name"])
        kinds = kinds_from_crd(crd)
        for each in kinds:
            place = _place(each.kind)
            self._custom[place] = each
            self._places.setdefault(crd["metadata"]["name"], []).append(place)
        return [each.kind for each in kinds]

    def remove(self, crd_name: str) -> None:
        """Forget what a definition defined."""
        for place in self._places.pop(crd_name, ()):
            self._custom.pop(place, None)
            self._nodes.pop(place, None)

    def node(self, kind: Kind) -> structural.Node | None:
        """The compiled schema of a custom kind; compiled when first asked for, rules included."""
        place = _place(kind)
        found = self._nodes.get(place)
        if found is None and place in self._custom:
            found = structural.compile_schema(self._custom[place].schema, root=True)
            self._nodes[place] = found
        return found

    # ---- objects

    def admit(
        self,
        kind: Kind,
        obj: Object,
        old: Object | None,
        *,
        field_validation: str = "Warn",
        subresource: str | None = None,
        patch: t.Any = None,
    ) -> tuple[Object, list[str]]:
        """The object as it will be stored, and warnings for the client.

        ``old`` is None on create. ``field_validation`` is Ignore, Warn or Strict; ``patch``
        is the body of a PATCH, for the wording of the strict refusal. Raises ``Fault``: 400
        for what cannot be decoded, 422 for what is invalid.
        """
        if kind.custom:
            return self._admit_custom(kind, obj, old, field_validation, subresource, patch)
        decoded, unknown = decode(kind, obj, old)
        warnings = _report(kind, unknown, field_validation, patch)
        complete = fill_in(kind, decoded, old, subresource, self._context)
        causes = validate(kind, complete, old, subresource)
        if not causes and kind.resource.kind == "CustomResourceDefinition" and subresource is None:
            causes = _uncompilable(complete)
        if causes:
            raise _invalid(kind, complete, causes)
        return complete, warnings

    def read(self, kind: Kind, stored: Object) -> Object:
        """A stored object as a reader sees it under the present schema: pruned, with defaults.

        The same dict when there is nothing to do; only custom resources ever differ.
        """
        node = self.node(kind) if kind.custom else None
        if node is None:
            return stored
        return t.cast(Object, structural.shape(node, stored, "", None))

    def _admit_custom(
        self,
        kind: Kind,
        obj: Object,
        old: Object | None,
        field_validation: str,
        subresource: str | None,
        patch: t.Any,
    ) -> tuple[Object, list[str]]:
        node = self.node(kind)
        if node is None:
            return obj, []
        unknown: list[str] = []
        shaped: Object = structural.shape(node, obj, "", unknown)
        metadata, more = decode_metadata(kind, shaped.get("metadata") or {})
        if metadata is not shaped.get("metadata"):
            shaped = {**shaped, "metadata": metadata}
        warnings = _report(kind, more + unknown, field_validation, patch)
        before: t.Any = structural.ABSENT if old is None else self.read(kind, old)
        causes: list[Cause] = []
        if subresource == "status":
            self._check_part(node, "status", shaped, before, causes)
        else:
            structural.check(node, shaped, before, "", causes)
            _check_lists(node, shaped, before, causes)
            _check_rules(node, shaped, before, causes)
        if causes and kind.aggregated:
            # Such a schema knows types only, and what is of the wrong one cannot be decoded in Go.
            raise undecodable(kind, ", ".join(cause.sentence for cause in causes))
        if causes:
            raise _invalid(kind, shaped, causes)
        return shaped, warnings

    def _check_part(self, node: structural.Node, part: str, obj: Object, before: t.Any, causes: list[Cause]) -> None:
        """Only what the status subresource can change."""
        inner = node.properties.get(part)
        if inner is None or part not in obj:
            return
        old = before.get(part, structural.ABSENT) if before is not structural.ABSENT else structural.ABSENT
        structural.check(inner, obj[part], old, part, causes)
        structural.check_lists(inner, obj[part], part, causes)
        if inner.has_rules and not _blocked(causes):
            structural.check_rules(inner, obj[part], old, part, causes)


def _check_lists(node: structural.Node, obj: Object, before: t.Any, causes: list[Cause]) -> None:
    """Duplicates are not held against an object that already had some."""
    earlier: list[Cause] = []
    if before is not structural.ABSENT:
        structural.check_lists(node, before, "", earlier)
    if not earlier:
        structural.check_lists(node, obj, "", causes)


def _check_rules(node: structural.Node, obj: Object, before: t.Any, causes: list[Cause]) -> None:
    if not node.has_rules:
        return
    if _blocked(causes):
        causes.append(rules_not_checked())
    else:
        structural.check_rules(node, obj, before, "", causes)


def _uncompilable(crd: Object) -> list[Cause]:
    """A definition whose rules or patterns do not compile is refused, not its objects later."""
    causes = []
    for place, version in enumerate(crd["spec"].get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        try:
            structural.compile_schema(schema, root=True)
        except (BadRule, re.error, AttributeError, TypeError) as error:
            # The last two are what a list or a number in the place of a schema leads to.
            path = f"spec.versions[{place}].schema.openAPIV3Schema"
            causes.append(invalid_object(path, f"compilation failed: {error}"))
    return causes


def _blocked(causes: t.Iterable[Cause]) -> bool:
    return any(cause.reason in BLOCKING for cause in causes)


def _place(kind: Kind) -> _Place:
    return (kind.resource.group, kind.resource.version, kind.resource.plural)


def _invalid(kind: Kind, obj: Object, causes: t.Sequence[Cause]) -> Fault:
    name = str((obj.get("metadata") or {}).get("name") or "")
    return invalid(kind.resource.kind, kind.resource.group, name, causes)


def _report(kind: Kind, unknown: t.Sequence[str], field_validation: str, patch: t.Any) -> list[str]:
    """Warnings about unknown fields. Raises ``Fault`` when the client asked to be strict."""
    if not unknown or field_validation == "Ignore":
        return []
    texts = [f'unknown field "{path}"' for path in sorted(unknown)]
    if field_validation != "Strict":
        return texts
    why = "strict decoding error: " + ", ".join(texts)
    if patch is None:
        raise undecodable(kind, why)
    shown = json.dumps(json.dumps(patch, separators=(",", ":")))
    fault = invalid("", "", "", [Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", "patch")])
    fault.body["details"].pop("kind", None)
    raise fault
