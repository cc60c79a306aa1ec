# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The time an operation lives in, passed in so that a test brings its own."""

from __future__ import annotations

import time
import typing as t
from datetime import datetime, timezone


class Clock(t.Protocol):
    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment; for measuring how long something took."""

    def sleep(self, seconds: float) -> None:
        """Wait; only where a time span itself is the rule, never to look whether something happened."""


class SystemClock:
    """The clock of the machine the module runs on."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
