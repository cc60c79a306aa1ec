# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.current_context import current_context
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import connection_of


def written(path: Path, current: t.Any, *names: str) -> str:
    document = {"current-context": current, "contexts": [{"name": name} for name in names]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_a_context_that_may_be_switched(tmp_path: Path) -> None:
    several = written(tmp_path / "a", "east", "east", "west")
    assert current_context(several) == "east"
    # Of several files the first that names one counts.
    first = written(tmp_path / "b", "", "north")
    assert current_context(os.pathsep.join([first, several])) == "east"
    assert connection_of({"kubeconfig": several}, {}).variables == {
        "calico_ops_kubeconfig": several,
        "calico_ops_context": "east",
    }
    assert connection_of({}, {"KUBECONFIG": several}).variables["calico_ops_context"] == "east"
    assert connection_of({"kubeconfig": several, "context": "west"}, {}).variables["calico_ops_context"] == "west"


@pytest.mark.parametrize("text", ["", "[1]", "{a: [", "contexts: 7", "contexts: [7]\ncurrent-context: 7"])
def test_what_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    assert current_context(str(path)) == ""


def test_one_context_is_not_worth_a_word(tmp_path: Path) -> None:
    assert current_context(written(tmp_path / "a", "east", "east")) == ""
    assert current_context(written(tmp_path / "b", "gone", "east", "west")) == ""
    assert current_context(str(tmp_path / "missing")) == ""
