#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_summary_info
short_description: Show a cluster's pools, addresses and findings in a few figures
version_added: 0.2.0
description:
  - How Calico is installed, who manages its pools, how many addresses and blocks are in use, and how many findings the
    audit has - what fits in one row of a table of many clusters.
  - The playbook C(calico_ops.ipam.fleet_report) puts these rows together.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
seealso:
  - module: calico_ops.ipam.ipam_audit_info
  - module: calico_ops.ipam.ippool_installation_info
  - plugin: calico_ops.ipam.kubeconfig
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: A cluster in figures
  calico_ops.ipam.ipam_summary_info:
  register: summary

- name: Stop when a cluster has errors in its IPAM data
  ansible.builtin.assert:
    that: summary.findings.error == 0
"""

RETURN = r"""
mode:
  description: Where Calico keeps its pools, as RV(calico_ops.ipam.ippool_installation_info#module:mode).
  returned: success
  type: str
  sample: crd_v1
version:
  description: The version of Calico, V(null) when the cluster does not tell.
  returned: success
  type: str
  sample: v3.31.2
supported:
  description: Whether this collection can change pools of this installation now.
  returned: success
  type: bool
stop:
  description: Why not, as one sentence. Empty when it can.
  returned: success
  type: str
owners:
  description: Tools that left their mark on pools and may write them again, such as the Tigera operator.
  returned: success
  type: list
  elements: str
  sample: [the Tigera operator]
pools:
  description: The names of the pools.
  returned: success
  type: list
  elements: str
  sample: [default-ipv4-ippool]
addresses:
  description: Addresses of all pools together.
  returned: success
  type: dict
  contains:
    in_use:
      description: Addresses that are allocated, in pools or not.
      returned: success
      type: int
      sample: 1204
    capacity:
      description: Addresses that the pools have.
      returned: success
      type: int
      sample: 65536
    leaked:
      description: How many of them are leaked, by the certainty of that, see M(calico_ops.ipam.ipam_audit_info).
      returned: success
      type: dict
      sample: {certain: 0, likely: 0, possible: 2}
blocks:
  description: How many blocks there are - C(total), C(empty), C(ownerless) and C(strays), which are in no pool.
  returned: success
  type: dict
  sample: {total: 41, empty: 2, ownerless: 0, strays: 0}
findings:
  description: How many findings the audit has of each severity.
  returned: success
  type: dict
  sample: {error: 0, warning: 1, note: 3}
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.summary import summarise


def operate(context: Context) -> dict[str, t.Any]:
    with closing(context.stores()) as stores:
        return {"changed": False, **summarise(stores, SystemClock())}


def main() -> None:
    run(datastore_argspec(), operate)


if __name__ == "__main__":
    main()
