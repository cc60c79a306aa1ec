# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as Calico stores them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import (
    format_time,
    nanoseconds,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-20T09:14:05Z", datetime(2026, 8, 20, 9, 14, 5, tzinfo=timezone.utc)),
        ("2026-08-20T11:14:05+02:00", datetime(2026, 8, 20, 9, 14, 5, tzinfo=timezone.utc)),
        ("2026-08-20T09:14:05.204418104Z", datetime(2026, 8, 20, 9, 14, 5, 204418, tzinfo=timezone.utc)),
        ("2026-08-20T09:14:05.5Z", datetime(2026, 8, 20, 9, 14, 5, 500000, tzinfo=timezone.utc)),
    ],
)
def test_parsing(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize("text", ["", "2026-08-20", "2026-08-20T09:14:05", "yesterday", "2026-13-20T09:14:05Z"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


def test_formatting_cuts_to_whole_seconds_in_utc() -> None:
    moment = datetime(2026, 8, 20, 11, 14, 5, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-08-20T09:14:05Z"


def test_nanoseconds_are_exact() -> None:
    moment = datetime(2026, 8, 20, 9, 14, 5, 204418, tzinfo=timezone.utc)
    assert nanoseconds(moment) == 1787217245204418000
