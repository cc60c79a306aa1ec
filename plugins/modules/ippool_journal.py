#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_journal
short_description: Keep what a procedure must know to be resumed in the cluster
version_added: 0.1.0
description:
  - Writes the original definition of a pool and the request of a procedure into a ConfigMap named
    C(calico-ops-ipam-<pool>), before the procedure changes anything, and removes it at the end.
  - With it a procedure that was interrupted anywhere can be finished from anywhere.
  - Used by the P(calico_ops.ipam.change_block_size#role) and P(calico_ops.ipam.migrate_pool#role) roles.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
  - calico_ops.ipam._pool_fields.target
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - With V(present) the journal is written, unless it exists for the same request, and RV(journal) returned. The
        module fails when an unfinished procedure with another request holds the pool.
      - With V(absent) the journal is removed. The module fails while it holds the only definition of a deleted pool.
    type: str
    choices: [present, absent]
    default: present
  procedure:
    description: The procedure.
    type: str
    choices: [migrate_pool, change_block_size]
    required: true
  pool:
    description: Name of the pool that the procedure is about.
    type: str
    required: true
  block_size:
    description: The new block size, for O(procedure=change_block_size).
    type: int
    aliases: [blockSize]
  namespace:
    description: Namespace of the ConfigMap.
    type: str
    default: kube-system
seealso:
  - module: calico_ops.ipam.ippool_journal_info
"""

EXAMPLES = r"""
- name: Keep the pool's definition before its block size is changed
  calico_ops.ipam.ippool_journal:
    procedure: change_block_size
    pool: default-ipv4-ippool
    block_size: 28
    target:
      name: default-ipv4-ippool-temporary
      cidr: 198.51.100.0/24

- name: Remove the journal at the end
  calico_ops.ipam.ippool_journal:
    state: absent
    procedure: change_block_size
    pool: default-ipv4-ippool
"""

RETURN = r"""
journal:
  description: The journal, or null when there is none.
  returned: success
  type: dict
  contains:
    procedure:
      description: The procedure that is under way.
      returned: success
      type: str
    pool:
      description: Name of the pool that the procedure is about.
      returned: success
      type: str
    target:
      description: The pool that the pods move to, or the temporary pool.
      returned: success
      type: dict
    block_size:
      description: The new block size of a RV(journal.procedure=change_block_size).
      returned: success
      type: int
    definition:
      description: The pool as it was before the first change, with its C(spec), C(labels) and C(annotations).
      returned: success
      type: dict
    started:
      description: When the journal was written, in UTC.
      returned: success
      type: str
      sample: "2026-08-22T09:30:00Z"
    version:
      description: The version of this collection that wrote it.
      returned: success
      type: str
    phase:
      description: The same as RV(phase).
      returned: success
      type: str
phase:
  description:
    - How far the procedure came, from the journal and the pools as they are.
    - V(not_started) means that nothing was written down and nothing shows that the procedure was done.
    - V(moving_out) means that the pool is still there as recorded.
    - V(recreate) means that the pool is gone.
    - V(moving_back) means that the pool is there with its new block size.
    - V(done) means that the cluster is as wanted and that there is no journal.
  returned: success
  type: str
  sample: moving_out
steps:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import (
    ArgumentSpec,
    datastore_argspec,
    target_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    PROCEDURES,
    close_journal,
    journal_request,
    open_journal,
)


def operate(context: Context) -> dict[str, t.Any]:
    request = journal_request(context.params)
    require_writable(context.api)
    if context.params["state"] == "absent":
        outcome = close_journal(context.api, request, check_mode=context.check_mode)
    else:
        outcome = open_journal(context.api, request, SystemClock(), check_mode=context.check_mode)
    return {**outcome.as_result(), **outcome.plan.as_result()}


def main() -> None:
    own = ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "procedure": {"type": "str", "choices": list(PROCEDURES), "required": True},
            "pool": {"type": "str", "required": True},
            "block_size": {"type": "int", "aliases": ["blockSize"]},
            "namespace": {"type": "str", "default": "kube-system"},
        },
        required_if=(("state", "present", ("target",)),),
    )
    run(own.merge(target_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
