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
    description: Ids of checks whose blockers are let pass. Checks that cannot be waived are refused here.
    type: list
    elements: str
    default: []
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
      description: Whether it was a blocker and O(waivers) named the check.
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
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import (
    preflight,
    preflight_request,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import PROCEDURES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import fetch_view


def operate(context: Context) -> dict[str, t.Any]:
    request = preflight_request(context.params)
    return {"changed": False, **preflight(request, fetch_view(context.api, request.pool))}


def main() -> None:
    own = ArgumentSpec(
        options={
            "procedure": {"type": "str", "choices": list(PROCEDURES), "required": True},
            "pool": {"type": "str"},
            "block_size": {"type": "int", "aliases": ["blockSize"]},
            "waivers": {"type": "list", "elements": "str", "default": []},
        },
        required_if=(
            ("procedure", "migrate_pool", ("pool", "target")),
            ("procedure", "change_block_size", ("pool", "target", "block_size")),
        ),
    )
    run(own.merge(target_argspec(), pools_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
