# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Times as Calico stores them: RFC 3339, UTC, whole seconds (spec ipam-engine.md §0).

Records keep their times as text, so that a time nobody touched is written back exactly
as it was read; it is parsed only where two times are compared.
"""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta, timezone

Clock = t.Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_FORM = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


def parse_time(text: str) -> datetime:
    """The moment an RFC 3339 text names; ValueError when it is none. Digits beyond microseconds are dropped."""
    if len(text) == 20 and text[4::3] == "--T::Z":  # as Kubernetes writes it
        return datetime.fromisoformat(f"{text[:19]}+00:00")
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 2026-08-20T09:14:05Z")
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in ("Z", "z") else zone
    return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6].ljust(6, '0')}{offset}")


def format_time(moment: datetime) -> str:
    """RFC 3339 text in UTC, cut to whole seconds, as Kubernetes writes times."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds since 1970, exact: the number never passes through a float."""
    return (moment - _EPOCH) // _MICROSECOND * 1000
