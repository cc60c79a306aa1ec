# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection calico_ops.ipam.

"""The fields of an IP pool: as options of a module, and as the options of a pool inside an option.

Mirror of ``pool_fields_argspec``, ``target_argspec`` and ``pools_argspec`` in ``_argspec.py``. The three texts are
written out because ansible-test reads them without running this file; a test compares them.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cidr:
    description:
      - Address range of the pool, such as V(198.51.100.0/24) or V(2001:db8:5::/48).
      - Cannot be changed once the pool exists.
    type: str
  block_size:
    description:
      - Prefix length of the blocks that nodes take from the pool, 20 to 32 for IPv4 and 116 to 128 for IPv6.
      - A new pool gets 26 for IPv4 and 122 for IPv6 when this is not given.
      - Cannot be changed once the pool exists; use the P(calico_ops.ipam.change_block_size#role) role.
    type: int
    aliases: [blockSize]
  ipip_mode:
    description: When traffic to addresses of the pool is wrapped in IP-in-IP. IPv6 pools take V(Never) only.
    type: str
    choices: [Never, Always, CrossSubnet]
    aliases: [ipipMode]
  vxlan_mode:
    description: When traffic to addresses of the pool is wrapped in VXLAN.
    type: str
    choices: [Never, Always, CrossSubnet]
    aliases: [vxlanMode]
  nat_outgoing:
    description: Whether traffic from the pool to addresses outside all pools is masqueraded.
    type: bool
    aliases: [natOutgoing]
  disabled:
    description:
      - Whether Calico stops giving out addresses of the pool. Addresses that are in use stay as they are.
    type: bool
  disable_bgp_export:
    description: Whether routes to the pool are kept from BGP peers.
    type: bool
    aliases: [disableBGPExport]
  node_selector:
    description: Selector of the nodes that may take blocks from the pool; V(all(\)) is every node.
    type: str
    aliases: [nodeSelector]
  namespace_selector:
    description:
      - Selector of the namespaces whose pods may get addresses of the pool. Empty means every namespace.
      - Needs an O(allowed_uses) without V(Tunnel).
    type: str
    aliases: [namespaceSelector]
  allowed_uses:
    description: What the addresses are for. V(LoadBalancer) stands alone.
    type: list
    elements: str
    choices: [Workload, Tunnel, LoadBalancer]
    aliases: [allowedUses]
  assignment_mode:
    description: Whether the pool is used without being asked for (V(Automatic)) or only when it is (V(Manual)).
    type: str
    choices: [Automatic, Manual]
    aliases: [assignmentMode]

  labels:
    description: Labels to set on the pool. Others stay; one that is null is removed.
    type: dict
  annotations:
    description: Annotations to set on the pool. Others stay; one that is null is removed.
    type: dict
"""

    TARGET = r"""
options:
  target:
    description: The pool that the pods move to, with the options of the M(calico_ops.ipam.ippool) module.
    type: dict
    suboptions:
      name:
        description: Name of the pool.
        type: str
        required: true

      cidr:
        description:
          - Address range of the pool, such as V(198.51.100.0/24) or V(2001:db8:5::/48).
          - Cannot be changed once the pool exists.
        type: str
      block_size:
        description:
          - Prefix length of the blocks that nodes take from the pool, 20 to 32 for IPv4 and 116 to 128 for IPv6.
          - A new pool gets 26 for IPv4 and 122 for IPv6 when this is not given.
          - Cannot be changed once the pool exists; use the P(calico_ops.ipam.change_block_size#role) role.
        type: int
        aliases: [blockSize]
      ipip_mode:
        description: When traffic to addresses of the pool is wrapped in IP-in-IP. IPv6 pools take V(Never) only.
        type: str
        choices: [Never, Always, CrossSubnet]
        aliases: [ipipMode]
      vxlan_mode:
        description: When traffic to addresses of the pool is wrapped in VXLAN.
        type: str
        choices: [Never, Always, CrossSubnet]
        aliases: [vxlanMode]
      nat_outgoing:
        description: Whether traffic from the pool to addresses outside all pools is masqueraded.
        type: bool
        aliases: [natOutgoing]
      disabled:
        description:
          - Whether Calico stops giving out addresses of the pool. Addresses that are in use stay as they are.
        type: bool
      disable_bgp_export:
        description: Whether routes to the pool are kept from BGP peers.
        type: bool
        aliases: [disableBGPExport]
      node_selector:
        description: Selector of the nodes that may take blocks from the pool; V(all(\)) is every node.
        type: str
        aliases: [nodeSelector]
      namespace_selector:
        description:
          - Selector of the namespaces whose pods may get addresses of the pool. Empty means every namespace.
          - Needs an O(target.allowed_uses) without V(Tunnel).
        type: str
        aliases: [namespaceSelector]
      allowed_uses:
        description: What the addresses are for. V(LoadBalancer) stands alone.
        type: list
        elements: str
        choices: [Workload, Tunnel, LoadBalancer]
        aliases: [allowedUses]
      assignment_mode:
        description: Whether the pool is used without being asked for (V(Automatic)) or only when it is (V(Manual)).
        type: str
        choices: [Automatic, Manual]
        aliases: [assignmentMode]

      labels:
        description: Labels to set on the pool. Others stay; one that is null is removed.
        type: dict
      annotations:
        description: Annotations to set on the pool. Others stay; one that is null is removed.
        type: dict
"""

    POOLS = r"""
options:
  pools:
    description: The pools that are declared, with the options of the M(calico_ops.ipam.ippool) module.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the pool.
        type: str
        required: true

      state:
        description: Whether the pool is to exist.
        type: str
        choices: [present, absent]
        default: present

      cidr:
        description:
          - Address range of the pool, such as V(198.51.100.0/24) or V(2001:db8:5::/48).
          - Cannot be changed once the pool exists.
        type: str
      block_size:
        description:
          - Prefix length of the blocks that nodes take from the pool, 20 to 32 for IPv4 and 116 to 128 for IPv6.
          - A new pool gets 26 for IPv4 and 122 for IPv6 when this is not given.
          - Cannot be changed once the pool exists; use the P(calico_ops.ipam.change_block_size#role) role.
        type: int
        aliases: [blockSize]
      ipip_mode:
        description: When traffic to addresses of the pool is wrapped in IP-in-IP. IPv6 pools take V(Never) only.
        type: str
        choices: [Never, Always, CrossSubnet]
        aliases: [ipipMode]
      vxlan_mode:
        description: When traffic to addresses of the pool is wrapped in VXLAN.
        type: str
        choices: [Never, Always, CrossSubnet]
        aliases: [vxlanMode]
      nat_outgoing:
        description: Whether traffic from the pool to addresses outside all pools is masqueraded.
        type: bool
        aliases: [natOutgoing]
      disabled:
        description:
          - Whether Calico stops giving out addresses of the pool. Addresses that are in use stay as they are.
        type: bool
      disable_bgp_export:
        description: Whether routes to the pool are kept from BGP peers.
        type: bool
        aliases: [disableBGPExport]
      node_selector:
        description: Selector of the nodes that may take blocks from the pool; V(all(\)) is every node.
        type: str
        aliases: [nodeSelector]
      namespace_selector:
        description:
          - Selector of the namespaces whose pods may get addresses of the pool. Empty means every namespace.
          - Needs an O(pools[].allowed_uses) without V(Tunnel).
        type: str
        aliases: [namespaceSelector]
      allowed_uses:
        description: What the addresses are for. V(LoadBalancer) stands alone.
        type: list
        elements: str
        choices: [Workload, Tunnel, LoadBalancer]
        aliases: [allowedUses]
      assignment_mode:
        description: Whether the pool is used without being asked for (V(Automatic)) or only when it is (V(Manual)).
        type: str
        choices: [Automatic, Manual]
        aliases: [assignmentMode]

      labels:
        description: Labels to set on the pool. Others stay; one that is null is removed.
        type: dict
      annotations:
        description: Annotations to set on the pool. Others stay; one that is null is removed.
        type: dict
"""
