#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_audit_info
short_description: Audit Calico's IPAM data against the cluster
version_added: 0.2.0
description:
  - Reads all blocks, block affinities and handles, then nodes, pods and Services, and returns whatever contradicts
    itself, the pools, or what runs in the cluster - leaked addresses, addresses in use that are not allocated, blocks
    of the wrong size, affinities without a block, and more.
  - Does what C(calicoctl ipam check) does, without its known wrong answers, and says what that command would count.
  - Everything that looks wrong is read a second time and reported only if it still is, so that the module can be run
    while pods come and go.
  - Writes nothing, and does not fail because of what it finds. Damaged records are findings, too.
  - An action plugin of the same name prints the report as lines of text.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
options:
  pool:
    description: Look at the range of this pool only. The module fails when it does not exist.
    type: str
  cidr:
    description: Look at the blocks that overlap this range only. Not together with O(pool).
    type: str
  checks:
    description:
      - Return findings of these checks only; RV(findings) names the check of each.
      - RV(leaked), RV(kept) and RV(summary) do not depend on it.
    type: list
    elements: str
    default: []
  severity:
    description: Leave out findings that are less severe than this.
    type: str
    choices: [error, warning, note]
    default: note
seealso:
  - module: calico_ops.ipam.ipam_block_info
  - module: calico_ops.ipam.ipam_release
  - module: calico_ops.ipam.ipam_range
"""

EXAMPLES = r"""
- name: Audit the whole cluster
  calico_ops.ipam.ipam_audit_info:
  register: audit

- name: Stop when the data are not in order
  ansible.builtin.assert:
    that: audit.summary.severities.error == 0

- name: What is leaked for certain in one pool
  calico_ops.ipam.ipam_audit_info:
    pool: default-ipv4-ippool
    checks: [leaked-address]
    severity: warning
  register: leaks

- name: Show the addresses
  ansible.builtin.debug:
    msg: "{{ leaks.leaked | selectattr('certainty', 'eq', 'certain') | map(attribute='address') }}"
"""

RETURN = r"""
findings:
  description: What was found, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Names the fault; the same fault has the same id in the next audit.
      returned: success
      type: str
      sample: leaked-address/198.51.100.7
    check:
      description: The check that found it.
      returned: success
      type: str
      sample: leaked-address
    severity:
      description: >-
        V(error) means that addresses can be given out twice or records cannot be used, V(warning) that something is
        left over or lost, V(note) that something is unusual, or passes by itself.
      returned: success
      type: str
    message:
      description: What was found, in one sentence.
      returned: success
      type: str
    objects:
      description: The objects that are concerned, kind and name.
      returned: success
      type: list
      elements: str
      sample: [IPAMBlock 198-51-100-0-26]
    remedy:
      description: What to do about it.
      returned: success
      type: str
    data:
      description: The figures behind the message; they depend on the check.
      returned: success
      type: dict
leaked:
  description: Addresses that nobody uses any more.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address.
      returned: success
      type: str
    block:
      description: CIDR of the block that it is allocated in.
      returned: success
      type: str
    handle:
      description: IPAM handle of the allocation, or null.
      returned: success
      type: str
    sequence:
      description: >-
        Sequence number of the allocation, as decimal digits. It changes when the address is given out anew, and is too
        large for many programs that read JSON.
      returned: success
      type: str
      sample: "1787217245204418101"
    kind:
      description: What the holder was - V(pod), V(tunnel), V(ipv6_tunnel), V(loadbalancer) or V(vm).
      returned: success
      type: str
    certainty:
      description: >-
        V(certain) when nothing uses it, V(likely) when one sign is missing, V(possible) when the reason may be that
        something is on its way or that a node cannot be asked.
      returned: success
      type: str
    reason:
      description: Why it is regarded as leaked, a few words.
      returned: success
      type: str
      sample: its pod is gone
    namespace:
      description: Namespace of the holder, or null.
      returned: success
      type: str
    name:
      description: Name of the pod, virtual machine or Service, or type of the tunnel address, or null.
      returned: success
      type: str
    pod:
      description: Name of the pod, or null.
      returned: success
      type: str
    node:
      description: Node that the address was used on, or null.
      returned: success
      type: str
kept:
  description: >-
    Addresses that C(calicoctl ipam check) calls leaked and that must not be released, because they are in use or cannot
    be judged. The members are those of RV(leaked), with a certainty of V(never).
  returned: success
  type: list
  elements: dict
summary:
  description: >-
    How many findings there are by check and by severity, addresses by kind and certainty, blocks, affinities, handles,
    and the use of each pool.
  returned: success
  type: dict
calicoctl:
  description: What C(calicoctl ipam check) counts in the same data, to hold both outputs against each other.
  returned: success
  type: dict
  contains:
    problems:
      description: The number that it ends with.
      returned: success
      type: int
    leaked:
      description: Addresses it calls leaked.
      returned: success
      type: int
    in_use_outside_pools:
      description: Addresses in use that are neither allocated nor in an enabled pool.
      returned: success
      type: int
    in_use_not_allocated:
      description: Addresses in use in an enabled pool that are not allocated.
      returned: success
      type: int
    handles_without_addresses:
      description: Handles without an allocation.
      returned: success
      type: int
    invalid_blocks:
      description: Blocks with a fault that it knows.
      returned: success
      type: int
    wrongly_leaked:
      description: Ids of the addresses that it calls leaked and that are in RV(kept).
      returned: success
      type: list
      elements: str
    not_checked:
      description: Checks with findings that it does not make.
      returned: success
      type: list
      elements: str
taken:
  description: When the audit began, RFC 3339 in UTC.
  returned: success
  type: str
  sample: "2026-08-20T09:14:05Z"
cluster:
  description: Identity of the cluster, the GUID in ClusterInformation or the uid of the namespace kube-system.
  returned: success
  type: str
datastore_locked:
  description: Whether Calico's datastore is locked.
  returned: success
  type: bool
lines:
  description: All of it as lines of text.
  returned: success
  type: list
  elements: str
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit import SEVERITIES, audit, audit_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_etcd_records import records_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    with closing(context.stores()) as stores:
        stores.require_readable()
        pools = read_pools(stores.api)
        result = audit(
            stores.api,
            records_of(stores),
            engine_pools(pools),
            SystemClock(),
            within=audit_range(pools, params["pool"], params["cidr"]),
            checks=params["checks"],
            severity=params["severity"],
        )
    return {"changed": False, **result}


def main() -> None:
    own = ArgumentSpec(
        options={
            "pool": {"type": "str"},
            "cidr": {"type": "str"},
            "checks": {"type": "list", "elements": "str", "default": []},
            "severity": {"type": "str", "choices": list(SEVERITIES), "default": "note"},
        },
        mutually_exclusive=(("pool", "cidr"),),
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
