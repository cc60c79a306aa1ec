#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_block_info
short_description: Show Calico IPAM blocks, their nodes, and who holds each address
version_added: 0.1.0
description:
  - Returns the blocks that nodes have taken from IP pools, with their figures, added up per node, and with the holder
    of every address that is not free.
  - All conditions that are given must hold. O(address), O(pod) and O(handle) choose single addresses; RV(blocks) then
    lists only those, in the blocks that have some.
  - Large clusters have tens of thousands of addresses. Use O(query) to keep the result small.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
options:
  pool:
    description: Blocks of this pool. The module fails when it does not exist.
    type: str
  node:
    description: Blocks that this node owns, or in which it has an address.
    type: str
  cidr:
    description: Blocks that overlap this address range.
    type: str
  address:
    description: The block with this address.
    type: str
  pod:
    description: Addresses of this pod, as V(namespace/name).
    type: str
  handle:
    description: Addresses of this IPAM handle.
    type: str
  addresses:
    description:
      - Whether to list the holder of each address.
      - By default they are listed when the O(query) names C(addresses), and without a O(query) when blocks are chosen
        by any of the other options; a list of all addresses of a large cluster has to be asked for.
    type: bool
  query:
    description:
      - A JMESPath expression over a dictionary with the keys C(blocks) and C(nodes), as described under return values.
      - The module returns RV(result) instead of RV(blocks) and RV(nodes).
      - An expression that begins with C(blocks[]) is evaluated while the blocks arrive, so that even the largest
        cluster fits into little memory; blocks then come in the order of their names.
    type: str
requirements:
  - jmespath >= 1.0.1, for O(query)
seealso:
  - module: calico_ops.ipam.ippool_info
"""

EXAMPLES = r"""
- name: Who holds addresses of a pool
  calico_ops.ipam.ipam_block_info:
    pool: default-ipv4-ippool

- name: Pods that still have addresses of a pool
  calico_ops.ipam.ipam_block_info:
    pool: default-ipv4-ippool
    query: "blocks[].addresses[?kind=='pod'][]"
  register: left

- name: Who has this address
  calico_ops.ipam.ipam_block_info:
    address: 198.51.100.7

- name: Nodes with borrowed addresses in their blocks
  calico_ops.ipam.ipam_block_info:
    query: "nodes[?borrowed > `0`].node"
"""

RETURN = r"""
blocks:
  description: The blocks in order of address.
  returned: when O(query) is not given
  type: list
  elements: dict
  contains:
    cidr:
      description: Address range of the block.
      returned: success
      type: str
      sample: 198.51.100.64/26
    pool:
      description: Name of the pool that the block lies in, or null.
      returned: success
      type: str
    node:
      description: The owner of the block, or null.
      returned: success
      type: str
    affinity:
      description: The owner with its type, as the block spells it, or null.
      returned: success
      type: str
      sample: host:worker-1
    size:
      description: Number of addresses.
      returned: success
      type: int
    in_use:
      description: Addresses that are not free.
      returned: success
      type: int
    free:
      description: Addresses that can be given out.
      returned: success
      type: int
    borrowed:
      description: Addresses that another node than the owner holds.
      returned: success
      type: int
    addresses:
      description: Who holds each address that is not free.
      returned: as O(addresses) says
      type: list
      elements: dict
      contains:
        address:
          description: The address.
          returned: success
          type: str
        kind:
          description: >-
            What the holder is - V(pod), V(tunnel), V(loadbalancer), V(windows) (kept by a Windows node for itself),
            V(vm), V(cooling) (released a moment ago) or V(unknown).
          returned: success
          type: str
        namespace:
          description: Namespace of the holder, or null.
          returned: success
          type: str
        name:
          description: Name of the pod, virtual machine or Service, type of the tunnel address, or null.
          returned: success
          type: str
        pod:
          description: Name of the pod, or null.
          returned: success
          type: str
        node:
          description: Node that the address is used on, or null.
          returned: success
          type: str
        handle:
          description: IPAM handle of the address, or null.
          returned: success
          type: str
        borrowed:
          description: Whether the node is another than the block's owner.
          returned: success
          type: bool
nodes:
  description: The blocks that were found, added up per owner. A null node stands for blocks without owner.
  returned: when O(query) is not given
  type: list
  elements: dict
  sample: [{node: worker-1, blocks: 1, addresses: 64, in_use: 9, free: 55, borrowed: 0}]
result:
  description: What O(query) selected.
  returned: when O(query) is given
  type: raw
damaged:
  description: >-
    IPAM records that cannot be read or that contradict themselves, by kind and name. Nothing is repaired. A block that
    can be read is shown with its figures all the same. The module warns of them, too.
  returned: success
  version_added: 0.2.0
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the record.
      returned: success
      type: str
      sample: IPAMBlock
    name:
      description: Name of the object.
      returned: success
      type: str
      sample: 198-51-100-64-26
    fault:
      description: What is wrong with it, as the end of a sentence that begins with kind and name.
      returned: success
      type: str
      sample: lists a free ordinal twice
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import (
    Query,
    block_filter,
    blocks_with_holders,
    no_cycle_search,
    queried_blocks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.damaged import shown_damaged, warn_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    query = None if params["query"] is None else Query(params["query"])
    store = open_store(context.api)
    pools = read_pools(context.api)
    wanted = block_filter(params, pools)
    addresses = params["addresses"]
    if addresses is None:
        addresses = query.mentions("addresses") if query is not None else wanted.chosen
    blocks, reservations = store.raw_blocks(), store.reservations()
    faults: list[CorruptRecord] = []
    with no_cycle_search():
        if query is not None:
            selected = queried_blocks(pools, blocks, reservations, wanted, query, faults.append, addresses=addresses)
            found: dict[str, t.Any] = {"result": selected}
        else:
            found = blocks_with_holders(pools, blocks, reservations, wanted, faults.append, addresses=addresses)
    damaged = shown_damaged(faults)
    warn_of(damaged, context.warn)
    return {"changed": False, **found, "damaged": damaged}


def main() -> None:
    texts = ("pool", "node", "cidr", "address", "pod", "handle", "query")
    own = ArgumentSpec(options={**{name: {"type": "str"} for name in texts}, "addresses": {"type": "bool"}})
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
