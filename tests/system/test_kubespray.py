# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook on inventories of its users. ``test_guides.py`` migrates; the rules have tables in the unit tests."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from cluster_state import CALICO, objects
from kubespray_lab import CNI, became_root, scenario, write_inventory, write_roles
from playbook import BIN, Outcome, environment
from twin_fixture import TwinHandle, start_twin

COLLECTION = {"namespace": "kubernetes_sigs", "name": "kubespray", "version": "2.32.0"}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), scenario(), speed=40) as handle:
        yield handle


def run(directory: Path, mode: str, variables: dict[str, t.Any] | None = None) -> Outcome:
    given = {"kubespray_mode": mode, **(variables or {})}
    command = [str(BIN / "ansible-playbook"), "-i", "inventory/mycluster/hosts.yml", "calico_ops.ipam.kubespray"]
    done = subprocess.run(
        [*command, "-e", json.dumps(given)],
        cwd=directory,
        env={
            **environment(),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_COLLECTIONS_PATH": str(directory / "collections"),
            "ANSIBLE_BECOME_ALLOW_SAME_USER": "true",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stdout
    return Outcome(done.returncode, done.stdout)


def test_the_collection_an_old_inventory_and_work_on_the_host(twin: TwinHandle, tmp_path: Path) -> None:
    """No kubeconfig on the Ansible host, groups by their names of long ago, and a difference that CI must see."""
    inventory = write_inventory(tmp_path, None)
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
    """As on clusters that a release up to 2.22 installed first: nothing is begun."""
    inventory = write_inventory(tmp_path, twin.kubeconfig)
    write_roles(tmp_path / "roles")
    pinned = json.loads(json.dumps(CNI))
    pinned["plugins"][0]["ipam"]["ipv4_pools"] = ["10.234.0.0/18"]
    (inventory / "net.d/10-calico.conflist").write_text(json.dumps(pinned), encoding="utf-8")
    outcome = run(tmp_path, "migrate", {"kubespray_target": {"cidr": "10.234.64.0/18"}})
    assert outcome.code == 2, outcome.output
    assert "fatal: [node1]" in outcome.output
    assert "ippool_kubespray_info" not in outcome.output and "STOP" not in outcome.output
    assert list(objects(twin, "ippools", CALICO)) == ["default-pool"]
    assert became_root(tmp_path) == {"node1", "node2"}


def test_a_mode_that_does_not_exist(tmp_path: Path) -> None:
    write_inventory(tmp_path, None)
    outcome = run(tmp_path, "migration")
    assert outcome.code == 2, outcome.output
    assert "value of kubespray_mode must be one of" in outcome.output
    assert "fatal: [node1]" not in outcome.output
