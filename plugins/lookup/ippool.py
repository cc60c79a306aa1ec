# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ippool
author: calico_ops contributors (@calico-ops)
version_added: 0.2.0
short_description: IP pools of a cluster, read on the control node
description:
  - Reads pools as they are stored, with Calico's defaults filled in, for use in variables and conditions.
  - What is in use of them is told by M(calico_ops.ipam.ippool_info).
options:
  _terms:
    description: Names of pools. All pools without any.
    type: list
    elements: str
  kubeconfig:
    description:
      - Path of a kubeconfig file, or several separated as in the environment variable E(KUBECONFIG).
      - Without it, the one that kubectl would use.
    type: str
    env:
      - name: K8S_AUTH_KUBECONFIG
    vars:
      - name: calico_ops_kubeconfig
  context:
    description: Name of the context in the kubeconfig; the current context by default.
    type: str
    env:
      - name: K8S_AUTH_CONTEXT
    vars:
      - name: calico_ops_context
  timeout:
    description: Seconds to wait for an answer.
    type: float
    default: 10
notes:
  - Calico's kinds behind the Kubernetes API are read, and not those that Calico keeps in an etcd of its own.
requirements:
  - kubernetes >= 31.0.0
seealso:
  - module: calico_ops.ipam.ippool_info
"""

EXAMPLES = r"""
- name: Nodes that the pool supports
  ansible.builtin.debug:
    msg: "{{ lookup('calico_ops.ipam.ippool', 'default-ipv4-ippool') | calico_ops.ipam.nodes_supported }}"

- name: Ranges of all pools
  ansible.builtin.debug:
    msg: "{{ query('calico_ops.ipam.ippool') | map(attribute='spec.cidr') | list }}"
"""

RETURN = r"""
_raw:
  description: The pools, in the order of the names that were given, else in order of name.
  type: list
  elements: dict
  contains:
    name:
      description: Name of the pool.
      type: str
    spec:
      description: The spec, in Calico's spelling.
      type: dict
    labels:
      description: Labels of the pool.
      type: dict
    annotations:
      description: Annotations of the pool.
      type: dict
"""

import typing as t
from contextlib import closing

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools, require


class LookupModule(LookupBase):
    def run(
        self, terms: t.Sequence[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        options = ConnectionOptions.from_params(
            {
                "kubeconfig": self.get_option("kubeconfig"),
                "context": self.get_option("context"),
                "request_timeout": self.get_option("timeout"),
            }
        )
        try:
            with closing(connect(options)) as api:
                pools = read_pools(calico_api(api))
            chosen = [require(pools, str(name)) for name in terms] if terms else pools
        except IpamError as error:
            raise AnsibleLookupError(f"calico_ops.ipam.ippool: {error.message}") from None
        return [pool.shown() for pool in chosen]
