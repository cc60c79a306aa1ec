# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wording of each check is in test_structural.py; here is what a check must leave alone."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.value_checks import same_json, value_checks

SCHEMA = {
    "minimum": 2,
    "maximum": 4,
    "multipleOf": 1,
    "minLength": 2,
    "maxLength": 4,
    "minItems": 2,
    "maxItems": 4,
    "minProperties": 2,
    "maxProperties": 4,
    "uniqueItems": True,
    "pattern": "^[a-z]+$",
}


def messages(schema, value):
    return [cause.message for check in value_checks(schema) for cause in check(value, "f")]


@pytest.mark.parametrize("value", [2, 4, 3.0, "ab", "abcd", [1, 2], [1, 2, 3, 4], {"a": 1, "b": 2}, True, None])
def test_a_check_only_looks_at_its_own_type(value):
    assert messages(SCHEMA, value) == []


@pytest.mark.parametrize(
    ("value", "count"),
    [(1, 1), (5, 1), (2.5, 1), ("a", 1), ("abcde", 1), ("AB", 1), ([1], 1), ([1, 1], 1), ({"a": 1}, 1), ([1] * 5, 2)],
)
def test_and_finds_what_is_out_of_bounds(value, count):
    assert len(messages(SCHEMA, value)) == count


def test_enums_and_formats():
    assert messages({"enum": [1, "a"]}, "a") == messages({"enum": [1, "a"]}, None) == []
    assert messages({"enum": [1]}, True) == ["Unsupported value: true: supported values: 1"]
    assert messages({"type": "string", "format": "ipv4"}, "::1") == [
        'Invalid value: "::1": f in body must be of type ipv4: "::1"'
    ]
    assert messages({"type": "integer", "format": "ipv4"}, 4) == []


def test_json_equality():
    assert same_json({"a": [1]}, {"a": [1]})
    assert not same_json(1, True)
    assert not same_json([], {})
