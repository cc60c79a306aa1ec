#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_gate
short_description: Prove that the next step of a change of Calico IP pools may be taken
version_added: 0.2.0
description:
  - Looks at the cluster, waits for what comes by itself, and fails with one sentence that names nodes, namespaces,
    holders of addresses or managers when the next step must not be taken. Nothing is ever written, so a gate can be
    passed again at any time.
  - The gates stand in this order - V(before_disable), stop the pool, V(after_disable), move the pods, V(before_delete),
    delete the pool, V(before_create), create it again with other blocks, V(after_create), and at the end V(closed).
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
  - calico_ops.ipam._run
attributes:
  check_mode:
    support: full
    details:
      - The same happens in check mode, since nothing is ever written.
  diff_mode:
    support: N/A
    details:
      - Nothing is different afterwards.
  idempotent:
    support: full
    details:
      - Nothing is different afterwards, so the module never reports a change.
options:
  gate:
    description: Which step is to be taken next, or was taken.
    type: str
    required: true
    choices:
      before_disable:
        - The pool is to be stopped. Another pool must then serve every tunnel address that lies in it, with the same
          encapsulation and use, and the pods of every node and namespace that it serves now, with a free block or room
          in blocks. What would happen is tried with Calico's own rules on a copy of the IPAM records.
        - Also tells whether to disable the pool or to give it a nodeSelector that matches nothing, see RV(stop_way).
      after_disable:
        - The pool was stopped. Waits until every tunnel address has left it and every node that had one has another.
          Fails also when a pod created later has an address of the pool, and says who wrote the pool last.
        - When this gate fails, enable the pool again.
      before_delete:
        - The pool is to be deleted. Waits for what leaves by itself, then proves twice, O(soak) seconds apart, that
          nobody uses an address of its range, by the blocks and by what pods, nodes and Services say. Pods, tunnel
          addresses, virtual machines, LoadBalancer Services and holders that cannot be told all count; empty blocks do
          not.
        - Succeeds when the pool does not exist and O(cidr) is not given.
      before_create:
        - A pool is to be created on a range that had one before. No block and no block affinity of any size may be left
          there.
      after_create:
        - The pool was created. It must give out addresses, nothing of another block size may lie in its range, and the
          next block of every node that it selects must be of its size.
      closed:
        - All is done. Tells in RV(changes) what is declared elsewhere otherwise than it is now. Fails only with
          O(strict).
  pool:
    description: Name of the pool that the step is about. With V(closed), the pool that was changed, which may be gone.
    type: str
    required: true
  target:
    description: Name of the pool that takes over. With V(before_disable) it must give out addresses.
    type: str
  cidr:
    description:
      - Range of the pool, for V(before_create), and for V(before_delete) when the pool may be gone.
      - Without it, the range of the pool that exists.
    type: str
  tunnels:
    description:
      - Tunnel addresses that there were before, for V(after_disable), as RV(tunnels) of V(before_disable) had them. The
        nodes named must have another address of the same type in the end.
      - In any case, a node is expected to have an address of each type that is in use in the cluster and that an
        enabled pool serves it with.
    type: list
    elements: dict
    suboptions:
      node:
        description: Name of the node.
        type: str
        required: true
      type:
        description: Type of the tunnel, as Calico spells it in its IPAM records.
        type: str
        required: true
      address:
        description: The address before.
        type: str
        required: true
  since:
    description:
      - When the pool was stopped, for V(after_disable), as C(2026-08-20T09:14:05Z). The server's own record of the last
        write counts when it is later.
    type: str
  managers:
    description: Who declared the pool, for V(closed), as RV(managers) of V(before_disable) had it.
    type: list
    elements: str
    default: []
  waivers:
    description:
      - Ids of checks of M(calico_ops.ipam.ippool_preflight_info) that were waived there, for V(before_disable). Nodes
        and namespaces that get no address for a reason that one of these waives are listed and do not fail the gate.
        Tunnel addresses cannot be waived.
      - V(cni-config-pins-pool) also lets pass that the CNI configuration cannot be read or understood.
    type: list
    elements: str
    default: []
  timeout:
    description: How many seconds to wait for what comes by itself.
    type: int
    default: 120
  soak:
    description: How many seconds pass between the two proofs of V(before_delete).
    type: int
    default: 30
  strict:
    description: Fail at V(closed) when the cluster shows that something is declared otherwise.
    type: bool
    default: false
  progress_file:
    description:
      - File to append a line to for each event.
      - Not needed on the control node, where the lines appear on the terminal as they come.
    type: path
seealso:
  - module: calico_ops.ipam.ippool
  - module: calico_ops.ipam.ippool_drain
  - module: calico_ops.ipam.ippool_probe
  - module: calico_ops.ipam.ipam_range
"""

EXAMPLES = r"""
- name: Add the pool that is to take over, with the encapsulation of the old one
  calico_ops.ipam.ippool:
    name: new-pool
    cidr: 10.0.0.0/16
    ipip_mode: Always

- name: Would every node and namespace still be served?
  calico_ops.ipam.ippool_gate:
    gate: before_disable
    pool: default-ipv4-ippool
    target: new-pool
  register: before

- name: Stop giving out addresses of the old pool
  calico_ops.ipam.ippool:
    name: default-ipv4-ippool
    disabled: true

