# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook on inventories of its users; the rules have tables in the unit tests.

``test_guides.py`` migrates one family. At night both are migrated and get new block sizes here, killed on the way.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from cluster_state import CALICO, objects
from kubespray_lab import CNI, became_root, scenario, write_inventory, write_roles
from playbook import BIN, Outcome, environment, kill_tree
from twin_fixture import TwinHandle, start_twin

COLLECTION = {"namespace": "kubernetes_sigs", "name": "kubespray", "version": "2.32.0"}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), scenario(), speed=40) as handle:
        yield handle


def run(directory: Path, mode: str, variables: dict[str, t.Any] | None = None, kill_in: str = "") -> Outcome:
    given = {"kubespray_mode": mode, **(variables or {})}
    command = [str(BIN / "ansible-playbook"), "-i", "inventory/mycluster/hosts.yml", "calico_ops.ipam.kubespray"]
    return carried_out(directory, [*command, "-e", json.dumps(given)], kill_in)


def carried_out(directory: Path, command: list[str] | str, kill_in: str = "") -> Outcome:
    """A command of a user's, killed when the task begins whose name contains ``kill_in``."""
    process = subprocess.Popen(
        command,
        shell=isinstance(command, str),
        cwd=directory,
        env={
            **environment(),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_COLLECTIONS_PATH": str(directory / "collections"),
            "ANSIBLE_BECOME_ALLOW_SAME_USER": "true",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in t.cast("t.IO[str]", process.stdout):
        lines.append(line)
        if kill_in and line.startswith("TASK [") and kill_in in line:
            kill_tree(process.pid)
    output = "".join(lines)
    assert "Traceback" not in output
    return Outcome(process.wait(), output)


def test_the_collection_an_old_inventory_and_work_on_the_host(twin: TwinHandle, tmp_path: Path) -> None:
    """A bastion, groups by their names of long ago, and a difference that CI must see."""
    inventory = write_inventory(tmp_path, None)
    (inventory / "artifacts").mkdir()
    (inventory / "artifacts/admin.conf").write_text("of no use from the Ansible host", encoding="utf-8")
    hosts = (inventory / "hosts.yml").read_text(encoding="utf-8")
    hosts = hosts.replace("kube_control_plane:", "kube-master:").replace("kube_node:", "kube-node:")
    hosts = hosts.replace("    cp1:\n    node1", "    cp1:\n    bastion:\n    node1")
    (inventory / "hosts.yml").write_text(hosts, encoding="utf-8")
    collection = tmp_path / "collections/ansible_collections/kubernetes_sigs/kubespray"
    write_roles(collection / "roles")
    (collection / "MANIFEST.json").write_text(
        json.dumps({"collection_info": COLLECTION, "format": 1}), encoding="utf-8"
    )
    etc = tmp_path / "etc"
    etc.mkdir()
    os.symlink(twin.kubeconfig, etc / "admin.conf")
    outcome = run(tmp_path, "drift", {"kube_config_dir": str(etc), "calico_pool_blocksize": 28})
    assert outcome.code == 2, outcome.output
    assert "included: kubernetes_sigs.kubespray.kubespray_defaults for cp1" in outcome.output
    assert "cp1 -> localhost" not in outcome.output
    assert "DRIFT       calico_pool_blocksize is 28 (inventory), and IPPool default-pool has blockSize 26." in (
        outcome.output
    )
    assert "    cluster.yml          fails in check" in outcome.output
    # What the roles' defaults say is compared as well, and what they are made of is known.
    assert "    IPv4    calico_vxlan_mode      Always         Always" in outcome.output
    assert "UNKNOWN" not in outcome.output
    assert became_root(tmp_path) == {"cp1"}
    # Through the bastion, as Kubespray's roles say; nothing else of theirs was carried out.
    assert "Reach the host as Kubespray does] ***" in outcome.output
    assert "ok: [cp1]" in outcome.output.split("Reach the host as Kubespray does] ***")[1].split("TASK")[0]
    assert "connected to" not in outcome.output


def test_a_node_that_has_the_pool_in_its_own_configuration(twin: TwinHandle, tmp_path: Path) -> None:
    """As on clusters that a release up to 2.22 installed first, one node for each family: nothing is begun."""
    inventory = write_inventory(tmp_path, twin.kubeconfig, "ipv6_stack")
    write_roles(tmp_path / "roles")
    hosts = (inventory / "hosts.yml").read_text(encoding="utf-8")
    (inventory / "hosts.yml").write_text(hosts.replace("net.d", "{{ inventory_hostname }}"), encoding="utf-8")
    for node, pins in (("node1", {"ipv4_pools": ["10.234.0.0/18"]}), ("node2", {"ipv6_pools": ["default-pool-ipv6"]})):
        pinned = json.loads(json.dumps(CNI))
        pinned["plugins"][0]["ipam"].update(pins)
        (inventory / node).mkdir()
        (inventory / node / "10-calico.conflist").write_text(json.dumps(pinned), encoding="utf-8")
    target = {"kubespray_target": {"cidr": "10.234.64.0/18"}, "kubespray_target_ipv6": {"cidr": "fd85::/112"}}
    outcome = run(tmp_path, "migrate", target)
    assert outcome.code == 2, outcome.output
    assert "fatal: [node1]" in outcome.output and "fatal: [node2]" in outcome.output
    assert "ippool_kubespray_info" not in outcome.output and "STOP" not in outcome.output
    assert list(objects(twin, "ippools", CALICO)) == ["default-pool"]
    assert became_root(tmp_path) == {"node1", "node2"}


def test_a_mode_that_does_not_exist(tmp_path: Path) -> None:
    write_inventory(tmp_path, None)
    outcome = run(tmp_path, "migration")
    assert outcome.code == 2, outcome.output
    assert "value of kubespray_mode must be one of" in outcome.output
    assert "fatal: [node1]" not in outcome.output


def command_to(what: str, outcome: Outcome) -> str:
    """The last command of that kind that a run has printed."""
    found = re.findall(rf"^cp1:   {what}: +(ansible-playbook .*)$", outcome.output, re.MULTILINE)
    assert found, outcome.output
    return str(found[-1])


def printed_variables(outcome: Outcome) -> dict[str, t.Any]:
    lines = outcome.output.splitlines()
    start = max(index for index, line in enumerate(lines) if line.startswith("    calico_pool_name:"))
    end = next(index for index in range(start, len(lines)) if not lines[index].startswith("    "))
    return t.cast("dict[str, t.Any]", yaml.safe_load("\n".join(lines[start:end])))


@pytest.mark.skipif(not os.environ.get("CALICO_OPS_NIGHTLY"), reason="takes minutes")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("switch", ["ipv6_stack", "enable_dual_stack_networks"])
def test_both_families_killed_undone_and_resumed_by_the_printed_commands(switch: str, tmp_path: Path) -> None:
    """Kubespray's switch for IPv6 has changed its name; with the old one the role for defaults has its old name."""
    with start_twin(tmp_path, scenario(both=True), speed=40) as twin:
        inventory = write_inventory(tmp_path, twin.kubeconfig, switch)
        write_roles(tmp_path / "roles")
        if switch != "ipv6_stack":
            (tmp_path / "roles/kubespray_defaults").rename(tmp_path / "roles/kubespray-defaults")
            defaults = tmp_path / "roles/kubespray-defaults/defaults/main.yml"
            kept = [line for line in defaults.read_text(encoding="utf-8").splitlines() if "_stack" not in line]
            defaults.write_text("\n".join([*kept, f"{switch}: false", ""]), encoding="utf-8")
        variables = inventory / "group_vars/k8s_cluster"
        quick = {f"{role}_{name}": 1 for role in ("migrate_pool", "change_block_size") for name in ("soak", "pause")}
        (variables / "calico-ops.yml").write_text(yaml.safe_dump(quick), encoding="utf-8")
        target = {
            "kubespray_target": {"cidr": "10.234.64.0/18"},
            "kubespray_target_ipv6": {"cidr": "fd85:ee78:d8a6:8607::2:0/112"},
        }
        before = sorted(objects(twin, "ippools", CALICO))
        killed = run(tmp_path, "migrate", target, kill_in="Step 3 | Move the pods")
        assert killed.code != 0
        undone = carried_out(tmp_path, command_to("undo", killed))
        assert undone.code == 0, undone.output
        assert sorted(objects(twin, "ippools", CALICO)) == before
        # In a site playbook, which is not what goes on: it may run Kubespray first.
        play = {"ansible.builtin.import_playbook": "calico_ops.ipam.kubespray"}
        site = [{**play, "vars": {**target, "kubespray_mode": "migrate"}}]
        (tmp_path / "site.yml").write_text(yaml.safe_dump(site), encoding="utf-8")
        words = ["ansible-playbook", "-i", "inventory/mycluster/hosts.yml", "site.yml"]
        killed = carried_out(tmp_path, words, kill_in="Step 4 | ")
        assert "site.yml" not in command_to("resume", killed)
        resumed = carried_out(tmp_path, command_to("resume", killed))
        assert resumed.code == 0, resumed.output
        (variables / "zz-calico-pool.yml").write_text(yaml.safe_dump(printed_variables(resumed)), encoding="utf-8")
        in_order = run(tmp_path, "report", {"report_html": str(tmp_path / "pools.html")})
        assert in_order.code == 0 and "DRIFT       none" in in_order.output, in_order.output
        assert (tmp_path / "pools.html").exists()
        assert run(tmp_path, "finish").code == 0
        assert sorted(objects(twin, "ippools", CALICO)) == ["default-pool-2", "default-pool-2-ipv6"]
        if switch != "ipv6_stack":
            return
        resize = {
            "kubespray_target": {"block_size": 28, "temporary_cidr": "10.234.128.0/18"},
            "kubespray_target_ipv6": {"block_size": 124, "temporary_cidr": "fd85:ee78:d8a6:8607::3:0/112"},
        }
        done = run(tmp_path, "change_block_size", resize)
        assert done.code == 0, done.output
        assert "calico_pool_blocksize_ipv6: 124  # changed" in done.output
        drift = run(tmp_path, "drift")
        assert drift.code == 2 and "calico_pool_blocksize is 26 (inventory), and IPPool" in drift.output
        (variables / "zz-calico-pool.yml").write_text(yaml.safe_dump(printed_variables(done)), encoding="utf-8")
        assert run(tmp_path, "drift").code == 0
        sizes = {name: item["spec"]["blockSize"] for name, item in objects(twin, "ippools", CALICO).items()}
        assert sizes == {"default-pool-2": 28, "default-pool-2-ipv6": 124}
        record = twin.record()
        assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])
        assert became_root(tmp_path) == {"node1", "node2"}
