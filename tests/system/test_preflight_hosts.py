# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook preflight_hosts on two nodes, one of which ties its pods to the pool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from playbook import BIN, Outcome, environment


def test_each_node_is_judged_by_its_own_file(tmp_path: Path) -> None:
    hosts = {}
    for name, pools in (("good", []), ("bad", ["192.168.0.0/16"])):
        directory = tmp_path / name
        directory.mkdir()
        ipam = {"type": "calico-ipam", **({"ipv4_pools": pools} if pools else {})}
        text = json.dumps({"plugins": [{"type": "calico", "ipam": ipam}]})
        (directory / "10-calico.conflist").write_text(text, encoding="utf-8")
        hosts[name] = {"preflight_cni_path": str(directory)}
    inventory = tmp_path / "nodes.json"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"kube_node": {"hosts": hosts, "vars": local}}), encoding="utf-8")
    asked = {"preflight_pool": "default-ipv4-ippool", "preflight_cidrs": ["192.168.0.0/16"], "calico_ops_become": False}
    done = subprocess.run(
        [
            str(BIN / "ansible-playbook"),
            "-i",
            str(inventory),
            "calico_ops.ipam.preflight_hosts",
            "-e",
            json.dumps(asked),
        ],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    outcome = Outcome(done.returncode, done.stdout)
    assert outcome.code == 2, outcome.output
    said = " ".join(outcome.output.split())
    assert "bad/10-calico.conflist gives every pod of this node an address of 192.168.0.0/16" in said
    recap = {line.split()[0]: line for line in outcome.output.splitlines() if "unreachable=" in line}
    assert "failed=0" in recap["good"]
    assert "failed=1" in recap["bad"]
