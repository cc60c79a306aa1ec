# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.schedule import parse_schedule

NOW = datetime(2026, 3, 1, 10, 2, 30)  # a Sunday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-03-01 10:03"),
        ("*/15 * * * *", "2026-03-01 10:15"),
        ("5/20 * * * *", "2026-03-01 10:05"),
        ("0 * * * *", "2026-03-01 11:00"),
        ("2 10 * * *", "2026-03-02 10:02"),
        ("0 0 1 * *", "2026-04-01 00:00"),
        ("0 0 * * 0", "2026-03-08 00:00"),
        ("0 0 * * 7", "2026-03-08 00:00"),
        ("0 0 * * sun", "2026-03-08 00:00"),
        ("30 4 * * mon-fri", "2026-03-02 04:30"),
        ("0 12 15 * 3", "2026-03-04 12:00"),  # the 15th or a Wednesday
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 6 * jan,jul *", "2026-07-01 06:00"),
        ("10-12,50 10 * * *", "2026-03-01 10:10"),
        ("@hourly", "2026-03-01 11:00"),
        ("@daily", "2026-03-02 00:00"),
        ("@yearly", "2027-01-01 00:00"),
    ],
)
def test_next(text, expected):
    assert parse_schedule(text).next_after(NOW) == datetime.fromisoformat(expected)


def test_never():
    assert parse_schedule("0 0 31 2 *").next_after(NOW) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "five fields"),
        ("60 * * * *", "'60' is no minute from 0 to 59"),
        ("* 24 * * *", "'24' is no hour"),
        ("*/0 * * * *", "'0' is no step for the minute"),
        ("5-1 * * * *", "ends before it begins"),
        ("* * * foo *", "'foo' is no month"),
        ("", "five fields"),
    ],
)
def test_unreadable(text, why):
    with pytest.raises(InvalidInput, match=why):
        parse_schedule(text)
