# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.quantity import amount


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        (2, 2.0),
        ("100m", 0.1),
        ("0.5", 0.5),
        ("250u", 0.00025),
        ("128Mi", 134217728.0),
        ("1G", 1e9),
        ("2Ki", 2048.0),
        ("1e3", 1000.0),
        ("12E", 12e18),
        (None, 0.0),
        ("", 0.0),
        ("much", 0.0),
        ("1.2.3", 0.0),
    ],
)
def test_amounts(text: t.Any, number: float) -> None:
    assert amount(text) == pytest.approx(number)
