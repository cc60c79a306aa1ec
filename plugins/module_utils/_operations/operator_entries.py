# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""IP pools as the Tigera operator has them: entries of the list ipPools in an Installation.

Pure functions between an entry and the spec of a pool (spec ippool.md §10.1). An entry keeps
every member that is not ours to change; what it leaves out is as the pool has it.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec

Entry = t.Dict[str, t.Any]
Spec = t.Mapping[str, t.Any]

#: The list may not be longer.
MOST_ENTRIES = 25

#: Word of the Installation -> ipipMode and vxlanMode of the pool.
ENCAPSULATIONS: dict[str, tuple[str, str]] = {
    "IPIP": ("Always", "Never"),
    "IPIPCrossSubnet": ("CrossSubnet", "Never"),
    "VXLAN": ("Never", "Always"),
    "VXLANCrossSubnet": ("Never", "CrossSubnet"),
    "None": ("Never", "Never"),
}
_WORDS = {modes: word for word, modes in ENCAPSULATIONS.items()}

#: Members that have the same name and value in a pool and in an entry.
_ALIKE = ("blockSize", "nodeSelector", "allowedUses", "assignmentMode")


def network_of(entry: t.Mapping[str, t.Any]) -> Network | None:
    """The range of an entry; None when it does not parse."""
    with contextlib.suppress(InvalidInput):
        return parse_network(entry.get("cidr"), strict=False)
    return None


def index_of(entries: t.Sequence[t.Mapping[str, t.Any]], name: str, cidr: Network | None) -> int | None:
    """Where the pool stands in the list: the entry of its name, else one without a name that has its range."""
    for index, entry in enumerate(entries):
        if entry.get("name") == name:
            return index
    for index, entry in enumerate(entries):
        if not entry.get("name") and cidr is not None and network_of(entry) == cidr:
            return index
    return None


def spec_of(entry: t.Mapping[str, t.Any], live: Spec) -> dict[str, t.Any]:
    """The spec that the operator gives a pool for this entry; what the entry leaves out is as in ``live``."""
    spec = {key: value for key, value in live.items() if key != "namespaceSelector"}
    if network_of(entry) is not None:
        spec["cidr"] = entry["cidr"]
    for member in _ALIKE:
        if entry.get(member) is not None:
            spec[member] = entry[member]
    if entry.get("encapsulation") in ENCAPSULATIONS:
        spec["ipipMode"], spec["vxlanMode"] = ENCAPSULATIONS[entry["encapsulation"]]
    if entry.get("natOutgoing") is not None:
        spec["natOutgoing"] = entry["natOutgoing"] == "Enabled"
    # Flags that an entry does not name are off, whatever the pool says.
    spec["disableBGPExport"] = bool(entry.get("disableBGPExport"))
    spec["disabled"] = bool(entry.get("disableNewAllocations"))
    return spec


def entry_of(name: str, spec: Spec) -> Entry:
    """A complete new entry for the pool.

    Members that younger operators know only are left out where they say what holds anyway.
    Refused when the Installation has no words for the spec.
    """
    full = default_spec(spec)
    _refuse_inexpressible(name, full)
    entry: Entry = {
        "name": name,
        "cidr": full["cidr"],
        "blockSize": full["blockSize"],
        "encapsulation": _encapsulation(full),
        "natOutgoing": "Enabled" if full.get("natOutgoing") else "Disabled",
        "nodeSelector": full["nodeSelector"],
        "disableBGPExport": bool(full.get("disableBGPExport")),
        "allowedUses": list(full["allowedUses"]),
    }
    if full.get("disabled"):
        entry["disableNewAllocations"] = True
    if full["assignmentMode"] != "Automatic":
        entry["assignmentMode"] = full["assignmentMode"]
    return entry


def edited(entry: t.Mapping[str, t.Any], name: str, changed: Spec, spec: Spec) -> Entry:
    """The entry with the fields of ``changed`` as they are in ``spec``, and everything else as it was.

    Refused when the Installation has no words for the spec, or when the operator could never carry the change out.
    """
    full = default_spec(spec)
    _refuse_inexpressible(name, full)
    new = dict(entry)
    for field in changed:
        if field in ("ipipMode", "vxlanMode"):
            new["encapsulation"] = _encapsulation(full)
        elif field == "natOutgoing":
            new["natOutgoing"] = "Enabled" if full.get("natOutgoing") else "Disabled"
        elif field == "disabled":
            new["disableNewAllocations"] = bool(full.get("disabled"))
        elif field == "disableBGPExport":
            new["disableBGPExport"] = bool(full.get("disableBGPExport"))
        elif field in _ALIKE:
            new[field] = full[field]
    return new


def same_pool(entry: t.Mapping[str, t.Any], spec: Spec) -> bool:
    """Whether a pool with this spec is what the operator makes of the entry."""
    live, wanted = default_spec(spec), default_spec(spec_of(entry, spec))
    return all(_alike(live.get(key), wanted.get(key)) for key in {**live, **wanted})


def adopts(entry: t.Mapping[str, t.Any], spec: Spec) -> bool:
    """Whether the operator takes a pool for its own that does not carry its label (§10.2).

    It does so when its comparison finds no difference, which it always does for pools without
    encapsulation, block size or uses as they are stored.
    """
    complete = bool(spec.get("blockSize")) and bool(spec.get("allowedUses"))
    encapsulated = any(spec.get(mode) not in (None, "", "Never") for mode in ("ipipMode", "vxlanMode"))
    return complete and encapsulated and same_pool(entry, spec)


def _alike(one: t.Any, other: t.Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return set(one) == set(other)
    return bool(one == other)


def _encapsulation(spec: Spec) -> str:
    return _WORDS[(spec["ipipMode"], spec["vxlanMode"])]


def _refuse_inexpressible(name: str, spec: Spec) -> None:
    if spec.get("namespaceSelector"):
        raise Refused(
            f"IPPool {name!r} cannot have namespaceSelector {spec['namespaceSelector']!r}: the Tigera operator manages "
            "the pools of this cluster, its Installation has no such member, and it takes the field away from its "
            "pools; leave namespace_selector out and steer namespaces with the annotation "
            "cni.projectcalico.org/ipv4pools or ipv6pools.",
            field="namespaceSelector",
            pool=name,
        )