- name: Wait until every tunnel address has moved
  calico_ops.ipam.ippool_gate:
    gate: after_disable
    pool: default-ipv4-ippool
    tunnels: "{{ before.tunnels }}"

- name: Move the pods
  calico_ops.ipam.ippool_drain:
    pool: default-ipv4-ippool

- name: Prove that nobody uses an address of the old pool
  calico_ops.ipam.ippool_gate:
    gate: before_delete
    pool: default-ipv4-ippool
    soak: 5

- name: What has to be changed elsewhere?
  calico_ops.ipam.ippool_gate:
    gate: closed
    pool: default-ipv4-ippool
    target: new-pool
    managers: "{{ before.managers }}"
"""

RETURN = r"""
stop_way:
  description: How to stop the pool, V(disabled) or V(node_selector).
  returned: O(gate) is V(before_disable)
  type: str
  sample: disabled
reason:
  description: Why that way.
  returned: O(gate) is V(before_disable)
  type: str
consequences:
  description: What that way means, in sentences.
  returned: O(gate) is V(before_disable)
  type: list
  elements: str
machines:
  description: Virtual machines that hold addresses of the pool, as namespace/name.
  returned: O(gate) is V(before_disable)
  type: list
  elements: str
stopped:
  description: Whether the pool is stopped already.
  returned: O(gate) is V(before_disable)
  type: bool
taken:
  description: When the cluster was looked at.
  returned: O(gate) is V(before_disable)
  type: str
  sample: "2026-08-20T09:14:05Z"
managers:
  description: Who else declares the pool, by the marks on it.
  returned: O(gate) is V(before_disable)
  type: list
  elements: str
tunnels:
  description:
    - With V(before_disable), the tunnel addresses that lie in the pool. With V(after_disable), those that lie elsewhere
      now.
  returned: O(gate) is V(before_disable) or V(after_disable)
  type: list
  elements: dict
  contains:
    node:
      description: Name of the node.
      returned: success
      type: str
    type:
      description: Type of the tunnel.
      returned: success
      type: str
      sample: vxlanTunnelAddress
    address:
      description: The address.
      returned: success
      type: str
left_out:
  description: Who would get no address and was waived.
  returned: O(gate) is V(before_disable)
  type: list
  elements: dict
  contains:
    kind:
      description: V(node) or V(namespace).
      returned: success
      type: str
    name:
      description: Its name.
      returned: success
      type: str
    why:
      description: The reason.
      returned: success
      type: str
    waivers:
      description: Ids of preflight checks that waive it.
      returned: success
      type: list
      elements: str
not_ready:
  description: Nodes that are not ready and whose tunnel addresses did not move in time.
  returned: O(gate) is V(after_disable)
  type: list
  elements: str
young_pods:
  description: Pods created after the pool was stopped that asked for its addresses and got them.
  returned: O(gate) is V(after_disable)
  type: list
  elements: str
since:
  description: When the pool was stopped, empty when nobody knows.
  returned: O(gate) is V(after_disable)
  type: str
holders:
  description: Who uses addresses of the range. Always empty on success.
  returned: O(gate) is V(before_delete)
  type: list
  elements: dict
blocks:
  description:
    - With V(before_delete), how many empty blocks are left in the range.
    - With V(after_create), the next block of each node.
  returned: O(gate) is V(before_delete) or V(after_create)
  type: raw
without_block:
  description: Nodes that get no block of the pool now, each with the reason.
  returned: O(gate) is V(after_create)
  type: list
  elements: dict
changes:
  description: What has to be changed elsewhere.
  returned: O(gate) is V(closed)
  type: list
  elements: dict
  contains:
    manager:
      description: Who declares it.
      returned: success
      type: str
      sample: Kubespray
    where:
      description: The place of the declaration.
      returned: success
      type: str
    what:
      description: What to do there.
      returned: success
      type: str
    seen:
      description: Whether the cluster shows that it is declared otherwise. If not, it cannot be seen from the cluster.
      returned: success
      type: bool
    sentence:
      description: All of it as one sentence.
      returned: success
      type: str
details:
  description: The facts behind the message of a failure, such as who would be left out.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import (
    ArgumentSpec,
    datastore_argspec,
    run_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gates import GATES, GateRequest, pass_gate


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    request = GateRequest(
        gate=params["gate"],
        pool=params["pool"],
        target=params["target"],
        cidr=params["cidr"],
        tunnels=params["tunnels"],
        since=params["since"],
        managers=tuple(params["managers"]),
        waivers=tuple(params["waivers"]),
        timeout=params["timeout"],
        soak=params["soak"],
        strict=params["strict"],
    )
    with closing(context.stores()) as stores:
        found = pass_gate(context.api, stores, request, clock=SystemClock(), report=context.report)
    return {"changed": False, **found}


def main() -> None:
    own = ArgumentSpec(
        options={
            "gate": {"type": "str", "choices": list(GATES), "required": True},
            "pool": {"type": "str", "required": True},
            "target": {"type": "str"},
            "cidr": {"type": "str"},
            "tunnels": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "node": {"type": "str", "required": True},
                    "type": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                },
            },
            "since": {"type": "str"},
            "managers": {"type": "list", "elements": "str", "default": []},
            "waivers": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 120},
            "soak": {"type": "int", "default": 30},
            "strict": {"type": "bool", "default": False},
            "progress_file": {"type": "path"},
        }
    )
    run(own.merge(run_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
