#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_kubespray_info
short_description: Hold what a Kubespray inventory declares against the live Calico IP pools
version_added: 0.2.0
description:
  - Compares Kubespray's variables with the pools, the IPAM settings and the pods' ranges of the cluster, for both
    families. Kubespray's own check looks at the IPv4 pool only.
  - Says how each of Kubespray's playbooks would end if it ran now, what stands against a procedure, and which variables
    the inventory has to have when it is done.
  - The role P(calico_ops.ipam.kubespray#role) collects the variables and hands them to this module. An action plugin of
    the same name prints the lines as they are, so that the tables line up.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
options:
  inventory:
    description:
      - Kubespray's variables as the inventory defines them, such as C(calico_pool_name) and C(kube_pods_subnet).
      - Empty values count as not defined, and variables that do not concern pools are not looked at.
    type: dict
    required: true
  defaults:
    description: The same variables with the defaults of Kubespray's roles filled in, where those could be loaded.
    type: dict
    default: {}
  overrides:
    description: Variables that count in place of the inventory's.
    type: dict
    default: {}
  procedure:
    description:
      - What is about to be done. With V(look) nothing is.
      - V(finish) deletes the pool that a V(migrate_pool) has kept, V(rollback) undoes what is unfinished or kept its
        old pool.
    type: str
    choices: [look, migrate_pool, change_block_size, finish, rollback]
    default: look
  target:
    description: Where the pods of the IPv4 pool go, or its new block size.
    type: dict
    suboptions:
      name:
        description:
          - Name of the new pool. By default the old name with a number, such as C(default-pool-2).
          - The IPv6 pool's name is that of the IPv4 pool with C(-ipv6), since Kubespray knows no other.
        type: str
      cidr:
        description: Range of the new pool, for V(migrate_pool).
        type: str
      block_size:
        description: Block size as a prefix length. That of the old pool when left out for V(migrate_pool).
        type: int
      temporary_cidr:
        description: Range of the temporary pool, for V(change_block_size).
        type: str
  target_ipv6:
    description: The same for the IPv6 pool.
    type: dict
    suboptions:
      name:
        description:
          - Name of the new pool. By default the old name with a number, such as C(default-pool-2).
          - The IPv6 pool's name is that of the IPv4 pool with C(-ipv6), since Kubespray knows no other.
        type: str
      cidr:
        description: Range of the new pool, for V(migrate_pool).
        type: str
      block_size:
        description: Block size as a prefix length. That of the old pool when left out for V(migrate_pool).
        type: int
      temporary_cidr:
        description: Range of the temporary pool, for V(change_block_size).
        type: str
  more_pools:
    description: Pools to be declared beside Kubespray's, with the options of P(calico_ops.ipam.ippool#module).
    type: list
    elements: dict
    default: []
  expected_nodes:
    description: Names of the nodes that the inventory has.
    type: list
    elements: str
    default: []
  waivers:
    description:
      - Ids of stops that are let pass - V(kubespray-drift), V(kubespray-running), V(kubespray-families).
    type: list
    elements: str
    default: []
  show:
    description:
      - What RV(lines) has besides the stops. V(drift) - inventory and cluster side by side, with the differences and
        Kubespray's next run. V(changes) - the variables to change.
    type: list
    elements: str
    choices: [drift, changes]
    default: [drift, changes]
seealso:
  - module: calico_ops.ipam.ippool_installation_info
"""

EXAMPLES = r"""
- name: Does the inventory still describe the cluster
  calico_ops.ipam.ippool_kubespray_info:
    inventory:
      kube_network_plugin: calico
      kube_pods_subnet: 10.0.0.0/16
      calico_pool_name: default-ipv4-ippool
      calico_pool_cidr: 192.168.0.0/16
      calico_pool_blocksize: 26
      calico_ipip_mode: Always
      calico_vxlan_mode: Never
  register: kubespray

- name: Stop when it does not
  ansible.builtin.assert:
    that: not kubespray.drift

- name: What the inventory has to say after a move
  calico_ops.ipam.ippool_kubespray_info:
    inventory:
      kube_pods_subnet: 10.0.0.0/16
      calico_pool_name: default-ipv4-ippool
      calico_pool_cidr: 192.168.0.0/16
    procedure: migrate_pool
    target:
      cidr: 10.20.0.0/16
    show: [changes]
"""

RETURN = r"""
pools:
  description: Kubespray's pool of each family, as declared and as it is.
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: V(ipv4) or V(ipv6).
      returned: success
      type: str
    name:
      description: Its name; null when no variable tells.
      returned: success
      type: str
    declared:
      description: The fields that are declared, in Calico's spelling.
      returned: success
      type: dict
    sources:
      description: Where each variable is from.
      returned: success
      type: dict
      sample: {calico_pool_blocksize: inventory, calico_vxlan_mode: Kubespray's role defaults}
    live:
      description: The pool in the cluster, as P(calico_ops.ipam.ippool_info#module) shows it; null when there is none.
      returned: success
      type: dict
more_pools:
  description:
    - The pools of O(more_pools). One that is not in the cluster yet has the encapsulation and NAT of Kubespray's pool
      where it does not say its own.
  returned: success
  type: list
  elements: dict
unmanaged:
  description: Pools that Kubespray does not know.
  returned: success
  type: list
  elements: str
findings:
  description: The differences.
  returned: success
  type: list
  elements: dict
  contains:
    severity:
      description:
        - V(drift) - a run of Kubespray would fail, change the cluster, or hide the difference. V(pending) - its runs
          are harmless until the old pool of a move is deleted. V(unknown) - nobody can tell.
      returned: success
      type: str
    subject:
      description: The variable.
      returned: success
      type: str
    declared:
      description: Its value.
      returned: success
      type: raw
    live:
      description: What the cluster has.
      returned: success
      type: raw
    message:
      description: The same as a sentence.
      returned: success
      type: str
    pool:
      description: The pool concerned; empty when it is the cluster.
      returned: success
      type: str
    family:
      description: V(ipv4) or V(ipv6); empty when it is the cluster.
      returned: success
      type: str
drift:
  description: Whether one of the findings is of severity V(drift).
  returned: success
  type: bool
runs:
  description: How each of Kubespray's playbooks would end if it ran now.
  returned: success
  type: list
  elements: dict
  contains:
    playbook:
      description: Its name; V(--tags network) stands for C(cluster.yml) with that tag alone.
      returned: success
      type: str
    verdict:
      description: V(passes), V(fails in check) or V(fails at apply).
      returned: success
      type: str
    reasons:
      description: Why it fails.
      returned: success
      type: list
      elements: str
    effects:
      description: What it changes in the cluster.
      returned: success
      type: list
      elements: str
    hides:
      description: Differences that it passes over.
      returned: success
      type: list
      elements: str
moves:
  description:
    - What the procedure has to do, by family. Empty when there is nothing left to do.
    - For a V(rollback), C(undoes) is the procedure that was begun for the pool.
  returned: success
  type: list
  elements: dict
  sample:
    - {family: ipv4, pool: default-pool, to: {name: default-pool-2, cidr: 10.233.128.0/18}}
stops:
  description: Why the procedure must not be begun.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      returned: success
      type: str
    message:
      description: The reason, and what to do.
      returned: success
      type: str
    waived:
      description: Whether it is let pass.
      returned: success
      type: bool
variables:
  description: Kubespray's variables for the pools as they are, or as the procedure will make them.
  returned: success
  type: dict
  sample: {calico_pool_name: default-pool-2, calico_pool_cidr: 10.233.128.0/18, calico_pool_blocksize: 26}
changed_variables:
  description: Those of RV(variables) that the inventory has otherwise.
  returned: success
  type: dict
missing_nodes:
  description: The O(expected_nodes) that have not joined the cluster.
  returned: success
  type: list
  elements: str
unreadable:
  description: What there was no right to read, so that nothing was compared with it.
  returned: success
  type: list
  elements: str
lines:
  description: The same as lines of text.
  returned: success
  type: list
  elements: str
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings import settings_info
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    IPV4,
    IPV6,
    read_declared,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_info import SHOWS, held_against
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import read_live
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_moves import PROCEDURES


def argspec() -> ArgumentSpec:
    target = {
        "name": {"type": "str"},
        "cidr": {"type": "str"},
        "block_size": {"type": "int"},
        "temporary_cidr": {"type": "str"},
    }
    return ArgumentSpec(
        options={
            "inventory": {"type": "dict", "required": True},
            "defaults": {"type": "dict", "default": {}},
            "overrides": {"type": "dict", "default": {}},
            "procedure": {"type": "str", "choices": list(PROCEDURES), "default": "look"},
            "target": {"type": "dict", "options": target},
            "target_ipv6": {"type": "dict", "options": target},
            "expected_nodes": {"type": "list", "elements": "str", "default": []},
            "more_pools": {"type": "list", "elements": "dict", "default": []},
            "waivers": {"type": "list", "elements": "str", "default": []},
            "show": {"type": "list", "elements": "str", "choices": list(SHOWS), "default": list(SHOWS)},
        },
    )


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    declared = read_declared(params["inventory"], params["defaults"], params["overrides"])
    with closing(context.stores()) as stores:
        settings = settings_info(stores.configuration)["settings"]
    result = held_against(
        declared,
        read_live(context.api, settings),
        procedure=params["procedure"],
        targets={IPV4: _given(params["target"]), IPV6: _given(params["target_ipv6"])},
        waivers=params["waivers"],
        show=params["show"],
        more_pools=params["more_pools"],
        expected_nodes=params["expected_nodes"],
    )
    return {"changed": False, **result}


def _given(target: t.Optional[dict[str, t.Any]]) -> dict[str, t.Any]:
    return {key: value for key, value in (target or {}).items() if value is not None and value != ""}


def main() -> None:
    run(argspec().merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
