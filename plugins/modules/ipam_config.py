#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_config
short_description: Change the cluster-wide settings of Calico IPAM
version_added: 0.2.0
description:
  - Brings the settings that are given to the values asked for and leaves the others as they are.
  - The rules of Calico's own client are checked before anything is written, and beyond them what the change would do to
    this cluster - borrowed addresses, nodes with more blocks than a new limit allows, components that are too old for
    a cooldown. What would harm the cluster is refused, what may surprise is a warning.
  - Nothing is written when Calico would read the same as before, also when there is no settings object yet.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  strict_affinity:
    description:
      - Whether a node takes addresses from its own blocks only. When V(false), Calico's default, a node without a free
        address borrows single ones from blocks of other nodes.
      - Addresses that are borrowed already stay with their holders. Windows nodes need V(true).
    type: bool
    aliases: [strictAffinity]
  auto_allocate_blocks:
    description:
      - Whether a node gets a new block when its own are full. Calico's default is V(true).
      - V(false) needs O(strict_affinity=true).
    type: bool
    aliases: [autoAllocateBlocks]
  max_blocks_per_host:
    description:
      - How many blocks of one family a node may own. V(0), the default of Calico, means its built-in limit of 20.
      - A node at its limit gets no further address; it does not borrow. Nodes that own more keep their blocks.
      - A value above V(0) needs O(strict_affinity=true).
    type: int
    aliases: [maxBlocksPerHost]
  kubevirt_vm_address_persistence:
    description:
      - Whether virtual machines of KubeVirt keep their address when they restart. Calico's default is V(Enabled).
      - With V(Disabled) Calico refuses live migration.
    type: str
    choices: [Enabled, Disabled]
    aliases: [kubeVirtVMAddressPersistence]
  ip_cooldown_seconds:
    description:
      - How many seconds a released address rests before it can be handed out again, from V(0) to V(1200). Calico's
        default is V(0).
      - Needs Calico v3.33 or later in every component and in the CRDs, and must not be combined with Service addresses
        from Calico.
    type: int
    aliases: [ipCooldownSeconds]
  waivers:
    description:
      - Refusals to pass although the module sees a danger.
      - V(cooldown_versions) - a component is older than the cooldown, or its version could not be told.
      - V(cooldown_load_balancer) - Calico hands out Service addresses while there is a cooldown.
      - V(windows) - strict affinity is turned off although there are Windows nodes.
    type: list
    elements: str
    choices: [cooldown_load_balancer, cooldown_versions, windows]
    default: []
notes:
  - Kubespray writes the first three settings on every run. Change them in its inventory, too, or it puts them back.
seealso:
  - module: calico_ops.ipam.ipam_config_info
"""

EXAMPLES = r"""
- name: Nodes use their own blocks only, at most four each
  calico_ops.ipam.ipam_config:
    strict_affinity: true
    max_blocks_per_host: 4

- name: Let released addresses rest for half a minute
  calico_ops.ipam.ipam_config:
    ip_cooldown_seconds: 30

- name: Calico's defaults again
  calico_ops.ipam.ipam_config:
    strict_affinity: false
    auto_allocate_blocks: true
    max_blocks_per_host: 0
    kubevirt_vm_address_persistence: Enabled
    ip_cooldown_seconds: 0
"""

RETURN = r"""
exists:
  description: Whether an object holds the settings, or would in check mode. Without one Calico's defaults hold.
  returned: success
  type: bool
settings:
  description: The settings as they are now, or would be in check mode, in Calico's spelling.
  returned: success
  type: dict
  sample:
    strictAffinity: true
    autoAllocateBlocks: true
    maxBlocksPerHost: 4
    kubeVirtVMAddressPersistence: Enabled
    ipCooldownSeconds: 0
steps:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: What is done.
      returned: success
      type: str
      sample: update
    target:
      description: The object it is done to.
      returned: success
      type: str
    reason:
      description: Why it is needed.
      returned: success
      type: str
    undo:
      description: How to take it back. Null when nothing can.
      returned: success
      type: str
details:
  description: The facts behind the message of a failure, such as the field that is wrong.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings_review import WAIVERS
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings import OPTIONS, ensure_settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings_facts import read_facts


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    with closing(context.stores(on_corrupt=lambda record: context.warn(record.message))) as stores:
        stores.require_writable()
        write = ensure_settings(
            stores.configuration,
            {field: params[option] for option, field in OPTIONS.items() if params[option] is not None},
            lambda before, after: read_facts(context.api, stores.records, stores.cluster_information, before, after),
            waivers=params["waivers"],
            check_mode=context.check_mode,
        )
    for warning in write.plan.warnings:
        context.warn(warning)
    return {"exists": write.exists, "settings": write.settings.shown(), **write.plan.as_result()}


def main() -> None:
    own = ArgumentSpec(
        options={
            "strict_affinity": {"type": "bool", "aliases": ["strictAffinity"]},
            "auto_allocate_blocks": {"type": "bool", "aliases": ["autoAllocateBlocks"]},
            "max_blocks_per_host": {"type": "int", "aliases": ["maxBlocksPerHost"]},
            "kubevirt_vm_address_persistence": {
                "type": "str",
                "choices": ["Enabled", "Disabled"],
                "aliases": ["kubeVirtVMAddressPersistence"],
            },
            "ip_cooldown_seconds": {"type": "int", "aliases": ["ipCooldownSeconds"]},
            "waivers": {"type": "list", "elements": "str", "choices": list(WAIVERS), "default": []},
        },
        required_one_of=(tuple(OPTIONS),),
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
