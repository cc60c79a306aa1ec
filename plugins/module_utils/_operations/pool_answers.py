# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What an API server says when a pool breaks a rule, as the rule.

The words are those of Calico's client and of its CRDs (spec ippool.md §3.1). The aggregated API
server passes a refusal of the API server behind it on as an error 500 (§3.2), which is no outage.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError, BadRequest, Invalid
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import FieldError, InvalidPool

# Fragments of the answer in lower case, the rule, and its field; None where the answer itself names the field.
_FRAGMENTS: tuple[tuple[str, str, str | None], ...] = (
    ("must be specified", "V1", "cidr"),
    ("must be a valid subnet", "V2", "cidr"),
    ("strictly masked", "V4", "cidr"),
    ("overlaps with ipv4 link local", "V5", "cidr"),
    ("ipv4 link local", "V5", "cidr"),
    ("ipv6 link local", "V6", "cidr"),
    ("blocksize must be between", "V7", "blockSize"),
    ("block size must be between", "V7", "blockSize"),
    ("too small for use", "V8", "cidr"),
    ("cannot both be enabled", "V9", "vxlanMode"),
    ("not supported on ipv6", "V10", "ipipMode"),
    ("not supported on an ipv6", "V10", "ipipMode"),
    ("unknown use", "V12", "allowedUses"),
    ("combined with workload or tunnel", "V13", "allowedUses"),
    ("cannot have ipip or vxlan", "V14", None),
    ("cannot disable bgp export", "V15", "disableBGPExport"),
    ("must have nodeselector", "V16", "nodeSelector"),
    ("cannot have namespaceselector", "V17", "namespaceSelector"),
    ("global() selector is not valid", "V19", None),
    ("cidr overlaps with", "V24", "cidr"),
    ("conflicts with existing allocations", "V25", "blockSize"),
    ("cannot be changed from", "V23", "allowedUses"),
    ("must consist of lower case", "V26", "metadata.name"),
)
_IMMUTABLE = ("cannot be modified", "cannot be changed")
_FIELDS = (
    "namespaceSelector",
    "nodeSelector",
    "disableBGPExport",
    "assignmentMode",
    "allowedUses",
    "natOutgoing",
    "blockSize",
    "ipipMode",
    "vxlanMode",
    "disabled",
    "cidr",
)
_UNKNOWN_FIELD = re.compile(r'unknown field "([^"]+)"')


def as_broken_rule(error: ApiError, name: str, spec: t.Mapping[str, t.Any]) -> InvalidPool | None:
    """The rule that the answer is about; None when it is about something else, such as an outage."""
    if not isinstance(error, (Invalid, BadRequest)) and error.status != 500:
        return None
    text = error.message.lower()
    unknown = _UNKNOWN_FIELD.search(error.message)
    if unknown is not None:
        return _invalid(name, spec, unknown.group(1), "unknown", error)
    for fragment, rule, field in _FRAGMENTS:
        if fragment in text:
            return _invalid(name, spec, field or _field(error, text) or "spec", rule, error)
    field = _field(error, text)
    if any(words in text for words in _IMMUTABLE):
        field = "blockSize" if "block size" in text or field == "blockSize" else "cidr"
        return _invalid(name, spec, field, "V21" if field == "cidr" else "V22", error)
    if field is not None and ("selector" in text or "invalid" in text or "unsupported value" in text):
        rule = "V18" if field.endswith("Selector") else "V11"
        return _invalid(name, spec, field, rule, error)
    return _invalid(name, spec, field or "spec", "", error) if isinstance(error, Invalid) else None


def _field(error: ApiError, text: str) -> str | None:
    for cause in error.causes:
        named = str(cause.get("field") or "").lower()
        for field in _FIELDS:
            if field.lower() in named:
                return field
    return next((field for field in _FIELDS if field.lower() in text), None)


def _invalid(name: str, spec: t.Mapping[str, t.Any], field: str, rule: str, error: ApiError) -> InvalidPool:
    where = f"spec.{field}" if field in _FIELDS else field
    value = spec.get(field)
    told = f" {value!r}" if value is not None else ""
    answer = " ".join(error.message.split()).rstrip(".") + "."
    return InvalidPool(
        [FieldError(field, value, f"{where}{told} of pool {name!r} was refused by the API server: {answer}", rule)]
    )
