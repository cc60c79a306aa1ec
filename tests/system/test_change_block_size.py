# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job from end to end, as a user runs it, and what the cluster saw meanwhile.

By day the guide's own commands do the same (test_guides.py); a second run is made in test_killed_everywhere.py.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from cluster_state import block_size_was_changed, nobody_noticed, objects
from playbook import Outcome, run
from twin_fixture import TwinHandle, start_twin

pytestmark = pytest.mark.skipif(not os.environ.get("CALICO_OPS_NIGHTLY"), reason="CALICO_OPS_NIGHTLY is not set")
VARIABLES: dict[str, object] = {
    "change_block_size_pool": "default-ipv4-ippool",
    "change_block_size_block_size": 28,
    "change_block_size_temporary_cidr": "10.0.0.0/16",
}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[TwinHandle, dict[str, t.Any], Outcome]]:
    with start_twin(tmp_path_factory.mktemp("change"), "tutorial", speed=40) as twin:
        before = objects(twin, "ippools")["default-ipv4-ippool"]["spec"]
        outcome = run("change_block_size", Path(twin.kubeconfig), VARIABLES)
        yield twin, before, outcome


Changed = tuple[TwinHandle, dict[str, t.Any], Outcome]


def test_the_role_succeeds(changed: Changed) -> None:
    outcome = changed[2]
    assert outcome.code == 0, outcome.output
    assert outcome.recap()["failed"] == 0


def test_nobody_noticed(changed: Changed) -> None:
    nobody_noticed(changed[0])


def test_one_pool_is_left_with_all_its_fields_and_nothing_else(changed: Changed) -> None:
    twin, before, _outcome = changed
    block_size_was_changed(twin, before, 28)


def test_progress_is_shown_while_pods_move(changed: Changed) -> None:
    lines = [line for line in changed[2].output.splitlines() if "moved " in line]
    assert len(lines) > 10
    assert any("moved 0/" not in line for line in lines)


def test_a_second_run_changes_nothing(changed: Changed) -> None:
    twin, before, _outcome = changed
    again = run("change_block_size", Path(twin.kubeconfig), VARIABLES)
    assert again.code == 0, again.output
    assert again.recap()["changed"] == 0, again.output
    block_size_was_changed(twin, before, 28)
