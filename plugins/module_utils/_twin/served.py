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
    unavailable,
    unknown_path,
    unknown_resource,
)

GroupVersion = t.Tuple[str, str]


class ServedKinds:
    """Lookup by place (group, version, plural) and in discovery's order."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self._by_crd: dict[str, list[tuple[str, str, str]]] = {}
        self._aggregated: dict[GroupVersion, dict[str, Kind]] = {}
        self._up: set[GroupVersion] = set()
        self._when_down: list[t.Callable[[GroupVersion], None]] = []
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

    # ---- aggregated: a server of its own answers for the whole group version; CRDs of it are shadowed

    def aggregate(self, place: GroupVersion, kinds: t.Iterable[Kind]) -> None:
        """List what another server has in a group version. It is down until ``set_available``."""
        self._aggregated[place] = {kind.resource.plural: kind for kind in kinds}
        self.generation += 1

    def set_available(self, place: GroupVersion, available: bool) -> None:
        """Whether the server behind an aggregated group version can be reached."""
        if available == (place in self._up):
            return
        self.generation += 1
        if available:
            self._up.add(place)
            return
        self._up.discard(place)
        for callback in self._when_down:
            callback(place)

    def is_available(self, group: str, version: str) -> bool:
        """False for an aggregated group version whose server is down."""
        return (group, version) not in self._aggregated or (group, version) in self._up

    def is_aggregated(self, group: str, version: str) -> bool:
        return (group, version) in self._aggregated

    def aggregated_versions(self) -> t.List[GroupVersion]:
        return list(self._aggregated)

    def when_down(self, callback: t.Callable[[GroupVersion], None]) -> None:
        """Call ``callback`` whenever an aggregated group version becomes unreachable."""
        self._when_down.append(callback)

    # ---- lookup

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """Raises the 503 ``Fault`` for anything in an aggregated group version that is down."""
        if not self.is_available(group, version):
            raise unavailable()
        aggregated = self._aggregated.get((group, version))
        if aggregated is not None:
            return aggregated.get(plural)
        return self._kinds.get((group, version, plural))

    def kind_of(self, resource: Resource) -> Kind:
        """The kind of a resource. Raises the ``Fault`` the server has: 404 of that group, or 503 when it is down."""
        found = self.find(*_place(resource))
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
        own = [kind for place, kind in self._kinds.items() if place[:2] not in self._aggregated]
        return own + [kind for kinds in self._aggregated.values() for kind in kinds.values()]

    def of_version(self, group: str, version: str) -> list[Kind]:
        """By name; also those of an aggregated group version that is down."""
        aggregated = self._aggregated.get((group, version))
        if aggregated is not None:
            return sorted(aggregated.values(), key=lambda kind: kind.resource.plural)
        found = [kind for place, kind in self._kinds.items() if place[:2] == (group, version)]
        return sorted(found, key=lambda kind: kind.resource.plural)

    def group_versions(self) -> dict[tuple[str, str], None]:
        """(group, version) pairs in order of first appearance, the preferred version of a group first."""
        found = dict.fromkeys((group, version) for group, version, _plural in self._kinds)
        return {**found, **dict.fromkeys(self._aggregated)}

    def is_builtin_group(self, group: str) -> bool:
        return group in self._builtin_groups


def _place(resource: Resource) -> tuple[str, str, str]:
    return (resource.group, resource.version, resource.plural)
