# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How pools are written where this cluster keeps them (spec ippool.md §11).

A writer is made for one attempt: it has read what it is going to change, and writes only if
nobody else did in between. ``pools.py`` and ``pool_delete.py`` decide what is written.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

Report = t.Callable[[object], object]
Shown = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Part:
    """One object that a change of a pool writes to: what stands there of the pool before and after."""

    target: str
    before: t.Any
    after: t.Any


class Place(t.Protocol):
    """Where a change of a pool would be written."""

    def where(self, name: str) -> str:
        """What is written when the pool is created or its spec changes; for people."""

    def parts(self, name: str, before: Shown | None, after: Shown | None) -> list[Part]:
        """What would be written, as the change of each object that is; Refused when that is not possible."""

    def warnings(self, name: str) -> list[str]:
        """What the user should hear about writing this pool here."""


class PoolWriter(Place, t.Protocol):
    """Writes pools. Each write raises ``Conflict`` when what was read is no longer there."""

    def reworded(self, name: str, error: InvalidPool) -> InvalidPool:
        """The error with what is particular about the rule in this place."""

    def can_disable(self, name: str) -> bool:
        """Whether there is a word for a pool that is disabled in what is written here; operators of old have none."""

    def pools(self) -> list[StoredPool]:
        """All pools in name order, as they are declared where they are written."""

    def create(self, body: Object) -> StoredPool:
        """Create the pool of this IPPool object."""

    def patch(self, name: str, patch: Object, live: StoredPool) -> StoredPool:
        """Change the pool by this merge patch of the IPPool."""

    def delete(self, live: StoredPool, *, clock: Clock, timeout: float, report: Report) -> None:
        """Delete the pool and return when it is gone. Refused when it is not after ``timeout`` seconds."""

    def settle(self, pool: StoredPool, *, clock: Clock, timeout: float, report: Report) -> StoredPool:
        """Return the pool when it is in use as it was written; Refused when it will not be, or not in time."""


class _Objects:
    """Pools as objects of their own, in a cluster."""

    def where(self, name: str) -> str:
        return f"IPPool {name}"

    def parts(self, name: str, before: Shown | None, after: Shown | None) -> list[Part]:
        return [Part(self.where(name), shown_part(before), shown_part(after))]

    def warnings(self, name: str) -> list[str]:
        return []


#: The place of most clusters.
OBJECTS: Place = _Objects()


def shown_part(pool: Shown | None) -> dict[str, t.Any] | None:
    """The part of a pool that can be written, for a diff."""
    if pool is None:
        return None
    part: dict[str, t.Any] = {"spec": pool["spec"]}
    for key in ("labels", "annotations"):
        if pool[key]:
            part[key] = dict(sorted(pool[key].items()))
    return part
