# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of Ansible whose modules need no second each to begin; see ``zygote/server.py``.

At night, modules are run as users run them.
"""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent / "zygote"


@functools.lru_cache(maxsize=1)
def zygote() -> dict[str, str]:
    """Variables for the environment of Ansible; the zygote is started when it is first asked for, and ends with us."""
    if os.environ.get("CALICO_OPS_NIGHTLY"):
        return {}
    directory = tempfile.TemporaryDirectory(prefix="zygote-")
    path = Path(directory.name) / "socket"
    process = subprocess.Popen([sys.executable, str(HERE / "server.py"), str(path)], stdin=subprocess.DEVNULL)

    def end() -> None:
        process.kill()
        process.wait()
        directory.cleanup()

    atexit.register(end)
    deadline = time.monotonic() + 60
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the zygote did not start")
        time.sleep(0.02)
    return {
        "CALICO_OPS_ZYGOTE": str(path),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "zygote",
        # For `ansible`, too, and not only for `ansible-playbook`.
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        "ANSIBLE_PIPELINING": "true",
    }
