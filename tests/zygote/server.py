# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that has imported everything our modules need, and forks for each module that is to be run.

    python tests/zygote/server.py SOCKET

Ansible packs a module with all it imports into a file, which a new Python compiles from the first line to the last: a
second of computing for each task. Tests that are about clusters and procedures leave that out. What is run is the same
code, with the same parameters in the same form, in a process of its own. ``callbacks/zygote.py`` is the other side;
that the packing works is shown by ``test_examples.py`` for every module, by ``tests/artifact`` and, at night, by all.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import random
import runpy
import signal
import socket
import sys
import threading
import typing as t
from pathlib import Path

from ansible.module_utils import basic

PACKAGE = "ansible_collections.calico_ops.ipam.plugins.modules"
LIBRARIES = ("kubernetes.client", "kubernetes.config", "kubernetes.dynamic", "netaddr", "urllib3", "yaml")


def prepare() -> None:
    """Import once what every module would import; the modules themselves are run, and must not be there yet."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for module in pkgutil.iter_modules([str(Path(__file__).parents[2] / "plugins/modules")]):
        importlib.import_module(f"{PACKAGE}.{module.name}")
        del sys.modules[f"{PACKAGE}.{module.name}"]


def run(request: dict[str, t.Any], out: int, err: int) -> int:
    """Run one module as Ansible's wrapper does; its exit code."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    random.seed()
    basic._ANSIBLE_ARGS = request["parameters"].encode()
    basic._ANSIBLE_PROFILE = request["profile"]
    sys.argv = [request["module"]]
    try:
        runpy.run_module(f"{PACKAGE}.{request['module']}", run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - what a user would see as a traceback of the module must be one here, too
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def serve(connection: socket.socket) -> None:
    """One request in the process that was forked for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, (out, err), _flags, _address = socket.recv_fds(connection, 8, 2)
    length, text = int.from_bytes(message, "big"), b""
    while len(text) < length:
        text += connection.recv(length - len(text)) or os._exit(1)  # type: ignore[func-returns-value]
    threading.Thread(target=die_with, args=(connection,), daemon=True).start()
    code = run(json.loads(text), out, err)
    with contextlib.suppress(OSError):
        connection.sendall(bytes([code & 255]))
    os._exit(code)


def die_with(connection: socket.socket) -> None:
    """Whoever kills the playbook and all below it kills this process, too."""
    if not connection.recv(1):
        os.kill(os.getpid(), signal.SIGKILL)


def main(path: str) -> None:
    prepare()
    # Nobody waits for the processes that are forked.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        listening.settimeout(2)
        # The tests may be killed, too.
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                connection, _address = listening.accept()
                with connection:
                    if os.fork() == 0:
                        listening.close()
                        connection.settimeout(None)
                        serve(connection)


if __name__ == "__main__":
    main(sys.argv[1])
