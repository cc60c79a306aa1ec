# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.structural import (
    ABSENT,
    check,
    check_lists,
    check_rules,
    compile_schema,
    shape,
)

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def an_object(**properties):
    return {"type": "object", "properties": properties}


def shaped(schema, value):
    unknown = []
    before = copy.deepcopy(value)
    result = shape(compile_schema(schema), value, "", unknown)
    assert value == before
    return result, unknown


@pytest.mark.parametrize(
    ("schema", "value", "result", "unknown"),
    [
        pytest.param(an_object(a=STRING), {"a": "x", "b": 1}, {"a": "x"}, ["b"], id="unknown fields go"),
        pytest.param(
            an_object(a=an_object(b=STRING)), {"a": {"b": "x", "c": {}}}, {"a": {"b": "x"}}, ["a.c"], id="deep"
        ),
        pytest.param(
            an_object(l={"type": "array", "items": an_object(a=STRING)}),
            {"l": [{"a": "x"}, {"z": 1}]},
            {"l": [{"a": "x"}, {}]},
            ["l[1].z"],
            id="in lists",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": an_object(a=STRING)},
            {"k": {"a": "x", "z": 1}},
            {"k": {"a": "x"}},
            ["k.z"],
            id="in maps",
        ),
        pytest.param(
            {**an_object(a=an_object(b=STRING)), "x-kubernetes-preserve-unknown-fields": True},
            {"z": 1, "a": {"y": 2}},
            {"z": 1, "a": {}},
            ["a.y"],
            id="kept where the schema says so, not below",
        ),
        pytest.param(
            an_object(foo={**STRING, "default": "d"}, bar={**STRING, "nullable": True}, baz=STRING),
            {"foo": None, "bar": None, "baz": None},
            {"foo": "d", "bar": None},
            [],
            id="nulls",
        ),
        pytest.param(
            an_object(a={**an_object(b={**INTEGER, "default": 7}), "default": {}}),
            {},
            {"a": {"b": 7}},
            [],
            id="nested defaults",
        ),
        pytest.param(an_object(a=an_object(b={**INTEGER, "default": 7})), {}, {}, [], id="no default, no parent"),
        pytest.param(an_object(a={**INTEGER, "default": 7}), {"a": 0}, {"a": 0}, [], id="a value stays"),
        pytest.param(
            an_object(a={"type": "array", "items": {**INTEGER, "nullable": True}}),
            {"a": [None, 1]},
            {"a": [None, 1]},
            [],
            id="nulls in lists",
        ),
    ],
)
def test_pruning_nulls_and_defaults(schema, value, result, unknown):
    assert shaped(schema, value) == (result, unknown)


def test_nothing_to_do_gives_the_same_object():
    schema = an_object(a={**STRING, "default": "x"}, l={"type": "array", "items": an_object(b=STRING)})
    value = {"a": "y", "l": [{"b": "z"}]}
    assert shaped(schema, value)[0] is value


def test_defaults_are_not_shared():
    node = compile_schema(an_object(a={"type": "array", "items": STRING, "default": ["x"]}))
    first, second = shape(node, {}, "", None), shape(node, {}, "", None)
    assert first["a"] is not second["a"]


