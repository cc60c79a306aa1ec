#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool
short_description: Create, change or delete one Calico IP pool
version_added: 0.1.0
description:
  - Brings one Calico IP pool to the state asked for. Every rule of Calico's own client is checked before anything is
    written, also those that the API server does not check, such as overlaps with other pools and blocks of another size
    that an earlier pool left behind.
  - The pool is written where this cluster's Calico has it - in the custom resources of C(crd.projectcalico.org) or of
    C(projectcalico.org), through Calico's API server, in Calico's own etcd, or, when the Tigera operator manages the
    pool, in the list of pools of its Installation. Nothing is written to a cluster between two of these.
  - Nothing is written either where pods get their addresses from another IPAM, such as host-local or that of a cloud,
    as far as the cluster's configuration may be read. Pools for C(LoadBalancer) alone are written there, too.
  - Only what differs is written. Options that are not given keep their present value, or get Calico's default when the
    pool is new.
  - The last enabled pool of its IP version for pods, or for the tunnels of nodes, is not disabled, nor closed by
    O(node_selector), O(allowed_uses) or O(assignment_mode), nor deleted, while addresses of that kind are in use in it.
    Everything that is replaced would get none. Create or enable another pool first. A pool that nothing uses may be
    stopped, with a warning. In check mode there is a warning too, since a pool that an earlier task would create is not
    there.
  - A pool is deleted only when nothing holds an address in it. Its blocks and block affinities are given back first,
    and afterwards the module proves that none is left.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
  - calico_ops.ipam._pool_fields
  - calico_ops.ipam._run
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the pool.
    type: str
    required: true
  state:
    description:
      - With V(present) the pool exists and looks as described by the other options.
      - With V(absent) the pool does not exist, and no block or block affinity of it is left. The module fails when
        pods, virtual machines, services or unknown holders have addresses in the pool, and tells which.
      - With V(absent) and O(cidr) only a pool with this range is deleted, and when the pool is gone already its range
        is cleaned of blocks and block affinities all the same.
    type: str
    choices: [present, absent]
    default: present
  definition:
    description:
      - A whole IPPool as it was stored, to create the pool from or to bring it back to.
      - Fields that the definition leaves out have their defaults. Options of the module win over the definition.
      - Takes an object as C(kubectl get -o json) prints it, as well as
        RV(calico_ops.ipam.ippool_journal#module:journal.definition).
    type: dict
  successor:
    description:
      - Name of the pool that gives addresses in the place of this one. With O(state=absent), nothing is deleted unless
        that pool exists and gives out addresses, which is looked at again right before the pool is deleted.
      - With O(state=present) and in check mode, a successor that does not exist is taken for one that an earlier task
        would have created, so there is no warning about who would be left without a pool.
    type: str
    version_added: 0.2.0
  expected:
    description:
      - With O(state=absent), the pool as it was last noted, such as
        RV(calico_ops.ipam.ippool_journal#module:journal.definition). When somebody has changed it since, it is not
        deleted, since the change would be lost. Whether it is disabled, or selects no node, does not matter.
    type: dict
    version_added: 0.2.0
  timeout:
    description:
      - How many seconds to wait, with O(state=absent), until tunnel addresses of nodes have left the disabled pool and
        addresses of deleted pods are given back, and until the pool is gone.
      - With O(state=present), how many seconds to wait until a pool that was created, enabled or changed is in use. In
        custom resources of C(projectcalico.org) that is the condition C(Allocatable), which kube-controllers writes;
        with the Tigera operator it is the pool as the Installation declares it. Elsewhere there is nothing to wait for.
    type: int
    default: 120
notes:
  - The Tigera operator's label C(app.kubernetes.io/managed-by=tigera-operator) is never written. The operator deletes a
    pool that carries it without standing in the Installation.
seealso:
  - module: calico_ops.ipam.ippool_info
"""

EXAMPLES = r"""
- name: A second pool for the nodes of one rack
  calico_ops.ipam.ippool:
    name: rack-7
    cidr: 198.51.100.0/24
    block_size: 28
    nat_outgoing: true
    node_selector: rack == "7"

- name: Stop giving out its addresses
  calico_ops.ipam.ippool:
    name: rack-7
    disabled: true

- name: Delete it
  calico_ops.ipam.ippool:
    name: rack-7
    state: absent

- name: Delete it only while another pool gives out addresses in its place
  calico_ops.ipam.ippool:
    name: rack-7
    state: absent
    successor: default-ipv4-ippool
"""

RETURN = r"""
where:
  description:
    - What is written when the pool's settings change. Null when the pool is to be absent and is.
  returned: success
  type: str
  version_added: 0.2.0
  sample: Installation default spec.calicoNetwork.ipPools
pool:
  description: The pool as it is now, or would be in check mode. Null when it does not exist.
  returned: success
  type: dict
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
      sample: IPPool rack-7
    reason:
      description: Why it is needed.
      returned: success
      type: str
    undo:
      description: How to take it back. Null when nothing can.
      returned: success
      type: str
details:
  description: The facts behind the message of a failure, such as the field that is wrong or who holds addresses.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import (
    ArgumentSpec,
    datastore_argspec,
    metadata_argspec,
    pool_fields_argspec,
    run_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_last_look import Wanted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    with closing(context.stores()) as stores:
        if params["state"] == "absent":
            plan = delete_pool(
                stores.api,
                stores.records,
                params["name"],
                network=None if params["cidr"] is None else parse_network(params["cidr"]),
                timeout=params["timeout"],
                clock=SystemClock(),
                report=context.report,
                check_mode=context.check_mode,
                watched=stores.watched,
                wanted=Wanted(params["successor"], params["expected"]),
            )
            written = [step.target for step in plan.steps if step.action in ("update", "delete")]
            where, pool = written[-1] if written else None, None
        else:
            write = ensure_pool(
                stores.api,
                pool_request(params),
                check_mode=context.check_mode,
                timeout=params["timeout"],
                report=context.report,
                successor=params["successor"],
            )
            plan, where, pool = write.plan, write.where, write.pool
    for warning in plan.warnings:
        context.warn(warning)
    return {"pool": pool, "where": where, **plan.as_result()}


def main() -> None:
    own = ArgumentSpec(
        options={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "definition": {"type": "dict"},
            "successor": {"type": "str"},
            "expected": {"type": "dict"},
            "timeout": {"type": "int", "default": 120},
        }
    )
    run(own.merge(pool_fields_argspec(), metadata_argspec(), run_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
