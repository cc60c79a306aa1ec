#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_info
short_description: Show Calico IP pools and how full they are
version_added: 0.1.0
description:
  - Returns the IP pools of a cluster with their settings, every default filled in, and with their use - addresses,
    blocks, and what each node has.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
options:
  name:
    description: Return this pool only; nothing when it does not exist.
    type: str
  cidr:
    description: Return the pool with this address range only.
    type: str
seealso:
  - module: calico_ops.ipam.ipam_block_info
"""

EXAMPLES = r"""
- name: All pools
  calico_ops.ipam.ippool_info:
  register: cluster

- name: Pools that are nearly full
  ansible.builtin.debug:
    msg: "{{ item.name }} has {{ item.utilization.addresses.free }} addresses left"
  loop: "{{ cluster.pools }}"
  loop_control:
    label: "{{ item.name }}"
  when: item.utilization.addresses.free < 100
"""

RETURN = r"""
mode:
  description: >-
    Where Calico has its pools. V(crd_v1) and V(crd_v3) are custom resources of C(crd.projectcalico.org) and
    C(projectcalico.org), V(apiserver) is Calico's API server, V(etcd) an etcd of Calico's own.
  returned: success
  type: str
  version_added: 0.2.0
  sample: crd_v1
pools:
  description: The pools in order of name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the pool.
      returned: success
      type: str
    spec:
      description: The pool's specification in Calico's spelling, with every default filled in.
      returned: success
      type: dict
      sample: {cidr: 198.51.100.0/24, blockSize: 26, natOutgoing: true}
    labels:
      description: Labels of the pool.
      returned: success
      type: dict
    annotations:
      description: Annotations of the pool, without those that Calico and kubectl keep for themselves.
      returned: success
      type: dict
    owner:
      description: >-
        Who puts the pool back when it is changed elsewhere. V(tigera-operator), or null when nobody is known to.
      returned: success
      type: str
      version_added: 0.2.0
    where:
      description: What M(calico_ops.ipam.ippool) writes to change the pool.
      returned: success
      type: str
      version_added: 0.2.0
      sample: IPPool rack-7
    terminating:
      description: Whether the deletion of the pool has begun. That cannot be taken back.
      returned: success
      type: bool
      version_added: 0.2.0
    conditions:
      description: >-
        The pool's conditions. Where custom resources of C(projectcalico.org) are Calico's store, C(Allocatable) says
        whether addresses can be taken from the pool; elsewhere there are none.
      returned: success
      type: list
      elements: dict
      version_added: 0.2.0
      sample: [{type: Allocatable, status: "True", reason: OK}]
    utilization:
      description: What is used of the pool.
      returned: success
      type: dict
      contains:
        addresses:
          description: Addresses of the pool. Reserved ones are covered by an IPReservation, free ones can be given out.
          returned: success
          type: dict
          sample: {capacity: 256, in_use: 17, reserved: 0, free: 239}
        blocks:
          description: Blocks of the pool. The size is the prefix length, free counts places where no block is yet.
          returned: success
          type: dict
          sample: {possible: 4, allocated: 3, free: 1, size: 26}
        nodes:
          description: The blocks that each node owns, added up. An empty name stands for blocks without owner.
          returned: success
          type: list
          elements: dict
          sample: [{node: worker-1, blocks: 1, addresses: 64, in_use: 9, free: 55}]
strays:
  description: Blocks that lie in none of the pools. Empty when O(name) or O(cidr) is given.
  returned: success
  type: list
  elements: dict
  sample: [{cidr: 203.0.113.0/26, pool: null, node: worker-1, size: 64, in_use: 1, free: 63, borrowed: 0}]
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
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.damaged import shown_damaged, warn_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import measured, pools_with_use
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools


def operate(context: Context) -> dict[str, t.Any]:
    faults: list[CorruptRecord] = []
    with closing(context.stores(on_corrupt=faults.append)) as stores:
        stores.require_readable()
        installation = detect(stores.api)
        reservations = stores.records.reservations()
        found = pools_with_use(
            read_pools(stores.api),
            measured(stores.records.raw_blocks(), reservations, faults.append),
            reservations,
            name=context.params["name"],
            cidr=context.params["cidr"],
            installation=installation,
        )
    damaged = shown_damaged(faults)
    warn_of(damaged, context.warn)
    return {"changed": False, "mode": installation.mode.value, **found, "damaged": damaged}


def main() -> None:
    own = ArgumentSpec(options={"name": {"type": "str"}, "cidr": {"type": "str"}})
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
