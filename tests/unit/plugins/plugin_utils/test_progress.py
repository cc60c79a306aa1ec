# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import progress_sink
from ansible_collections.calico_ops.ipam.plugins.plugin_utils import _progress


class Screen:
    """Takes the place of the terminal and tells when something is on it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.lit = threading.Event()

    def display(self, line: str) -> None:
        self.lines.append(line)
        self.lit.set()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen()
    monkeypatch.setattr(_progress, "display", made)
    return made


def test_lines_are_shown_while_the_module_runs(screen: Screen) -> None:
    with _progress._displayed("host: ") as path:
        with progress_sink(str(path)) as report:
            report("moved 1/2 · shop/web")
            assert screen.lit.wait(5)
            assert screen.lines == ["host: moved 1/2 · shop/web"]
            report("moved 2/2")
        with progress_sink(str(path)) as report:
            report("closing the file is not the end")
    assert screen.lines == ["host: moved 1/2 · shop/web", "host: moved 2/2", "host: closing the file is not the end"]
    assert not path.exists()


def test_a_module_that_never_writes(screen: Screen) -> None:
    with _progress._displayed("host: "):
        pass
    assert screen.lines == []


def test_a_pipe_that_nobody_reads_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(InvalidInput, match="progress_file: .* cannot be written"),
        progress_sink(str(tmp_path / "pipe")),
    ):
        pass


class Action:
    """An action plugin's surface as far as the progress needs it."""

    def __init__(self, transport: str = "local", async_val: int = 0, **args: t.Any) -> None:
        self._task = type("Task", (), {"args": args, "async_val": async_val})()
        self._connection = type("Connection", (), {"transport": transport, "become": None})()
        self.ran_with: dict[str, t.Any] | None = None

    def _execute_module(
        self, module_args: dict[str, t.Any] | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        self.ran_with = module_args
        if module_args is not None:
            with progress_sink(module_args["progress_file"]) as report:
                report("hello")
        return {"changed": True}


@pytest.mark.parametrize("action", [Action("ssh"), Action(async_val=60), Action(progress_file="/tmp/mine")])
def test_without_a_shared_file_the_module_just_runs(screen: Screen, action: Action) -> None:
    assert _progress.run_with_progress(t.cast("t.Any", action), {}) == {"changed": True}
    assert action.ran_with is None
    assert screen.lines == []


def test_the_host_stands_in_front(screen: Screen) -> None:
    action = Action(pool="p")
    _progress.run_with_progress(t.cast("t.Any", action), {"inventory_hostname": "h1"})
    assert action.ran_with is not None
    assert action.ran_with["pool"] == "p"
    assert screen.lines == ["h1: hello"]
