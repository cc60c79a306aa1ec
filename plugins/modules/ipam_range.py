#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_range
short_description: Make a range clean of everything that Calico IPAM left in it
version_added: 0.2.0
description:
  - Takes away every block, block affinity and count of a handle in a range of addresses that nobody needs any more, and
    proves that none is left. That includes what Calico itself never takes away, which is affinities without a block,
    empty blocks without an owner, and deletions that were begun and not finished.
  - No address is taken from anybody. The module fails, with a list, while an enabled pool overlaps the range or
    somebody holds an address in it who will not let go.
  - Tunnel addresses of nodes, pods that are being deleted, and addresses that cool down are waited for. Leaked
    addresses are waited for too, until Calico's own garbage collection frees them; M(calico_ops.ipam.ipam_release)
    frees them at once. In etcd nothing can be watched, so with O(datastore=etcd) only cooling addresses are waited for,
    and the module fails at once when there are others.
  - When it is interrupted, run it again.
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
    details:
      - Nothing is waited for in check mode; RV(steps) says what would be.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  cidr:
    description:
      - The range, for example that of a pool that was deleted.
      - Blocks that reach beyond it belong to it as a whole.
    type: str
    required: true
  state:
    description: What the range is to be.
    type: str
    choices: [clean]
    default: clean
  timeout:
    description:
      - How many seconds to wait for addresses that are about to be free. Then the module fails with a list of them.
      - The cooldown of the IPAM settings may be as long as 1200 seconds.
    type: int
    default: 120
  settle:
    description:
      - How many seconds a block affinity without a block must stay unchanged before it is deleted. It may belong to a
        node that is about to create the block, although the pool is disabled by now.
    type: int
    default: 5
  progress_file:
    description:
      - File to append a line to for each event.
      - Not needed on the control node, where the lines appear on the terminal as they come.
    type: path
seealso:
  - module: calico_ops.ipam.ipam_range_info
  - module: calico_ops.ipam.ipam_release
  - module: calico_ops.ipam.ippool
"""

EXAMPLES = r"""
- name: Take away what the deletion of a pool by other means left behind
  calico_ops.ipam.ipam_range:
    cidr: 198.51.100.0/24

- name: Wait out a long cooldown
  calico_ops.ipam.ipam_range:
    cidr: 198.51.100.0/24
    timeout: 1300
"""

RETURN = r"""
steps:
  description: What was done, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: What is done.
      returned: success
      type: str
      sample: delete
    target:
      description: The object it is done to.
      returned: success
      type: str
      sample: IPAMBlock 198.51.100.64/26
    reason:
      description: Why it is there and may go.
      returned: success
      type: str
    undo:
      description: How to take it back. Always null, since nothing is lost.
      returned: success
      type: str
range:
  description: The range as it is now, in check mode as well.
  returned: success
  type: dict
  contains:
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
  description: The facts behind the message of a failure, such as who holds addresses.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_cleaning import make_clean


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    network = parse_network(params["cidr"])
    with closing(context.stores()) as stores:
        stores.require_writable()
        cleaned = make_clean(
            stores.api,
            stores.records,
            network,
            watched=stores.watched,
            timeout=params["timeout"],
            settle=params["settle"],
            clock=SystemClock(),
            report=context.report,
            check_mode=context.check_mode,
        )
    return cleaned.as_result()


def main() -> None:
    own = ArgumentSpec(
        options={
            "cidr": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["clean"], "default": "clean"},
            "timeout": {"type": "int", "default": 120},
            "settle": {"type": "int", "default": 5},
            "progress_file": {"type": "path"},
        }
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
