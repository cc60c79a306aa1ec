# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the main job under the oldest supported ansible-core, in a virtual environment of its own, from the artifact.

ansible-core 2.18 runs on Python 3.11 to 3.13; on a newer Python this check says that it was skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".work" / "venv-2.18"
REQUIREMENTS = ("requirements.txt", "requirements-twin.txt")


def prepare() -> Path:
    """Make the virtual environment once."""
    python = VENV / "bin" / "python"
    stamp = VENV / ".ready"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        wanted = [word for name in REQUIREMENTS for word in ("-r", str(ROOT / name))]
        subprocess.run(
            [
                str(python),
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "-q",
                *wanted,
                "ansible-core>=2.18,<2.19",
            ],
            check=True,
        )
        stamp.touch()
    return python


def install(python: Path, environment: dict[str, str]) -> None:
    """Build the artifact and install it for the user whose home ``environment`` names, both with this ansible-core."""
    home = Path(environment["HOME"])
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    galaxy = [str(python.parent / "ansible-galaxy"), "collection"]
    subprocess.run([*galaxy, "build", "--output-path", str(home), str(ROOT)], env=environment, check=True)
    archive = next(home.glob("*.tar.gz"))
    subprocess.run([*galaxy, "install", "--offline", str(archive)], env=environment, check=True)


def main() -> int:
    if sys.version_info >= (3, 14):
        print("skipped: ansible-core 2.18 does not run on this Python")
        return 0
    python = prepare()
    # Nothing of the checkout may be found: neither by the Makefile's variables nor by a link beside the packages.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment.update(
        PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        HOME=str(ROOT / ".work" / "home-2.18"),
        ANSIBLE_COLLECTIONS_SCAN_SYS_PATH="false",
        ANSIBLE_LOCALHOST_WARNING="false",
    )
    install(python, environment)
    subprocess.run([str(python.parent / "ansible"), "--version"], env=environment, check=True)
    directory = ROOT / ".work" / "old-core"
    play = [
        str(python.parent / "ansible-playbook"),
        "calico_ops.ipam.demo",
        "-e",
        f"demo_dir={directory}",
        "-e",
        "demo_speed=50",
    ]
    code = subprocess.run(play, env=environment, check=False).returncode
    subprocess.run([*play, "-e", "demo_state=stopped"], env=environment, stdout=subprocess.DEVNULL, check=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
