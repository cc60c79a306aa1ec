# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubespray's own check against what is predicted of it, where Kubespray is at hand.

``CALICO_OPS_KUBESPRAY=/path/of/a/checkout`` turns it on. Its check runs as it stands, with its own defaults and a
``calicoctl.sh`` that knows one pool.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from playbook import BIN, environment

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import read_declared
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_runs import (
    FAILS_IN_CHECK,
    SCALE,
    predict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

CHECKOUT = os.environ.get("CALICO_OPS_KUBESPRAY", "")

INVENTORY = {
    "kube_network_plugin": "calico",
    "kube_pods_subnet": "10.234.0.0/16",
    "calico_pool_name": "default-pool",
    "calico_pool_cidr": "10.234.0.0/18",
    "calico_pool_blocksize": 26,
    "calico_ipip_mode": "Never",
    "calico_vxlan_mode": "Always",
    "nat_outgoing": True,
}
SPEC = {"cidr": "10.234.0.0/18", "blockSize": 26, "ipipMode": "Never", "vxlanMode": "Always", "natOutgoing": True}
# What the inventory says otherwise, and the live pool; None when there is no pool of that name.
ROWS: dict[str, tuple[dict[str, t.Any], dict[str, t.Any] | None]] = {
    "as declared": ({}, {}),
    "another block size": ({}, {"blockSize": 28}),
    "another range": ({}, {"cidr": "10.234.64.0/18"}),
    "disabled": ({}, {"disabled": True}),
    "gone": ({}, None),
    "the inventory came first": ({"calico_pool_cidr": "10.234.64.0/18"}, {}),
    "another encapsulation": ({}, {"vxlanMode": "CrossSubnet"}),
    "no masquerading": ({}, {"natOutgoing": False}),
    "another spelling": ({"calico_pool_cidr": "10.234.0.1/18"}, {}),
    "both encapsulations": ({"calico_ipip_mode": "Always"}, None),
}

CALICOCTL = """#!/bin/sh
case "$*" in
  *version*) echo "Client Version: v99.0.0" ;;
  *ippool*|*ipPool*) exec cat "$0.pool" ;;
esac
"""


def play(directory: Path, name: str, inventory: dict[str, t.Any], spec: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """One run of the check; its end is in a file."""
    directory.mkdir()
    command = directory / "calicoctl.sh"
    command.write_text(CALICOCTL, encoding="utf-8")
    command.chmod(0o755)
    if spec is not None:
        pool = {"metadata": {"name": "default-pool"}, "spec": {**SPEC, **spec}}
        (directory / "calicoctl.sh.pool").write_text(json.dumps(pool), encoding="utf-8")
    role = f"{CHECKOUT}/roles"

    def note(text: str) -> dict[str, t.Any]:
        return {"ansible.builtin.copy": {"dest": str(directory / "end"), "content": text}}

    def include(role_name: str, **rest: t.Any) -> dict[str, t.Any]:
        return {"ansible.builtin.include_role": {"name": f"{role}/{role_name}", **rest}}

    return {
        "name": name,
        "hosts": "kube_control_plane",
        "gather_facts": False,
        "vars": {**INVENTORY, **inventory, "bin_dir": str(directory)},
        "tasks": [
            # The check keeps the pool as a fact.
            {"ansible.builtin.meta": "clear_facts"},
            include("kubespray_defaults", public=True),
            include("network_plugin/calico_defaults", public=True),
            {
                "block": [include("network_plugin/calico", tasks_from="check"), note("passes")],
                "rescue": [note("{{ ansible_failed_result.msg }}")],
            },
        ],
    }


@pytest.mark.skipif(not CHECKOUT, reason="CALICO_OPS_KUBESPRAY names no checkout of Kubespray")
def test_the_prediction(tmp_path: Path) -> None:
    plays = [play(tmp_path / str(index), name, *row) for index, (name, row) in enumerate(ROWS.items())]
    (tmp_path / "check.yml").write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    groups = {"kube_control_plane": {"hosts": {"cp1": None}}, "kube_node": {}, "etcd": {}, "calico_rr": {}}
    hosts = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": groups,
        }
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "check.yml")],
        # Kubespray's conditions may be older than this Ansible.
        env={**environment(), "ANSIBLE_PIPELINING": "true", "ANSIBLE_ALLOW_BROKEN_CONDITIONALS": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for index, (name, (inventory, spec)) in enumerate(ROWS.items()):
        pools = [] if spec is None else [StoredPool("default-pool", {"metadata": {}, "spec": {**SPEC, **spec}})]
        runs = {run.name: run for run in predict(read_declared({**INVENTORY, **inventory}), pools)}
        end = (tmp_path / str(index) / "end").read_text(encoding="utf-8")
        assert (end == "passes") is (runs[SCALE].verdict != FAILS_IN_CHECK), (name, end, runs[SCALE])
