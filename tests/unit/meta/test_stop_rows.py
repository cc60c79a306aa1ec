# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module that writes refuses on every cluster that must not be touched (spec ippool.md §7.1)."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins/modules"))

from cluster_tables import DENIED, INFORMATION, MANIFEST, MIGRATIONS, STOP_ROWS, TableApi
from module_runner import failure
from writing_modules import NOT_WRITING, WRITING, NoWrites, main_on, names

ROWS: dict[str, tuple[dict[str, t.Any], str]] = {
    **STOP_ROWS,
    # Who may not see a reason to stop does not go on.
    "migration not to be seen": ({**MANIFEST, MIGRATIONS: DENIED}, 'cannot list resource "datastoremigrations"'),
    "lock not to be seen": ({**MANIFEST, INFORMATION: DENIED}, 'cannot get resource "clusterinformations"'),
}


class Cluster(NoWrites, TableApi):
    """A cluster of a stop row."""


@pytest.mark.parametrize("name", names())
def test_every_module_is_known_to_write_or_not(name: str) -> None:
    assert (name in WRITING) != (name in NOT_WRITING), f"say in tests/writing_modules.py whether {name} writes, and how"


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", sorted(WRITING))
def test_a_module_that_writes_stops(name: str, row: str) -> None:
    served, words = ROWS[row]
    for arguments in WRITING[name]:
        message = failure(main_on(name, Cluster(served)), **arguments)
        assert words in message, f"{name} {arguments}: {message}"
