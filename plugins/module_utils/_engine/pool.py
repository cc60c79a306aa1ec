# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One IP pool: what Calico understands when it reads it, and what it writes.

Sources: spec ippool.md §2 (fields), §4.1 (write defaults), §4.2 (read defaults).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import pool_rules
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    FieldError,
    InvalidInput,
    InvalidPool,
)

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
    compares. InvalidInput when the CIDR does not parse; such a pool takes part in nothing.
    """
    try:
        cidr = parse_network(spec.get("cidr"), strict=False)
    except InvalidInput as error:
        raise InvalidInput(f"Pool {name!r}: {error.message}", error.field, error.value, error.rule) from None
    size = spec.get("blockSize")
    return Pool(
        name=name,
        cidr=cidr,
        block_size=size if isinstance(size, int) and size else DEFAULT_BLOCK_SIZE[cidr.version],
        ipip_mode=spec.get("ipipMode") or "Never",
        vxlan_mode=spec.get("vxlanMode") or "Never",
        nat_outgoing=bool(spec.get("natOutgoing")),
        disabled=bool(spec.get("disabled")),
        disable_bgp_export=bool(spec.get("disableBGPExport")),
        node_selector=spec.get("nodeSelector") or "all()",
        namespace_selector=spec.get("namespaceSelector") or "",
        allowed_uses=frozenset(spec.get("allowedUses") or DEFAULT_USES),
        assignment_mode=spec.get("assignmentMode") or "Automatic",
        terminating=terminating,
        allocatable=allocatable,
    )


def pool_from_object(pool: t.Mapping[str, t.Any]) -> Pool:
    """The pool of a whole IPPool object: name, deletion and ``Allocatable`` condition included."""
    metadata = pool.get("metadata") or {}
    conditions = (pool.get("status") or {}).get("conditions") or ()
    return pool_from_spec(
        metadata.get("name") or "",
        pool.get("spec") or {},
        terminating=metadata.get("deletionTimestamp") is not None,
        allocatable=not any(c.get("type") == "Allocatable" and c.get("status") == "False" for c in conditions),
    )


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


def validate_create(
    name: str,
    spec: Spec,
    other_pools: t.Iterable[Pool] = (),
    blocks: t.Iterable[Network] = (),
    *,
    metadata: t.Optional[t.Mapping[str, t.Any]] = None,
) -> None:
    """Refuse a new pool that Calico's client would refuse (spec ippool.md §3.1).

    ``other_pools`` are all stored pools that parse, disabled ones included; ``blocks`` the
    CIDRs of all existing blocks (leave them out with host-local IPAM). ``metadata`` is the
    object's, where labels or annotations are to be checked. Every broken rule is reported
    at once; InvalidPool holds them.
    """
    subject = _examine(name, spec)
    errors = subject.errors
    errors.extend(pool_rules.name_errors(name))
    if metadata is not None:
        errors.extend(pool_rules.metadata_errors(name, metadata))
        if metadata.get("resourceVersion"):
            errors.append(_metadata_error(name, "resourceVersion", metadata, "must not be set on a new pool"))
    others = list(other_pools)
    _check_overlap(subject, others)
    _check_blocks(subject, blocks)
    if not errors and any(other.name == name for other in others):
        errors.append(FieldError("metadata.name", name, f"A pool named {name!r} exists already.", "V29"))
    if errors:
        raise InvalidPool(errors)


def validate_update(
    name: str,
    old_spec: Spec,
    new_spec: Spec,
    *,
    metadata: t.Optional[t.Mapping[str, t.Any]] = None,
) -> None:
    """Refuse an update that Calico's client would refuse (spec ippool.md §3.1, §4.3).

    ``new_spec`` is the whole new specification: what it leaves out returns to its default.
    Overlap with pools and blocks is not looked at again, as Calico does not.
    """
    subject = _examine(name, new_spec)
    errors = subject.errors
    errors.extend(pool_rules.name_errors(name))
    if metadata is not None:
        errors.extend(pool_rules.metadata_errors(name, metadata))
        for field in ("resourceVersion", "uid", "creationTimestamp"):
            if not metadata.get(field):
                errors.append(_metadata_error(name, field, metadata, "must be set on an update"))
    _check_immutable(subject, old_spec)
    if errors:
        raise InvalidPool(errors)


def validate_schema_rules(spec: Spec, old_spec: t.Optional[Spec] = None, *, name: str = "") -> t.Tuple[FieldError, ...]:
    """What the API server itself refuses with the CRDs of v3.33: the rules marked K (spec ippool.md §3.1).

    Nothing is defaulted but nodeSelector and assignmentMode, selectors are not parsed, other
    objects are not looked at, and the immutable fields are compared as stored.
    """
    seen = {key: value for key, value in spec.items() if value is not None}
    seen.setdefault("nodeSelector", "all()")
    seen.setdefault("assignmentMode", "Automatic")
    subject = pool_rules.Subject(name, seen)
    pool_rules.check_types(subject)
    pool_rules.check_cidr(subject)
    implied = dict(seen)
    if subject.cidr is not None and not seen.get("blockSize"):
        implied["blockSize"] = DEFAULT_BLOCK_SIZE[subject.cidr.version]
    sized = pool_rules.Subject(name, implied)
    pool_rules.check_block_size(sized)
    subject.errors.extend(sized.errors)
    pool_rules.check_encapsulation(subject)
    for mode in ("ipipMode", "vxlanMode"):
        if seen.get(mode) == "":
            subject.blame("V11", mode, f"is empty: it takes {', '.join(pool_rules.MODES)}, or leave it out")
    pool_rules.check_assignment_mode(subject)
    pool_rules.check_uses(subject)
    pool_rules.check_load_balancer(subject)
    pool_rules.check_namespace_selector(subject)
    pool_rules.check_selectors(subject, parsed=False)
    for field, rule, role in (("cidr", "V21", _MIGRATE), ("blockSize", "V22", _RESIZE)):
        old = (old_spec or {}).get(field)
        if old is not None and field in seen and old != seen[field]:
            subject.blame(rule, field, f"cannot be changed from {old!r} in place: {role}")
    return tuple(subject.errors)


_MIGRATE = "the role calico_ops.ipam.migrate_pool moves everything into a new pool instead"
_RESIZE = "the role calico_ops.ipam.change_block_size does it instead"


def _examine(name: str, spec: Spec) -> pool_rules.Subject:
    subject = pool_rules.Subject(name, default_spec(spec))
    for rule in pool_rules.ON_SPEC:
        rule(subject)
    return subject


def _check_overlap(subject: pool_rules.Subject, others: t.Iterable[Pool]) -> None:
    """V24."""
    for other in others:
        if subject.cidr is not None and other.name != subject.name and other.cidr.overlaps(subject.cidr):
            state = "disabled pool" if other.disabled else "pool"
            subject.blame(
                "V24", "cidr", f"overlaps {other.cidr} of the {state} {other.name!r}: choose a range outside it"
            )


def _check_blocks(subject: pool_rules.Subject, blocks: t.Iterable[Network]) -> None:
    """V25."""
    cidr, size = subject.cidr, subject.block_size
    if cidr is None or size is None:
        return
    clashing = sorted(block for block in blocks if block.prefix != size and block.overlaps(cidr))
    if clashing:
        count = (
            "a block of another size exists" if len(clashing) == 1 else f"{len(clashing)} blocks of another size exist"
        )
        subject.blame(
            "V25",
            "blockSize",
            f"does not fit what is allocated: {count} in {cidr}, {clashing[0]} first; "
            f"use blockSize {clashing[0].prefix}, or empty and release those blocks first",
        )


def _check_immutable(subject: pool_rules.Subject, old_spec: Spec) -> None:
    """V21 to V23."""
    old = default_spec(old_spec)
    try:
        old_cidr: t.Optional[Network] = parse_network(old.get("cidr"), strict=False)
    except InvalidInput:
        old_cidr = None
    same = old.get("cidr") == subject.spec.get("cidr") if old_cidr is None else old_cidr == subject.cidr
    if not same and subject.cidr is not None:
        subject.blame("V21", "cidr", f"cannot be changed from {old_cidr or old.get('cidr')} in place: {_MIGRATE}")
    if "LoadBalancer" in (old.get("allowedUses") or ()) and "LoadBalancer" not in subject.uses:
        subject.blame(
            "V23", "allowedUses", "cannot take LoadBalancer away from a pool that has it: make another pool instead"
        )
    old_size = old.get("blockSize") or (DEFAULT_BLOCK_SIZE[subject.cidr.version] if subject.cidr else None)
    if same and subject.block_size is not None and subject.block_size != old_size:
        subject.blame("V22", "blockSize", f"cannot be changed from {old_size} in place: {_RESIZE}")


def _metadata_error(name: str, field: str, metadata: t.Mapping[str, t.Any], problem: str) -> FieldError:
    value = metadata.get(field)
    return FieldError(f"metadata.{field}", value, f"metadata.{field} of pool {name!r} {problem}.", "V28")
