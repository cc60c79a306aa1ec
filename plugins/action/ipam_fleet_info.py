# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show the table of a fleet; documented in ``plugins/modules/ipam_fleet_info.py``."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet_table import (
    answered,
    fleet_lines,
    reason_of,
)
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._lines import show


class ActionModule(ActionBase):
    """Runs on the controller: what the clusters answered is there and nowhere else."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec({"clusters": {"type": "dict", "required": True}})
        clusters = {str(name): row for name, row in args["clusters"].items()}
        lines = fleet_lines(clusters)
        show(lines)
        return {
            "changed": False,
            "lines": lines,
            "answered": [name for name, row in clusters.items() if answered(row)],
            "missing": {name: reason_of(row) for name, row in clusters.items() if not answered(row)},
        }
