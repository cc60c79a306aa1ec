#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_journal_info
short_description: Tell how far a procedure on a pool came
version_added: 0.1.0
description:
  - Reads the journal that M(calico_ops.ipam.ippool_journal) keeps in the cluster, compares it with the pools as they
    are, and tells where an interrupted procedure has to go on.
  - Without O(target) and O(block_size) it tells about whatever was begun on the pool.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.info_module
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
  - calico_ops.ipam._pool_fields.target
options:
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
  - module: calico_ops.ipam.ippool_journal
"""

EXAMPLES = r"""
- name: How far did the change of the block size come
  calico_ops.ipam.ippool_journal_info:
    procedure: change_block_size
    pool: default-ipv4-ippool
    block_size: 28
    target:
      name: default-ipv4-ippool-temporary
      cidr: 198.51.100.0/24
  register: before

- name: Show it
  ansible.builtin.debug:
    var: before.phase
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
    format:
      description: The format in which the journal is stored.
      returned: success
      type: int
      sample: 2
    target_definition:
      description: The target as it was before, or null when the procedure made it.
      returned: success
      type: dict
    direction:
      description: V(forward), or V(rollback) when the procedure is being undone.
      returned: success
      type: str
    stop_way:
      description: How the pool is kept from giving out addresses, V(disabled) or V(node_selector).
      returned: success
      type: str
    keep_pool:
      description: Whether the old pool is to be kept at the end.
      returned: success
      type: bool
    waivers:
      description: Preflight checks that were waived.
      returned: success
      type: list
      elements: str
    phases:
      description: When each phase was first noted, in UTC.
      returned: success
      type: dict
      sample: {moving_out: "2026-08-22T09:30:00Z"}
    runs:
      description: The runs that have worked on it, with their time and direction.
      returned: success
      type: list
      elements: dict
    moved:
      description: The workloads that were moved, as far as they were noted.
      returned: success
      type: list
      elements: dict
    moved_pods:
      description: The number of their pods.
      returned: success
      type: int
    options:
      description: The other variables that the last run of the role was given, as the commands repeat them.
      returned: success
      type: dict
      sample: {migrate_pool_consent: [bare_pods]}
    call:
      description:
        - How C(ansible-playbook) was called by the last run, as the commands repeat it; of what may be a secret, the
          name only.
      returned: success
      type: dict
      sample: {inventory: [/home/ann/fleet.yml], host: east}
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
    - V(undoing) means that the pool is there as recorded and that the procedure is being undone.
    - V(done) means that the cluster is as wanted and that there is no journal.
  returned: success
  type: str
  sample: moving_out
resume:
  description: The command that goes on where the procedure stopped; empty without a journal.
  returned: success
  type: str
  sample: ansible-playbook calico_ops.ipam.migrate_pool_rollback -e migrate_pool_from=default-ipv4-ippool
undo:
  description: The command that undoes it; empty without a journal, and when it is too late.
  returned: success
  type: str
  sample: ansible-playbook calico_ops.ipam.migrate_pool_rollback -e migrate_pool_from=default-ipv4-ippool
back:
  description: The command that leads back once the procedure is finished, when it is too late to undo it; else empty.
  returned: success
  type: str
  sample: ""
lock:
  description: Who has the lock of the cluster, in one sentence; empty when nobody has it.
  returned: success
  type: str
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import (
    ArgumentSpec,
    datastore_argspec,
    target_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    PROCEDURES,
    journal_request,
    look,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import connection_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_run import lock_sentence


def operate(context: Context) -> dict[str, t.Any]:
    outcome = look(context.api, journal_request(context.params), connection_of(context.params))
    return {"changed": False, **outcome.as_result(), "lock": lock_sentence(context.unfenced)}


def main() -> None:
    own = ArgumentSpec(
        options={
            "procedure": {"type": "str", "choices": list(PROCEDURES), "required": True},
            "pool": {"type": "str", "required": True},
            "block_size": {"type": "int", "aliases": ["blockSize"]},
            "namespace": {"type": "str", "default": "kube-system"},
        }
    )
    run(own.merge(target_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
