# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the API server needs from others before it stores an object: schemas, and steps that may refuse."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import DeleteOptions, WriteOptions


class Schemas(t.Protocol):
    """What the API server needs from ``schema.py``."""

    def admit(
        self,
        kind: Kind,
        obj: Object,
        old: Object | None,
        *,
        field_validation: str = "Warn",
        subresource: str | None = None,
        patch: t.Any = None,
    ) -> tuple[Object, t.Sequence[str]]:
        """The object pruned, defaulted and validated, and the warnings. Raises ``Fault``."""

    def install(self, crd: Object) -> t.Any: ...

    def remove(self, crd_name: str) -> t.Any: ...


class NoSchemas:
    """Takes everything as it is: for tests of rules that need no schema."""

    def admit(
        self,
        kind: Kind,
        obj: Object,
        old: Object | None,
        *,
        field_validation: str = "Warn",
        subresource: str | None = None,
        patch: t.Any = None,
    ) -> tuple[Object, t.Sequence[str]]:
        return obj, ()

    def install(self, crd: Object) -> None:
        """Learns nothing."""

    def remove(self, crd_name: str) -> None:
        """Has nothing to forget."""


# Admission: may return another object, or raise a Fault to refuse. ``old`` is None on create.
Admission = t.Callable[[Kind, Object, t.Optional[Object], WriteOptions], Object]
DeleteAdmission = t.Callable[[Kind, Object, DeleteOptions], None]
