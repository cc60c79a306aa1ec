# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Type-check module_utils strictly.

mypy ignores a package in site-packages that carries no ``py.typed``, and the checkout is linked there;
so it is given a copy of the tree through MYPYPATH instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / ".work" / "types"
PACKAGE = "ansible_collections.calico_ops.ipam.plugins.module_utils"


def main() -> int:
    target = TREE / "ansible_collections" / "calico_ops"
    target.mkdir(parents=True, exist_ok=True)
    link = target / "ipam"
    if not link.is_symlink():
        link.symlink_to(ROOT)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", PACKAGE],
        cwd=TREE,
        env=dict(os.environ, MYPYPATH=str(TREE), MYPY_CACHE_DIR=str(ROOT / ".mypy_cache")),
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