def checked(schema, value, old=ABSENT):
    causes = []
    node = compile_schema(schema)
    check(node, value, old, "f", causes)
    check_lists(node, value, "f", causes)
    return [f"{cause.field}: {cause.message}" for cause in causes]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (STRING, 1, 'f: Invalid value: "integer": f in body must be of type string: "integer"'),
        (STRING, None, 'f: Invalid value: "null": f in body must be of type string: "null"'),
        ({**STRING, "nullable": True}, None, None),
        (INTEGER, 1.5, 'f: Invalid value: "number": f in body must be of type integer: "number"'),
        (INTEGER, 2.0, None),
        (INTEGER, True, 'f: Invalid value: "boolean": f in body must be of type integer: "boolean"'),
        ({"type": "number"}, 1, None),
        ({"type": "boolean"}, 0, 'f: Invalid value: "integer": f in body must be of type boolean: "integer"'),
        ({"x-kubernetes-int-or-string": True}, "25%", None),
        ({"x-kubernetes-int-or-string": True}, 3, None),
        (
            {"x-kubernetes-int-or-string": True},
            [],
            'f: Invalid value: "array": f in body must be of type integer,string: "array"',
        ),
        ({**INTEGER, "minimum": 1}, 0, "f: Invalid value: 0: f in body should be greater than or equal to 1"),
        (
            {**INTEGER, "minimum": 1, "exclusiveMinimum": True},
            1,
            "f: Invalid value: 1: f in body should be greater than 1",
        ),
        ({**INTEGER, "maximum": 1}, 2, "f: Invalid value: 2: f in body should be less than or equal to 1"),
        ({**INTEGER, "multipleOf": 5}, 7, "f: Invalid value: 7: f in body should be a multiple of 5"),
        ({**STRING, "minLength": 2}, "a", 'f: Invalid value: "a": f in body should be at least 2 chars long'),
        ({**STRING, "maxLength": 2}, "abc", "f: Too long: may not be more than 2 bytes"),
        ({**STRING, "pattern": "^a+$"}, "b", "f: Invalid value: \"b\": f in body should match '^a+$'"),
        ({**STRING, "enum": ["a", "b"]}, "c", 'f: Unsupported value: "c": supported values: "a", "b"'),
        ({"type": "array", "items": STRING, "maxItems": 1}, ["a", "b"], "f: Too many: 2: must have at most 1 items"),
        (
            {"type": "array", "items": STRING, "minItems": 1},
            [],
            "f: Invalid value: 0: f in body should have at least 1 items",
        ),
        (
            {"type": "array", "items": STRING},
            ["a", 1],
            'f[1]: Invalid value: "integer": f[1] in body must be of type string: "integer"',
        ),
        ({"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}, ["a", "a"], 'f[1]: Duplicate value: "a"'),
        (
            {
                "type": "array",
                "items": an_object(n=STRING, v=INTEGER),
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["n"],
            },
            [{"n": "a", "v": 1}, {"n": "a", "v": 2}],
            'f[1]: Duplicate value: {"n":"a"}',
        ),
        ({**an_object(a=STRING), "required": ["a"]}, {}, "f.a: Required value"),
        (
            an_object(a=an_object(b=STRING)),
            {"a": {"b": 1}},
            'f.a.b: Invalid value: "integer": f.a.b in body must be of type string: "integer"',
        ),
        (
            {"type": "object", "additionalProperties": INTEGER},
            {"k": "x"},
            'f.k: Invalid value: "string": f.k in body must be of type integer: "string"',
        ),
        (
            {**STRING, "anyOf": [{"pattern": "^a"}, {"pattern": "^b"}]},
            "c",
            'f: Invalid value: "c": f in body must validate at least one schema (anyOf)',
        ),
        (
            {**STRING, "oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
            "ab",
            'f: Invalid value: "ab": f in body must validate one and only one schema (oneOf). '
            "Found 2 valid alternatives",
        ),
        (
            {**STRING, "not": {"enum": ["x"]}},
            "x",
            'f: Invalid value: "x": f in body must not validate the schema (not)',
        ),
        ({**STRING, "format": "a-new-one"}, "x", None),
    ],
)
def test_values(schema, value, expected):
    assert checked(schema, value) == ([] if expected is None else [expected])


def test_what_did_not_change_is_not_blamed():
    schema = an_object(a={**STRING, "enum": ["x"]}, b={**INTEGER, "maximum": 3})
    old = {"a": "bad", "b": 9}
    assert checked(schema, {"a": "bad", "b": 9}, old) == []
    assert checked(schema, {"a": "bad", "b": 1}, old) == []
    assert len(checked(schema, {"a": "worse", "b": 9}, old)) == 1
    assert len(checked(schema, {"a": "bad", "b": 9})) == 2


def test_items_of_keyed_lists_are_compared_by_key_and_others_not_at_all():
    items = an_object(n=STRING, v={**INTEGER, "maximum": 3})
    keyed = {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]}
    old, new = [{"n": "a", "v": 9}], [{"n": "b", "v": 1}, {"n": "a", "v": 9}]
    assert checked(keyed, new, old) == []
    assert len(checked({"type": "array", "items": items}, new, old)) == 1


RULE = {"rule": "self < 5", "message": "m"}


def ruled(schema, value, old=ABSENT):
    causes = []
    check_rules(compile_schema(schema), value, old, "f", causes)
    return [cause.field for cause in causes]


def test_rules_are_found_at_every_level():
    leaf = {**INTEGER, "x-kubernetes-validations": [RULE]}
    schema = an_object(a=leaf, l={"type": "array", "items": leaf}, m={"type": "object", "additionalProperties": leaf})
    assert ruled(schema, {"a": 9, "l": [1, 9], "m": {"k": 9}}) == ["f.a", "f.l[1]", "f.m.k"]
    assert ruled(schema, {"a": 9}, {"a": 9}) == []
    assert ruled(schema, {"l": [9], "a": 1}, {"l": [9]}) == []
    assert ruled(schema, {"l": [9, 1]}, {"l": [9]}) == ["f.l[0]"]
