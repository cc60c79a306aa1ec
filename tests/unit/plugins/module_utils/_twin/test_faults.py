# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.faults import FaultInjector, Injected


def test_a_rule_is_used_up_by_what_it_matches() -> None:
    injector = FaultInjector()
    injector.add({"verb": "create", "resource": "pods", "subresource": "eviction", "skip": 1, "count": 2, "code": 429})
    asked = {"verb": "create", "resource": "pods", "subresource": "eviction", "namespace": "shop", "name": "web-0"}
    assert injector.take("create", resource="pods") is None
    answers = [injector.take(**asked) for _attempt in range(4)]
    assert [each is not None for each in answers] == [False, True, True, False]
    assert [(rule["hits"], rule["count"], rule["skip"]) for rule in injector.rules()] == [(2, 0, 0)]
    injector.clear()
    assert injector.rules() == []


def test_an_injected_code_comes_with_a_status_body() -> None:
    injector = FaultInjector()
    injector.add({"code": 503, "retryAfterSeconds": 7, "message": "not now"})
    injected = injector.take("get", resource="nodes", name="n")
    assert injected is not None and injected.fault is not None
    assert injected.fault.code == 503
    assert injected.fault.headers == {"Retry-After": "7"}
    assert injected.fault.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "not now",
        "reason": "ServiceUnavailable",
        "details": {"retryAfterSeconds": 7},
        "code": 503,
    }


@pytest.mark.parametrize(
    ("rule", "effect"),
    [
        ({"drop": "before"}, Injected(drop="before")),
        ({"drop": "after", "delaySeconds": 0.5}, Injected(drop="after", delay_seconds=0.5)),
        ({"expire": True, "verb": "watch"}, Injected(expire=True)),
    ],
)
def test_other_effects(rule: dict[str, t.Any], effect: Injected) -> None:
    injector = FaultInjector()
    injector.add([rule])
    assert injector.take("watch") == effect


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ("text", "rule"),
        ({}, "rule"),
        ({"code": 200}, "code"),
        ({"code": "429"}, "code"),
        ({"code": 500, "drop": "after"}, "drop"),
        ({"drop": "sometimes"}, "drop"),
        ({"verb": "post", "code": 500}, "verb"),
        ({"code": 500, "count": -1}, "count"),
        ({"code": 500, "times": 3}, "times"),
    ],
)
def test_a_wrong_rule_is_named_and_none_of_its_list_is_taken(rule: t.Any, field: str) -> None:
    injector = FaultInjector()
    with pytest.raises(InvalidInput) as caught:
        injector.add([{"code": 500}, rule])
    assert caught.value.field == field
    assert injector.rules() == []
