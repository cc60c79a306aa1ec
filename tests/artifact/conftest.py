# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact that users get, built from the checkout and installed in a home directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# The tests share plain modules one level up.
sys.path.insert(0, str(Path(__file__).parents[1]))

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Installed:
    """A user's home directory with the collection in it, and the environment of their shell."""

    archive: Path
    home: Path
    environment: dict[str, str]

    @property
    def collection(self) -> Path:
        return self.home / ".ansible/collections/ansible_collections/calico_ops/ipam"

    def run(self, *command: str) -> str:
        """The output of a command that must succeed."""
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("home")
    mine = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON", "MOLECULE_"))}
    # The checkout is linked into this Python's packages; ansible must not find it there.
    mine.update(HOME=str(home), ANSIBLE_COLLECTIONS_SCAN_SYS_PATH="false", ANSIBLE_NOCOLOR="true")
    mine["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["ansible-galaxy", "collection", "build", "--output-path", str(home), str(ROOT)], env=mine, check=True
    )
    archive = next(home.glob("calico_ops-ipam-*.tar.gz"))
    done = Installed(archive, home, mine)
    done.run("ansible-galaxy", "collection", "install", "--offline", str(archive))
    assert (done.collection / "MANIFEST.json").is_file()
    return done
