# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What Calico's API server itself refuses and fills in: the rules marked C of spec ippool.md §3.1.

They are the engine's rules; here stands only which of them Calico's client of v3.33 runs, in which
order, and how they look in an answer. The others are left to the custom resource's schema.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    FieldError,
    InvalidInput,
    InvalidPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import USES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import (
    validate_create,
    validate_update,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause, Fault, invalid

# Reported together; a later group only when the earlier ones passed. With Calico's own words for each rule.
_GROUPS: tuple[t.Mapping[str, str], ...] = (
    {
        "V1": "a CIDR must be specified",
        "V2": "must be a valid subnet",
        "V21": "cannot be modified",
        "V22": "cannot be modified",
        "V23": "cannot be changed from LoadBalancer",
        "V24": "CIDR overlaps with another pool",
        "V4": "is not strictly masked",
    },
    {
        "V12": "unknown use",
        "V18": "Reason: failed to validate Field: {field} because of Tag: selector",
        "V26": "bad name",
        "V27": "bad metadata",
        "V28": "bad metadata",
    },
    {"V25": "conflicts with existing allocations"},
)
# Calico names the fields of its Go types, the pool's own checks with the way there, others without.
_GO_NAMES = {"cidr": "CIDR"}


def prepared_pool(
    obj: Object,
    old: Object | None,
    others: t.Callable[[], t.Iterable[Pool]],
    blocks: t.Callable[[], t.Iterable[Network]],
) -> Object:
    """The pool as Calico's client writes it (spec ippool.md §4.1). Raises the 422 ``Fault``.

    ``old`` is None on create; only then ``others`` and ``blocks`` are asked for.
    """
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    if metadata.get("generateName"):
        cause = Cause("FieldValueInvalid", "must not be set: a pool needs a name", "metadata.generateName")
        raise _refusal(obj, [cause])
    name = metadata["name"]
    try:
        if old is None:
            validate_create(name, spec, others(), blocks(), metadata=_without_version(metadata))
        else:
            validate_update(name, old.get("spec") or {}, spec, metadata=metadata)
    except InvalidPool as refused:
        causes = _causes(refused.errors)
        if causes:
            raise _refusal(obj, causes) from None
    return {**obj, "spec": default_spec(spec)}


def check_reservation(obj: Object) -> None:
    """CIDRs and bare addresses; host bits may be set (spec ippool.md §3.5). Raises the 422 ``Fault``."""
    causes = []
    for position, text in enumerate((obj.get("spec") or {}).get("reservedCIDRs") or []):
        try:
            parse_range(text)
        except InvalidInput:
            shown = f"Invalid value: {json.dumps(text)}: must be a valid subnet"
            causes.append(Cause("FieldValueInvalid", shown, f"spec.reservedCIDRs[{position}]"))
    if causes:
        raise _refusal(obj, causes)


def _without_version(metadata: Object) -> Object:
    return {key: value for key, value in metadata.items() if key != "resourceVersion"}


def _refusal(obj: Object, causes: t.Sequence[Cause]) -> Fault:
    return invalid(obj["kind"], str(obj["apiVersion"]).partition("/")[0], obj["metadata"]["name"], causes)


def _causes(errors: t.Iterable[FieldError]) -> list[Cause]:
    for group in _GROUPS:
        found = [_cause(error, group[error.rule]) for error in errors if error.rule in group and not _schemas(error)]
        if found:
            return found
    return []


def _schemas(error: FieldError) -> bool:
    """Of V12, the client checks only that it knows each use."""
    return error.rule == "V12" and set(error.value or ()) <= set(USES)


def _cause(error: FieldError, words: str) -> Cause:
    field = error.field
    if not field.startswith("metadata."):
        field = _GO_NAMES.get(field, field[:1].upper() + field[1:])
        words = words.format(field=field)
        if error.rule not in _GROUPS[1]:
            field = f"IPPool.Spec.{field}"
    return Cause("FieldValueInvalid", f"Invalid value: {json.dumps(error.value)}: {words}: {error.message}", field)
