# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A journal as it is stored: both formats, the summary for people, and the commands in it."""

from __future__ import annotations

import json
import shlex
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import Connection
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_commands import (
    back_command,
    forward_command,
    resume_command,
    undo_command,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    ROLLBACK,
    Journal,
    config_map,
    data_of,
    decode,
    options_of,
)

DEFINITION = {"spec": {"cidr": "192.168.0.0/16", "blockSize": 26}, "labels": {}, "annotations": {}}
RESIZE = Journal(
    "change_block_size",
    "old",
    {"name": "old-temporary", "cidr": "10.0.0.0/16", "block_size": 28},
    28,
    DEFINITION,
    "2026-08-22T09:30:00Z",
    "0.2.0",
)
MIGRATE = replace(RESIZE, procedure="migrate_pool", target={"name": "new", "cidr": "10.0.0.0/16"}, block_size=None)
FULL = replace(
    MIGRATE,
    direction=ROLLBACK,
    stop_way="node_selector",
    target_definition=DEFINITION,
    keep_pool=True,
    waivers=("a", "b"),
    phases={"moving_out": "2026-08-22T09:30:00Z", "undoing": "2026-08-22T09:40:00Z"},
    runs=({"run": "ann@here/1", "at": "2026-08-22T09:30:00Z", "direction": "forward"},),
    moved=({"owner": "Deployment shop/cart", "way": "restart", "pods": 4},),
    moved_pods=4,
    options={"migrate_pool_consent": ["bare_pods"], "migrate_pool_more_nodes": 3},
)


def stored(journal: Journal, **data: str) -> dict[str, t.Any]:
    return config_map("kube-system", journal, {**data_of(journal, {"resume": "resume it", "undo": "undo it"}), **data})


@pytest.mark.parametrize("journal", [RESIZE, MIGRATE, FULL])
def test_what_is_written_is_read(journal: Journal) -> None:
    assert decode(stored(journal)) == journal


def test_the_first_format_is_read() -> None:
    keys = ("procedure", "pool", "target", "block_size", "definition", "started", "version")
    old = {key: RESIZE.as_dict()[key] for key in keys}
    assert decode(stored(RESIZE, **{"journal.json": json.dumps(old)})) == RESIZE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3, "version": "9.9.9"}, "in format 3 of release 9.9.9, and this release reads up to 2"),
        ({"direction": "sideways"}, "is not a journal this release can read"),
        ({"stop_way": "by hand"}, "is not a journal this release can read"),
        ({"definition": {}}, "is not a journal this release can read"),
        ({"target_definition": {}}, "is not a journal this release can read"),
        ({"target": None}, "is not a journal this release can read"),
        ({"runs": [1]}, "is not a journal this release can read"),
        ({"moved_pods": "many"}, "is not a journal this release can read"),
        ({"options": ["consent"]}, "is not a journal this release can read"),
        ({"options": {"migrate_pool_soak": 1}}, "is not a journal this release can read"),
        ({"options": {"change_block_size_soak=1 -e x": 1}}, "is not a journal this release can read"),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        decode(stored(RESIZE, **{"journal.json": json.dumps({**RESIZE.as_dict(), **changes})}))


def test_the_summary_is_for_people() -> None:
    assert stored(FULL)["data"]["summary"] == (
        "what       the move of IPPool 'old' to pool 'new' (10.0.0.0/16)\n"
        "direction  being undone\n"
        "phase      undoing since 2026-08-22T09:40:00Z\n"
        "started    2026-08-22T09:30:00Z by release 0.2.0\n"
        "last run   ann@here/1 at 2026-08-22T09:30:00Z\n"
        "moved      4 pods of 1 workload, as far as noted\n"
        "waived     a, b\n"
        "resume     resume it\n"
        "undo       undo it\n"
    )


