#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_report_info
short_description: Show tables of Calico IP pools, nodes and blocks on the terminal
version_added: 0.1.0
description:
  - Reads pools and blocks and renders them as text - a table of the pools, a table of what each node holds of them, and
    the blocks of each pool, one a line while they are few and as a map with one cell a block when they are many.
  - An action plugin of the same name prints the lines as they are, so that the tables line up.
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
    description: Show this pool only.
    type: str
seealso:
  - module: calico_ops.ipam.ippool_info
  - module: calico_ops.ipam.ipam_block_info
"""

EXAMPLES = r"""
- name: Show all pools
  calico_ops.ipam.ippool_report_info:

- name: Show one pool
  calico_ops.ipam.ippool_report_info:
    pool: default-ipv4-ippool
"""

RETURN = r"""
lines:
  description: The report as lines of text.
  returned: success
  type: list
  elements: str
  sample: ["POOL  CIDR             BLOCK  ENCAPSULATION", "web   198.51.100.0/24  /26    IPIP Always"]
damaged:
  description: >-
    IPAM records that cannot be read or that contradict themselves, by kind and name. Nothing is repaired. A block that
    can be read is shown with its figures all the same. The module warns of them, too.
  returned: success
  version_added: 0.2.0
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the record.
      returned: success
      type: str
      sample: IPAMBlock
    name:
      description: Name of the object.
      returned: success
      type: str
      sample: 198-51-100-64-26
    fault:
      description: What is wrong with it, as the end of a sentence that begins with kind and name.
      returned: success
      type: str
      sample: lists a free ordinal twice
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.damaged import (
    damage_lines,
    shown_damaged,
    warn_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import (
    block_rows,
    measured,
    pools_with_use,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools, require
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report import render
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store


def operate(context: Context) -> dict[str, t.Any]:
    name = context.params["pool"]
    store = open_store(context.api)
    pools, reservations = read_pools(context.api), store.reservations()
    if name is not None:
        require(pools, name)
    # Both tables come from one reading, so that they agree.
    faults: list[CorruptRecord] = []
    figures = list(measured(store.raw_blocks(), reservations, faults.append))
    damaged = shown_damaged(faults)
    warn_of(damaged, context.warn)
    use = pools_with_use(pools, figures, reservations, name=name)
    lines = render(use["pools"], block_rows(figures, pools, name), damage_lines(damaged))
    return {"changed": False, "lines": lines, "damaged": damaged}


def main() -> None:
    run(ArgumentSpec(options={"pool": {"type": "str"}}).merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
