# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selector import parse
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selector_labels import labels_wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type == 'test'", {"type": "test"}),
        ('type=="test"', {"type": "test"}),
        ("has(gpu)", {"gpu": None}),
        ("all()", {}),
        ("", {}),
        ("zone == 'a' && has(gpu)", {"zone": "a", "gpu": None}),
        ("(zone == 'a') && (rack == 'b && c')", {"zone": "a", "rack": "b && c"}),
        ("zone == 'a' && has(zone)", {"zone": "a"}),
        ("has(zone) && zone == 'a'", {"zone": "a"}),
        ("zone == 'a' && zone == 'a'", {"zone": "a"}),
        ("note == 'say \"hi\"'", {"note": 'say "hi"'}),
        ("topology.kubernetes.io/zone == ''", {"topology.kubernetes.io/zone": ""}),
        ("! ! has(gpu)", {"gpu": None}),
        ("all() && has(gpu)", {"gpu": None}),
    ],
)
def test_what_a_simple_selector_wants(text: str, wanted: dict[str, str | None]) -> None:
    assert labels_wanted(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "!all()",
        "!has(gpu)",
        "type != 'test'",
        "type in {'test'}",
        "zone == 'a' || zone == 'b'",
        "zone == 'a' && zone == 'b'",
        "name starts with 'x'",
        "has(a) && (has(b) || has(c))",
        "!(has(a) && has(b))",
        "global()",
    ],
)
def test_what_could_be_had_in_several_ways_or_none(text: str) -> None:
    assert labels_wanted(text) is None


def test_nonsense_is_named() -> None:
    with pytest.raises(SelectorError):
        labels_wanted("type = 'test'")


TERMS = st.sampled_from(["a == 'x'", "a == 'y'", 'b == "x && y"', "has(c)", "has(a)", "all()"])


@given(st.lists(TERMS, min_size=1, max_size=5), st.sampled_from(["z", ""]))
def test_a_node_with_these_labels_is_selected(terms: list[str], anything: str) -> None:
    text = " && ".join(terms)
    wanted = labels_wanted(text)
    if wanted is None:
        assert {"a == 'x'", "a == 'y'"} <= set(terms)
    else:
        assert parse(text).matches({key: anything if value is None else value for key, value in wanted.items()})
