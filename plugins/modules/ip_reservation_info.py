#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ip_reservation_info
short_description: Show the addresses that Calico does not hand out
version_added: 0.2.0
description:
  - Returns the IPReservations of a cluster with the pools they touch and the number of their addresses in use.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
options:
  name:
    description: Return this reservation only; nothing when it does not exist.
    type: str
seealso:
  - module: calico_ops.ipam.ip_reservation
"""

EXAMPLES = r"""
- name: All reservations
  calico_ops.ipam.ip_reservation_info:
  register: reserved

- name: Reserved addresses that somebody holds all the same
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.in_use }} of {{ item.addresses }}"
  loop: "{{ reserved.reservations }}"
  loop_control:
    label: "{{ item.name }}"
  when: item.in_use > 0
"""

RETURN = r"""
reservations:
  description: The reservations in order of name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the reservation.
      returned: success
      type: str
      sample: rack-gateways
    spec:
      description: The reservation's specification as it is stored.
      returned: success
      type: dict
      sample: {reservedCIDRs: [192.168.255.0/30]}
    addresses:
      description: How many addresses it reserves.
      returned: success
      type: int
      sample: 4
    in_use:
      description: How many of them somebody holds.
      returned: success
      type: int
    pools:
      description: Names of the pools it touches.
      returned: success
      type: list
      elements: str
      sample: [default-ipv4-ippool]
    ignored:
      description: Entries that are no CIDR and no address. Calico ignores them.
      returned: success
      type: list
      elements: str
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.reservations import reservations_info


def operate(context: Context) -> dict[str, t.Any]:
    with closing(context.stores(on_corrupt=lambda record: context.warn(record.message))) as stores:
        stores.require_readable()
        found = reservations_info(stores.configuration, stores.records, context.params["name"])
    return {"changed": False, "reservations": found}


def main() -> None:
    run(ArgumentSpec(options={"name": {"type": "str"}}).merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
