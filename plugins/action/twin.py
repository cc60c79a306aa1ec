# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start or stop the twin on the control node; documented in ``plugins/modules/twin.py``."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "data_dir": {"type": "path", "default": ".twin"},
    "scenario": {"type": "str", "default": "tutorial"},
    "port": {"type": "int", "default": 0},
    "speed": {"type": "float", "default": 20},
    "seed": {"type": "int"},
    "rbac": {"type": "bool", "default": False},
    "installation": {"type": "str", "choices": ["crd_v1", "apiserver", "crd_v3", "etcd"]},
    "operator": {"type": "bool", "default": False},
    "etcd_endpoints": {"type": "list", "elements": "str"},
    "timeout": {"type": "int", "default": 120},
}


def _started(args: dict[str, t.Any], data_dir: Path, check_mode: bool) -> dict[str, t.Any]:
    options = process.Options(
        data_dir=str(data_dir),
        scenario=process.absolute_scenario(args["scenario"]),
        port=args["port"],
        speed=args["speed"],
        seed=args["seed"],
        rbac=args["rbac"],
        installation=args["installation"],
        operator=args["operator"],
        etcd_endpoints=tuple(args["etcd_endpoints"] or ()),
    )
    process.require_packages()
    process.check(options)
    if check_mode and not process.is_running(data_dir):
        return {"changed": True}
    state, changed = process.ensure_started(options, args["timeout"])
    return {
        "changed": changed,
        "kubeconfig": state.kubeconfig,
        "url": state.url,
        "pid": state.pid,
        "port": state.port,
        "etcd_endpoints": list(state.etcd_endpoints),
        "record": process.ask(state, "/twin/v1/record"),
    }


def _stopped(args: dict[str, t.Any], data_dir: Path, check_mode: bool) -> dict[str, t.Any]:
    if check_mode:
        return {"changed": process.is_running(data_dir)}
    return {"changed": process.stop(data_dir, args["timeout"])}


class ActionModule(ActionBase):
    """Runs on the controller: the twin is a process there, and needs packages that targets lack."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(ARGUMENT_SPEC)
        data_dir = Path(args["data_dir"]).expanduser().absolute()
        act = _started if args["state"] == "started" else _stopped
        try:
            result.update(act(args, data_dir, self._task.check_mode))
        except IpamError as error:
            raise AnsibleActionFail(error.message) from None
        result["data_dir"] = str(data_dir)
        return result
