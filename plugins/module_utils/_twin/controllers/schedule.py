# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Cron schedules: the five fields, and when they strike next."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number + 1 for number, name in enumerate(_MONTHS)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
# A schedule that has not struck for this long never will (29 February counts from leap year to leap year).
_YEARS = 9


@dataclass(frozen=True)
class Schedule:
    """Which values of each field match; Sunday is 0. ``any_day`` and ``any_weekday`` tell ``*`` from a full list."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def next_after(self, moment: datetime) -> datetime | None:
        """The first minute after ``moment`` that matches, in the same time zone; None when there is none."""
        at = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = at.replace(day=1) + timedelta(days=366 * _YEARS)
        while at < end:
            if at.month not in self.months:
                at = (at.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._day_matches(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return at
        return None

    def _day_matches(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return day and weekday
        # As in cron: two restrictions are alternatives.
        return day or weekday


def parse_schedule(text: str) -> Schedule:
    """Read a schedule. Raises ``InvalidInput``."""
    fields = _NAMED.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise _wrong(text, "it needs the five fields minute, hour, day of the month, month and day of the week")
    sets = [_field(text, field, *bounds) for field, bounds in zip(fields, _BOUNDS)]
    weekdays = frozenset(value % 7 for value in sets[4])
    return Schedule(sets[0], sets[1], sets[2], sets[3], weekdays, fields[2][0] in "*?", fields[4][0] in "*?")


def _field(text: str, field: str, name: str, low: int, high: int, names: t.Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        if slash and not (step_text.isdigit() and int(step_text) > 0):
            raise _wrong(text, f"{step_text!r} is no step for the {name}")
        step = int(step_text) if slash else 1
        if span in ("*", "?"):
            first, last = low, high if name != "day of the week" else 6
        else:
            start, dash, stop = span.partition("-")
            first = _value(text, start, name, low, high, names)
            last = _value(text, stop, name, low, high, names) if dash else (high if slash else first)
            if last < first:
                raise _wrong(text, f"the range {span!r} of the {name} ends before it begins")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _value(text: str, word: str, name: str, low: int, high: int, names: t.Mapping[str, int]) -> int:
    value = names.get(word.lower())
    if value is None and word.isdigit():
        value = int(word)
    if value is None or not low <= value <= high:
        raise _wrong(text, f"{word!r} is no {name} from {low} to {high}")
    return value


def _wrong(text: str, why: str) -> InvalidInput:
    return InvalidInput(f"The schedule {text!r} cannot be read: {why}.", "schedule", text)
