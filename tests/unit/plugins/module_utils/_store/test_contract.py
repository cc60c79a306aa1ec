# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A contract's tests are collected in whichever file takes them in with its own fixtures:
# pylint: disable=wildcard-import,unused-wildcard-import

"""The contract of datastores, on the one in memory and on custom resources of both groups."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from store_contract import *  # noqa: F403
from store_contract import HANDLE


def test_handles_that_differ_only_in_case_are_one(store: t.Any) -> None:
    written = store.create_handle(HANDLE)
    assert store.get_handle("net.abc") == store.get_handle("NET.ABC") == written
