# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Live progress of a module that runs on the control node: its lines appear while it works.

A module has no channel to speak before it ends. Ours take an option ``progress_file`` and write one line
for each event; here that file is a named pipe, which a thread reads and displays.
"""

from __future__ import annotations

import os
import tempfile
import threading
import typing as t
from contextlib import contextmanager
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

# What ends the reading; no line of a module begins with it.
_END = b"\0\n"


def run_with_progress(action: ActionBase, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
    """Run the module of the task and display its progress as it comes, each line with the host in front.

    Without a way to see the module's file (another machine or user, ``async``), or when the user asked
    for a file of their own, the module just runs.
    """
    args = dict(action._task.args)
    if args.get("progress_file") or not _shares_files(action):
        plain: dict[str, t.Any] = action._execute_module(task_vars=task_vars)
        return plain
    host = task_vars.get("inventory_hostname", "localhost")
    with _displayed(f"{host}: ") as path:
        result: dict[str, t.Any] = action._execute_module(
            module_args={**args, "progress_file": str(path)}, task_vars=task_vars
        )
    return result


def _shares_files(action: ActionBase) -> bool:
    connection = action._connection
    if connection.transport != "local" or action._task.async_val or not hasattr(os, "mkfifo"):
        return False
    become = connection.become
    return become is None or become.get_option("become_user", playcontext=action._play_context) in (None, "root")


@contextmanager
def _displayed(prefix: str) -> t.Iterator[Path]:
    """A named pipe in a private directory; what is written to it is displayed line by line."""
    with tempfile.TemporaryDirectory(prefix="calico-ops-") as directory:
        path = Path(directory) / "progress"
        os.mkfifo(path, 0o600)
        # Opened without blocking, since there is no writer yet; and for writing as well, so that the
        # module's closing it is not the end.
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writing = os.open(path, os.O_WRONLY)
        os.set_blocking(reading, True)
        thread = threading.Thread(target=_show, args=(reading, prefix), name="calico-ops-progress", daemon=True)
        thread.start()
        try:
            yield path
        finally:
            os.write(writing, _END)
            thread.join(timeout=5.0)
            os.close(writing)


def _show(reading: int, prefix: str) -> None:
    with os.fdopen(reading, "rb", buffering=0) as stream:
        pending = b""
        while True:
            data = stream.read(65536)
            pending += data or b""
            *lines, pending = pending.split(b"\n")
            for line in lines:
                if line == _END[:-1]:
                    return
                display.display(prefix + line.decode("utf-8", "replace"))
            if not data:
                return
