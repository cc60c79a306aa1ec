# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""One IP pool: what Calico understands when it reads it, and what it writes.

Sources: spec ippool.md §2 (fields), §4.1 (write defaults), §4.2 (read defaults).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

Spec = t.Mapping[str, t.Any]

DEFAULT_BLOCK_SIZE: t.Dict[int, int] = {4: 26, 6: 122}
DEFAULT_USES: t.FrozenSet[str] = frozenset({"Workload", "Tunnel"})


@dataclass(frozen=True)
class Pool:
    """A pool after read defaults. ``block_size`` is the prefix length of its blocks.

    ``terminating``: deletion has begun. ``allocatable``: no condition says otherwise.
    """

    name: str
    cidr: Network
    block_size: int
    ipip_mode: str = "Never"
    vxlan_mode: str = "Never"
    nat_outgoing: bool = False
    disabled: bool = False
    disable_bgp_export: bool = False
    node_selector: str = "all()"
    namespace_selector: str = ""
    allowed_uses: t.FrozenSet[str] = DEFAULT_USES
    assignment_mode: str = "Automatic"
    terminating: bool = False
    allocatable: bool = True

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.cidr.version

    @property
    def enabled(self) -> bool:
        """Whether IPAM may take new addresses from it (spec ipam-engine.md §8.1)."""
        return not self.disabled and not self.terminating and self.allocatable

    @property
    def block_count(self) -> int:
        """Blocks the pool can be cut into; 0 when it is smaller than one block."""
        return self.cidr.count(self.block_size)

    @property
    def addresses_per_block(self) -> int:
        return 1 << (self.cidr.bits - self.block_size)


def default_block_size(version: int) -> int:
    """26 for IPv4, 122 for IPv6."""
    return DEFAULT_BLOCK_SIZE[version]


def pool_from_spec(name: str, spec: Spec, *, terminating: bool = False, allocatable: bool = True) -> Pool:
    """The pool a stored ``spec`` stands for, with read defaults (spec ippool.md §4.2).

    Reads what is stored, valid or not: host bits are cleared, as Calico does when it
    compares. InvalidInput when the CIDR does not parse or a field is of another type than
    Calico writes; such a pool takes part in nothing.
    """
    if not isinstance(spec, t.Mapping):
        raise _damaged(name, "spec", spec, "an object")
    try:
        cidr = parse_network(spec.get("cidr"), strict=False)
    except InvalidInput as error:
        raise InvalidInput(f"Pool {name!r}: {error.message}", error.field, error.value, error.rule) from None
    size = spec.get("blockSize")
    if size is not None and not (type(size) is int and 0 <= size <= cidr.bits):
        raise _damaged(name, "blockSize", size, f"a whole number up to {cidr.bits}")
    uses = spec.get("allowedUses") or DEFAULT_USES
    if not isinstance(uses, (list, tuple, frozenset)) or not all(isinstance(use, str) for use in uses):
        raise _damaged(name, "allowedUses", uses, "a list of texts")
    return Pool(
        name=name,
        cidr=cidr,
        block_size=size or DEFAULT_BLOCK_SIZE[cidr.version],
        ipip_mode=_text(name, spec, "ipipMode") or "Never",
        vxlan_mode=_text(name, spec, "vxlanMode") or "Never",
        nat_outgoing=bool(spec.get("natOutgoing")),
        disabled=bool(spec.get("disabled")),
        disable_bgp_export=bool(spec.get("disableBGPExport")),
        node_selector=_text(name, spec, "nodeSelector") or "all()",
        namespace_selector=_text(name, spec, "namespaceSelector"),
        allowed_uses=frozenset(uses),
        assignment_mode=_text(name, spec, "assignmentMode") or "Automatic",
        terminating=terminating,
        allocatable=allocatable,
    )


def pool_from_object(pool: t.Any) -> Pool:
    """The pool of a whole IPPool object: name, deletion and ``Allocatable`` condition included."""
    metadata = _map(pool, "metadata")
    name = metadata.get("name")
    conditions = _map(pool, "status").get("conditions")
    return pool_from_spec(
        name if isinstance(name, str) else "",
        (pool.get("spec") or {}) if isinstance(pool, dict) else {},
        terminating=metadata.get("deletionTimestamp") is not None,
        allocatable=not any(
            isinstance(each, dict) and each.get("type") == "Allocatable" and each.get("status") == "False"
            for each in (conditions if isinstance(conditions, list) else ())
        ),
    )


def _map(thing: t.Any, member: str) -> t.Dict[str, t.Any]:
    found = thing.get(member) if isinstance(thing, dict) else None
    return found if isinstance(found, dict) else {}


def _text(name: str, spec: Spec, field: str) -> str:
    value = spec.get(field)
    if value is not None and not isinstance(value, str):
        raise _damaged(name, field, value, "text")
    return value or ""


def _damaged(name: str, field: str, value: t.Any, wanted: str) -> InvalidInput:
    return InvalidInput(f"Pool {name!r}: {field} must be {wanted}, not a {type(value).__name__}.", field, value)


def default_spec(spec: Spec) -> t.Dict[str, t.Any]:
    """What Calico's client stores for ``spec`` (spec ippool.md §4.1), as a new dict.

    A CIDR in an unusual spelling becomes canonical; one that breaks a rule is left as it
    is, for the validation to name. Nothing else is repaired.
    """
    stored = {key: value for key, value in spec.items() if value is not None}
    cidr: t.Optional[Network] = None
    try:
        cidr = parse_network(spec.get("cidr"), strict=False)
        stored["cidr"] = str(parse_network(spec.get("cidr")))
    except InvalidInput:
        pass
    if cidr is not None and stored.get("blockSize", 0) == 0 and stored.get("blockSize") is not False:
        stored["blockSize"] = DEFAULT_BLOCK_SIZE[cidr.version]
    if not stored.get("allowedUses"):
        stored["allowedUses"] = ["Workload", "Tunnel"]
    stored.setdefault("assignmentMode", "Automatic")
    for mode in ("ipipMode", "vxlanMode"):
        stored[mode] = stored.get(mode) or "Never"
    stored["nodeSelector"] = stored.get("nodeSelector") or "all()"
    for flag in ("natOutgoing", "disabled", "disableBGPExport"):
        if stored.get(flag) is False:
            del stored[flag]
    if stored.get("namespaceSelector") == "":
        del stored["namespaceSelector"]
    return stored
