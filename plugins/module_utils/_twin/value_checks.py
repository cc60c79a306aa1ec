# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""What a schema says about a value besides its type: bounds, lengths, patterns, formats, enums."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.field_errors import (
    invalid_value,
    too_long,
    too_many,
    unsupported,
    wrong_type,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.formats import FORMATS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause

Schema = t.Mapping[str, t.Any]
# Checks one value at one path; nothing to say means it is good.
Validation = t.Callable[[t.Any, str], t.Iterable[Cause]]


def value_checks(schema: Schema) -> t.Iterator[Validation]:
    """The checks of one schema node, ready to call."""
    if schema.get("enum"):
        yield functools.partial(_enum, tuple(schema["enum"]))
    for name, validation in _LIMITS.items():
        if schema.get(name) is not None:
            yield functools.partial(validation, schema)
    if schema.get("pattern"):
        yield functools.partial(_pattern, schema["pattern"], re.compile(schema["pattern"]))
    good = FORMATS.get(str(schema.get("format") or ""))
    if good is not None and schema.get("type") == "string":
        yield functools.partial(_format, str(schema["format"]), good)


def same_json(left: t.Any, right: t.Any) -> bool:
    """Equal as JSON; Python alone would call 1 and true the same."""
    return left is right or (type(left) is type(right) and bool(left == right))


def _enum(values: tuple[t.Any, ...], value: t.Any, path: str) -> t.Iterator[Cause]:
    if value is not None and not any(same_json(value, each) for each in values):
        yield unsupported(path, value, values)


def _is_number(value: t.Any) -> bool:
    return type(value) in (int, float)


def _minimum(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    limit = schema["minimum"]
    if _is_number(value):
        if schema.get("exclusiveMinimum") and value <= limit:
            yield invalid_value(path, value, f"{path} in body should be greater than {limit}")
        elif value < limit:
            yield invalid_value(path, value, f"{path} in body should be greater than or equal to {limit}")


def _maximum(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    limit = schema["maximum"]
    if _is_number(value):
        if schema.get("exclusiveMaximum") and value >= limit:
            yield invalid_value(path, value, f"{path} in body should be less than {limit}")
        elif value > limit:
            yield invalid_value(path, value, f"{path} in body should be less than or equal to {limit}")


def _multiple_of(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if _is_number(value) and value % schema["multipleOf"]:
        yield invalid_value(path, value, f"{path} in body should be a multiple of {schema['multipleOf']}")


def _max_length(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is str and len(value) > schema["maxLength"]:
        yield too_long(path, schema["maxLength"])


def _min_length(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is str and len(value) < schema["minLength"]:
        yield invalid_value(path, value, f"{path} in body should be at least {schema['minLength']} chars long")


def _max_items(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is list and len(value) > schema["maxItems"]:
        yield too_many(path, len(value), schema["maxItems"])


def _min_items(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is list and len(value) < schema["minItems"]:
        yield invalid_value(path, len(value), f"{path} in body should have at least {schema['minItems']} items")


def _max_properties(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is dict and len(value) > schema["maxProperties"]:
        yield too_many(path, len(value), schema["maxProperties"])


def _min_properties(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is dict and len(value) < schema["minProperties"]:
        yield invalid_value(
            path, len(value), f"{path} in body should have at least {schema['minProperties']} properties"
        )


def _unique_items(schema: Schema, value: t.Any, path: str) -> t.Iterator[Cause]:
    if schema["uniqueItems"] and type(value) is list and len({repr(each) for each in value}) < len(value):
        yield invalid_value(path, value, f"{path} in body shouldn't contain duplicates")


_LIMITS: t.Mapping[str, t.Callable[[Schema, t.Any, str], t.Iterator[Cause]]] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "maxLength": _max_length,
    "minLength": _min_length,
    "maxItems": _max_items,
    "minItems": _min_items,
    "maxProperties": _max_properties,
    "minProperties": _min_properties,
    "uniqueItems": _unique_items,
}


def _pattern(text: str, pattern: re.Pattern[str], value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is str and not pattern.search(value):
        yield invalid_value(path, value, f"{path} in body should match '{text}'")


def _format(name: str, good: t.Callable[[str], bool], value: t.Any, path: str) -> t.Iterator[Cause]:
    if type(value) is str and not good(value):
        yield wrong_type(path, value, f'{path} in body must be of type {name}: "{value}"')
