# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether Calico would take a new pool, or a change of one.

The rules of the client path, V1 to V29 of spec ippool.md §3.1: those on one specification
come from ``pool_fields.py``, those that look at other pools, at blocks and at what was
stored before are here. The sentences say what to do instead.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import pool_fields
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    FieldError,
    InvalidInput,
    InvalidPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import (
    Pool,
    Spec,
    default_block_size,
    default_spec,
)

_MIGRATE = "the role calico_ops.ipam.migrate_pool moves everything into a new pool instead"
_RESIZE = "the role calico_ops.ipam.change_block_size does it instead"


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
    errors.extend(pool_fields.name_errors(name))
    if metadata is not None:
        errors.extend(pool_fields.metadata_errors(name, metadata))
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
    errors.extend(pool_fields.name_errors(name))
    if metadata is not None:
        errors.extend(pool_fields.metadata_errors(name, metadata))
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
    subject = pool_fields.Subject(name, seen)
    pool_fields.check_types(subject)
    pool_fields.check_cidr(subject)
    implied = dict(seen)
    if subject.cidr is not None and not seen.get("blockSize"):
        implied["blockSize"] = default_block_size(subject.cidr.version)
    sized = pool_fields.Subject(name, implied)
    pool_fields.check_block_size(sized)
    subject.errors.extend(sized.errors)
    pool_fields.check_encapsulation(subject)
    for mode in ("ipipMode", "vxlanMode"):
        if seen.get(mode) == "":
            subject.blame("V11", mode, f"is empty: it takes {', '.join(pool_fields.MODES)}, or leave it out")
    pool_fields.check_assignment_mode(subject)
    pool_fields.check_uses(subject)
    pool_fields.check_load_balancer(subject)
    pool_fields.check_namespace_selector(subject)
    pool_fields.check_selectors(subject, parsed=False)
    for field, rule, role in (("cidr", "V21", _MIGRATE), ("blockSize", "V22", _RESIZE)):
        old = (old_spec or {}).get(field)
        if old is not None and field in seen and old != seen[field]:
            subject.blame(rule, field, f"cannot be changed from {old!r} in place: {role}")
    return tuple(subject.errors)


def _examine(name: str, spec: Spec) -> pool_fields.Subject:
    subject = pool_fields.Subject(name, default_spec(spec))
    for rule in pool_fields.ON_SPEC:
        rule(subject)
    return subject


def _check_overlap(subject: pool_fields.Subject, others: t.Iterable[Pool]) -> None:
    """V24."""
    for other in others:
        if subject.cidr is not None and other.name != subject.name and other.cidr.overlaps(subject.cidr):
            state = "disabled pool" if other.disabled else "pool"
            subject.blame(
                "V24", "cidr", f"overlaps {other.cidr} of the {state} {other.name!r}: choose a range outside it"
            )


def _check_blocks(subject: pool_fields.Subject, blocks: t.Iterable[Network]) -> None:
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


def _check_immutable(subject: pool_fields.Subject, old_spec: Spec) -> None:
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
    old_size = old.get("blockSize") or (default_block_size(subject.cidr.version) if subject.cidr else None)
    if same and subject.block_size is not None and subject.block_size != old_size:
        subject.blame("V22", "blockSize", f"cannot be changed from {old_size} in place: {_RESIZE}")


def _metadata_error(name: str, field: str, metadata: t.Mapping[str, t.Any], problem: str) -> FieldError:
    value = metadata.get(field)
    return FieldError(f"metadata.{field}", value, f"metadata.{field} of pool {name!r} {problem}.", "V28")
