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
  - The pod is an ordinary one and not pinned to the pool. It needs no rights and next to no resources.
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
  image:
    description: Image of the pod. It has to stay running by itself without root rights.
    type: str
    default: registry.k8s.io/pause:3.10
  timeout:
    description: How many seconds to wait for the addresses.
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
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import ProbeOptions, plan_probe, probe


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    options = ProbeOptions(
        pool=params["pool"],
        nodes=tuple(params["nodes"]),
        image=params["image"],
        timeout=params["timeout"],
        namespace_prefix=params["namespace_prefix"],
    )
    require_writable(context.api)  # With a locked datastore, a probe would get no address.
    if context.check_mode:
        return {"changed": False, "addresses": [], "steps": plan_probe(context.api, options)}
    found = probe(context.api, options, SystemClock())
    return {"changed": False, "addresses": [entry.as_dict() for entry in found], "steps": []}


def main() -> None:
    own = ArgumentSpec(
        options={
            "pool": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "image": {"type": "str", "default": "registry.k8s.io/pause:3.10"},
            "timeout": {"type": "int", "default": 120},
            "namespace_prefix": {"type": "str", "default": "calico-ops-probe"},
        }
    )
    run(own.merge(run_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
