#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_installation_info
short_description: Show how Calico is installed, and whether its pools may be changed
version_added: 0.2.0
description:
  - Finds out through the API alone how Calico is installed - where it keeps its pools, who manages them, which IPAM
    gives pods their addresses - and what the cluster says of its own ranges.
  - Every answer comes with its source. What cannot be read is not guessed; its value is V(null), and its source says
    why.
  - All modules of this collection find out the mode by the same rules.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
seealso:
  - module: calico_ops.ipam.ippool
  - module: calico_ops.ipam.ippool_preflight_info
"""

EXAMPLES = r"""
- name: How Calico is installed
  calico_ops.ipam.ippool_installation_info:
  register: calico

- name: Stop where pools cannot be changed
  ansible.builtin.assert:
    that: calico.supported
    fail_msg: "{{ calico.stop }}"

- name: Say what was found, and where
  ansible.builtin.debug:
    msg: "{{ calico.facts.ipam.value }} ({{ calico.facts.ipam.source }})"
"""

RETURN = r"""
mode:
  description:
    - Where Calico keeps its pools.
    - V(crd_v1) - in custom resources of C(crd.projectcalico.org). V(crd_v3) - in custom resources of
      C(projectcalico.org). V(apiserver) - Calico's aggregated API server serves C(projectcalico.org). V(etcd) - in an
      etcd of Calico's own. V(none) - there is no Calico.
    - Whether the Tigera operator manages pools is told by RV(facts.operator), on top of each mode.
  returned: success
  type: str
  sample: crd_v1
supported:
  description: Whether this collection can change pools of this installation now.
  returned: success
  type: bool
stop:
  description: Why pools must not or cannot be changed, as one sentence. Empty when they can.
  returned: success
  type: str
  sample: >-
    ClusterInformation default says datastoreReady: false, so Calico's datastore is locked for a migration; nothing may
    be changed until it is true again.
facts:
  description:
    - What was found out. Every entry has C(value), V(null) when it is not known, and C(source).
  returned: success
  type: dict
  contains:
    mode:
      description: As RV(mode).
      type: dict
      sample: {value: crd_v1, source: the API lists crd.projectcalico.org/v1}
    api_server_down:
      description: Whether C(projectcalico.org) is registered and its server does not answer.
      type: dict
    api_service:
      description: Who answers for C(projectcalico.org) - V(custom resources), or the Service of an API server.
      type: dict
    migration:
      description: The phase of a DatastoreMigration; empty when there is none.
      type: dict
    locked:
      description: Whether ClusterInformation says that the datastore is not ready.
      type: dict
    operator:
      description: Whether the Tigera operator manages pools.
      type: dict
    operator_pools:
      description: The names of the pools that have the operator's label, and names or CIDRs of those that it lists.
      type: dict
    declared_by:
      description: Tools that left their mark on pools and may write them again - operator, Kubespray, Helm, Argo CD,
        Flux, kubectl.
      type: dict
    version:
      description: The version of Calico.
      type: dict
      sample: {value: v3.33.0, source: calicoVersion of ClusterInformation default}
    cluster_type:
      description: The words by which Calico's components describe the cluster.
      type: dict
    capabilities:
      description: What the served definition of a pool knows - V(allowedUses), V(assignmentMode),
        V(namespaceSelector), V(LoadBalancer), V(status), and V(rules) where the API server checks pools itself.
      type: dict
    ipam:
      description: V(calico-ipam), or the name of what gives pods their addresses instead.
      type: dict
    pod_cidrs:
      description: The pod range of the cluster, by the first source that names it.
      type: dict
      sample:
        value: [10.244.0.0/16]
        source: networking.podSubnet of ConfigMap kube-system/kubeadm-config
    service_cidrs:
      description: The Service range of the cluster.
      type: dict
    openshift:
      description: Whether the cluster is OpenShift.
      type: dict
    windows_nodes:
      description: The names of Windows nodes.
      type: dict
    ebpf:
      description: Whether Calico's eBPF data plane is on.
      type: dict
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_report import installation_info


def operate(context: Context) -> dict[str, t.Any]:
    return {"changed": False, **installation_info(context.api)}


def main() -> None:
    run(datastore_argspec(), operate)


if __name__ == "__main__":
    main()
