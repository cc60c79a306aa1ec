# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cel import BadRule, compile_rules, evaluate


def causes_of(value, old=None, *, has_old=False, unchanged=False, **rule):
    causes = []
    rules = compile_rules({"x-kubernetes-validations": [rule]})
    evaluate(rules, value, old, "spec.f", has_old=has_old, unchanged=unchanged, causes=causes)
    return [(cause.reason, cause.message, cause.field) for cause in causes]


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        (5, {"rule": "self < 9"}, []),
        (5, {"rule": "self > 9"}, [("FieldValueInvalid", "Invalid value: 5: failed rule: self > 9", "spec.f")]),
        (
            5,
            {"rule": "self > 9", "message": "too small"},
            [("FieldValueInvalid", "Invalid value: 5: too small", "spec.f")],
        ),
        ("a", {"rule": "false", "message": "no"}, [("FieldValueInvalid", 'Invalid value: "a": no', "spec.f")]),
        ({"a": 1}, {"rule": "self.a > 1", "message": "no"}, [("FieldValueInvalid", "Invalid value: no", "spec.f")]),
        (
            {"a": 1},
            {"rule": "self.a > 1", "message": "no", "reason": "FieldValueForbidden", "fieldPath": ".a"},
            [("FieldValueForbidden", "Forbidden: no", "spec.f.a")],
        ),
        (
            {},
            {"rule": "has(self.a)", "message": "give a", "reason": "FieldValueRequired"},
            [("FieldValueRequired", "Required value: give a", "spec.f")],
        ),
        (
            "x",
            {"rule": "false", "reason": "FieldValueDuplicate"},
            [("FieldValueDuplicate", 'Duplicate value: "x"', "spec.f")],
        ),
        (
            3,
            {"rule": "false", "messageExpression": "'at most ' + string(self - 1)"},
            [("FieldValueInvalid", "Invalid value: at most 2", "spec.f")],
        ),
        (
            {"a": 3},
            {"rule": "false", "messageExpression": "self.missing", "message": "plain"},
            [("FieldValueInvalid", "Invalid value: plain", "spec.f")],
        ),
        (
            {},
            {"rule": "self.a == 1", "message": "m"},
            [("FieldValueInvalid", "Invalid value: no such key: a evaluating rule: m", "spec.f")],
        ),
        (
            {"a": "x"},
            {"rule": "self.a > 1", "message": "m"},
            [("FieldValueInvalid", "Invalid value: no such overload evaluating rule: m", "spec.f")],
        ),
        (["a", "b"], {"rule": "self.all(x, size(x) == 1)"}, []),
        ("abc", {"rule": "self.matches('^a.c$') && self.startsWith('a') && self.contains('b')"}, []),
        ({"b": "x"}, {"rule": "!has(self.a) || self.a == 1"}, []),
    ],
)
def test_verdicts_and_wording(value, rule, expected):
    assert causes_of(value, **rule) == expected


def test_a_transition_rule_only_runs_when_there_was_a_value():
    rule = {"rule": "self == oldSelf", "message": "immutable"}
    assert causes_of(1, **rule) == []
    assert causes_of(1, 1, has_old=True, **rule) == []
    assert len(causes_of(1, 2, has_old=True, **rule)) == 1


def test_an_optional_old_value():
    rule = {"rule": "!oldSelf.hasValue() || oldSelf.value() <= self", "optionalOldSelf": True}
    assert causes_of(1, **rule) == []
    assert causes_of(3, 2, has_old=True, **rule) == []
    assert len(causes_of(1, 2, has_old=True, **rule)) == 1


def test_an_unchanged_value_is_forgiven_but_not_by_transition_rules_or_errors():
    assert causes_of(1, 1, has_old=True, unchanged=True, rule="false") == []
    assert len(causes_of(1, 1, has_old=True, unchanged=True, rule="self != oldSelf")) == 1
    assert len(causes_of({}, {}, has_old=True, unchanged=True, rule="self.a")) == 1


def test_a_rule_that_does_not_compile():
    with pytest.raises(BadRule, match="self =="):
        compile_rules({"x-kubernetes-validations": [{"rule": "self =="}]})
