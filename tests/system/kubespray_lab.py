# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Kubespray inventory as its documentation lays it out, stubs of Kubespray's roles for defaults, and a twin to match.

The twin runs with the pods' range 10.234.0.0/16, of which Kubespray's pool has a quarter.
"""

from __future__ import annotations

import copy
import json
import shutil
import typing as t
from pathlib import Path

import yaml

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import DIRECTORY as SCENARIOS

RANGE = "10.234.0.0/18"
RANGE6, SUBNET6 = "fd85:ee78:d8a6:8607::1:0/112", "fd85:ee78:d8a6:8607::/96"

HOSTS = """
all:
  vars:
    ansible_connection: local
    ansible_become: true
    ansible_become_exe: DIRECTORY/become {{ inventory_hostname }}
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    preflight_cni_path: "{{ inventory_dir }}/net.d"
  hosts:
    cp1:
    node1: {kube_override_hostname: node-1}
    node2: {kube_override_hostname: node-2}
  children:
    kube_control_plane: {hosts: {cp1: }}
    kube_node: {hosts: {node1: , node2: }}
    etcd: {hosts: {cp1: }}
    rack: {hosts: {node2: }}
"""
# In place of sudo: says for which host it was called.
BECOME = """#!/bin/sh
echo "$1" >> "$0.log"
shift
while [ "${1#-}" != "$1" ]; do
  [ "$1" = -u ] && shift
  shift
done
exec "$@"
"""
# Some are made of others, as Kubespray's are.
KUBESPRAY_DEFAULTS = """
ansible_ssh_common_args: "{{ '-o ProxyCommand=none' if 'bastion' in groups['all'] else '' }}"
kube_config_dir: /etc/kubernetes
kube_network_plugin: calico
kube_pods_subnet: 10.233.64.0/18
kube_pods_subnet_ipv6: fd85:ee78:d8a6:8607::1:0000/112
ipv4_stack: true
ipv6_stack: false
calico_datastore: kdd
ignore_assert_errors: false
proxy_disable_env: {http_proxy: "", https_proxy: ""}
stub_size: 26
"""
CALICO_DEFAULTS = """
calico_pool_name: default-pool
calico_pool_blocksize: "{{ stub_size }}"
calico_pool_blocksize_ipv6: 122
calico_ipip_mode: Never
calico_vxlan_mode: Always
calico_ipip_mode_ipv6: Never
calico_vxlan_mode_ipv6: Always
calico_network_backend: vxlan
nat_outgoing: true
nat_outgoing_ipv6: false
calico_ipam_strictaffinity: false
calico_ipam_autoallocateblocks: true
calico_ipam_maxblocksperhost: 0
calico_ipam_host_local: false
"""
# Nobody wants these to run: they would connect to every host.
TASKS = """
- name: Set addresses
  ansible.builtin.import_tasks: fallback_ips.yml
  when: fallback_ips is not defined
  tags: [always]
"""
FALLBACK_IPS = """
- name: Gather facts of all hosts
  ansible.builtin.fail:
    msg: connected to {{ item }}
  loop: "{{ groups['k8s_cluster'] }}"
  run_once: true
"""

# What every node has.
CNI = {"name": "k8s-pod-network", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]}

POOL6 = {
    "apiVersion": "crd.projectcalico.org/v1",
    "kind": "IPPool",
    "metadata": {"name": "default-pool-ipv6"},
    "spec": {"cidr": RANGE6, "blockSize": 122, "ipipMode": "Never", "vxlanMode": "Always", "nodeSelector": "all()"},
}


def write_inventory(directory: Path, kubeconfig: str | None, switch: str = "") -> Path:
    """``inventory/mycluster`` in ``directory``, with the kubeconfig that ``kubeconfig_localhost`` would leave.

    ``switch`` is the variable that turns IPv6 on, which depends on the release.
    """
    inventory = directory / "inventory/mycluster"
    variables = inventory / "group_vars/k8s_cluster"
    variables.mkdir(parents=True)
    (inventory / "hosts.yml").write_text(HOSTS.replace("DIRECTORY", str(directory)), encoding="utf-8")
    (directory / "become").write_text(BECOME, encoding="utf-8")
    (directory / "become").chmod(0o755)
    (variables / "k8s-cluster.yml").write_text(
        "kube_network_plugin: calico\nkube_pods_subnet: 10.234.0.0/16\n", encoding="utf-8"
    )
    (variables / "k8s-net-calico.yml").write_text(f"calico_pool_cidr: {RANGE}\n", encoding="utf-8")
    if switch:
        lines = (f"{switch}: true", f"kube_pods_subnet_ipv6: {SUBNET6}", f"calico_pool_cidr_ipv6: {RANGE6}", "")
        (variables / "ipv6.yml").write_text("\n".join(lines), encoding="utf-8")
    (inventory / "net.d").mkdir()
    (inventory / "net.d/10-calico.conflist").write_text(json.dumps(CNI), encoding="utf-8")
    if kubeconfig is not None:
        (inventory / "artifacts").mkdir()
        shutil.copy(kubeconfig, inventory / "artifacts/admin.conf")
    return inventory


def write_roles(roles: Path) -> None:
    """The two roles of Kubespray that hold defaults; the first has tasks and a dependency, as up to release 2.27."""
    for name, text in (("kubespray_defaults", KUBESPRAY_DEFAULTS), ("network_plugin/calico_defaults", CALICO_DEFAULTS)):
        (roles / name / "defaults").mkdir(parents=True)
        (roles / name / "defaults/main.yml").write_text(text, encoding="utf-8")
    for name in ("kubespray_defaults", "download"):
        (roles / name / "tasks").mkdir(parents=True)
        (roles / name / "tasks/main.yaml").write_text(TASKS, encoding="utf-8")
        (roles / name / "tasks/fallback_ips.yml").write_text(FALLBACK_IPS, encoding="utf-8")
    (roles / "kubespray_defaults/meta").mkdir()
    (roles / "kubespray_defaults/meta/main.yml").write_text("dependencies:\n  - role: download\n", encoding="utf-8")


def became_root(directory: Path) -> set[str]:
    """The hosts on which something ran as root, the Ansible host by the name localhost."""
    log = directory / "become.log"
    return set(log.read_text(encoding="utf-8").split()) if log.exists() else set()


def scenario(both: bool = False) -> list[dict[str, t.Any]]:
    """The small cluster as Kubespray would have made it, with both families if asked for."""
    documents = list(yaml.safe_load_all((SCENARIOS / "small.yml").read_text(encoding="utf-8")))
    for document in documents:
        name = document["metadata"]["name"]
        if document["kind"] == "IPPool":
            document["metadata"]["name"] = "default-pool"
            document["spec"].update({"cidr": RANGE, "ipipMode": "Never", "vxlanMode": "Always"})
        elif name == "kubeadm-config":
            text = document["data"]["ClusterConfiguration"]
            subnets = f"10.234.0.0/16,{SUBNET6}" if both else "10.234.0.0/16"
            document["data"]["ClusterConfiguration"] = text.replace("10.0.0.0/8", subnets)
        elif name == "calico-config":
            document["data"]["calico_backend"] = "vxlan"
            text = document["data"]["cni_network_config"]
            families = '"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true"'
            document["data"]["cni_network_config"] = text.replace('"type": "calico-ipam"', families) if both else text
    return [*documents, copy.deepcopy(POOL6)] if both else documents
