#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_config_info
short_description: Show the cluster-wide settings of Calico IPAM
version_added: 0.2.0
description:
  - Returns the settings as Calico's IPAM reads them, tells which of them are stored and which are defaults, and names
    what is wrong with them.
  - Calico obeys whatever is stored. An object that was written without the C(autoAllocateBlocks) that the CRD asks for,
    or without any C(spec), turns the allocation of blocks off; RV(problems) says so.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
seealso:
  - module: calico_ops.ipam.ipam_config
"""

EXAMPLES = r"""
- name: The settings
  calico_ops.ipam.ipam_config_info:
  register: ipam

- name: Stop when Calico would not allocate blocks
  ansible.builtin.assert:
    that: ipam.problems | length == 0
    fail_msg: "{{ ipam.problems | join(' ') }}"
"""

RETURN = r"""
exists:
  description:
    - Whether an object holds settings. Without one Calico's defaults hold.
    - Some releases of Calico store the defaults when they read them, so that an object proves nothing.
  returned: success
  type: bool
settings:
  description: The settings as Calico reads them, in its spelling.
  returned: success
  type: dict
  sample:
    strictAffinity: false
    autoAllocateBlocks: true
    maxBlocksPerHost: 0
    kubeVirtVMAddressPersistence: Enabled
    ipCooldownSeconds: 0
sources:
  description:
    - Where each setting comes from, with the same keys as RV(settings).
    - V(stored) - the object has it. V(default) - it is not stored, and Calico's default holds. V(missing) - the object
      should have it and does not, and Calico reads that as V(false) instead of its default.
  returned: success
  type: dict
  sample:
    strictAffinity: stored
    autoAllocateBlocks: stored
    maxBlocksPerHost: default
    kubeVirtVMAddressPersistence: default
    ipCooldownSeconds: default
block_limit:
  description: How many blocks of one family a node may own, the built-in limit filled in.
  returned: success
  type: int
  sample: 20
problems:
  description: What is wrong with the settings, one sentence each. Every one is a warning, too.
  returned: success
  type: list
  elements: str
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings import settings_info


def operate(context: Context) -> dict[str, t.Any]:
    with closing(context.stores()) as stores:
        stores.require_readable()
        found = settings_info(stores.configuration)
    for problem in found["problems"]:
        context.warn(problem)
    return {"changed": False, **found}


def main() -> None:
    run(datastore_argspec(), operate)


if __name__ == "__main__":
    main()
