#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ip_reservation
short_description: Keep addresses from being handed out by Calico
version_added: 0.2.0
description:
  - Creates, changes or deletes one IPReservation. Automatic assignment never hands out an address that any reservation
    covers.
  - Addresses in use stay with their holders, and a pod that asks for a reserved address by annotation gets it. The
    module warns when reserved addresses are in use, when a range lies in no pool, and when nothing of a pool is left.
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
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the reservation.
    type: str
    required: true
  state:
    description:
      - With V(present) the reservation exists and reserves exactly O(reserved_cidrs).
      - With V(absent) the reservation does not exist. Its addresses can be handed out at once.
    type: str
    choices: [present, absent]
    default: present
  reserved_cidrs:
    description:
      - The ranges to reserve, IPv4 or IPv6. Ranges that are not listed are reserved no longer.
      - A bare address is written as C(/32) or C(/128). A CIDR with host bits is refused.
      - Required with O(state=present).
    type: list
    elements: str
    aliases: [reservedCIDRs, cidrs]
seealso:
  - module: calico_ops.ipam.ip_reservation_info
"""

EXAMPLES = r"""
- name: The first and the last addresses of a rack belong to its routers
  calico_ops.ipam.ip_reservation:
    name: rack-gateways
    reserved_cidrs:
      - 192.168.255.0/30
      - 192.168.255.252/30

- name: Give the last ones back
  calico_ops.ipam.ip_reservation:
    name: rack-gateways
    reserved_cidrs: [192.168.255.0/30]

- name: Reserve nothing any more
  calico_ops.ipam.ip_reservation:
    name: rack-gateways
    state: absent
"""

RETURN = r"""
reservation:
  description: The reservation as it is now, or would be in check mode. Null when it does not exist.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the reservation.
      returned: success
      type: str
      sample: rack-gateways
    spec:
      description: The reservation's specification in Calico's spelling.
      returned: success
      type: dict
      sample: {reservedCIDRs: [192.168.255.0/30]}
steps:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: What is done.
      returned: success
      type: str
      sample: update
    target:
      description: The object it is done to.
      returned: success
      type: str
    reason:
      description: Why it is needed.
      returned: success
      type: str
    undo:
      description: How to take it back. Null when nothing can.
      returned: success
      type: str
details:
  description: The facts behind the message of a failure, such as the field that is wrong.
  returned: failure
  type: dict
"""

import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import checked_reservation
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.reservations import (
    delete_reservation,
    ensure_reservation,
    shown_reservation,
)


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    present = params["state"] == "present"
    wanted = checked_reservation(params["name"], params["reserved_cidrs"]) if present else None
    with closing(context.stores(on_corrupt=lambda record: context.warn(record.message))) as stores:
        stores.require_writable()
        if wanted is not None:
            write = ensure_reservation(stores.configuration, stores.records, wanted, check_mode=context.check_mode)
        else:
            write = delete_reservation(stores.configuration, params["name"], check_mode=context.check_mode)
    for warning in write.plan.warnings:
        context.warn(warning)
    shown = None if write.reservation is None else shown_reservation(write.reservation)
    return {"reservation": shown, **write.plan.as_result()}


def main() -> None:
    own = ArgumentSpec(
        options={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "reserved_cidrs": {"type": "list", "elements": "str", "aliases": ["reservedCIDRs", "cidrs"]},
        },
        required_if=(("state", "present", ("reserved_cidrs",)),),
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
