# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection's artifact and look at what is in it.

It must hold what users run and nothing that only developers need, and it must install and answer
``ansible-doc`` from a place of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work" / "build"
WANTED = (
    "README.md",
    "COPYING",
    "CHANGELOG.md",
    "meta/runtime.yml",
    "plugins/modules/ippool.py",
    "plugins/action/twin.py",
    "plugins/module_utils/_twin/scenarios/tutorial.yml",
    "plugins/module_utils/_twin/crds/v1/crd.projectcalico.org_ippools.yaml",
    "plugins/module_utils/_twin/crds/NOTICE.md",
    "roles/change_block_size/meta/argument_specs.yml",
    "playbooks/demo.yml",
)
FOREIGN = (
    ".venv/",
    ".work/",
    ".ansible/",
    ".twin/",
    ".git/",
    ".github/",
    ".ci/",
    "benchmarks/",
    "__pycache__",
    ".sqlite",
)


def main() -> int:
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", str(WORK), str(ROOT)], check=True)
    artifact = next(WORK.glob("*.tar.gz"))
    with tarfile.open(artifact) as archive:
        names = archive.getnames()
    problems = [f"missing: {name}" for name in WANTED if name not in names]
    problems += [f"does not belong there: {name}" for name in names if any(part in name for part in FOREIGN)]
    if problems:
        print("\n".join(problems))
        return 1

    home = WORK / "collections"
    subprocess.run(["ansible-galaxy", "collection", "install", "--offline", "-p", str(home), str(artifact)], check=True)
    environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(home))
    for kind, name in (("module", "ippool"), ("module", "twin"), ("role", "change_block_size")):
        subprocess.run(
            ["ansible-doc", "-t", kind, f"calico_ops.ipam.{name}"],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
    print(
        f"{artifact.name}: {len(names)} files, {artifact.stat().st_size / 1024:.0f} KiB, installs and documents itself"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
