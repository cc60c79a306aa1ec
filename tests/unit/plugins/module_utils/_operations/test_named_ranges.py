# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses in texts; what they mean to a move is in test_preflight_checks_policies.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.named_ranges import Move, texts_in

MOVE = Move(
    (parse_network("192.168.0.0/16"), parse_network("fd00:1::/48")),
    (parse_network("10.0.0.0/16"), parse_network("fd00:2::/48")),
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.168.1.1", ["192.168.1.1"]),
        ("10.0.0.1,192.168.0.0/20;192.168.1.1,192.168.1.1", ["192.168.0.0/20", "192.168.1.1"]),
        ("http://192.168.1.1:8080/x", ["192.168.1.1"]),
        ("'192.168.1.1'", ["192.168.1.1"]),
        ("ends with 192.168.1.1.", ["192.168.1.1"]),
        ("v192.168.1.1 1.192.168.1.1 192.168.1.1.5 192.168.1.999", []),
        ("[fd00:1::1]:443", ["fd00:1::1"]),
        ("12:30:45 aa:bb:cc:dd:ee:ff", []),
        ("", []),
    ],
)
def test_texts(text: str, found: list[str]) -> None:
    assert MOVE.upset_in(text) == found


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    MOVE.upset_in(text)
    MOVE.upsets(text)


def test_values_of_any_shape() -> None:
    assert list(texts_in({"a": ["b", {"c": 1, "d": None}], "e": "f"})) == ["a", "b", "c", "d", "e", "f"]
    deep: object = "x"
    for _level in range(100):
        deep = [deep]
    assert list(texts_in(deep)) == []
