# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody who does what a page of the documentation says.

A fenced YAML block whose first line is ``# name.yml`` is that file; a fenced shell block is run as it stands in the
directory of the files. A block that is neither must be told apart by the test, with the reason, or the test fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from zygote_fixture import zygote

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.yml)\n")
ROLES = ("change_block_size", "migrate_pool")

# Lines that cannot be run in a test, and why not.
NOT_RUN = {
    "python3 -m venv": "the environment of the tests is one",
    "ansible-galaxy collection install": "needs the published collection; the checkout is already importable",
    "pip install": "changes the environment of the tests",
    "export KUBECONFIG=~/.kube/config": "the test's KUBECONFIG is the twin's",
}


@dataclass(frozen=True)
class Block:
    language: str
    text: str

    @property
    def file(self) -> str | None:
        found = FILE.match(self.text)
        return found.group(1) if self.language == "yaml" and found else None


def blocks(path: str, root: Path = ROOT) -> list[Block]:
    return [Block(*found) for found in FENCE.findall((root / path).read_text(encoding="utf-8"))]


class Reader:
    """Somebody who does what a page says, in a directory of their own."""

    def __init__(self, directory: Path, kubeconfig: str, base: t.Mapping[str, str] | None = None) -> None:
        self.directory = directory
        # Who has an environment of their own, has an installation of their own.
        mine = {**os.environ, **zygote()} if base is None else dict(base)
        self.environment = {
            **mine,
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "KUBECONFIG": kubeconfig,
            # Only faster: modules are not written to files first.
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "PATH": f"{BIN}{os.pathsep}{mine['PATH']}",
        }

    def follow(self, block: Block, timeout: int = 400, code: int = 0) -> str:
        """Write the file, or run the commands; the output of commands that must all succeed, or end with ``code``."""
        if block.file is not None:
            # The twin has no use for the minute between two proofs, nor for the pauses of StatefulSets.
            soaks = [f"{role}_soak: 1\n{role}_pause: 0\n" for role in ROLES if f"\n{role}_" in block.text]
            path = self.directory / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text + "".join(soaks), encoding="utf-8")
            return ""
        assert block.language == "shell", f"nobody knows what to do with this block:\n{block.text}"
        lines = [line for line in block.text.splitlines() if not line.startswith(tuple(NOT_RUN))]
        lines = [re.sub(r"ipam\.(\w+)_rollback ", r"\g<0>-e \1_soak=1 -e \1_pause=0 ", line) for line in lines]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == code, f"{block.text}\n{done.stdout}"
        for ugly in ("Traceback", "DEPRECATION WARNING", "reserved name"):
            assert ugly not in done.stdout, done.stdout
        return done.stdout
