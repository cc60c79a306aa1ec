# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Show the lines of text that a module returned, as they are.

Ansible prints results as JSON or YAML only, in which a table does not line up.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


def run_and_show(action: ActionBase, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
    """Run the module of the task and display ``lines`` of its result, if it has some."""
    result: dict[str, t.Any] = action._execute_module(task_vars=task_vars)
    show(result.get("lines") or [])
    return result


def show(lines: t.Iterable[str]) -> None:
    """Display lines of text, indented."""
    for line in lines:
        display.display(f"    {line}".rstrip())
