#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipam_release
short_description: Release leaked addresses of Calico IPAM
version_added: 0.2.0
description:
  - Frees addresses that are allocated to something that is gone. They are given as the result of
    M(calico_ops.ipam.ipam_audit_info), one by one, or by their handles.
  - An address is released only if it is leaked in two observations that lie O(interval) seconds apart, under the same
    handle and the same sequence number, so that an address that was handed out anew in between is never touched. The
    judgement is that of M(calico_ops.ipam.ipam_audit_info).
  - Right before each write the pod, node, Service or virtual machine is asked for once more, and the write itself fails
    when the address has another handle or sequence number by then.
  - The addresses of one handle are released together or not at all.
  - An address that something uses is never released, and no option changes that. What is kept is returned with the
    reason. It is not a failure, but a warning when it was named in O(addresses) or O(handles).
  - Calico itself releases leaked addresses of pods after its grace period of 15 minutes. RV(notes) says so when it is
    able to.
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
    details:
      - Nothing is waited for in check mode. RV(released) is what one look shows, or with O(audit) the second look taken
        at once; RV(confirm_in) is how many seconds later everything would be looked at again.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  audit:
    description:
      - A result of M(calico_ops.ipam.ipam_audit_info), which is the first of the two observations, so that only the
        rest of O(interval) is waited for.
      - Releases what it calls leaked, and deletes the handles that it found to hold no address.
      - Only addresses of pods are released this way. Tunnels, Services, virtual machines and unknown holders have to be
        named in O(addresses).
      - Pass it on as it is. Sequence numbers are text in it, since they are too large for many programs.
    type: dict
  addresses:
    description: Addresses to release one by one.
    type: list
    elements: dict
    suboptions:
      address:
        description: The address.
        type: str
        required: true
      kind:
        description:
          - What holds it, which has to be what is recorded. It is asked for so that nothing but pods is ever released
            by mistake.
          - With V(tunnel) and V(ipv6_tunnel) the node must be gone, or use another address on that device. A node that
            still used the address would lose its traffic to other nodes as soon as a pod is given the same one; the
            address of a device in use is therefore refused.
          - With V(loadbalancer) the Service must be gone, or have other addresses.
          - With V(vm) the virtual machine must be gone. A machine that is stopped keeps its address.
          - With V(unknown) nothing says who holds it. It is refused when a pod, a node or a Service shows it, but
            something else may still use it, so look on the nodes first.
        type: str
        choices: [pod, tunnel, ipv6_tunnel, loadbalancer, vm, unknown]
        default: pod
  handles:
    description:
      - Handles to release the addresses of, for example of a pod that is gone.
      - The record of a handle that holds no address is deleted when it has not changed between the two observations.
      - Only addresses of pods are released this way.
    type: list
    elements: str
  certainty:
    description:
      - How sure it must be that an address is leaked, as RV(calico_ops.ipam.ipam_audit_info#module:leaked[].certainty)
        tells.
      - V(possible) reaches only what is named in O(addresses), for example the tunnel of a node that has no such device
        any more. Other addresses must be V(likely) at least.
    type: str
    choices: [certain, likely, possible]
    default: certain
  interval:
    description:
      - How many seconds lie between the two observations.
      - A pod may be about to report the address it was just given, so this must be longer than that takes.
    type: int
    default: 300
  progress_file:
    description:
      - File to append a line to for each event.
      - Not needed on the control node, where the lines appear on the terminal as they come.
    type: path
seealso:
  - module: calico_ops.ipam.ipam_audit_info
  - module: calico_ops.ipam.ipam_range
"""

EXAMPLES = r"""
- name: What is leaked?
  calico_ops.ipam.ipam_audit_info:
  register: audit

- name: See what would be released
  calico_ops.ipam.ipam_release:
    audit: "{{ audit }}"
  check_mode: true

- name: Release it, if it is still leaked five minutes after the audit
  calico_ops.ipam.ipam_release:
    audit: "{{ audit }}"
    interval: 300
  when: audit.leaked | length > 0

- name: Release the tunnel address of a node that is gone
  calico_ops.ipam.ipam_release:
    addresses:
      - address: 198.51.100.7
        kind: tunnel

- name: Release whatever a pod that is gone has left
  calico_ops.ipam.ipam_release:
    handles: [k8s-pod-network.9d1e44b0c7]
"""

RETURN = r"""
released:
  description: The addresses that were released, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address.
      returned: success
      type: str
      sample: 198.51.100.7
    handle:
      description: Its handle. Null when it had none.
      returned: success
      type: str
    sequence:
      description: Its sequence number in decimal digits.
      returned: success
      type: str
      sample: "1787217245204418101"
    kind:
      description: What held it.
      returned: success
      type: str
      sample: pod
    namespace:
      description: Namespace of the holder, or null.
      returned: success
      type: str
    name:
      description: Name of the holder, or null.
      returned: success
      type: str
    node:
      description: Node of the holder, or null.
      returned: success
      type: str
    reason:
      description: Why it was regarded as leaked.
      returned: success
      type: str
      sample: its pod is gone
kept:
  description: Addresses and handles that were asked for and are left as they are.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address. Null for a handle.
      returned: success
      type: str
    handle:
      description: Its handle, or null.
      returned: success
      type: str
    reason:
      description: Why it is kept.
      returned: success
      type: str
      sample: it is in use by pod shop/web-0
handles_deleted:
  description: Handles whose records were deleted because they held no address, or would be in check mode.
  returned: success
  type: list
  elements: str
notes:
  description: What is worth knowing before anything is released.
  returned: success
  type: list
  elements: str
confirm_in:
  description: In check mode, how many seconds later everything would be looked at again. Otherwise 0.
  returned: success
  type: int
details:
  description: >-
    The facts behind the message of a failure. When the connection was lost on the way, the addresses that had been
    released by then.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_addresses import release_leaked
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_request import KINDS, wanted_of

MOST_WARNINGS = 20


def operate(context: Context) -> dict[str, t.Any]:
    wanted = wanted_of(context.params)
    with closing(context.stores()) as stores:
        stores.require_writable()
        released = release_leaked(
            stores.api,
            stores.records,
            wanted,
            clock=SystemClock(),
            report=context.report,
            check_mode=context.check_mode,
        )
    if wanted.audit is None:
        # Whoever names an address expects it to go.
        for refusal in released.refusals()[:MOST_WARNINGS]:
            context.warn(refusal)
    return released.as_result()


def main() -> None:
    own = ArgumentSpec(
        options={
            "audit": {"type": "dict"},
            "addresses": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "address": {"type": "str", "required": True},
                    "kind": {"type": "str", "choices": list(KINDS), "default": "pod"},
                },
            },
            "handles": {"type": "list", "elements": "str"},
            "certainty": {"type": "str", "choices": ["certain", "likely", "possible"], "default": "certain"},
            "interval": {"type": "int", "default": 300},
            "progress_file": {"type": "path"},
        },
        mutually_exclusive=(("audit", "addresses", "handles"),),
        required_one_of=(("audit", "addresses", "handles"),),
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
