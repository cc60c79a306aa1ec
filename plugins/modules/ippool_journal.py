#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_journal
short_description: Keep what a procedure must know to be resumed or undone in the cluster, and lock the cluster for it
version_added: 0.1.0
description:
  - Writes the original definition of a pool and the request of a procedure into a ConfigMap named
    C(calico-ops-ipam-<pool>), before the procedure changes anything, and removes it at the end.
  - With it a procedure that was interrupted anywhere can be finished, or undone, from anywhere.
  - It also takes the lock of the cluster, the Lease C(kube-system/calico-ops-ipam), which lets one run of one procedure
    work at a time, and gives it back at the end.
  - Used by the P(calico_ops.ipam.change_block_size#role) and P(calico_ops.ipam.migrate_pool#role) roles.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
  - calico_ops.ipam._pool_fields.target
  - calico_ops.ipam._run
attributes:
  check_mode:
    support: full
    details:
      - The lock is not taken in check mode. When another run has it, a warning says so.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - With V(present) the journal is written, unless it exists for the same request, and RV(journal) returned. What
        the other options say is noted in it. The module fails when an unfinished procedure with another request holds
        the pool.
      - With V(paused) the lock is given back and the journal stays, so that any machine can go on. RV(advice) says how.
        Of the other options only O(moved) is noted then, and only with O(run).
      - With V(absent) the journal is removed and the lock given back. The module fails while the journal holds the only
        definition of a deleted pool.
    type: str
    choices: [present, paused, absent]
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
  direction:
    description:
      - With V(rollback) the journal notes that the procedure is being undone, and from then on only undoing it can go
        on. O(target) and O(block_size) are not needed then. The module fails when it is too late, and says which
        commands lead back.
    type: str
    choices: [forward, rollback]
    default: forward
    version_added: 0.2.0
  waivers:
    description: Preflight checks that were waived, to be noted.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  keep_pool:
    description: Whether the old pool is to be kept at the end, to be noted.
    type: bool
    default: false
    version_added: 0.2.0
  stop_way:
    description: How the pool is kept from giving out addresses, to be noted before it is.
    type: str
    choices: [disabled, node_selector]
    version_added: 0.2.0
  moved:
    description:
      - Workloads that have moved, as RV(calico_ops.ipam.ippool_drain#module:workloads), to be noted.
      - With O(state=absent), those that have moved back, for the table at the end and RV(closed).
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
  options:
    description:
      - Variables of the role that this run was given, by their whole names, to be noted and repeated in RV(resume) and
        RV(undo). Those of an earlier run are forgotten, but not when it is undone.
      - Without this option what is noted stays as it is. 50000 characters at most.
    type: dict
    version_added: 0.2.0
  take_over:
    description:
      - Take the lock over from a run that is dead. It is only taken when nobody renewed it for a whole minute while
        this module watched.
      - Not needed when the dead run's process was on this machine, where the module sees that it is gone.
    type: bool
    default: false
    version_added: 0.2.0
  run_by:
    description:
      - The process that runs the procedure, on the control node. Filled in by the action plugin of this module.
      - Without it and without O(run) no lock is taken.
    type: dict
    version_added: 0.2.0
  called:
    description:
      - How C(ansible-playbook) was called, to be noted for the commands. Filled in by the action plugin of this module.
    type: dict
    version_added: 0.2.0
  ended:
    description:
      - Processes of the run that has the lock which were seen to have ended. Filled in by the action plugin of this
        module, which looks on the control node when the module itself runs elsewhere.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
  progress_file:
    description:
      - File to append a line to for each event.
      - Not needed on the control node, where the lines appear on the terminal as they come.
    type: path
    version_added: 0.2.0
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
  register: kept

- name: Write for this run only as long as it has the lock
  calico_ops.ipam.ippool:
    name: default-ipv4-ippool
    nat_outgoing: true
    run: "{{ kept.run }}"

- name: Remove the journal at the end
  calico_ops.ipam.ippool_journal:
    state: absent
    procedure: change_block_size
    pool: default-ipv4-ippool
    run: "{{ kept.run }}"
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
closed:
  description: The journal as it was when it was removed, in the form of RV(journal), or null when there was none.
  returned: with O(state=absent)
  type: dict
  version_added: 0.2.0
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
advice:
  description: How to go on, in one sentence with both commands; empty without a journal.
  returned: success
  type: str
move_back:
  description:
    - Commands that move the pods of some namespaces out of the target while the procedure is being undone, where the
      target was there before and stays. Empty otherwise.
  returned: success
  type: list
  elements: str
run:
  description:
    - The run, for the option O(calico_ops.ipam.ippool#module:run) of the tasks that follow.
    - Null when no lock was taken, as in check mode and when there is nothing to do.
  returned: success
  type: str
  sample: alice@laptop/3f9c2a1b
lines:
  description: What was said on the way, where there was no O(progress_file) for it, as on another machine.
  returned: success
  type: list
  elements: str
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
    run_argspec,
    target_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import PROCEDURES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import DIRECTIONS, STOP_WAYS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_run import JournalRun


def operate(context: Context) -> dict[str, t.Any]:
    if context.params["state"] == "present":
        require_writable(context.api)  # A run ends where it must not begin: its journal and its lock may always go.
    keep = JournalRun(
        context.api,
        context.unfenced,
        SystemClock(),
        context.params,
        warn=context.warn,
        report=context.report,
        check_mode=context.check_mode,
    )
    return {"present": keep.present, "paused": keep.paused, "absent": keep.absent}[context.params["state"]]()


def main() -> None:
    own = ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["present", "paused", "absent"], "default": "present"},
            "procedure": {"type": "str", "choices": list(PROCEDURES), "required": True},
            "pool": {"type": "str", "required": True},
            "block_size": {"type": "int", "aliases": ["blockSize"]},
            "namespace": {"type": "str", "default": "kube-system"},
            "direction": {"type": "str", "choices": list(DIRECTIONS), "default": "forward"},
            "waivers": {"type": "list", "elements": "str", "default": []},
            "keep_pool": {"type": "bool", "default": False},
            "stop_way": {"type": "str", "choices": list(STOP_WAYS)},
            "moved": {"type": "list", "elements": "dict", "default": []},
            "options": {"type": "dict"},
            "take_over": {"type": "bool", "default": False},
            "run_by": {"type": "dict"},
            "called": {"type": "dict"},
            "ended": {"type": "list", "elements": "dict", "default": []},
            "progress_file": {"type": "path"},
        },
    )
    run(own.merge(target_argspec(), run_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
