# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a playbook of the collection as a user would, or kill it in the middle of a task."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zygote_fixture import zygote

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Outcome:
    code: int
    output: str

    def recap(self) -> dict[str, int]:
        """The figures of the PLAY RECAP line: ok, changed, failed ..."""
        found = re.findall(r"^\S+\s+: (ok=.*)$", self.output, re.MULTILINE)
        if not found:
            raise AssertionError(f"no recap in:\n{self.output}")
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", found[-1])}


def command(name: str, kubeconfig: Path, variables: dict[str, object], *extra: str) -> list[str]:
    # The twin has no use for the minute between two proofs, nor for the pauses between members of a StatefulSet.
    role = name.removesuffix("_rollback")
    swift = {f"{role}_soak": 1, f"{role}_pause": 0} if role in ("migrate_pool", "change_block_size") else {}
    given = {"calico_ops_kubeconfig": str(kubeconfig), **swift, **variables}
    return [str(BIN / "ansible-playbook"), f"calico_ops.ipam.{name}", "-e", json.dumps(given), *extra]


def environment() -> dict[str, str]:
    """For Ansible; modules are run by the zygote of the tests, and die with the playbook all the same."""
    quiet = {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
    return {**os.environ, **quiet, **zygote()}


def run(name: str, kubeconfig: Path, variables: dict[str, object], *extra: str) -> Outcome:
    done = subprocess.run(
        command(name, kubeconfig, variables, *extra),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    return Outcome(done.returncode, done.stdout)


def run_and_kill(name: str, kubeconfig: Path, variables: dict[str, object], task: str, after: float) -> Outcome:
    """Kill the run and all its processes ``after`` seconds into the task whose header contains ``task``."""
    process = subprocess.Popen(
        command(name, kubeconfig, variables),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    killer: threading.Timer | None = None
    if process.stdout is None:
        raise AssertionError("no output")
    for line in process.stdout:
        lines.append(line)
        if killer is None and line.startswith("TASK [") and task in line:
            killer = threading.Timer(after, kill_tree, [process.pid])
            killer.start()
    code = process.wait()
    if killer is not None:
        killer.cancel()
    return Outcome(code, "".join(lines))


def kill_tree(pid: int) -> None:
    """SIGKILL a process and everything below it; workers of ansible run in sessions of their own."""
    family = [pid, *descendants(pid)]
    for member in family:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


def descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = list(children.get(pid, []))
    while waiting:
        child = waiting.pop()
        yield child
        waiting += children.get(child, [])


def wait_gone(pids: list[int], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