@pytest.mark.parametrize(
    ("journal", "variables"),
    [
        (
            RESIZE,
            {
                "change_block_size_pool": "old",
                "change_block_size_block_size": "28",
                "change_block_size_temporary_cidr": "10.0.0.0/16",
            },
        ),
        (
            replace(RESIZE, target={"name": "tmp", "cidr": "fd00::/64", "block_size": 27}, waivers=("a", "it's")),
            {
                "change_block_size_pool": "old",
                "change_block_size_block_size": "28",
                "change_block_size_temporary_cidr": "fd00::/64",
                "change_block_size_temporary_name": "tmp",
                "change_block_size_temporary_block_size": "27",
                "change_block_size_waivers": ["a", "it's"],
            },
        ),
        (MIGRATE, {"migrate_pool_from": "old", "migrate_pool_to": {"name": "new", "cidr": "10.0.0.0/16"}}),
        (
            replace(MIGRATE, target={"name": "new", "node_selector": "rack == 'a'"}, keep_pool=True),
            {
                "migrate_pool_from": "old",
                "migrate_pool_to": {"name": "new", "node_selector": "rack == 'a'"},
                "migrate_pool_delete_old": False,
            },
        ),
        (
            replace(
                MIGRATE,
                options={
                    "migrate_pool_consent": ["bare_pods", "it's"],
                    "migrate_pool_external_ranges": ["198.51.100.0/24"],
                    "migrate_pool_probe_image": "registry.example:5000/pause:3.10",
                    "migrate_pool_canary": False,
                    "migrate_pool_pause": 0.5,
                    "migrate_pool_more_nodes": 12,
                    "migrate_pool_soak": "30 $(id) `id` \\",
                },
            ),
            {
                "migrate_pool_from": "old",
                "migrate_pool_to": {"name": "new", "cidr": "10.0.0.0/16"},
                "migrate_pool_consent": ["bare_pods", "it's"],
                "migrate_pool_external_ranges": ["198.51.100.0/24"],
                "migrate_pool_probe_image": "registry.example:5000/pause:3.10",
                "migrate_pool_canary": False,
                "migrate_pool_pause": 0.5,
                "migrate_pool_more_nodes": "12",
                "migrate_pool_soak": "30 $(id) `id` \\",
            },
        ),
    ],
)
def test_the_command_has_everything_that_the_request_had(journal: Journal, variables: dict[str, t.Any]) -> None:
    command = forward_command(journal)
    assert command.startswith(f"ansible-playbook calico_ops.ipam.{journal.procedure} ")
    assert given(command) == variables


def given(command: str) -> dict[str, t.Any]:
    """The variables of a command, as a shell and Ansible read it."""
    words = shlex.split(command)
    found: dict[str, t.Any] = {}
    for flag, value in zip(words[2::2], words[3::2]):
        assert flag == "-e"
        if value.startswith("{"):
            found.update(json.loads(value))
        else:
            name, _equals, text = value.partition("=")
            found[name] = text
    return found


def test_the_commands_that_lead_back() -> None:
    connection = Connection({"calico_ops_kubeconfig": "/my file"})
    undo = undo_command(MIGRATE, connection)
    assert undo == (
        "ansible-playbook calico_ops.ipam.migrate_pool_rollback -e migrate_pool_from=old "
        """-e '{"calico_ops_kubeconfig": "/my file"}'"""
    )
    assert resume_command(replace(FULL, options={}), connection) == undo
    # What only the preflight asks for is nothing to undoing.
    assert given(undo_command(FULL)) == {"migrate_pool_from": "old", "migrate_pool_consent": ["bare_pods"]}
    assert given(back_command(RESIZE))["change_block_size_block_size"] == "26"
    assert given(back_command(MIGRATE)) == {
        "migrate_pool_from": "new",
        "migrate_pool_to": {"name": "old", "cidr": "192.168.0.0/16", "block_size": 26},
    }


def test_the_options_of_a_run_are_bounded() -> None:
    longest = {"migrate_pool_soak": 1, "migrate_pool_external_ranges": ["198.51.100.0/24"] * 3000}
    with pytest.raises(InvalidInput, match="may have 50000: shorten migrate_pool_external_ranges"):
        options_of("migrate_pool", longest)
    with pytest.raises(InvalidInput, match="'soak' is no variable of the role migrate_pool"):
        options_of("migrate_pool", {"soak": 1})
