#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_fleet_info
short_description: Show many clusters in one table, a row for each
version_added: 0.2.0
author:
  - calico_ops contributors (@calico-ops)
description:
  - Makes one table of the results that M(calico_ops.ipam.ipam_summary_info) had on many clusters and shows it on the
    terminal. Clusters whose result is a failure have a row, too, and the reason below the table.
  - The playbook C(calico_ops.ipam.fleet_report) is made of these two modules.
  - The action runs on the control node and asks no cluster.
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
options:
  clusters:
    description:
      - Results of M(calico_ops.ipam.ipam_summary_info) by the name of the cluster. A dictionary that has only C(msg)
        stands for a cluster that could not be asked.
    type: dict
    required: true
seealso:
  - module: calico_ops.ipam.ipam_summary_info
  - plugin: calico_ops.ipam.kubeconfig
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: A row
  calico_ops.ipam.ipam_summary_info:
  register: summary

- name: A table
  calico_ops.ipam.ipam_fleet_info:
    clusters: "{{ {inventory_hostname: summary, 'oslo': {'msg': 'Switched off at night.'}} }}"
"""

RETURN = r"""
lines:
  description: The table, in lines of text.
  returned: success
  type: list
  elements: str
answered:
  description: The names of the clusters that have figures.
  returned: success
  type: list
  elements: str
  sample: [lab, paris]
missing:
  description: Why the others have none, by the name of the cluster.
  returned: success
  type: dict
  sample: {oslo: 'The host name of oslo.example:6443 cannot be resolved.'}
"""
