# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name and writes what it found to files on the control node; documented in the module."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._report_files import ReportFiles, read_before, write


class ActionModule(ActionBase):
    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        given = self._task.args
        wanted = ReportFiles(html=given.get("html"), markdown=given.get("markdown"), json=given.get("json"))
        try:
            # What is wrong with the files is said before minutes are spent on reading a cluster.
            wanted.check()
            before = read_before(given.get("before"))
            result: dict[str, t.Any] = self._execute_module(task_vars=task_vars)
            text = result.pop("report", None)
            if text is None:
                return result
            files = write(text, before, wanted, check_mode=self._task.check_mode)
        except IpamError as error:
            raise AnsibleActionFail(error.message) from None
        return {**result, "changed": bool(files), "files": files}
