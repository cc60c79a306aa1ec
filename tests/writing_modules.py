# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module that writes to a cluster, with arguments that make it do so; and a way to run it on a cluster of a test.

A module whose name does not end in ``_info`` must stand in one of the two tables:
``tests/unit/meta/test_stop_rows.py`` sees to it.
"""

from __future__ import annotations

import importlib
import typing as t
from pathlib import Path
from unittest import mock

from ansible_collections.calico_ops.ipam.plugins.module_utils import _module

MODULES = Path(__file__).resolve().parents[1] / "plugins" / "modules"

WRITING: dict[str, list[dict[str, t.Any]]] = {
    "ip_reservation": [
        {"name": "rack", "reserved_cidrs": ["10.8.0.0/30"]},
        {"name": "rack", "state": "absent"},
    ],
    "ipam_config": [{"strict_affinity": True}],
    "ipam_range": [{"cidr": "10.9.0.0/24", "settle": 0}],
    "ipam_release": [{"addresses": [{"address": "10.9.0.1"}], "interval": 0}],
    "ippool": [
        {"name": "new", "cidr": "10.8.0.0/16"},
        {"name": "p", "disabled": True},
        {"name": "p", "state": "absent"},
    ],
    "ippool_binding": [
        {"namespace": "shop", "ipv4_pools": ["p"]},
        {"namespace": "shop", "state": "absent"},
        {"node": "node-1", "ipv4_pools": ["p"]},
    ],
    "ippool_drain": [{"pool": "p", "max_parallel": 5}],
    "ippool_journal": [
        {
            "procedure": "change_block_size",
            "pool": "p",
            "block_size": 28,
            "target": {"name": "temporary", "cidr": "10.1.0.0/16"},
        }
    ],
    "ippool_probe": [{"pool": "p"}],
}
NOT_WRITING = {
    "ippool_gate": "waits and reads",
    "ippool_report": "writes files on the control node",
    "twin": "starts a cluster of its own",
}


class NoWrites:
    """Mixed into an API that reads: whoever writes has not refused."""

    def close(self) -> None:
        """Nothing to let go of."""

    def create(self, *arguments: t.Any, **_options: t.Any) -> t.NoReturn:
        raise AssertionError(f"written: {arguments}")

    replace = patch = delete = evict = create


def names() -> list[str]:
    """The modules that could write."""
    found = (path.stem for path in MODULES.glob("*.py"))
    return sorted(name for name in found if name != "__init__" and not name.endswith("_info"))


def main_on(name: str, api: t.Any) -> t.Callable[[], None]:
    """The ``main`` of a module whose connection leads to ``api``."""
    module = importlib.import_module(f"ansible_collections.calico_ops.ipam.plugins.modules.{name}")

    def main() -> None:
        with mock.patch.object(_module, "connect", lambda _options: api):
            module.main()

    return main
