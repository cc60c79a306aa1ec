# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name and tells it which process runs the procedure; documented in the module."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import typing as t

from ansible import context
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import (
    Process,
    this_process,
)
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._called import called
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._kubespray_call import as_kubespray
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._progress import run_with_progress

display = Display()


class ActionModule(ActionBase):
    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        if self._task.args.get("run_by") is None:
            host = str(task_vars.get("inventory_hostname", ""))
            process = this_process(_playbook(), user=_user(), inventory_host=host)
            self._task.args = {**self._task.args, "run_by": process.as_dict()}
        if self._task.args.get("called") is None and self._task.args.get("state", "present") == "present":
            host = str(task_vars.get("inventory_hostname", ""))
            call = called(context.CLIARGS, host, self._loader.load_from_file, self._loader.load)
            call = as_kubespray(call, task_vars, self._templar.template)
            self._task.args = {**self._task.args, "called": call}
        result = run_with_progress(self, task_vars)
        ended = _ended(result)
        # A module on another machine cannot see whether the playbook that has the lock still runs on this one.
        if ended and not self._task.args.get("ended"):
            self._task.args = {**self._task.args, "ended": ended}
            result = run_with_progress(self, task_vars)
        if isinstance(result.get("details"), dict):
            result["details"].pop("processes", None)  # The sentence names them.
        for line in result.get("lines") or []:
            display.display(f"{task_vars.get('inventory_hostname', 'localhost')}: {line}")
        return result


def _ended(result: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Of the processes in the way of the module, those which are gone from this machine."""
    details = result.get("details")
    named = details.get("processes") if result.get("failed") and isinstance(details, dict) else None
    here = this_process()
    return [each for each in named or () if isinstance(each, dict) and Process.from_dict(each).is_gone(here)]


def _playbook() -> int:
    """The process that lives as long as the play: a task runs in a worker, which is a child of it."""
    parent = multiprocessing.parent_process()
    return os.getpid() if parent is None or parent.pid is None else parent.pid


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
