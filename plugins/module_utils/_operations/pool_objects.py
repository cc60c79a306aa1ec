# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""IPPool objects as our users see them: read defaults applied, Calico's metadata unpacked."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_stop import NO_CALICO
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    PACKED,
    annotations_of,
    labels_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, default_spec, pool_from_object

# Option of our modules -> field of Calico's spec, in the order in which a pool is shown.
SPEC_FIELDS: dict[str, str] = {
    "cidr": "cidr",
    "block_size": "blockSize",
    "ipip_mode": "ipipMode",
    "vxlan_mode": "vxlanMode",
    "nat_outgoing": "natOutgoing",
    "disabled": "disabled",
    "disable_bgp_export": "disableBGPExport",
    "node_selector": "nodeSelector",
    "namespace_selector": "namespaceSelector",
    "allowed_uses": "allowedUses",
    "assignment_mode": "assignmentMode",
}
FLAGS = ("natOutgoing", "disabled", "disableBGPExport")

# What tools write for themselves and what must not travel to a re-created pool.
BOOKKEEPING = frozenset({"kubectl.kubernetes.io/last-applied-configuration", PACKED})


@dataclass(frozen=True)
class StoredPool:
    """One pool as it is stored (``thing``), with its name at hand."""

    name: str
    thing: Object

    @property
    def spec(self) -> dict[str, t.Any]:
        """The spec as stored, without defaults."""
        spec = self.thing.get("spec") if isinstance(self.thing, dict) else None
        return dict(spec) if isinstance(spec, dict) else {}

    @property
    def resource_version(self) -> str:
        return str(self.thing["metadata"].get("resourceVersion") or "")

    @property
    def uid(self) -> str:
        return str(self.thing["metadata"].get("uid") or "")

    @property
    def terminating(self) -> bool:
        """Whether its deletion has begun, which cannot be taken back."""
        return self.thing["metadata"].get("deletionTimestamp") is not None

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.thing)

    @property
    def annotations(self) -> dict[str, str]:
        shown = annotations_of(self.thing)
        return {key: value for key, value in shown.items() if key not in BOOKKEEPING}

    @property
    def pool_cidr(self) -> Network | None:
        """The range as a network, host bits cleared; None when it does not parse."""
        with contextlib.suppress(InvalidInput):
            return parse_network(self.spec.get("cidr"), strict=False)
        return None

    def pool(self) -> Pool | None:
        """The engine's pool; None when the stored CIDR does not parse."""
        try:
            return pool_from_object(self.thing)
        except InvalidInput:
            return None

    def shown(self) -> dict[str, t.Any]:
        """The pool in a module's result."""
        return {
            "name": self.name,
            "spec": shown_spec(self.spec),
            "labels": self.labels,
            "annotations": self.annotations,
        }


def shown_spec(spec: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """``spec`` after read defaults, every flag spelled out, fields in a fixed order, unknown ones last."""
    full = default_spec(spec)
    for flag in FLAGS:
        full.setdefault(flag, False)
    ordered = {key: full[key] for key in SPEC_FIELDS.values() if key in full}
    ordered.update({key: full[key] for key in sorted(full) if key not in ordered})
    return ordered


def read_pools(api: KubeApi) -> list[StoredPool]:
    """All pools in name order. Refused when there is no Calico that keeps any."""
    try:
        items = api.list(IP_POOLS).items
    except UnknownResource:
        raise Refused(NO_CALICO) from None
    return sorted((StoredPool(item["metadata"]["name"], item) for item in items), key=lambda pool: pool.name)


def is_owner(key: str, value: str | None) -> bool:
    """Whether this label gives a pool to the Tigera operator (spec ippool.md §10.2)."""
    return key == OWNER_LABEL and value == OPERATOR


def find(pools: t.Iterable[StoredPool], name: str) -> StoredPool | None:
    return next((pool for pool in pools if pool.name == name), None)


def engine_pools(pools: t.Iterable[StoredPool]) -> list[Pool]:
    """The pools whose CIDR parses; Calico ignores the others too."""
    return [parsed for parsed in (pool.pool() for pool in pools) if parsed is not None]


def require(pools: t.Sequence[StoredPool], name: str) -> StoredPool:
    """The pool called ``name``; InvalidInput naming the pools that exist when there is none."""
    pool = find(pools, name)
    if pool is None:
        existing = ", ".join(other.name for other in pools) or "none"
        raise InvalidInput(
            f"There is no IPPool {name!r}; the pools of this cluster are: {existing}.", field="name", value=name
        )
    return pool
