#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_binding
short_description: Say which IP pools a namespace, a workload or a node uses
version_added: 0.2.0
description:
  - Binds a namespace or a workload to pools by Calico's annotations C(cni.projectcalico.org/ipv4pools) and
    C(cni.projectcalico.org/ipv6pools), or a node by the labels that the pools' node selectors want.
  - Every pool must exist, be enabled, and allow workloads; otherwise nothing is written.
  - An annotation makes Calico look at the pools it lists and at nothing else. Node selectors, namespace selectors and
    the assignment mode of these pools do not count for such pods, and once one of them is disabled, no new pod gets an
    address. The module warns about what is passed over.
  - Pods that run keep their addresses. A namespace's annotation counts for pods created from then on; an annotation of
    a pod template replaces the pods of the workload.
  - Only these two annotations, or the labels concerned, are written. One that means the same pools already, by name or
    by CIDR, in the same order, is left as it is.
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
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - With V(present) the target uses the pools given.
      - With V(absent) a namespace or workload has neither annotation, and a node has no label by which the pools given
        select it.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description: The namespace to bind. Its pods use the pools, unless their own annotation says otherwise.
    type: str
  workload:
    description:
      - The workload to bind, by an annotation of its pod template.
      - A changed template replaces the pods of a Deployment, StatefulSet or DaemonSet as its update strategy says. Jobs
        of a CronJob follow it from their next run on.
      - Bare pods and Jobs are refused. Nothing that is written to them reaches an address.
    type: dict
    suboptions:
      kind:
        description: V(Deployment), V(StatefulSet), V(DaemonSet) or V(CronJob).
        type: str
        required: true
      namespace:
        description: Its namespace.
        type: str
        required: true
      name:
        description: Its name.
        type: str
        required: true
  node:
    description:
      - The node to label so that the node selectors of the pools select it.
      - The selectors must say what label that takes. Terms C(key == 'value') and C(has(key)), joined by C(&&), do.
      - Labels that the kubelet writes are never changed, others of Kubernetes' own only added.
    type: str
  ipv4_pools:
    description:
      - Names or CIDRs of IPv4 pools, in the order in which they are used.
      - When not given, IPv4 is left as it is. An empty list removes the annotation.
    type: list
    elements: str
  ipv6_pools:
    description:
      - Names or CIDRs of IPv6 pools, in the order in which they are used. IPv6 must be switched on in the CNI
        configuration or by the annotation C(cni.projectcalico.org/ipFamilies).
      - When not given, IPv6 is left as it is. An empty list removes the annotation.
    type: list
    elements: str
notes:
  - The annotations are written as CIDRs. Every release of Calico reads those; names came later, are looked up for every
    pod, and mean another range once a pool is created anew under its old name.
seealso:
  - module: calico_ops.ipam.ippool_binding_info
  - module: calico_ops.ipam.ippool
"""

EXAMPLES = r"""
- name: Pods of the shop come from the default pool, whatever pools are added later
  calico_ops.ipam.ippool_binding:
    namespace: shop
    ipv4_pools: [default-ipv4-ippool]

- name: What binding a single workload would do; its pods would be replaced
  calico_ops.ipam.ippool_binding:
    workload:
      kind: Deployment
      namespace: shop
      name: cart
    ipv4_pools: [192.168.0.0/16]
  check_mode: true

- name: A pool for the nodes of one purpose
  calico_ops.ipam.ippool:
    name: batch
    cidr: 10.20.0.0/16
    node_selector: purpose == 'batch'

- name: One more such node
  calico_ops.ipam.ippool_binding:
    node: worker-4
    ipv4_pools: [batch]

- name: The node is an ordinary one again
  calico_ops.ipam.ippool_binding:
    node: worker-4
    ipv4_pools: [batch]
    state: absent

- name: The pool is not needed any more
  calico_ops.ipam.ippool:
    name: batch
    state: absent

- name: Pods of the shop come from whatever pool selects them
  calico_ops.ipam.ippool_binding:
    namespace: shop
    state: absent
"""

RETURN = r"""
binding:
  description: The binding as it is now, or would be in check mode. Null when the target does not exist.
  returned: success
  type: dict
  contains:
    kind:
      description: Kind of the target.
      returned: success
      type: str
      sample: Namespace
    namespace:
      description: Namespace of the target. Null for nodes and namespaces.
      returned: success
      type: str
    name:
      description: Name of the target.
      returned: success
      type: str
      sample: shop
    ipv4_pools:
      description:
        - Names of the IPv4 pools that the annotation asks for, in its order.
        - For a node, the pools that give its pods addresses unasked.
      returned: success
      type: list
      elements: str
      sample: [default-ipv4-ippool]
    ipv6_pools:
      description: The same for IPv6.
      returned: success
      type: list
      elements: str
    annotations:
      description: The two annotations as they are written. Empty for a node.
      returned: success
      type: dict
      sample: {cni.projectcalico.org/ipv4pools: '["192.168.0.0/16"]'}
    labels:
      description: The labels of a node by which the pools given select it.
      returned: success
      type: dict
      sample: {purpose: batch}
steps:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: What is done.
      returned: success
      type: str
      sample: update
    target:
      description: The object it is done to.
      returned: success
      type: str
      sample: Deployment shop/cart, pod template
    reason:
      description: Why it is needed.
      returned: success
      type: str
    undo:
      description: How to take it back.
      returned: success
      type: str
details:
  description: The facts behind the message of a failure, such as the field that is wrong.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_target import (
    Target,
    namespace_target,
    workload_target,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_binding import ensure_node_binding
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_binding import (
    ensure_binding,
    remove_binding,
)


def operate(context: Context) -> dict[str, t.Any]:
    params, check = context.params, context.check_mode
    present = params["state"] == "present"
    asked = {4: params["ipv4_pools"], 6: params["ipv6_pools"]}
    needed = present or params["node"] is not None
    if needed != any(pools is not None for pools in asked.values()):
        raise InvalidInput(
            "ipv4_pools or ipv6_pools must be given."
            if needed
            else "ipv4_pools and ipv6_pools must not be given with state=absent: all of the binding is removed.",
            field="ipv4_pools",
        )
    with closing(context.stores(on_corrupt=lambda record: context.warn(record.message))) as stores:
        require_writable(stores.api)
        if params["node"] is not None:
            write = ensure_node_binding(stores.api, params["node"], asked, present=present, check_mode=check)
        elif present:
            write = ensure_binding(stores.api, target_of(params), asked, check_mode=check)
        else:
            write = remove_binding(stores.api, target_of(params), check_mode=check)
    for warning in write.plan.warnings:
        context.warn(warning)
    return {"binding": write.binding, **write.plan.as_result()}


def target_of(params: dict[str, t.Any]) -> Target:
    return namespace_target(params["namespace"]) if params["namespace"] else workload_target(**params["workload"])


def main() -> None:
    text = {"type": "str", "required": True}
    pools = {"type": "list", "elements": "str"}
    targets = ("namespace", "workload", "node")
    own = ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespace": {"type": "str"},
            "workload": {"type": "dict", "options": {"kind": text, "namespace": text, "name": text}},
            "node": {"type": "str"},
            "ipv4_pools": pools,
            "ipv6_pools": pools,
        },
        mutually_exclusive=(targets,),
        required_one_of=(targets,),
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
