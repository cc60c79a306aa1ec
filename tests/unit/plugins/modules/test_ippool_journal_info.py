# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phases over the life of a journal are tested in test_ippool_journal.py."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules import ippool_journal_info

from .module_runner import run_module

DEFAULT = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        yield handle


@pytest.mark.parametrize(
    ("options", "phase"),
    [
        ({"procedure": "change_block_size", "pool": DEFAULT, "block_size": 28}, "not_started"),
        ({"procedure": "change_block_size", "pool": DEFAULT, "block_size": 26}, "done"),
        ({"procedure": "change_block_size", "pool": "gone", "block_size": 26}, "not_started"),
        ({"procedure": "migrate_pool", "pool": DEFAULT, "target": {"name": "new"}}, "not_started"),
        ({"procedure": "migrate_pool", "pool": "gone", "target": {"name": DEFAULT}}, "done"),
    ],
)
def test_without_a_journal(twin: TwinHandle, options: dict[str, t.Any], phase: str) -> None:
    result = run_module(ippool_journal_info.main, kubeconfig=twin.kubeconfig, **options)
    assert (result["journal"], result["phase"], result["changed"]) == (None, phase, False)


def test_without_a_request_it_tells_about_whatever_was_begun(twin: TwinHandle) -> None:
    options = {"procedure": "change_block_size", "pool": DEFAULT}
    found = run_module(ippool_journal_info.main, kubeconfig=twin.kubeconfig, **options)
    assert (found["phase"], found["resume"], found["undo"], found["lock"]) == ("not_started", "", "", "")
