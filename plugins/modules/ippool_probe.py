#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_probe
short_description: Prove that new pods get addresses of a Calico IP pool
version_added: 0.1.0
description:
  - Creates a namespace with a pod in it, waits for the pod's address, checks that it lies in the pool, and deletes the
    namespace again, also when the check fails. Namespaces that earlier, killed probes of the same pool left behind are
    deleted as well.
  - The pod is an ordinary one and not pinned to the pool, unless O(pinned) says so. It needs no rights and next to no
    resources.
  - With O(targets), O(checks) or O(command), the pod also has to reach others from its address, and to end well.
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
      - Nothing is created in check mode, so there is no address to report; RV(steps) tells what would be done.
  diff_mode:
    support: N/A
    details:
      - Nothing is different afterwards.
  idempotent:
    support: full
    details:
      - Nothing is different afterwards, so the module never reports a change.
options:
  state:
    description:
      - With V(present) the addresses are proven.
      - With V(absent) nothing is proven, and only what killed probes of the pool left behind is deleted.
    type: str
    choices: [present, absent]
    default: present
    version_added: 0.2.0
  pool:
    description: Name of the pool that the address is to come from.
    type: str
    required: true
  nodes:
    description:
      - Nodes to run a pod on, one each. Cordoned and tainted nodes can be named as well.
      - Without it, one pod is run on the node that the scheduler chooses.
    type: list
    elements: str
    default: []
  every_node:
    description:
      - Run a pod on each node that is ready and that the pool selects. Windows nodes are left out.
      - O(nodes) takes precedence.
    type: bool
    default: false
    version_added: 0.2.0
  namespaces:
    description:
      - Run the pods in a throw-away namespace like each of these, with the same labels and the same annotations of
        Calico's CNI plugin. Namespaces that Calico cannot tell apart are proven once.
      - Without it, in a namespace that has no labels of its own.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  pinned:
    description:
      - Let the pods ask for the pool, so that it can be proven while another pool still serves.
      - This proves that the pool and its network work, and not that ordinary pods come to it.
    type: bool
    default: false
    version_added: 0.2.0
  instead_of:
    description:
      - Name of the pool whose place O(pool) takes, and from which no address may come any more.
      - Where several pools serve the same pods, Calico is free to take any of them. With this option a pod may get an
        address of another pool that gives out addresses, too; RV(addresses[].pool) tells which.
    type: str
    version_added: 0.2.0
  targets:
    description:
      - What every pod must be able to connect to, each as C(host:port). Firewalls and allow-lists outside of the
        cluster that know the old range only show like this.
      - Takes an O(image) with C(sh), C(nc) and C(nslookup), such as C(busybox).
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  checks:
    description: What every pod must be able to do. Takes an O(image) as O(targets) does.
    type: list
    elements: str
    choices:
      dns: Resolve the name of the Kubernetes API with the name servers of the cluster.
      api: Connect to the Kubernetes API by its Service.
    default: []
    version_added: 0.2.0
  command:
    description:
      - Command to run in the pod instead of the built-in one. It must end with exit code 0 within O(timeout).
      - O(targets) are in its environment as C(CALICO_OPS_TARGETS), separated by blanks.
      - The last lines of its output are in the message when it fails.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  annotations:
    description: Annotations of the pods, such as one that keeps a service mesh from adding containers to them.
    type: dict
    default: {}
    version_added: 0.2.0
  image:
    description:
      - Image of the pod. It must not need root rights.
      - Without O(targets), O(checks) and O(command), it has to stay running by itself.
    type: str
    default: registry.k8s.io/pause:3.10
  timeout:
    description: How many seconds to wait for the addresses, and for the end of what the pods do.
    type: int
    default: 120
  namespace_prefix:
    description: Beginning of the name of the namespace. A dash and five random characters are added.
    type: str
    default: calico-ops-probe
seealso:
  - module: calico_ops.ipam.ippool_drain
"""

EXAMPLES = r"""
- name: Do new pods get addresses of the new pool?
  calico_ops.ipam.ippool_probe:
    pool: default-ipv4-ippool

- name: Prove it on two nodes
  calico_ops.ipam.ippool_probe:
    pool: default-ipv4-ippool
    nodes: [worker-1, worker-2]

- name: Prove a new pool on every node before the old one is disabled
  calico_ops.ipam.ippool_probe:
    pool: default-ipv4-ippool
    every_node: true
    pinned: true
"""

RETURN = r"""
addresses:
  description: The addresses the pods got, by node. Empty in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: Node that the pod ran on.
      returned: success
      type: str
    address:
      description: Address of the pod.
      returned: success
      type: str
      sample: 198.51.100.7
    pool:
      description: Pool of the address.
      returned: success
      type: str
    namespace:
      description: The namespace of O(namespaces) that the pod stood for. Empty without O(namespaces).
      returned: success
      type: str
    reached:
      description: The O(targets) and O(checks) that the pod passed.
      returned: success
      type: list
      elements: str
steps:
  description: What would be done. Empty outside check mode.
  returned: success
  type: list
  elements: str
details:
  description: The facts behind the message of a failure, such as the address that came from elsewhere.
  returned: failure
  type: dict
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import (
    ArgumentSpec,
    datastore_argspec,
    run_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import (
    ProbeOptions,
    clean_up,
    plan_probe,
    probe,
)


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    options = ProbeOptions(
        pool=params["pool"],
        nodes=tuple(params["nodes"]),
        image=params["image"],
        timeout=params["timeout"],
        namespace_prefix=params["namespace_prefix"],
        every_node=params["every_node"],
        namespaces=tuple(params["namespaces"]),
        pinned=params["pinned"],
        targets=tuple(params["targets"]),
        checks=tuple(params["checks"]),
        command=tuple(params["command"]),
        annotations={key: str(value) for key, value in params["annotations"].items()},
        instead_of=params["instead_of"] or "",
    )
    if params["state"] == "absent":
        if not context.check_mode:
            clean_up(context.api, options, SystemClock())
        return {"changed": False, "addresses": [], "steps": []}
    require_writable(context.api)  # With a locked datastore, a probe would get no address.
    if context.check_mode:
        return {"changed": False, "addresses": [], "steps": plan_probe(context.api, options)}
    found = probe(context.api, options, SystemClock())
    return {"changed": False, "addresses": [entry.as_dict() for entry in found], "steps": []}


def main() -> None:
    own = ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "pool": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "every_node": {"type": "bool", "default": False},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "pinned": {"type": "bool", "default": False},
            "instead_of": {"type": "str"},
            "targets": {"type": "list", "elements": "str", "default": []},
            "checks": {"type": "list", "elements": "str", "choices": ["dns", "api"], "default": []},
            "command": {"type": "list", "elements": "str", "default": []},
            "annotations": {"type": "dict", "default": {}},
            "image": {"type": "str", "default": "registry.k8s.io/pause:3.10"},
            "timeout": {"type": "int", "default": 120},
            "namespace_prefix": {"type": "str", "default": "calico-ops-probe"},
        }
    )
    run(own.merge(run_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
