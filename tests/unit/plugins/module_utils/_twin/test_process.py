# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process

RUNNING = process.Running(
    pid=1,
    port=6443,
    url="https://127.0.0.1:6443",
    kubeconfig="/tmp/k",
    scenario="tutorial",
    speed=20.0,
    seed=1,
    rbac=False,
)


def test_a_data_directory_has_one_owner(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    assert not process.is_running(directory)
    assert not directory.exists()
    with process.hold_lock(directory):
        assert process.is_running(directory)
        with pytest.raises(process.TwinError, match="runs in"), process.hold_lock(directory):
            pass
    assert not process.is_running(directory)


def test_the_state_is_only_believed_while_the_process_lives(tmp_path: Path) -> None:
    process.write_state(tmp_path, RUNNING)
    assert process.running(tmp_path) is None
    with process.hold_lock(tmp_path):
        assert process.running(tmp_path) == RUNNING
        (tmp_path / "twin.json").write_text("{", encoding="utf-8")
        assert process.running(tmp_path) is None


def test_nothing_to_stop(tmp_path: Path) -> None:
    process.write_state(tmp_path, RUNNING)
    assert process.stop(tmp_path) is False


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, []),
        ({"seed": 1, "port": 6443}, []),
        ({"speed": 50.0}, ["speed 20 instead of 50"]),
        ({"scenario": "small", "rbac": True}, ["scenario tutorial instead of small", "rbac False instead of True"]),
        ({"port": 7000}, ["port 6443 instead of 7000"]),
        ({"seed": 2}, ["seed 1 instead of 2"]),
        ({"installation": "crd_v1"}, []),
        ({"installation": "crd_v3"}, ["installation crd_v1 instead of crd_v3"]),
    ],
)
def test_a_running_twin_is_compared_with_what_is_asked_for(changed: dict[str, object], words: list[str]) -> None:
    options = process.Options(data_dir="/tmp/x", **changed)  # type: ignore[arg-type]
    assert process.differences(options, RUNNING) == words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"port": 70000}, "port is 70000"),
        ({"speed": 0.0}, "speed is 0"),
        ({"scenario": "/nowhere.yml"}, "no scenario '/nowhere.yml'"),
        ({"installation": "kubeadm"}, "installation is 'kubeadm', it must be one of crd_v1, "),
    ],
)
def test_options_no_twin_can_run_with(changed: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        process.check(process.Options(data_dir="/tmp/x", **changed))  # type: ignore[arg-type]


def test_what_the_child_says_instead_of_ready_is_the_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("kind: Pod\n", encoding="utf-8")
    with pytest.raises(process.TwinError, match="is not a scenario"):
        process.start(process.Options(str(tmp_path / "data"), str(broken)))


def test_a_second_process_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with process.hold_lock(tmp_path), pytest.raises(process.TwinError, match="runs in .* already"):
        process.start(process.Options(str(tmp_path), "small"))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(process.TwinError, match=f"port {port}: .*in use.*0 for a free one"):
            process.start(process.Options(str(tmp_path), "small", port=port))


def test_missing_packages_are_named(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name in ('aiohttp', 'cel') else find(name, *rest)\n"
        f"from {process.MODULE} import __main__ as program\n"
        f"sys.exit(program.main(['--data-dir', {str(tmp_path)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "aiohttp, common-expression-language" in line and "requirements-twin.txt" in line


def test_the_help_starts_without_the_packages_of_the_twin() -> None:
    done = subprocess.run([sys.executable, "-m", process.MODULE, "--help"], capture_output=True, text=True, check=True)
    assert "--data-dir" in done.stdout


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    process.replace_file(path, "{}")
    process.replace_file(path, '{"a": 1}')
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
