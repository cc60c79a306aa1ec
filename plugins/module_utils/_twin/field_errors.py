# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The wording of validation errors: one constructor for each reason of a cause.

Paths are text with dots (``spec.cidr``, ``spec.containers[0].name``), ``<nil>`` for none.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause

NO_PATH = "<nil>"

# Reasons after which the API server does not look at CEL rules any more.
BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)


def shown(value: t.Any) -> str:
    """A value as the API server prints it in an error: JSON, compact."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def invalid_value(path: str, value: t.Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}", path)


def invalid_object(path: str, detail: str) -> Cause:
    """About a whole object: its value is not shown."""
    return Cause("FieldValueInvalid", f"Invalid value: {detail}", path)


def wrong_type(path: str, found: t.Any, detail: str) -> Cause:
    return Cause("FieldValueTypeInvalid", f"Invalid value: {shown(found)}: {detail}", path)


def required(path: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", path)


def forbidden_field(path: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", path)


def duplicate(path: str, value: t.Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", path)


def not_found_value(path: str, value: t.Any) -> Cause:
    return Cause("FieldValueNotFound", f"Not found: {shown(value)}", path)


def unsupported(path: str, value: t.Any, supported: t.Iterable[t.Any]) -> Cause:
    names = ", ".join(shown(each) for each in supported)
    return Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {names}", path)


def too_long(path: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", path)


def too_many(path: str, found: int, limit: int) -> Cause:
    return Cause("FieldValueTooMany", f"Too many: {found}: must have at most {limit} items", path)


def rules_not_checked() -> Cause:
    """Follows the errors that keep the API server from looking at CEL rules (spec §8)."""
    return invalid_value(
        NO_PATH,
        None,
        "some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation",
    )
