#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_range_info
short_description: Prove that nothing of Calico IPAM is left in a range
version_added: 0.2.0
description:
  - Reads every block, block affinity and handle in a range of addresses, and tells for each why it is there and what
    takes it away. Where nothing is left, the range is clean.
  - A range must be clean before a pool with another block size is created in it. Calico makes blocks of the old size
    out of affinities that were left behind.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
options:
  cidr:
    description: The range, for example that of a pool that was deleted.
    type: str
    required: true
seealso:
  - module: calico_ops.ipam.ipam_range
  - module: calico_ops.ipam.ipam_audit_info
"""

EXAMPLES = r"""
- name: Is anything left of the pool that was deleted?
  calico_ops.ipam.ipam_range_info:
    cidr: 198.51.100.0/24
  register: old_range

- name: Go on with a clean range only
  ansible.builtin.assert:
    that: old_range.clean
    fail_msg: "{{ old_range.blocks | length }} blocks are left"
"""

RETURN = r"""
clean:
  description: Whether no block, no block affinity and no count of a handle is left in the range.
  returned: success
  type: bool
cidr:
  description: The range.
  returned: success
  type: str
  sample: 198.51.100.0/24
taken:
  description: When this was read, RFC 3339 in UTC.
  returned: success
  type: str
  sample: "2026-08-20T09:14:05Z"
pools:
  description: Pools that overlap the range.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the pool.
      returned: success
      type: str
    cidr:
      description: Range of the pool.
      returned: success
      type: str
    enabled:
      description: Whether new addresses may come out of it.
      returned: success
      type: bool
blocks:
  description: The blocks that overlap the range.
  returned: success
  type: list
  elements: dict
  contains:
    cidr:
      description: Range of the block.
      returned: success
      type: str
    affinity:
      description: Its owner as the block spells it. Null when nobody owns it.
      returned: success
      type: str
      sample: host:worker-7
    in_use:
      description: Addresses that are not free as the block is stored.
      returned: success
      type: int
    sequence:
      description: Sequence number of the block in decimal digits.
      returned: success
      type: str
      sample: "1787217245204418104"
    reason:
      description:
        - V(in_use) and V(cooling) are about its addresses.
        - V(empty), V(empty_without_owner) and V(empty_without_affinity) are about blocks that nobody needs.
        - The last two of these are never taken away by Calico itself.
        - V(deleting) is a block that was marked as deleted and never removed.
      returned: success
      type: str
      sample: empty_without_owner
    message:
      description: The same in words.
      returned: success
      type: str
    cleaned_by:
      description: What takes it away.
      returned: success
      type: str
affinities:
  description: The block affinities in the range.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The owner.
      returned: success
      type: str
    type:
      description: V(host) or V(virtual).
      returned: success
      type: str
    cidr:
      description: The block.
      returned: success
      type: str
    state:
      description: State of the affinity. Empty, in old records, means confirmed.
      returned: success
      type: str
      sample: confirmed
    reason:
      description:
        - V(with_block) goes when its block goes.
        - V(without_block) has no block. Calico itself never takes it away, and makes a block of it again once there
          is an enabled pool.
        - V(contradicted) names a block that belongs to somebody else.
        - V(deleting) was marked as deleted and never removed.
      returned: success
      type: str
      sample: without_block
    message:
      description: The same in words.
      returned: success
      type: str
    cleaned_by:
      description: What takes it away.
      returned: success
      type: str
handles:
  description: The handles that count addresses in blocks of the range.
  returned: success
  type: list
  elements: dict
  contains:
    handle:
      description: The handle.
      returned: success
      type: str
    cidr:
      description: The block.
      returned: success
      type: str
    count:
      description: How many addresses it counts there. That is an upper bound.
      returned: success
      type: int
    held:
      description: How many it holds there.
      returned: success
      type: int
    reason:
      description: V(in_use), V(stale_count) when it holds none, or V(deleting).
      returned: success
      type: str
      sample: stale_count
    message:
      description: The same in words.
      returned: success
      type: str
    cleaned_by:
      description: What takes it away.
      returned: success
      type: str
addresses:
  description: The addresses that are in use in these blocks, also outside the range when a block reaches beyond it.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address.
      returned: success
      type: str
    kind:
      description: What kind of holder it is, as M(calico_ops.ipam.ipam_block_info) spells it.
      returned: success
      type: str
      sample: pod
    namespace:
      description: Namespace of the holder.
      returned: success
      type: str
    name:
      description: Name of the holder.
      returned: success
      type: str
    node:
      description: Node of the holder.
      returned: success
      type: str
    handle:
      description: Handle of the address.
      returned: success
      type: str
    state:
      description: V(stays), V(leaves) when it lets go by itself, or V(leaked) when its pod is gone.
      returned: success
      type: str
    until:
      description: For a cooling address, when it may be handed out again.
      returned: success
      type: str
    cleaned_by:
      description: Who or what frees it.
      returned: success
      type: str
details:
  description: The facts behind the message of a failure.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_state import read_range


def operate(context: Context) -> dict[str, t.Any]:
    network = parse_network(context.params["cidr"])
    with closing(context.stores()) as stores:
        stores.require_readable()
        state = read_range(stores.api, stores.records, network, SystemClock().now)
    return {"changed": False, **state.as_result()}


def main() -> None:
    run(ArgumentSpec(options={"cidr": {"type": "str", "required": True}}).merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
