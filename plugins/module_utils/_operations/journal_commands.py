# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The commands that finish a procedure or undo it, from what its journal says and how the last run was called.

A run of one of our playbooks is repeated by its values, which any machine has in the journal. One of Kubespray's
playbook, or of somebody's own, is called again as it was: what it needs is in its inventory.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import (
    Call,
    Connection,
    module_command,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    MIGRATE,
    NODE_SELECTOR,
    NOWHERE,
    RESIZE,
    ROLLBACK,
    Journal,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped

# What the preflight is told, which undoing has none of.
ONLY_FORWARD = ("external_ranges", "more_nodes")
# Modes of the role kubespray.
UNDO_MODE = "rollback"
MODES = {MIGRATE: "migrate", RESIZE: "change_block_size"}


def resume_command(journal: Journal, connection: Connection | None = None) -> str:
    """The command that goes on where the last run stopped; while a journal is being undone, the one that undoes it."""
    if journal.direction == ROLLBACK:
        return undo_command(journal, connection)
    return forward_command(journal, connection)


def forward_command(journal: Journal, connection: Connection | None = None) -> str:
    """The command of the last run, and that finishes the procedure."""
    call = Call.from_dict(journal.call)
    if call.is_kubespray or call.is_foreign:
        return call.again()
    variables: dict[str, t.Any]
    if journal.procedure == MIGRATE:
        variables = {"migrate_pool_from": journal.pool, "migrate_pool_to": dict(journal.target)}
        if journal.keep_pool:
            variables["migrate_pool_delete_old"] = False
    else:
        variables = {
            "change_block_size_pool": journal.pool,
            "change_block_size_block_size": journal.block_size,
            "change_block_size_temporary_cidr": journal.target.get("cidr"),
        }
        if journal.target.get("name") != f"{journal.pool}-temporary":
            variables["change_block_size_temporary_name"] = journal.target.get("name")
        if journal.target.get("block_size") not in (None, journal.block_size):
            variables["change_block_size_temporary_block_size"] = journal.target["block_size"]
    if journal.waivers:
        variables[f"{journal.procedure}_waivers"] = list(journal.waivers)
    return call.of_ours(journal.procedure, {**variables, **journal.options}, connection or Connection())


def undo_command(journal: Journal, connection: Connection | None = None) -> str:
    """The command that undoes a procedure; everything else it needs is in the journal."""
    procedure, call = journal.procedure, Call.from_dict(journal.call)
    if call.is_kubespray:
        # It finds the pools by the inventory: both families, which move together.
        return call.again(kubespray_mode=UNDO_MODE)
    variable = "migrate_pool_from" if procedure == MIGRATE else "change_block_size_pool"
    options = {
        name: value
        for name, value in journal.options.items()
        if name not in (f"{procedure}_{each}" for each in ONLY_FORWARD)
    }
    return call.of_ours(f"{procedure}_rollback", {variable: journal.pool, **options}, connection or Connection())


def back_command(journal: Journal, connection: Connection | None = None) -> str:
    """The command that makes the opposite of a finished procedure, when undoing it is no longer possible."""
    spec, call = journal.definition["spec"], Call.from_dict(journal.call)
    old = {"name": journal.pool, "cidr": spec.get("cidr"), "block_size": spec.get("blockSize")}
    size = {"block_size": spec.get("blockSize"), "temporary_cidr": journal.target.get("cidr")}
    if call.is_kubespray:
        target = "kubespray_target_ipv6" if ":" in str(spec.get("cidr")) else "kubespray_target"
        wanted = old if journal.procedure == MIGRATE else size
        return call.again(kubespray_mode=MODES[journal.procedure], **{target: wanted})
    variables: dict[str, t.Any]
    if journal.procedure == RESIZE:
        variables = {f"{RESIZE}_pool": journal.pool, **{f"{RESIZE}_{name}": value for name, value in size.items()}}
    else:
        variables = {"migrate_pool_from": journal.target.get("name"), "migrate_pool_to": old}
    return call.of_ours(journal.procedure, {**variables, **journal.options}, connection or Connection())


def move_back_commands(journal: Journal, connection: Connection | None = None) -> list[str]:
    """What moves pods out of a target that was there before, namespace by namespace, while it is being undone.

    It is stopped, drained of those namespaces and as it was. None where the target goes.
    """
    if journal.direction != ROLLBACK or journal.target_definition is None:
        return []
    connection, name = connection or Connection(), str(journal.target.get("name"))
    spec = journal.target_definition["spec"]
    owners = [str(each.get("owner")).partition(" ")[2] for each in journal.moved if not each.get("back")]
    namespaces = sorted({owner.partition("/")[0] for owner in owners if "/" in owner}) or ["NAMESPACE"]
    drain = module_command("ippool_drain", {"pool": name, "namespaces": ",".join(namespaces)}, connection)
    if is_stopped(spec):
        return [drain]
    if journal.stop_way == NODE_SELECTOR:
        stop, again = {"node_selector": NOWHERE}, {"node_selector": spec.get("nodeSelector") or "all()"}
    else:
        stop, again = {"disabled": "true"}, {"disabled": "false"}
    return [
        module_command("ippool", {"name": name, **stop}, connection),
        drain,
        module_command("ippool", {"name": name, **again}, connection),
    ]
