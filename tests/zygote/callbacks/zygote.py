# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends the modules of this collection to the zygote of the tests; everything else is as always.

It is a callback plugin only because Ansible loads these before anything else, and by a variable of the environment.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import typing as t

from ansible.executor.module_common import _BuiltModule
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: zygote
type: aggregate
short_description: Sends modules to the zygote of the tests
description:
  - For the tests of this collection.
"""

OURS = "calico_ops.ipam."
MARK = b"# run by the zygote of the tests\n"
PROFILE = "legacy"

configure, execute = ActionBase._configure_module, ActionBase._low_level_execute_command


def ours(action: ActionBase, name: str) -> bool:
    plain = action._connection.transport == "local" and action._connection.become is None
    return plain and not action._task.async_val and name.startswith(OURS)


def configure_ours(self: ActionBase, module_name: str, module_args: t.Any, task_vars: t.Any) -> t.Any:
    if not ours(self, module_name):
        return configure(self, module_name, module_args, task_vars)
    environment: dict[str, t.Any] = {}
    self._compute_environment_string(environment)
    encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
    self._zygote_request = {
        "module": module_name[len(OURS) :],
        "parameters": json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder),
        "profile": PROFILE,
        "environment": {**os.environ, **{key: str(value) for key, value in environment.items()}},
    }
    return _BuiltModule(
        b_module_data=MARK, module_style="new", shebang="#!python", serialization_profile=PROFILE
    ), module_name


def execute_ours(self: ActionBase, cmd: str, sudoable: bool = True, in_data: t.Any = None, **rest: t.Any) -> t.Any:
    if in_data != MARK:
        return execute(self, cmd, sudoable=sudoable, in_data=in_data, **rest)
    request = {**self._zygote_request, "directory": self._loader.get_basedir()}
    text = json.dumps(request).encode()
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX) as zygote,
    ):
        zygote.connect(os.environ["CALICO_OPS_ZYGOTE"])
        socket.send_fds(zygote, [len(text).to_bytes(8, "big")], [out.fileno(), err.fileno()])
        zygote.sendall(text)
        code = zygote.recv(1)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read().decode(), err.read().decode()
    return {
        # Nothing comes when the module was killed.
        "rc": code[0] if code else -9,
        "stdout": stdout,
        "stdout_lines": stdout.splitlines(),
        "stderr": stderr,
        "stderr_lines": stderr.splitlines(),
    }


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "zygote"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        ActionBase._configure_module = configure_ours
        ActionBase._low_level_execute_command = execute_ours
