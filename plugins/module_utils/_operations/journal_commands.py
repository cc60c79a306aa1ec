# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The commands that finish a procedure or undo it, from what its journal says."""

from __future__ import annotations

import json
import re
import shlex
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    MIGRATE,
    RESIZE,
    ROLLBACK,
    Journal,
)

COLLECTION = "calico_ops.ipam"
# What the preflight is told, which undoing has none of.
ONLY_FORWARD = ("external_ranges", "more_nodes")
# A value that Ansible reads as it stands on the command line.
_PLAIN = re.compile(r"[A-Za-z0-9._:/-]+")


def resume_command(journal: Journal, connection: t.Mapping[str, str] | None = None) -> str:
    """The command that goes on where the last run stopped; while a journal is being undone, the one that undoes it."""
    if journal.direction == ROLLBACK:
        return undo_command(journal, connection)
    return forward_command(journal, connection)


def forward_command(journal: Journal, connection: t.Mapping[str, str] | None = None) -> str:
    """The command of the last run, and that finishes the procedure."""
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
    return _command(journal.procedure, {**variables, **journal.options}, connection)


def undo_command(journal: Journal, connection: t.Mapping[str, str] | None = None) -> str:
    """The command that undoes a procedure; everything else it needs is in the journal."""
    procedure = journal.procedure
    variable = "migrate_pool_from" if procedure == MIGRATE else "change_block_size_pool"
    options = {
        name: value
        for name, value in journal.options.items()
        if name not in (f"{procedure}_{each}" for each in ONLY_FORWARD)
    }
    return _command(f"{procedure}_rollback", {variable: journal.pool, **options}, connection)


def back_command(journal: Journal, connection: t.Mapping[str, str] | None = None) -> str:
    """The command that makes the opposite of a finished procedure, when undoing it is no longer possible."""
    spec = journal.definition["spec"]
    variables: dict[str, t.Any]
    if journal.procedure == RESIZE:
        variables = {
            "change_block_size_pool": journal.pool,
            "change_block_size_block_size": spec.get("blockSize"),
            "change_block_size_temporary_cidr": journal.target.get("cidr"),
        }
    else:
        old = {"name": journal.pool, "cidr": spec.get("cidr"), "block_size": spec.get("blockSize")}
        variables = {"migrate_pool_from": journal.target.get("name"), "migrate_pool_to": old}
    return _command(journal.procedure, {**variables, **journal.options}, connection)


def _command(playbook: str, variables: t.Mapping[str, t.Any], connection: t.Mapping[str, str] | None) -> str:
    given = {**variables, **(connection or {})}
    words = ["ansible-playbook", f"{COLLECTION}.{playbook}"]
    words += [f"-e {name}={value}" for name, value in given.items() if _is_plain(value)]
    rest = {name: value for name, value in given.items() if not _is_plain(value)}
    if rest:
        words.append(f"-e {shlex.quote(json.dumps(rest))}")
    return " ".join(words)


def _is_plain(value: t.Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and _PLAIN.fullmatch(value) is not None)
