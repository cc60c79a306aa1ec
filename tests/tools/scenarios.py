# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the Molecule scenarios, one after the other, each on an embedded cluster of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    names = sys.argv[1:] or sorted(path.parent.name for path in ROOT.glob("extensions/molecule/*/molecule.yml"))
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        environment = dict(os.environ, MOLECULE_EPHEMERAL_DIRECTORY=str(ROOT / ".work" / "molecule" / name))
        command = ["molecule", "test", "--no-command-borders", "--scenario-name", name]
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
            failed.append(name)
    print(f"scenarios: {len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
