#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: cni_config_info
short_description: Look at the CNI configuration on a node
version_added: 0.2.0
author:
  - calico_ops contributors (@calico-ops)
description:
  - Reads the CNI configuration that a node has on its disk, and says which file is used, whether pods get their
    addresses from Calico IPAM, and which pools the file ties all pods of the node to.
  - What the cluster says of the CNI configuration, in a ConfigMap or in the operator's Installation, may have been
    changed without the nodes knowing. While the file of a single node still names a pool, no new pod starts there once
    the pool is disabled.
  - With O(gone), it also looks for routes into ranges of pools that are gone.
  - Runs on the nodes themselves, as root, and needs nothing there but Python. It asks no cluster.
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
options:
  path:
    description: The directory that the node's container runtime takes its CNI configuration from.
    type: path
    default: /etc/cni/net.d
  pools:
    description: Names and CIDRs of the pools that are going to be drained. What ties pods to them is a finding.
    type: list
    elements: str
    default: []
  gone:
    description:
      - CIDRs of pools that are deleted. Routes of the node into them are a finding.
      - Ranges that another pool has taken over do not belong here.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: See which pools the node ties its pods to
  calico_ops.ipam.cni_config_info:
    path: /etc/cni/net.d
    pools:
      - default-ipv4-ippool
      - 192.168.0.0/16
  register: node_cni

- name: Stop when a pool that is going to be disabled is among them
  ansible.builtin.assert:
    that: node_cni.findings | length == 0
    fail_msg: "{{ node_cni.findings | map(attribute='message') | join(' ') }}"

- name: Look for routes into the range of a pool that was deleted
  calico_ops.ipam.cni_config_info:
    path: /etc/cni/net.d
    gone:
      - 192.168.0.0/16
"""

RETURN = r"""
file:
  description: The path of the file that is used, the first one by name. Empty when there is none.
  returned: success
  type: str
  sample: /etc/cni/net.d/10-calico.conflist
calico:
  description: Whether the calico plugin is in that file.
  returned: success
  type: bool
ipam_type:
  description: What gives pods their addresses, V(calico-ipam) for Calico's pools.
  returned: success
  type: str
  sample: calico-ipam
ipv4_pools:
  description: The IPv4 pools the file ties all pods to, as names or CIDRs. Empty when Calico chooses.
  returned: success
  type: list
  elements: str
ipv6_pools:
  description: The same for IPv6.
  returned: success
  type: list
  elements: str
files:
  description: All files of the directory that are a configuration, in the order they would be used in.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The path of the file.
      returned: success
      type: str
    network:
      description: The name of its network.
      returned: success
      type: str
    plugins:
      description: The types of its plugins, in order.
      returned: success
      type: list
      elements: str
    calico:
      description: Whether the calico plugin is among them.
      returned: success
      type: bool
    ipam_type:
      description: What gives pods their addresses.
      returned: success
      type: str
    ipv4_pools:
      description: The IPv4 pools it ties pods to.
      returned: success
      type: list
      elements: str
    ipv6_pools:
      description: The IPv6 pools it ties pods to.
      returned: success
      type: list
      elements: str
    assign_ipv4:
      description: Whether pods get an IPv4 address. Null without the calico plugin.
      returned: success
      type: bool
    assign_ipv6:
      description: Whether pods get an IPv6 address. Null without the calico plugin.
      returned: success
      type: bool
routes:
  description: The routes into the ranges of O(gone).
  returned: success
  type: list
  elements: str
  sample: [blackhole 192.168.7.0/26]
findings:
  description:
    - What speaks against the change, in the form of M(calico_ops.ipam.ippool_preflight_info), with its ids
      V(calico-ipam-in-use) and V(cni-config-pins-pool), and V(stale-routes) for O(gone).
  returned: success
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_files import findings, read_cni_files
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.host_routes import (
    read_routes,
    routes_in,
    stale_routes,
    wanted_ranges,
)


def examine(path: str, pools: t.Sequence[str], gone: t.Sequence[str]) -> dict[str, t.Any]:
    """What the module returns; InvalidInput with the sentence it fails with."""
    ranges = wanted_ranges(gone)
    files = read_cni_files(path)
    routes = routes_in(read_routes(), ranges) if ranges else []
    shown = [file.as_result() for file in files]
    used = shown[0] if shown else {}
    return {
        "changed": False,
        "file": used.get("path", ""),
        "calico": used.get("calico", False),
        "ipam_type": used.get("ipam_type", ""),
        "ipv4_pools": used.get("ipv4_pools", []),
        "ipv6_pools": used.get("ipv6_pools", []),
        "files": shown,
        "routes": [str(route) for route in routes],
        "findings": [*findings(files, path, pools), *stale_routes(routes)],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/cni/net.d"},
            "pools": {"type": "list", "elements": "str", "default": []},
            "gone": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        result = examine(module.params["path"], module.params["pools"], module.params["gone"])
    except InvalidInput as error:
        module.fail_json(msg=error.message)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
