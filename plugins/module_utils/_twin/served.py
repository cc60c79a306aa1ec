# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which resource types the twin serves right now: the built-in ones and those of its CRDs."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind, builtin_kinds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Fault,
    unknown_path,
    unknown_resource,
)


class ServedKinds:
    """Lookup by place (group, version, plural) and in discovery's order."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self._by_crd: dict[str, list[tuple[str, str, str]]] = {}
        self.generation = 0
        for kind in builtin_kinds():
            self._kinds[_place(kind.resource)] = kind
        self._builtin_groups = frozenset(group for group, _version, _plural in self._kinds)

    def serve(self, crd_name: str, kinds: t.Iterable[Kind]) -> None:
        """Serve what a CRD defines, instead of what it defined before."""
        self.withdraw(crd_name)
        places = []
        for kind in kinds:
            place = _place(kind.resource)
            self._kinds[place] = kind
            places.append(place)
        self._by_crd[crd_name] = places
        self.generation += 1

    def withdraw(self, crd_name: str) -> None:
        """Stop serving what a CRD defined."""
        for place in self._by_crd.pop(crd_name, []):
            self._kinds.pop(place, None)
            self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def kind_of(self, resource: Resource) -> Kind:
        """The kind of a resource. Raises the 404 ``Fault`` the server has for that group."""
        found = self._kinds.get(_place(resource))
        if found is None:
            raise self.missing(resource.group, resource.version)
        return found

    def missing(self, group: str, version: str) -> Fault:
        """The 404 for an unknown resource: JSON in a built-in group version, text elsewhere (spec 2)."""
        if group in self._builtin_groups and (group, version) in self.group_versions():
            return unknown_resource()
        return unknown_path()

    def all(self) -> list[Kind]:
        """Every kind, built-in ones first, then by group and name."""
        return list(self._kinds.values())

    def of_version(self, group: str, version: str) -> list[Kind]:
        found = [kind for place, kind in self._kinds.items() if place[:2] == (group, version)]
        return sorted(found, key=lambda kind: kind.resource.plural)

    def group_versions(self) -> dict[tuple[str, str], None]:
        """(group, version) pairs in order of first appearance, the preferred version of a group first."""
        return dict.fromkeys((group, version) for group, version, _plural in self._kinds)

    def is_builtin_group(self, group: str) -> bool:
        return group in self._builtin_groups


def _place(resource: Resource) -> tuple[str, str, str]:
    return (resource.group, resource.version, resource.plural)
