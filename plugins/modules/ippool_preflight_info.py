#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_preflight_info
short_description: Find what speaks against a change of Calico IP pools before it is made
version_added: 0.1.0
description:
  - Reads the cluster once, holds what is about to be done against a catalogue of hazards, and returns what was found,
    the sizes of the pools concerned, and the steps that the procedure will take.
  - Writes nothing, and does not fail because of what it finds. The P(calico_ops.ipam.preflight#role) role does.
  - Knows a procedure that was interrupted by its journal; what no longer matters then is a note.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
  - calico_ops.ipam._pool_fields.target
  - calico_ops.ipam._pool_fields.pools
options:
  procedure:
    description: What is about to be done.
    type: str
    choices: [migrate_pool, change_block_size, declare_pools]
    required: true
  pool:
    description: Name of the pool that is to be drained. Needed for all but O(procedure=declare_pools).
    type: str
  block_size:
    description: The new block size, for O(procedure=change_block_size).
    type: int
    aliases: [blockSize]
  waivers:
    description:
      - Ids of checks whose blockers are let pass. Checks that cannot be waived are refused here.
      - An id also confirms what its check asks the operator to look at.
      - The ids are in the guide on the preflight, C(docs/guides/preflight.md) of the collection.
    type: list
    elements: str
    default: []
  consent:
    description:
      - What the drain will be told that it may do although it loses something, as for the same option of
        M(calico_ops.ipam.ippool_drain). What it would leave without that consent is a blocker here.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  config_map_namespaces:
    description:
      - Namespaces whose ConfigMaps are searched for addresses of the old pool, V(*) for all. What is found is named by
        ConfigMap and key, with the range, and nothing else of it.
      - The roles that come with this collection do not grant the right to list ConfigMaps.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  external_ranges:
    description:
      - Networks outside the cluster that no new pool may overlap, as CIDRs or addresses - those of offices and VPNs, of
        peered clusters and clouds, of bridges on the nodes. The cluster cannot show them.
      - A proposed range keeps clear of them, too.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  more_nodes:
    description: How many nodes are expected beyond those that are there, by an autoscaler for example.
    type: int
    default: 0
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: What speaks against smaller blocks
  calico_ops.ipam.ippool_preflight_info:
    procedure: change_block_size
    pool: default-ipv4-ippool
    block_size: 28
    target:
      name: default-ipv4-ippool-temporary
      cidr: 198.51.100.0/24
  register: preflight

- name: Which way to smaller blocks, and a free range for it
  calico_ops.ipam.ippool_preflight_info:
    procedure: change_block_size
    pool: default-ipv4-ippool
    block_size: 28
    target:
      name: default-ipv4-ippool-temporary
    external_ranges: [10.200.0.0/16]
  register: ways

- name: Show the blockers
  ansible.builtin.debug:
    msg: "{{ preflight.findings | selectattr('severity', 'eq', 'blocker') | map(attribute='message') }}"
"""

RETURN = r"""
findings:
  description: What was found, in a fixed order of checks.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the check, for O(waivers).
      returned: success
      type: str
      sample: pool-inside-cluster-cidr
    severity:
      description: How bad it is - V(blocker), V(warning) or V(note).
      returned: success
      type: str
    message:
      description: What was found, in one sentence.
      returned: success
      type: str
    objects:
      description: The objects that are concerned.
      returned: success
      type: list
      elements: str
    remedy:
      description: What to do about it.
      returned: success
      type: str
    waivable:
      description: Whether O(waivers) may name the check for this finding.
      returned: success
      type: bool
    waived:
      description: Whether O(waivers) named the check and this is a blocker, or something to be confirmed.
      returned: success
      type: bool
    confirm:
      description: Whether the cluster cannot show it, so that somebody has to look and confirm it.
      returned: success
      type: bool
    hazards:
      description: Ids in the catalogue of hazards.
      returned: success
      type: list
      elements: str
blockers:
  description: How many blockers were not waived.
  returned: success
  type: int
plan:
  description: The steps that the procedure will take from here, one sentence each.
  returned: success
  type: list
  elements: str
capacity:
  description: Figures of each pool that pods are to move to, by name - its blocks, its addresses, the nodes they serve.
  returned: success
  type: dict
phase:
  description: How far an earlier run came, as in RV(calico_ops.ipam.ippool_journal_info#module:phase).
  returned: success
  type: str
target:
  description:
    - The pool that the pods move to, as given. Where O(procedure=change_block_size) leaves out the CIDR, it is that of
      the temporary pool, of the journal, or the proposed one.
  returned: success
  type: dict
  sample: {name: default-ipv4-ippool-temporary, cidr: 10.0.8.0/22}
stop_way:
  description:
    - How the old pool is going to be stopped, V(disabled) or V(node_selector) (see M(calico_ops.ipam.ippool_gate)).
    - None when it is stopped already, and for a procedure that stops none.
  returned: success
  type: str
  sample: disabled
  version_added: 0.2.0
recommendation:
  description:
    - Which way to take to another block size, before it has begun; none otherwise.
    - The user decides. The variables of each way are those of the role named by C(procedure).
  returned: success
  type: dict
  contains:
    way:
      description: The way that is recommended, V(same_range) or V(new_range).
      returned: success
      type: str
    reasons:
      description: Why, as sentences.
      returned: success
      type: list
      elements: str
    ways:
      description: Both ways.
      returned: success
      type: list
      elements: dict
      contains:
        way:
          description: V(same_range) through a temporary pool, or V(new_range) under a new name.
          returned: success
          type: str
        procedure:
          description: The role that does it.
          returned: success
          type: str
        moves:
          description: How often each pod is restarted.
          returned: success
          type: int
        possible:
          description: Whether a free range was found for it.
          returned: success
          type: bool
        range:
          description: The proposed range, with where it lies and what comes with it; none when there is none.
          returned: success
          type: dict
        variables:
          description: Variables for the role.
          returned: success
          type: dict
        for:
          description: What speaks for it.
          returned: success
          type: list
          elements: str
        against:
          description: What speaks against it.
          returned: success
          type: list
          elements: str
lines:
  description: All of it as lines of text.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import (
    ArgumentSpec,
    datastore_argspec,
    pools_argspec,
    target_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import (
    preflight,
    preflight_request,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import PROCEDURES


def operate(context: Context) -> dict[str, t.Any]:
    request = preflight_request(context.params)
    searched = context.params["config_map_namespaces"]
    view = fetch_view(context.api, request.pool, config_map_namespaces=searched)
    return {"changed": False, **preflight(request, view)}


def main() -> None:
    own = ArgumentSpec(
        options={
            "procedure": {"type": "str", "choices": list(PROCEDURES), "required": True},
            "pool": {"type": "str"},
            "block_size": {"type": "int", "aliases": ["blockSize"]},
            "waivers": {"type": "list", "elements": "str", "default": []},
            "consent": {"type": "list", "elements": "str", "default": []},
            "config_map_namespaces": {"type": "list", "elements": "str", "default": []},
            "external_ranges": {"type": "list", "elements": "str", "default": []},
            "more_nodes": {"type": "int", "default": 0},
        },
        required_if=(
            ("procedure", "migrate_pool", ("pool", "target")),
            ("procedure", "change_block_size", ("pool", "target", "block_size")),
        ),
    )
    run(own.merge(target_argspec(), pools_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
