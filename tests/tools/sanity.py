# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-test sanity on a copy of the checkout, with nothing but PyPI.

ansible-test refuses a checkout that is reached through a link and finds no targets in an ignored
directory of another Git repository, so the files Git knows are copied to
``.work/tree/ansible_collections/calico_ops/ipam`` and made a repository of their own.

ansible-test also wants to download its pip bootstrap script from its own file server. The six-line
script below asks ensurepip instead and is put where ansible-test looks first. It runs in a child
process because ensurepip blanks pip's configuration in its own process.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / ".work" / "tree" / "ansible_collections" / "calico_ops" / "ipam"

BOOTSTRAP = """\
import subprocess
import sys

subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
packages = [a for a in sys.argv[1:] if not a.startswith("-")]
command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
sys.exit(subprocess.run(command, check=False).returncode)
"""


def copy_tree() -> None:
    """Copy what Git tracks or would track, then make the copy a repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    shutil.rmtree(TREE, ignore_errors=True)
    for name in filter(None, listing.split("\0")):
        source = ROOT / name
        if source.is_file():
            target = TREE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    subprocess.run(["git", "init", "-q"], cwd=TREE, check=True)
    subprocess.run(["git", "add", "-A"], cwd=TREE, check=True)


def seed_pip_bootstrap() -> None:
    import ansible_test

    source = Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py"
    found = re.search(r"pip='([0-9.]+)'", source.read_text(encoding="utf-8"))
    if found is None:
        sys.exit(f"cannot read which pip version ansible-test wants from {source}")
    cache = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{found[1].replace('.', '_')}.py"
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(BOOTSTRAP, encoding="utf-8")


def main() -> int:
    copy_tree()
    if "--copy-only" in sys.argv:
        return 0
    seed_pip_bootstrap()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [str(Path(sys.executable).parent / "ansible-test"), "sanity", "--python", version, "--color", "no"]
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    environment.pop("ANSIBLE_COLLECTIONS_PATH", None)
    return subprocess.run(command + sys.argv[1:], cwd=TREE, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
