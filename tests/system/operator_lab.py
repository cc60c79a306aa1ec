# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small Tigera operator: it makes, puts back and deletes pools as an Installation lists them, and can be asleep."""

from __future__ import annotations

import typing as t

from modes_lab import DEFAULT, Lab, Mode
from simulation import Write

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    INSTALLATIONS,
    IP_POOLS,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import (
    entry_of,
    same_pool,
    spec_of,
)

OWNED = {OWNER_LABEL: OPERATOR}
TEXT = {"type": "string"}
MEMBERS: dict[str, t.Any] = {
    "name": TEXT,
    "cidr": TEXT,
    "blockSize": {"type": "integer"},
    "encapsulation": TEXT,
    "natOutgoing": TEXT,
    "nodeSelector": TEXT,
    "disableBGPExport": {"type": "boolean"},
    "allowedUses": {"type": "array", "items": TEXT},
    "aMemberOfItsOwn": TEXT,
}
YOUNGER = {"disableNewAllocations": {"type": "boolean"}, "assignmentMode": TEXT}


def definition(plural: str, kind: str, spec: Object) -> Object:
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
    }
    names = {"plural": plural, "kind": kind, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.operator.tigera.io"},
        "spec": {"group": "operator.tigera.io", "scope": "Cluster", "names": names, "versions": [version]},
    }


class Operated(Lab):
    """The small cluster, an Installation that lists its pool, and somebody who makes pools of entries."""

    def __init__(
        self,
        installation: str = "crd_v3",
        *,
        old: bool = False,
        before: t.Callable[[Write], None] | None = None,
    ) -> None:
        super().__init__(Mode(installation), before=before)
        self.mode = Mode(installation, operator=True)
        self.asleep = False
        self._ticks = 0
        members = MEMBERS if old else {**MEMBERS, **YOUNGER}
        entries = {"type": "array", "maxItems": 25, "items": {"type": "object", "properties": members}}
        network = {"type": "object", "properties": {"ipPools": entries, "bgp": TEXT}}
        spec = {"type": "object", "properties": {"calicoNetwork": network, "variant": TEXT}}
        raw = self.admin.raw
        raw.create(CUSTOM_RESOURCE_DEFINITIONS, definition("installations", "Installation", spec))
        raw.create(CUSTOM_RESOURCE_DEFINITIONS, definition("tigerastatuses", "TigeraStatus", {"type": "object"}))
        self.advance(3)
        self.admin.patch(IP_POOLS, DEFAULT, {"metadata": {"labels": OWNED}})
        entry = {**entry_of(DEFAULT, self.stored(DEFAULT)["spec"]), "aMemberOfItsOwn": "kept"}
        installation = {
            "apiVersion": INSTALLATIONS.api_version,
            "kind": INSTALLATIONS.kind,
            "metadata": {"name": "default"},
            "spec": {"calicoNetwork": {"ipPools": [entry]}, "variant": "Calico"},
        }
        raw.create(INSTALLATIONS, installation)
        status = {"apiVersion": TIGERA_STATUSES.api_version, "kind": "TigeraStatus", "metadata": {"name": "ippools"}}
        raw.create(TIGERA_STATUSES, status)
        self.says(None)
        self.simulated.ticks.append(self._reconcile)

    def says(self, complaint: str | None) -> None:
        """What TigeraStatus ippools tells."""
        status = self.admin.get(TIGERA_STATUSES, "ippools")
        degraded = {"type": "Degraded", "status": "False" if complaint is None else "True", "message": complaint or ""}
        status["status"] = {"conditions": [{"type": "Available", "status": "True"}, degraded]}
        self.admin.replace(TIGERA_STATUSES, status, subresource="status")

    def entries(self) -> list[Object]:
        spec = self.admin.get(INSTALLATIONS, "default")["spec"]
        assert spec["variant"] == "Calico"
        return t.cast("list[Object]", spec["calicoNetwork"]["ipPools"])

    def write(self, *entries: Object) -> None:
        self.admin.patch(INSTALLATIONS, "default", {"spec": {"calicoNetwork": {"ipPools": list(entries)}}})

    def _reconcile(self) -> None:
        self._ticks += 1
        if self.asleep or self._ticks % 7:
            return
        entries = {entry["name"]: entry for entry in self.entries()}
        pools = {thing["metadata"]["name"]: thing for thing in self.admin.list(IP_POOLS).items}
        for name, entry in entries.items():
            if name not in pools:
                self.put(name, labels=dict(OWNED), **spec_of(entry, {}))
            elif _owned(pools[name]) and not same_pool(entry, pools[name]["spec"]):
                self.admin.patch(IP_POOLS, name, {"spec": {**spec_of(entry, {}), "namespaceSelector": None}})
        for name, thing in pools.items():
            if _owned(thing) and name not in entries:
                self.admin.delete(IP_POOLS, name)


def _owned(pool: Object) -> bool:
    return bool((pool["metadata"].get("labels") or {}).get(OWNER_LABEL) == OPERATOR)
