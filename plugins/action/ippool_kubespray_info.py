# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name and shows its lines on the terminal."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.calico_ops.ipam.plugins.plugin_utils._lines import run_and_show


class ActionModule(ActionBase):
    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        return run_and_show(self, task_vars or {})
