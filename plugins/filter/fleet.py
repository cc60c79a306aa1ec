# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of a fleet; documented in ``fleet_table.yml``."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet_table import fleet_lines
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._errors import filters


def fleet_table(results: t.Any) -> list[str]:
    """Lines that line up, for results of ``ipam_summary_info`` by the name of the cluster."""
    if not isinstance(results, t.Mapping):
        raise InvalidInput(
            "The input must be a dictionary of results of ipam_summary_info by the name of the cluster.", "results"
        )
    return fleet_lines({str(name): row for name, row in results.items()})


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return filters(fleet_table=fleet_table)
