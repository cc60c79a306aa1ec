#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_binding_info
short_description: Show which IP pools serve whom, and what pins itself to a pool
version_added: 0.2.0
description:
  - Answers which pools can serve pods on a node, of a namespace, or one pod, in the order in which they are used, and
    why not the others.
  - With O(pool), shows what pins itself to that pool - annotations of namespaces, pods and pod templates of every kind,
    the CNI configuration, fixed addresses, and LoadBalancer Services. All of that fails, or stays, once the pool is
    disabled or deleted.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
options:
  node:
    description: The node a pod would run on. When not given, all nodes are looked at.
    type: str
  namespace:
    description: The namespace a pod would be in. When not given, namespace selectors are told as conditions.
    type: str
  pod:
    description:
      - Name of a pod in O(namespace). Its annotations count, and its node, once it has one.
      - The answer is about its being created anew. A pod that runs keeps the addresses it has.
    type: str
  pool:
    description:
      - Name or CIDR of a pool of which RV(pinned_by) is told. It may be one that does not exist any more.
      - Without any of O(node), O(namespace) and O(pod), nothing else is told then.
    type: str
notes:
  - Within the pools that serve, addresses come first from blocks the node has already, so an added pool may stay unused
    while they have room.
seealso:
  - module: calico_ops.ipam.ippool_binding
  - module: calico_ops.ipam.ippool_preflight_info
"""

EXAMPLES = r"""
- name: Where pods of the namespace shop get their addresses from
  calico_ops.ipam.ippool_binding_info:
    namespace: shop
  register: shop

- name: The same in short
  ansible.builtin.debug:
    msg: "{{ shop.serve | map(attribute='pool') | join(', ') }}"

- name: Why not from another one, on a certain node
  calico_ops.ipam.ippool_binding_info:
    namespace: shop
    node: worker-1

- name: Who would be hurt if the pool went
  calico_ops.ipam.ippool_binding_info:
    pool: default-ipv4-ippool
  register: default_pool

- name: Nobody, so it may
  ansible.builtin.assert:
    that: default_pool.pinned_by | length == 0
"""

RETURN = r"""
serve:
  description: The pools that new pods get addresses of, in order.
  returned: success
  type: list
  elements: dict
  contains:
    pool:
      description: Name of the pool.
      returned: success
      type: str
      sample: default-ipv4-ippool
    cidr:
      description: Its range.
      returned: success
      type: str
      sample: 192.168.0.0/16
    ip_version:
      description: V(4) or V(6).
      returned: success
      type: int
      sample: 4
    reason:
      description: Why, as a sentence.
      returned: success
      type: str
      sample: It is Automatic and its nodeSelector 'all()' selects 5 of 5 nodes.
others:
  description: The pools that new pods get no address of.
  returned: success
  type: list
  elements: dict
  contains:
    pool:
      description: Name of the pool.
      returned: success
      type: str
      sample: tenants
    cidr:
      description: Its range.
      returned: success
      type: str
    ip_version:
      description: V(4) or V(6). Null when the range cannot be understood.
      returned: success
      type: int
    why:
      description: Why not, as a sentence.
      returned: success
      type: str
      sample: "Pool 'tenants' has assignmentMode Manual: it is only used when asked for."
source:
  description: What decides, for each IP version - an annotation, the CNI configuration, or the selectors of the pools.
  returned: success
  type: dict
  sample: {ipv4: annotation cni.projectcalico.org/ipv4pools of the namespace, ipv6: nothing}
problems:
  description: Why new pods get no address, and what could not be found out. Empty when all is well.
  returned: success
  type: list
  elements: str
addresses:
  description: The addresses that O(pod) has now, each with its pool. Empty without O(pod).
  returned: success
  type: list
  elements: dict
  sample: [{address: 192.168.7.5, pool: default-ipv4-ippool}]
pinned_by:
  description: What pins itself to O(pool). Empty without O(pool).
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object.
      returned: success
      type: str
      sample: CronJob
    namespace:
      description: Its namespace. Empty for a namespace itself.
      returned: success
      type: str
      sample: shop
    name:
      description: Its name.
      returned: success
      type: str
      sample: nightly-report
    how:
      description: By what.
      returned: success
      type: str
      sample: annotation cni.projectcalico.org/ipv4pools of the pod template
    value:
      description: What is written there.
      returned: success
      type: str
      sample: '["default-ipv4-ippool"]'
unreadable:
  description: What may pin itself to O(pool), too, but could not be read for lack of rights.
  returned: success
  type: list
  elements: str
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_info import binding_info


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    asked = (params["node"], params["namespace"], params["pod"], params["pool"])
    with closing(context.stores(on_corrupt=lambda record: context.warn(record.message))) as stores:
        stores.require_readable()
        found = binding_info(stores.api, *asked, context.warn)
    return {"changed": False, **found}


def main() -> None:
    own = ArgumentSpec(
        options={name: {"type": "str"} for name in ("node", "namespace", "pod", "pool")},
        required_by={"pod": ("namespace",)},
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
